"""Metrics of heads and probes with pair-bootstrap intervals; all of them share one set of resamples.

A pair margin is s(chosen) - s(rejected). The order in which a pair is shown carries no information, so
every metric is the mean over both orders: a margin m shown as (chosen, rejected) is -m shown as (rejected,
chosen). A margin of exactly zero counts one half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from w2sg.ranking import rank_sums

BINS = 10
"""Bins of the calibration error, of equal width on confidences from 0.5 to 1."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric of H heads with percentile-bootstrap intervals."""

    value: np.ndarray
    """Metric on the data, (H,); NaN where it is undefined."""
    low: np.ndarray
    """Lower end of the interval, (H,)."""
    high: np.ndarray
    """Upper end of the interval, (H,)."""
    n: int
    """Pairs resampled."""


def draw_counts(n: int, *, resamples: int, seed: int, block: int = 1) -> np.ndarray:
    """Returns how often each bootstrap resample holds each of n units, float32, (B, n); rows sum to n.

    Args:
        n: Units: pairs, or revisions in order.
        resamples: Number of resamples B.
        seed: Seed of PCG64.
        block: Neighbouring units that are drawn together. Blocks go on from the last unit to the first (circular
            block bootstrap), so that all units are drawn equally often.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    within = np.arange(block)
    drawn = np.empty((resamples, n), dtype=np.float32)
    for counts in drawn:
        starts = rng.integers(0, n, -(-n // block))
        units = (starts[:, None] + within).reshape(-1)[:n] % n  # (n,)
        counts[:] = np.bincount(units, minlength=n)
    return drawn


def evaluate_margins(
    margins: np.ndarray,
    *,
    counts: np.ndarray,
    supervisor: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Returns the metrics of H heads on the same n pairs.

    - accuracy: share of pairs ranked rightly.
    - auroc: chance that a right order gets a higher margin than a wrong one, over all orders of two pairs.
    - log_loss: mean softplus(-m), nats per pair.
    - ece: expected calibration error of the confidence sigmoid(abs(m)) in ``BINS`` bins, without interval.
    - agreement (with a supervisor): chance that both rank a pair alike, a zero margin being a toss.
    - gain (with a supervisor): accuracy minus the supervisor's.
    - pgr (with a ceiling too): gain over the ceiling's gain, NaN unless the ceiling is above the supervisor.
      Resamples where it is not are left out; more than ``1 - confidence`` of them make the interval NaN.

    Equation: (D3)-(D6).

    Args:
        margins: s(chosen) - s(rejected), (H, n).
        counts: Resamples, (B, n), from :func:`draw_counts`; give all evaluations of a data set the same ones.
        supervisor: The supervisor's margins, (n,) or (H, n).
        ceiling: Margins of the head trained on true labels, (n,) or (H, n).
        confidence: Coverage of the intervals.

    Raises:
        ValueError: If shapes disagree, a margin is not finite, or a ceiling comes without supervisor.
    """
    n = counts.shape[1]
    margins = _checked("margins", margins, n)
    right = _right(margins)
    metrics = {
        "accuracy": _mean(right),
        "auroc": lambda weight: symmetric_auroc(margins, weight),
        "log_loss": _mean(np.logaddexp(0.0, -margins)),
    }
    if supervisor is None and ceiling is not None:
        raise ValueError("ceiling is given without supervisor; pgr needs both")
    if supervisor is not None:
        weak = _checked("supervisor", np.atleast_2d(supervisor), n)
        metrics["agreement"] = _mean(0.5 * (1.0 + np.sign(margins) * np.sign(weak)))
        metrics["gain"] = _mean(right - _right(weak))
        if ceiling is not None:
            gap = _right(_checked("ceiling", np.atleast_2d(ceiling), n)) - _right(weak)
            metrics["pgr"] = _recovered(right - _right(weak), np.broadcast_to(gap, margins.shape))
    found = {name: _estimate(metric, counts, n, confidence) for name, metric in metrics.items()}
    return found | {"ece": _calibration(np.abs(margins), right, n)}


def evaluate_texts(
    scores: np.ndarray,
    *,
    labels: np.ndarray,
    pairs: np.ndarray,
    counts: np.ndarray,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Returns accuracy, auroc, log_loss and ece of H probes on the same m single texts, resampled by pair.

    The logit of a text is the evidence that it is a chosen one; a logit of exactly zero counts one half.

    Args:
        scores: Logits, (H, m).
        labels: 1 for chosen, 0 for rejected, (m,).
        pairs: Pair of each text as a column of ``counts``, (m,).
        counts: Resamples of pairs, (B, N); texts follow their pair.
        confidence: Coverage of the intervals.

    Raises:
        ValueError: If shapes disagree, a score is not finite or a label is neither 0 nor 1.
    """
    scores = _checked("scores", scores, len(labels))
    if not np.isin(labels, (0, 1)).all() or labels.shape != pairs.shape:
        raise ValueError(f"labels {labels.shape} must be 0 or 1, one for each of pairs {pairs.shape}")
    signed = np.where(labels == 1, scores, -scores)
    right = _right(signed)
    metrics = {
        "accuracy": _mean(right),
        "auroc": lambda weight: weighted_auroc(scores, labels, weight),
        "log_loss": _mean(np.logaddexp(0.0, -signed)),
    }
    n, weight = len(np.unique(pairs)), counts[:, pairs]
    found = {name: _estimate(metric, weight, n, confidence) for name, metric in metrics.items()}
    return found | {"ece": _calibration(np.abs(scores), right, n)}


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
    running = _running_sum(rows)
    if (values[1:] > values[:-1]).all():
        running *= 2
        running -= rows
        return running
    running = np.concatenate((np.zeros_like(running[:1]), running))
    return running[np.searchsorted(values, values, "left")] + running[np.searchsorted(values, values, "right")]


def _running_sum(rows: np.ndarray) -> np.ndarray:
    """Returns ``np.cumsum(rows, axis=0)`` by blocks of rows: numpy's own goes down column after column."""
    n, width = rows.shape
    size = max(1, round(n**0.5))
    running = np.zeros((-(-n // size) * size, width), dtype=rows.dtype)
    running[:n] = rows
    blocks = running.reshape(-1, size, width)
    for row in range(1, size):
        blocks[:, row] += blocks[:, row - 1]
    for block in range(1, len(blocks)):
        blocks[block] += blocks[block - 1, -1]
    return running[:n]


def _calibration(evidence: np.ndarray, right: np.ndarray, n: int) -> Estimate:
    """Returns the calibration error of H heads: each bin's absolute sum of right minus confident, over all.

    Absolute values of noise make it too large, by 0.02 for calibrated heads on 2,000 pairs. Resamples would add that once
    more, so that their percentiles would not even hold the estimate: it has no interval.
    """
    confidence = 1.0 / (1.0 + np.exp(-evidence))  # (H, m)
    place = np.minimum(((confidence - 0.5) * 2 * BINS).astype(np.int64), BINS - 1)
    sums = np.zeros((len(confidence), BINS))
    np.add.at(sums, (np.arange(len(sums))[:, None], place), right - confidence)
    nothing = np.full(len(sums), np.nan)
    return Estimate(value=np.abs(sums).sum(1) / confidence.shape[1], low=nothing, high=nothing, n=n)


def _right(margins: np.ndarray) -> np.ndarray:
    """Returns 1 where a margin is positive, 0 where negative, one half where zero."""
    return 0.5 * (1.0 + np.sign(margins))


def _mean(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the map from weights, (B, n), to weighted means of the values, (B, H)."""
    return lambda weight: weight @ values.T.astype(weight.dtype) / weight.sum(1, keepdims=True)


def _recovered(gain: np.ndarray, gap: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the map from weights, (B, n), to gain over gap, (B, H); NaN where the gap is not positive."""

    def metric(weight: np.ndarray) -> np.ndarray:
        gained, possible = (weight @ x.T.astype(weight.dtype) for x in (gain, gap))
        return np.divide(gained, possible, out=np.full_like(gained, np.nan), where=possible > 0)

    return metric


def bootstrap_mean(values: np.ndarray, *, counts: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Returns the means of values, (H, n), one for each pair, with bootstrap intervals."""
    return _estimate(_mean(values.astype(np.float64)), counts, counts.shape[1], confidence)


def _estimate(metric: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, n: int, confidence: float) -> Estimate:
    """Returns the metric at unit weights and the percentiles over the resamples."""
    value = metric(np.ones((1, counts.shape[1])))[0].astype(np.float64)
    drawn = metric(counts).astype(np.float64)  # (B, H)
    missing = np.isnan(drawn)
    undefined = np.isnan(value) | (missing.mean(0) > 1.0 - confidence)
    tails = [(1.0 - confidence) / 2, (1.0 + confidence) / 2]
    low, high = np.quantile(np.where(missing, 0.0, drawn), tails, axis=0)
    for head in np.flatnonzero(missing.any(0) & ~undefined):
        low[head], high[head] = np.quantile(drawn[~missing[:, head], head], tails)
    low, high = np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)
    return Estimate(value=value, low=low, high=high, n=n)


def _checked(name: str, margins: np.ndarray, n: int) -> np.ndarray:
    if margins.ndim != 2 or margins.shape[1] != n:
        raise ValueError(f"{name} has shape {margins.shape}; allowed: (heads, {n})")
    if not np.isfinite(margins).all():
        raise ValueError(f"{name} holds values that are not finite; allowed are finite numbers")
    return margins.astype(np.float64)
