"""Joins the families' tables into the long table of the study, and the datasets' floors into another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from w2sg import runtime, schemas, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, families: Sequence[str], floors: Sequence[str], metrics: str, all_floors: str, recipe: int, log: str
) -> None:
    with runtime.log_to(log):
        for paths, output, schema in (
            (families, metrics, schemas.METRICS),
            (floors, all_floors, schemas.FLOORS),
        ):
            frame = pd.concat([tables.read_table(path, schema) for path in paths], ignore_index=True)
            tables.write_table(frame, output, schema, provenance={"recipe": recipe})


if __name__ == "__main__":
    main(
        families=snakemake.input["families"],
        floors=snakemake.input["floors"],
        metrics=snakemake.output["metrics"],
        all_floors=snakemake.output["floors"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
