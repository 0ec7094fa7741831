"""What the figures of the sweep branch show: the long table in, one plotted table per figure out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from w2sg.measures.bootstrap import block_length, draw_blocks, lag_one
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.tables.schemas import FIGURE
from w2sg.trajectories.selection import INTERVAL_COLUMNS, estimates, final_rows

NO_REVISION = -1
"""Step of a row that belongs to no revision: a level or a point of a fitted line."""

GRID = 60
"""Points of a fitted line."""

RESAMPLES = 1000
"""Bootstrap resamples of a fitted line."""

_TYPES: dict[str, Any] = {
    f.name: "int64" if f.type == pa.int64() else "float64" for f in FIGURE.fields if f.type != pa.string()
}


def figure_table(
    name: str, metrics: pd.DataFrame, floors: pd.DataFrame, *, family: str, dataset: str, confidence: float
) -> pd.DataFrame:
    """Returns what a figure shows of one family on one dataset, schema FIGURE.

    Values and intervals are means over head seeds: they show the sampling error of the test pairs, not that of the
    seeds.

    Args:
        name: Figure, a key of :data:`w2sg.report.catalogue.FIGURES`.
        metrics: The long table, schema METRICS.
        floors: The floors, schema FLOORS.
        family: Family to select.
        dataset: Dataset to select.
        confidence: Coverage of the interval of fitted lines; the other intervals are those of the tables.

    Raises:
        ValueError: On an unknown figure, or if there are no W2SG accuracies for this selection.
    """
    if name not in TABLES:
        raise ValueError(f"figure must be one of {sorted(TABLES)}, got {name!r}")
    rows = metrics[(metrics["family"] == family) & ((metrics["dataset"] == dataset) | (metrics["head"] == "model"))]
    if not ((rows["head"] == "w2s") & (rows["metric"] == "accuracy")).any():
        raise ValueError(f"no W2SG accuracies of family {family} on dataset {dataset}")
    levels = floors[(floors["dataset"] == dataset) & (floors["metric"] == "accuracy")]
    parts = [part for part in TABLES[name](rows, levels, confidence) if len(part)]
    table = pd.concat(parts, ignore_index=True).reindex(columns=FIGURE.fields.names)
    return table.astype(_TYPES)


def _level(found: pd.DataFrame, panel: str, series: str) -> pd.DataFrame:
    """Rows without a place on the axis: one value that holds for every revision."""
    layer = found.get("layer", NO_REVISION)
    return found[INTERVAL_COLUMNS].assign(panel=panel, series=series, layer=layer, step=NO_REVISION)


def _weak(rows: pd.DataFrame, panel: str, metric: str, protocol: str) -> pd.DataFrame:
    return _level(estimates(rows, "weak", metric, protocol), panel, "weak")


def _floors(levels: pd.DataFrame, panel: str) -> Iterable[pd.DataFrame]:
    return [_level(part, panel, f"floor:{floor}") for floor, part in levels.groupby("floor", sort=True)]


def _over_steps(found: pd.DataFrame, panel: str, series: str) -> pd.DataFrame:
    return found.assign(panel=panel, series=series, x=found["step"].astype(float))


def _loss(rows: pd.DataFrame) -> pd.DataFrame:
    return _over_steps(final_rows(rows, "model", "nats_per_token"), "loss", "loss")


def _trajectory(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> list[pd.DataFrame]:
    parts = [_loss(rows)]
    for protocol in HEADLINE_SETTINGS:
        parts += [
            _over_steps(final_rows(rows, head, "accuracy", protocol), protocol, head) for head in ("w2s", "ceiling")
        ]
        parts.append(_over_steps(final_rows(rows, "probe", "accuracy", "pair"), protocol, "probe"))
        parts += [_weak(rows, protocol, "accuracy", protocol), *_floors(levels, protocol)]
    return parts


def _probe(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> list[pd.DataFrame]:
    parts = [_loss(rows)]
    for metric in ("accuracy", "auroc"):
        for split in ("pair", "text"):
            parts.append(_over_steps(final_rows(rows, "probe", metric, split), metric, split))
    return [*parts, *_floors(levels, "accuracy")]


def _recovery(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> list[pd.DataFrame]:
    parts = [_loss(rows)]
    for protocol in HEADLINE_SETTINGS:
        parts.append(_over_steps(final_rows(rows, "w2s", "pgr", protocol), f"{protocol}:pgr", "w2s"))
        for head in ("w2s", "ceiling"):
            parts.append(_over_steps(final_rows(rows, head, "ece", protocol), f"{protocol}:ece", head))
        parts.append(_weak(rows, f"{protocol}:ece", "ece", protocol))
    return parts


def fit_line(points: pd.DataFrame, *, confidence: float, seed: int = 0) -> pd.DataFrame:
    """Returns the least-squares line of value on x over the range of x, with a pointwise interval; empty if undefined.

    The interval comes from resampling blocks of neighbouring revisions, which are correlated.

    Args:
        points: Columns step, x, value; rows with nulls are ignored.
        confidence: Coverage of the interval.
        seed: Seed of the resamples.
    """
    known = points.sort_values("step")[["x", "value"]].dropna().to_numpy(dtype=np.float64)
    if len(known) < 3 or np.ptp(known[:, 0]) == 0:
        return pd.DataFrame(columns=["series", "layer", "step", "x", *INTERVAL_COLUMNS])
    x, y = known.T
    grid, once = np.linspace(x.min(), x.max(), GRID), np.ones((1, len(x)))
    block = block_length(len(x), lag_one(y - _lines(x, y, once, x)[0], fitted=2))
    drawn = _lines(x, y, draw_blocks(len(x), block, RESAMPLES, seed).astype(np.float64), grid)
    low, high = np.nanquantile(drawn, (0.5 - confidence / 2, 0.5 + confidence / 2), axis=0)
    table = pd.DataFrame({"x": grid, "value": _lines(x, y, once, grid)[0], "low": low, "high": high})
    return table.assign(series="fit", layer=NO_REVISION, step=NO_REVISION)


def _lines(x: np.ndarray, y: np.ndarray, weight: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Returns weighted least-squares lines on a grid, (B, g), for weights (B, n); NaN where all weighted x are equal."""
    total = weight.sum(1, keepdims=True)
    centre, level = weight @ x[:, None] / total, weight @ y[:, None] / total
    spread = (weight * (x - centre) ** 2).sum(1, keepdims=True)
    moment = (weight * (x - centre) * (y - level)).sum(1, keepdims=True)
    slope = np.divide(moment, spread, out=np.full_like(moment, np.nan), where=spread > 1e-12 * np.ptp(x) ** 2)
    return level + slope * (grid - centre)


def _prediction(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> list[pd.DataFrame]:
    predictors = {
        "probe": final_rows(rows, "probe", "accuracy", "pair"),
        "loss": final_rows(rows, "model", "nats_per_token"),
    }
    parts = []
    for protocol in HEADLINE_SETTINGS:
        reached = final_rows(rows, "w2s", "accuracy", protocol)
        for name, found in predictors.items():
            panel = f"{protocol}:{name}"
            given = found[["step", *INTERVAL_COLUMNS]].rename(columns={"value": "x", "low": "x_low", "high": "x_high"})
            points = reached.merge(given, on="step", validate="1:1").assign(panel=panel, series="revision")
            line = fit_line(points, confidence=confidence).assign(panel=panel)
            parts += [points, line, _weak(rows, panel, "accuracy", protocol)]
    return parts


def _layers(rows: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> list[pd.DataFrame]:
    parts = [_over_steps(estimates(rows, "probe", "accuracy", "pair"), "probe", "probe")]
    return [*parts, *(_over_steps(estimates(rows, "w2s", "accuracy", name), name, "w2s") for name in HEADLINE_SETTINGS)]


TABLES: dict[str, Callable[[pd.DataFrame, pd.DataFrame, float], list[pd.DataFrame]]] = {
    "trajectory": _trajectory,
    "probe": _probe,
    "recovery": _recovery,
    "prediction": _prediction,
    "layers": _layers,
}
"""How the table of each figure is made."""
