"""Reads nothing, runs one experiment of the theory branch with all its seeds, writes its table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from w2sg.runtime import jobs
from w2sg.tables import origins
from w2sg.tables.files import write_table
from w2sg.theory.experiments import catalogue

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    experiment: str,
    seeds: int,
    seed: int,
    phase: Mapping[str, int],
    threads: int,
    output: str,
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.study.sections import Phase
        from w2sg.theory.experiments import run
        from w2sg.theory.experiments.settings import RunSettings

        asked = RunSettings(
            seeds=seeds,
            seed=seed,
            phase=Phase(**phase),
            threads=threads,
            watch=lambda total: jobs.Progress(f"simulate {experiment}", total, "units").update,
        )
        frame = run.simulate_experiment(experiment, asked)
        used = {
            "seeds": seeds,
            "seed": seed,
            "phase": dict(phase),
            "settings": catalogue.describe_experiment(experiment),
        }
        made = {f"experiments.{experiment}": used, "recipes.THEORY": recipe}
        origin = origins.trace("simulate_experiment", made)
        write_table(frame, output, run.schema_of(experiment), provenance=origin)


if __name__ == "__main__":
    main(
        experiment=snakemake.wildcards["experiment"],
        seeds=snakemake.params["seeds"],
        seed=snakemake.params["seed"],
        phase=snakemake.params.get("phase", {}),
        threads=snakemake.threads,
        output=snakemake.output[0],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
