"""Reads the headline trajectories; writes when and how W2SG sets in, what predicts its accuracy, and which pairs change."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyarrow import parquet
from threadpoolctl import threadpool_limits

from w2sg.measures import agreement
from w2sg.runtime import jobs
from w2sg.study.sections import Statistics
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories import coverage
from w2sg.trajectories.correlations import correlate_all
from w2sg.trajectories.prediction import predict_all
from w2sg.trajectories.selection import headline_rows
from w2sg.trajectories.series import Listed, collect_series
from w2sg.trajectories.transitions import estimate_transition

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SCHEMAS = {
    "transitions": schemas.TRANSITIONS,
    "correlations": schemas.CORRELATIONS,
    "prediction": schemas.PREDICTION,
    "agreement": schemas.AGREEMENT,
}
_REVISION = ["family", "revision", "step"]


def main(
    *,
    metrics: str,
    audited: str,
    predictions: Sequence[str],
    outputs: Mapping[str, str],
    confidence: float,
    groups: Mapping[str, Sequence[str]],
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("correlate", made, [metrics, audited, *predictions], config=config)
        threadpool_limits(1)  # sums are formed in the same order on every machine
        frame = read_table(metrics, schemas.METRICS, where=headline_rows())
        if made["audit"]["exclude"]:
            frame = coverage.exclude_flagged(frame, read_table(audited, schemas.AUDIT))
        listed = {name: Listed(**one) for name, one in made.get("listed", {}).items()}
        series = list(collect_series(frame, confidence=confidence, listed=listed))
        resampling = Statistics(**made["statistics"])
        found = frame[_REVISION].drop_duplicates().itertuples(index=False, name=None)
        steps = {(str(family), str(revision)): int(step) for family, revision, step in found}
        answers = agreement.collect_answers(_read(predictions, steps))
        moved = pd.DataFrame(estimate_transition(series, resampling, answers), columns=_names("transitions"))
        tables = {
            "transitions": moved,
            "correlations": pd.DataFrame(correlate_all(series, moved, resampling), columns=_names("correlations")),
            "prediction": pd.DataFrame(predict_all(series, groups, resampling), columns=_names("prediction")),
            "agreement": pd.DataFrame(agreement.compare_answers(answers), columns=_names("agreement")),
        }
        for name, table in tables.items():
            write_table(table, outputs[name], SCHEMAS[name], provenance=origin)


def _names(table: str) -> list[str]:
    return SCHEMAS[table].fields.names


def _read(paths: Sequence[str], steps: Mapping[tuple[str, str], int]) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Yields family, step and answers of the revisions that count; a path ends in family/revision/dataset.parquet."""
    where = parquet.filters_to_expression([("head", "in", list(agreement.HEADS))])
    for path in paths:
        family, revision = Path(path).parts[-3:-1]
        if (family, revision) in steps:
            yield family, steps[family, revision], read_table(path, schemas.PREDICTIONS, where=where)


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        audited=snakemake.input["audit"],
        predictions=snakemake.input["predictions"],
        outputs=dict(snakemake.output.items()),
        confidence=snakemake.params["confidence"],
        groups=snakemake.params["groups"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
