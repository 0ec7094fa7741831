"""Reads the headline trajectories and writes how well probe accuracy and evaluation loss foretell W2SG accuracy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg.runtime import jobs
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories import correlations, coverage, series
from w2sg.trajectories.selection import headline_rows
from w2sg.trajectories.series import ResamplingSettings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    metrics: str,
    audited: str,
    transitions: str,
    output: str,
    exclude: bool,
    confidence: float,
    settings: Mapping[str, Any],
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        threadpool_limits(1)  # sums are formed in the same order on every machine
        frame = read_table(metrics, schemas.METRICS, where=headline_rows())
        frame = coverage.exclude_flagged(frame, read_table(audited, schemas.AUDIT)) if exclude else frame
        rows = correlations.correlate_all(
            series.collect_series(frame, confidence=confidence),
            read_table(transitions, schemas.TRANSITIONS),
            ResamplingSettings(**settings),
        )
        table = pd.DataFrame(rows, columns=schemas.CORRELATIONS.fields.names)
        write_table(table, output, schemas.CORRELATIONS, provenance={"recipe": recipe, "statistics": dict(settings)})


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        audited=snakemake.input["audit"],
        transitions=snakemake.input["transitions"],
        output=snakemake.output[0],
        exclude=snakemake.params["exclude"],
        confidence=snakemake.params["confidence"],
        settings=snakemake.params["statistics"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
