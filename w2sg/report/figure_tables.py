"""What the figures of the sweep branch show: the long table in, one plotted table per figure out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.tables.schemas import FIGURE
from w2sg.trajectories.lines import fit_line
from w2sg.trajectories.selection import INTERVAL, case_rows, final_means, floor_levels, seed_means

NO_REVISION = -1
"""Step of a row that belongs to no revision: a level or a point of a fitted line."""

Parts = Iterator[pd.DataFrame]
"""Rows of a figure, a panel or a series at a time."""

_TYPES: dict[str, Any] = {
    f.name: "int64" if f.type == pa.int64() else "float64" for f in FIGURE.fields if f.type != pa.string()
}


def figure_table(
    name: str, metrics: pd.DataFrame, floors: pd.DataFrame, *, family: str, dataset: str, confidence: float
) -> pd.DataFrame:
    """Returns what a figure of :data:`w2sg.report.catalogue.FIGURES` shows of one family on one dataset, schema FIGURE.

    Values and intervals are means over head seeds, from METRICS and FLOORS: they show the sampling error of the test
    pairs, not that of the seeds. The confidence is that of the interval of fitted lines.

    Raises:
        ValueError: On an unknown figure, or if there are no W2SG accuracies for this selection.
    """
    if name not in _TABLES:
        raise ValueError(f"figure must be one of {sorted(_TABLES)}, got {name!r}")
    rows = case_rows(metrics, family=family, dataset=dataset)
    levels = floor_levels(floors, rows, dataset=dataset)
    parts = [part for part in _TABLES[name](rows, levels, confidence) if len(part)]
    return pd.concat(parts, ignore_index=True).reindex(columns=FIGURE.fields.names).astype(_TYPES)


def _trajectory(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> Parts:
    yield _loss(rows)
    for protocol in HEADLINE_SETTINGS:
        for head in ("w2s", "ceiling", "probe"):
            yield _over_steps(final_means(rows, head, "accuracy", protocol), protocol, head)
        yield _weak(rows, protocol, "accuracy", protocol)
        yield from _floors(levels, protocol)


def _probe(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> Parts:
    yield _loss(rows)
    for metric in ("accuracy", "auroc"):
        for split in ("pair", "text"):
            yield _over_steps(final_means(rows, "probe", metric, split=split), metric, split)
    yield from _floors(levels, "accuracy")


def _recovery(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> Parts:
    yield _loss(rows)
    for protocol in HEADLINE_SETTINGS:
        yield _over_steps(final_means(rows, "w2s", "pgr", protocol), f"{protocol}:pgr", "w2s")
        for head in ("w2s", "ceiling"):
            yield _over_steps(final_means(rows, head, "ece", protocol), f"{protocol}:ece", head)
        yield _weak(rows, f"{protocol}:ece", "ece", protocol)


def _prediction(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> Parts:
    predictors = {"probe": final_means(rows, "probe", "accuracy"), "loss": final_means(rows, "model", "nats_per_token")}
    for protocol in HEADLINE_SETTINGS:
        reached = final_means(rows, "w2s", "accuracy", protocol)
        for name, found in predictors.items():
            panel = f"{protocol}:{name}"
            given = found[["step", *INTERVAL]].rename(columns={"value": "x", "low": "x_low", "high": "x_high"})
            points = reached.merge(given, on="step", validate="1:1").assign(panel=panel, series="revision")
            yield points
            line = fit_line(points, confidence=confidence)
            yield line.assign(panel=panel, series="fit", layer=NO_REVISION, step=NO_REVISION)
            yield _weak(rows, panel, "accuracy", protocol)


def _layers(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> Parts:
    yield _over_steps(seed_means(rows, "probe", "accuracy"), "probe", "probe")
    for protocol in HEADLINE_SETTINGS:
        yield _over_steps(seed_means(rows, "w2s", "accuracy", protocol), protocol, "w2s")


_TABLES: dict[str, Callable[[pd.DataFrame, pd.DataFrame, float], Parts]] = {
    "trajectory": _trajectory, "probe": _probe, "recovery": _recovery, "prediction": _prediction, "layers": _layers
}  # fmt: skip


def _over_steps(found: pd.DataFrame, panel: str, series: str) -> pd.DataFrame:
    return found.assign(panel=panel, series=series, x=found["step"].astype(float))


def _loss(rows: pd.DataFrame) -> pd.DataFrame:
    return _over_steps(final_means(rows, "model", "nats_per_token"), "loss", "loss")


def _weak(rows: pd.DataFrame, panel: str, metric: str, protocol: str) -> pd.DataFrame:
    return _level(seed_means(rows, "weak", metric, protocol), panel, "weak")


def _floors(levels: pd.DataFrame, panel: str) -> Iterable[pd.DataFrame]:
    return [_level(part, panel, f"floor:{floor}") for floor, part in levels.groupby("floor", sort=True)]


def _level(found: pd.DataFrame, panel: str, series: str) -> pd.DataFrame:
    """Returns rows without a place on the axis: one value that holds for every revision."""
    return found[INTERVAL].assign(panel=panel, series=series, layer=found.get("layer", NO_REVISION), step=NO_REVISION)
