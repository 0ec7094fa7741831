"""The least-squares line of W2SG accuracy on a predictor over revisions, with a pointwise interval."""

from __future__ import annotations

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import block_length, draw_counts, lag_one
from w2sg.trajectories.selection import INTERVAL

GRID, RESAMPLES = 60, 1000
"""Points and bootstrap resamples of a line."""


def fit_line(points: pd.DataFrame, *, confidence: float, seed: int = 0) -> pd.DataFrame:
    """Returns x, value, low, high of the least-squares line over the range of x; empty if it is undefined.

    The interval comes from resampling blocks of neighbouring revisions, which are correlated.

    Args:
        points: Columns step, x, value; rows with nulls are ignored.
        confidence: Pointwise coverage of the interval.
        seed: Seed of the resamples.
    """
    known = points.sort_values("step")[["x", "value"]].dropna().to_numpy(dtype=np.float64)
    if len(known) < 3 or np.ptp(known[:, 0]) == 0:
        return pd.DataFrame(columns=["x", *INTERVAL])
    x, y = known.T
    n, once, grid = len(x), np.ones((1, len(x))), np.linspace(x.min(), x.max(), GRID)
    block = block_length(n, lag_one(y - _lines(x, y, once, x)[0], fitted=2))
    counts = draw_counts(n, resamples=RESAMPLES, seed=seed, block=block).astype(np.float64)
    tails = (0.5 - confidence / 2, 0.5 + confidence / 2)
    low, high = np.nanquantile(_lines(x, y, counts, grid), tails, axis=0)
    return pd.DataFrame({"x": grid, "value": _lines(x, y, once, grid)[0], "low": low, "high": high})


def _lines(x: np.ndarray, y: np.ndarray, weight: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Returns weighted least-squares lines on a grid, (B, g), for weights (B, n); NaN where all weighted x are equal."""
    total = weight.sum(1, keepdims=True)
    centre, level = weight @ x[:, None] / total, weight @ y[:, None] / total
    spread = (weight * (x - centre) ** 2).sum(1, keepdims=True)
    moment = (weight * (x - centre) * (y - level)).sum(1, keepdims=True)
    slope = np.divide(moment, spread, out=np.full_like(moment, np.nan), where=spread > 1e-12 * np.ptp(x) ** 2)
    return level + slope * (grid - centre)
