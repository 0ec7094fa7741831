"""Plans that are whole and no larger than needed: works around two limits of Snakemake's choice of jobs. Standard library only.

Snakemake (9.27, issue 4166 there) looks for a reason to run a job only while nothing upstream of it has one; it relies on
the upstream job to pass its reason on. Through an ``ancient`` input no reason passes, so that a job behind one is neither
looked at nor reached: its missing output, or its changed parameters, go unnoticed until the next run, and the present one
ends as a success. A killed run leads there: the training it left behind finishes its manifest, the next run makes the
manifest again because it is marked incomplete, and everything that waits for the manifest is passed over.

Its trigger ``input`` compares the files a job would read with those it has read. Where one job makes a file for each of
many inputs, one input less makes it run again for the others, although none of their files would change.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def complete_plans(dag_class: Any) -> None:
    """Makes the plans of Snakemake's DAG class whole: jobs behind ``ancient`` inputs are looked at for reasons of their own.

    Args:
        dag_class: ``snakemake.dag.DAG``; its ``update_needrun`` is wrapped, once.
    """
    plain = dag_class.update_needrun
    if hasattr(plain, "__wrapped__"):
        return

    async def update_needrun(dag: Any, create_inventory: bool = False) -> None:
        await plain(dag, create_inventory=create_inventory)
        planned = set(dag._needrun)
        new = planned
        while _passed_over(dag, new, planned):
            new = await _reasons_without(dag, plain, planned)
            planned |= new
        _set_plan(dag, planned)

    update_needrun.__wrapped__ = plain  # pyright: ignore[reportFunctionMemberAccess]
    dag_class.update_needrun = update_needrun


def allow_fewer_inputs(persistence_class: Any, *, rules: Collection[str]) -> None:
    """Leaves results of some rules alone if their job would read nothing but what it has read before.

    Right for rules whose outputs each depend on inputs that stay as long as the output is wanted. An input that is
    newer, or of a name that the job has not read, remains a reason to run.

    Args:
        persistence_class: ``snakemake.persistence.PersistenceBase``; its ``_input_changed`` is wrapped, once.
        rules: Names of these rules.
    """
    plain = persistence_class._input_changed
    if hasattr(plain, "__wrapped__"):
        return

    def _input_changed(persistence: Any, job: Any, file: Any = None) -> bool:
        if not plain(persistence, job, file):
            return False
        return job.rule.name not in rules or not set(persistence._input(job)) <= set(persistence.input(file))

    _input_changed.__wrapped__ = plain  # pyright: ignore[reportFunctionMemberAccess]
    persistence_class._input_changed = _input_changed


def _passed_over(dag: Any, new: set[Any], planned: set[Any]) -> bool:
    """Returns whether a job that depends on one of ``new`` is neither planned nor finished: then an input is ancient."""
    return any(job not in planned and not dag.finished(job) for one in new for job in dag.depending[one])


async def _reasons_without(dag: Any, plain: Any, planned: set[Any]) -> set[Any]:
    """Returns the jobs that have to run for reasons of their own, by Snakemake's choice with ``planned`` out of its sight."""
    finished = dag._finished
    dag._finished = finished | planned
    try:
        await plain(dag)
    finally:
        dag._finished = finished
    return set(dag._needrun)


def _set_plan(dag: Any, planned: set[Any]) -> None:
    dag._needrun.clear()
    dag._needrun.update(planned)
    dag._n_until_ready.clear()
    for job in planned:
        dag._n_until_ready[job] = sum(dependency in planned for dependency in dag._dependencies[job])
    dag._len = len(dag._finished | planned)
