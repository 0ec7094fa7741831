"""How much heads depend on their training pairs: the same from each half of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri

from w2sg.heads.crossval import deal_folds
from w2sg.heads.sides import generator

FEWEST = 3
"""Draws of halves at least: head seeds, and further integers where there are fewer."""


def draws_of(seeds: Sequence[int]) -> list[int]:
    """Returns the draws of halves: the head seeds, filled up to :data:`FEWEST` with the smallest other integers."""
    others = [number for number in range(len(seeds) + FEWEST) if number not in seeds]
    return [*seeds, *others[: max(0, FEWEST - len(seeds))]]


def deal_halves(n: int, draws: Sequence[int], *, clusters: np.ndarray | None = None) -> np.ndarray:
    """Returns the rows of both halves of each draw, (D, 2, m), with m n/2 or a little less; no draw if there is one group.

    Args:
        n: Training pairs.
        draws: D draws, each the seed of its halves.
        clusters: Group of each pair, (n,), which stays whole; each pair is its own group by default. The larger half gives
            up rows until all have the same number.
    """
    groups = np.arange(n) if clusters is None else clusters
    if len(np.unique(groups)) < 2:
        return np.empty((0, 2, 0), dtype=np.int64)
    dealt = [deal_folds(groups, folds=2, rng=generator(draw, "halves")) for draw in draws]
    halves = [[np.flatnonzero(fold == half) for half in (0, 1)] for fold in dealt]
    size = min(len(half) for both in halves for half in both)
    return np.array([[half[:size] for half in both] for both in halves])


def rightness(margins: np.ndarray) -> np.ndarray:
    """Returns 1 where a margin is positive, 0 where it is negative; zero counts one half."""
    return 0.5 * (1.0 + np.sign(margins))


def training_sd(right: np.ndarray, *, share: float, clusters: np.ndarray | None) -> float:
    """Returns the standard deviation of an accuracy, or gain, over draws of all training pairs.

    A head of a share of the pairs has about 1/share times the variance of one of all, and both halves are independent. What the
    test pairs make of the difference of two halves is taken out: the interval over test pairs has it already.

    Equation: (R18).

    Args:
        right: :func:`rightness` on each of n test pairs with each half of each draw, of a gain less the supervisor's, (D, 2, n).
        share: Size of a half over that of all pairs.
        clusters: Group of each test pair, (n,); each pair is its own group by default.
    """
    difference = right[:, 0] - right[:, 1]  # (D, n)
    mean, n = difference.mean(-1), difference.shape[-1]
    groups = np.arange(n) if clusters is None else clusters
    sums = np.array([np.bincount(groups, weights=one) for one in difference - mean[:, None]])
    by_pairs = (sums**2).sum(-1) / n**2
    return float(np.sqrt(max(float(np.mean(mean**2 - by_pairs)), 0.0) * share / 2.0))


def widen(rows: pd.DataFrame, found: Mapping[str, float], *, confidence: float) -> pd.DataFrame:
    """Returns metric rows whose intervals cover the training pairs too, and after them a row for each standard deviation.

    Each end is as far from the value as both errors on that side add up to, as variances do.

    Args:
        rows: Rows of one head at one layer and its headline setting, as of :func:`w2sg.heads.rows.head_rows`.
        found: :func:`training_sd` of metrics: ``accuracy``, ``gain``.
        confidence: Coverage of the intervals.
    """
    rows, more = rows.copy(), []
    for metric, sd in found.items():
        own = rows["metric"] == metric
        value, error = rows.loc[own, "value"], float(ndtri(0.5 + confidence / 2)) * sd
        rows.loc[own, "low"] = value - np.hypot(value - rows.loc[own, "low"], error)
        rows.loc[own, "high"] = value + np.hypot(rows.loc[own, "high"] - value, error)
        name = "training_sd" if metric == "accuracy" else f"{metric}_training_sd"
        more.append(rows[own].assign(metric=name, value=sd, low=np.nan, high=np.nan))
    return pd.concat([rows, *more], ignore_index=True)
