"""Reads all experiments, evaluates every acceptance criterion, writes the acceptance table and the worked radii."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import origins
from w2sg.tables.files import read_table, write_table
from w2sg.tables.theory import ACCEPTANCE, RADII

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    inputs: Mapping[str, str],
    acceptance: str,
    csv: str,
    radii: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.theory.acceptance.judge import acceptance as judge
        from w2sg.theory.experiments.run import schema_of
        from w2sg.theory.model.radii import worked_radii

        frames = {name: read_table(path, schema_of(name)) for name, path in inputs.items()}
        origin = origins.trace("judge_theory", made, inputs.values(), config=config)
        write_table(judge(frames), acceptance, ACCEPTANCE, provenance=origin)
        write_table(worked_radii(), radii, RADII, provenance=origin)
        with atomic_path(csv) as path:
            read_table(acceptance, ACCEPTANCE).to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    main(
        inputs=dict(zip(snakemake.params["experiments"], snakemake.input, strict=True)),
        acceptance=snakemake.output["acceptance"],
        csv=snakemake.output["csv"],
        radii=snakemake.output["radii"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
