"""Reads the headline trajectories; writes when and how W2SG sets in, and how well probe and loss predict its accuracy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg.runtime import jobs
from w2sg.study.sections import Statistics
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories import coverage
from w2sg.trajectories.correlations import correlate_all
from w2sg.trajectories.selection import headline_rows
from w2sg.trajectories.series import collect_series
from w2sg.trajectories.transitions import estimate_transition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    metrics: str,
    audited: str,
    transitions: str,
    correlations: str,
    confidence: float,
    groups: Mapping[str, Sequence[str]],
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("correlate", made, [metrics, audited], config=config)
        threadpool_limits(1)  # sums are formed in the same order on every machine
        frame = read_table(metrics, schemas.METRICS, where=headline_rows())
        if made["audit"]["exclude"]:
            frame = coverage.exclude_flagged(frame, read_table(audited, schemas.AUDIT))
        series, resampling = list(collect_series(frame, confidence=confidence)), Statistics(**made["statistics"])
        moved = pd.DataFrame(estimate_transition(series, resampling), columns=schemas.TRANSITIONS.fields.names)
        rows = correlate_all(series, moved, resampling)
        table = pd.DataFrame(rows, columns=schemas.CORRELATIONS.fields.names)
        write_table(moved, transitions, schemas.TRANSITIONS, provenance=origin)
        write_table(table, correlations, schemas.CORRELATIONS, provenance=origin)


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        audited=snakemake.input["audit"],
        transitions=snakemake.output["transitions"],
        correlations=snakemake.output["correlations"],
        confidence=snakemake.params["confidence"],
        groups=snakemake.params["groups"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
