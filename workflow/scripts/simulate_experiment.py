"""Reads nothing, runs one experiment of the theory branch with all its seeds, writes its table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from w2sg import runtime, tables
from w2sg.theory import experiments, schemas

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
    with runtime.log_to(log):
        from w2sg.theory import run
        from w2sg.theory.phase_diagram import PhaseSize

        size = PhaseSize(**phase)
        progress = runtime.Progress(f"simulate {experiment}", run.count_units(experiment, size), "units")
        frame = run.simulate_experiment(
            experiment, seeds=seeds, seed=seed, phase=size, threads=threads, advance=progress.update
        )
        used = {"seeds": seeds, "seed": seed, "phase": dict(phase), "settings": experiments.describe(experiment)}
        provenance = {"recipe": recipe, "experiment": experiment, **used}
        tables.write_table(frame, output, schemas.schema_of(experiment), provenance=provenance)


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
