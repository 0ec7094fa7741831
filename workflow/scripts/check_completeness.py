"""Compares the selected revisions of every family with those in the long table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from w2sg.report.sentences import describe_missing
from w2sg.runtime import jobs
from w2sg.tables import schemas
from w2sg.tables.files import read_parts, write_table
from w2sg.trajectories import coverage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    metrics: str,
    wanted: Mapping[str, Mapping[str, int]],
    datasets: Sequence[str],
    output: str,
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log) as lines:
        keys = ["family", "dataset", "revision"]
        parts = read_parts(metrics, schemas.METRICS)
        measured = [
            part.select([*keys, "head"]).to_pandas().query("head == 'w2s'")[keys].drop_duplicates() for part in parts
        ]
        table = coverage.completeness(pd.concat(measured, ignore_index=True), wanted, datasets)
        lines.writelines(f"{sentence}\n" for sentence in describe_missing(table))
        write_table(table, output, schemas.COMPLETENESS, provenance={"recipe": recipe})


if __name__ == "__main__":
    main(
        metrics=snakemake.input[0],
        wanted=snakemake.params["wanted"],
        datasets=snakemake.params["datasets"],
        output=snakemake.output[0],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
