"""Metrics of heads and probes with pair-bootstrap intervals; all of them share one set of resamples.

A pair margin is s(chosen) - s(rejected). The order in which a pair is shown carries no information, so
every metric is the mean over both orders: a margin m shown as (chosen, rejected) is -m shown as (rejected,
chosen). A margin of exactly zero counts one half. The margin of a labelled text is its score if it is of the positive class,
else minus its score.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from w2sg.measures.estimates import Estimate
from w2sg.measures.ranks import symmetric_auroc, weighted_auroc

Metric = Callable[[np.ndarray], np.ndarray]
"""From weights, (B, m), to values of H heads, (B, H)."""

BINS = 10
"""Bins of the calibration error, of equal width on confidences from 0.5 to 1."""


def evaluate_margins(
    margins: np.ndarray,
    *,
    counts: np.ndarray,
    supervisor: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Returns the metrics of H heads on the same n pairs, or labelled texts.

    - accuracy: share of pairs ranked rightly, or of texts classified rightly.
    - auroc: chance that a right order gets a higher margin than a wrong one, over all orders of two pairs; of labelled texts
      the chance that one of the positive class has a higher score than another.
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
        classes: Of labelled texts 1 for the positive class and 0 for others, (n,).
        confidence: Coverage of the intervals.

    Raises:
        ValueError: If shapes disagree, a margin is not finite, or a ceiling comes without supervisor.
    """
    n = counts.shape[1]
    margins = _checked("margins", margins, n)
    right, more = _right(margins), {}
    if supervisor is None and ceiling is not None:
        raise ValueError("ceiling is given without supervisor; pgr needs both")
    if supervisor is not None:
        weak = _checked("supervisor", np.atleast_2d(supervisor), n)
        more["agreement"] = _mean(0.5 * (1.0 + np.sign(margins) * np.sign(weak)))
        more["gain"] = _mean(right - _right(weak))
        if ceiling is not None:
            gap = _right(_checked("ceiling", np.atleast_2d(ceiling), n)) - _right(weak)
            more["pgr"] = _recovered(right - _right(weak), np.broadcast_to(gap, margins.shape))
    scores = margins if classes is None else np.where(classes == 1, margins, -margins)

    def auroc(weight: np.ndarray) -> np.ndarray:
        return symmetric_auroc(margins, weight) if classes is None else weighted_auroc(scores, classes, weight)

    return _evaluate(margins, auroc, counts, n, confidence, more)


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
    signed, n = np.where(labels == 1, scores, -scores), len(np.unique(pairs))
    return _evaluate(signed, lambda weight: weighted_auroc(scores, labels, weight), counts[:, pairs], n, confidence, {})


def _evaluate(
    signed: np.ndarray, auroc: Metric, weight: np.ndarray, n: int, confidence: float, more: dict[str, Metric]
) -> dict[str, Estimate]:
    """Returns the metrics of H heads by their logits, (H, m), positive where they are right; ``more`` are added."""
    right = _right(signed)
    metrics = {"accuracy": _mean(right), "auroc": auroc, "log_loss": _mean(np.logaddexp(0.0, -signed)), **more}
    found = {name: _estimate(metric, weight, n, confidence) for name, metric in metrics.items()}
    return found | {"ece": _calibration(np.abs(signed), right, n)}


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


def _mean(values: np.ndarray) -> Metric:
    """Returns weighted means of the values, (H, n)."""
    return lambda weight: weight @ values.T.astype(weight.dtype) / weight.sum(1, keepdims=True)


def _recovered(gain: np.ndarray, gap: np.ndarray) -> Metric:
    """Returns gain over gap, (H, n) each; NaN where the gap is not positive."""

    def metric(weight: np.ndarray) -> np.ndarray:
        gained, possible = (weight @ x.T.astype(weight.dtype) for x in (gain, gap))
        return np.divide(gained, possible, out=np.full_like(gained, np.nan), where=possible > 0)

    return metric


def bootstrap_mean(values: np.ndarray, *, counts: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Returns the means of values, (H, n), one for each pair, with bootstrap intervals."""
    return _estimate(_mean(values.astype(np.float64)), counts, counts.shape[1], confidence)


def _estimate(metric: Metric, counts: np.ndarray, n: int, confidence: float) -> Estimate:
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
