"""Fetches one Hub revision and leaves it ready on the scratch disk; the extraction deletes it (split mode)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.study.protocols import trained_kinds

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    name: str,
    revision: str,
    model: Mapping[str, Any],
    ticket: str,
    config: Mapping[str, Any],
    log: str,
) -> None:
    # Waiting for a place is no work: if all that runs does so, the wait is given up.
    with jobs.log_to(log, working=False):
        from w2sg.revisions import access
        from w2sg.revisions.scratch import Store

        # In fused mode students are trained on this kind of machine: those too large for it are known before weights arrive.
        # Under Slurm this job may be given less memory or no GPU, which says nothing of the machine that trains them.
        trained = trained_kinds(config["students"]["kinds"])
        here = config["fetch"]["mode"] == "fused" and "SLURM_JOB_ID" not in os.environ
        looks = [refuse_unfit, refuse_too_large] if trained and here else [refuse_unfit] if trained else []

        def look(folder: Path) -> None:
            for one in looks:
                one(folder, model=model, config=config)

        access.fetch_revision(model, revision, name=name, store=Store.of(config), ticket=Path(ticket), look=look)


def refuse_unfit(folder: Path, *, model: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    from w2sg.revisions.facts.comparison import asked_fault
    from w2sg.revisions.facts.descriptions import describe_folder

    if fault := asked_fault(config, "final", describe_folder(folder)):
        raise ValueError(fault)


def refuse_too_large(folder: Path, *, model: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    from w2sg.activations.models import read_model_config
    from w2sg.runtime import machine
    from w2sg.students.memory import check_memory
    from w2sg.study.sections import Students

    settings, device = Students.model_validate(config["students"]), machine.pick_device(config["activations"]["device"])
    swept = machine.compute_type(model["dtype"], device)
    for kind in trained_kinds(settings.kinds):
        described = read_model_config(folder)
        check_memory(described, kind, [], swept=swept, device=device, settings=settings, empty=True)


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["model"],
        revision=snakemake.wildcards["revision"],
        model=snakemake.params["model"],
        ticket=snakemake.output["ticket"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
