"""Joins the families' tables into the long table of the study, and the datasets' floors into another."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from w2sg import collect, runtime, schemas, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, families: Sequence[str], floors: Sequence[str], metrics: str, all_floors: str, recipe: int, log: str
) -> None:
    with runtime.log_to(log):
        parts = {Path(path).stem: tables.read_parts(path, schemas.METRICS) for path in families}
        tables.write_parts(collect.join_families(parts), metrics, schemas.METRICS, provenance={"recipe": recipe})
        frame = pd.concat([tables.read_table(path, schemas.FLOORS) for path in floors], ignore_index=True)
        tables.write_table(frame, all_floors, schemas.FLOORS, provenance={"recipe": recipe})


if __name__ == "__main__":
    main(
        families=snakemake.input["families"],
        floors=snakemake.input["floors"],
        metrics=snakemake.output["metrics"],
        all_floors=snakemake.output["floors"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
