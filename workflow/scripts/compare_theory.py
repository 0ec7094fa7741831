"""Reads all experiments, evaluates every acceptance criterion, writes the acceptance table and the worked radii."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from w2sg import runtime, tables
from w2sg.theory import schemas

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, inputs: Mapping[str, str], acceptance: str, csv: str, radii: str, recipe: int, log: str) -> None:
    with runtime.log_to(log):
        from w2sg.theory.acceptance import acceptance as judge
        from w2sg.theory.radii import worked_radii

        frames = {name: tables.read_table(path, schemas.schema_of(name)) for name, path in inputs.items()}
        provenance = {"recipe": recipe}
        tables.write_table(judge(frames), acceptance, schemas.ACCEPTANCE, provenance=provenance)
        tables.write_table(worked_radii(), radii, schemas.RADII, provenance=provenance)
        with runtime.atomic_path(csv) as path:
            tables.read_table(acceptance, schemas.ACCEPTANCE).to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    main(
        inputs=dict(zip(snakemake.params["experiments"], snakemake.input, strict=True)),
        acceptance=snakemake.output["acceptance"],
        csv=snakemake.output["csv"],
        radii=snakemake.output["radii"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
