"""The inner loop of rank statistics under many weightings of the same scores."""

from __future__ import annotations

import numpy as np

from w2sg.runtime.compiled import compiled


def symmetric_auroc(margins: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the AUROC of margins against order, (B, H), with both orders of every pair present.

    The positive scores are m_i and the negative ones -m_j, so AUROC is the weighted mean over all (i, j) of
    [m_i + m_j > 0] + [m_i + m_j = 0] / 2. The sign of m_i + m_j is that of the longer one, and of two equally
    long ones the mean of both signs. Sorted by length, each m_i thus adds its sign twice for every shorter
    m_j, as (i, j) and (j, i), and once for every equally long one: a running sum instead of n x n terms.

    Args:
        margins: Margins, (H, n).
        weight: Weights of the pairs, (B, n).
    """
    columns = np.ascontiguousarray(weight.T)  # (n, B)
    total = weight.sum(1, dtype=np.float64)
    ones = np.ones(len(columns))
    sums = [
        rank_sums(np.argsort(size, kind="stable"), size, np.sign(m), ones, columns)
        for m, size in zip(margins, np.abs(margins), strict=True)
    ]
    return 0.5 + 0.5 * np.stack(sums, axis=1) / total[:, None] ** 2


def weighted_auroc(scores: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the AUROC of scores, (B, H), ties counting one half; NaN where one class has no weight.

    Args:
        scores: Scores, (H, m).
        labels: 1 for positive, 0 for negative, (m,).
        weight: Weights of the scores, (B, m).
    """
    columns = np.ascontiguousarray(weight.T)  # (m, B)
    positive = (labels == 1).astype(np.float64)
    sums = [rank_sums(np.argsort(s, kind="stable"), s, positive, 1.0 - positive, columns) for s in scores]
    pairs = 2.0 * (weight @ positive) * (weight @ (1.0 - positive))  # (B,)
    with np.errstate(invalid="ignore"):
        return np.stack(sums, axis=1) / pairs[:, None]


def weight_below(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns twice the weight below each value plus once the weight equal to it, (n, B).

    Args:
        rows: Weights of the values, (n, B).
        values: Ascending values, (n,).
    """
    running = np.concatenate((np.zeros_like(rows[:1]), rows)).cumsum(axis=0)
    return running[np.searchsorted(values, values, "left")] + running[np.searchsorted(values, values, "right")]


@compiled
def rank_sums(order, values, gain, load, weight):
    """Returns sum_i gain_i w_i (2 sum_{j below i} load_j w_j + sum_{j equal to i} load_j w_j), float64, (B,).

    One pass over the rows in ascending order, with a running sum for each weighting: both stay in the cache.

    Args:
        order: Rows in ascending order of their values, int64, (n,).
        values: Value of each row, (n,); equal ones tie.
        gain: Factor of each row where it is the higher one, float64, (n,).
        load: Factor of each row where it is the lower one, float64, (n,).
        weight: Weights of the rows, (n, B).
    """
    n, b = weight.shape
    below, total = np.zeros(b), np.zeros(b)
    up, down = np.zeros(b), np.zeros(b)
    first = 0
    while first < n:
        last = first + 1
        while last < n and values[order[last]] == values[order[first]]:
            last += 1
        up[:], down[:] = 0.0, 0.0
        for place in range(first, last):
            i = order[place]
            row = weight[i]
            for k in range(b):
                up[k] += gain[i] * row[k]
                down[k] += load[i] * row[k]
        for k in range(b):
            total[k] += up[k] * (2.0 * below[k] + down[k])
            below[k] += down[k]
        first = last
    return total
