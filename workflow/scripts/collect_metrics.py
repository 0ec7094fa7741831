"""Joins the families' tables into the long table of the study, and the datasets' floors into another."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from w2sg.runtime import jobs
from w2sg.tables import schemas
from w2sg.tables.files import read_parts, read_table, write_parts, write_table
from w2sg.trajectories import collect

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, families: Sequence[str], floors: Sequence[str], metrics: str, all_floors: str, recipe: int, log: str
) -> None:
    with jobs.log_to(log):
        parts = {Path(path).stem: read_parts(path, schemas.METRICS) for path in families}
        write_parts(collect.join_families(parts), metrics, schemas.METRICS, provenance={"recipe": recipe})
        frame = pd.concat([read_table(path, schemas.FLOORS) for path in floors], ignore_index=True)
        write_table(frame, all_floors, schemas.FLOORS, provenance={"recipe": recipe})


if __name__ == "__main__":
    main(
        families=snakemake.input["families"],
        floors=snakemake.input["floors"],
        metrics=snakemake.output["metrics"],
        all_floors=snakemake.output["floors"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
