"""Reads the headline trajectories and writes when and how W2SG sets in, with intervals."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg import audit, runtime, schemas, series, tables, transitions
from w2sg.resampling import Settings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    metrics: str,
    audited: str,
    output: str,
    exclude: bool,
    confidence: float,
    settings: Mapping[str, Any],
    recipe: int,
    log: str,
) -> None:
    with runtime.log_to(log):
        threadpool_limits(1)  # sums are formed in the same order on every machine
        frame = tables.read_table(metrics, schemas.METRICS, where=series.headline_rows())
        frame = audit.exclude_flagged(frame, tables.read_table(audited, schemas.AUDIT)) if exclude else frame
        rows = transitions.estimate_transition(
            series.collect_series(frame, confidence=confidence), Settings(**settings)
        )
        table = pd.DataFrame(rows, columns=schemas.TRANSITIONS.fields.names)
        tables.write_table(
            table, output, schemas.TRANSITIONS, provenance={"recipe": recipe, "statistics": dict(settings)}
        )


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        audited=snakemake.input["audit"],
        output=snakemake.output[0],
        exclude=snakemake.params["exclude"],
        confidence=snakemake.params["confidence"],
        settings=snakemake.params["statistics"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
