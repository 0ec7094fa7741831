"""Level, gain, fluctuation and PGR of the late revisions, with what their test pairs and their memory contribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from w2sg.measures.agreement import HEADS, PairErrors, pair_errors, semidefinite
from w2sg.measures.bootstrap import lag_one, spread_factor, variance_factor
from w2sg.measures.estimates import Estimate, undefined
from w2sg.trajectories.onset import least_late
from w2sg.trajectories.series import Curve, Listed
from w2sg.trajectories.sigmoid import Sigmoid, fit_sigmoid

ROUNDING = 1e-9
"""A gap of accuracies up to which ceiling and supervisor are equal: far below one pair, far above rounding errors."""


SHARED = "half width of the interval by what test and training pairs make of all revisions alike"
"""Note of the estimates whose names end in ``_shared``."""


def late_revisions(n: int, share: float) -> int:
    """Returns how many of n revisions, from the end, count as late: a share of them, no fewer than `least_late` says."""
    return min(n, max(least_late(n), round(share * n)))


def count_late(steps: np.ndarray, share: float, listed: Listed | None) -> int:
    """Returns how many of the revisions at n steps, from the end, count as late; of an adaptive sweep, those late in its list.

    Args:
        steps: Optimiser steps, ascending, (n,).
        share: Share of the revisions that count as late.
        listed: What the revisions were chosen from, in an adaptive sweep.
    """
    if listed is None:
        return late_revisions(len(steps), share)
    return min(len(steps), max(1, int((steps >= listed.late_step).sum())))


def late_pairs(right: Mapping[str, Mapping[int, np.ndarray]], late: Sequence[int]) -> PairErrors | None:
    """Returns the errors of late accuracy, gain and gap by the test pairs; None where the answers of a step are missing.

    Args:
        right: By head and step which test pairs are right, (n,) each.
        late: Steps of the late revisions.
    """
    if not all(set(late) <= set(right.get(head, ())) for head in HEADS):
        return None
    weak, student, ceiling = (np.stack([right[head][step] for step in late]) for head in HEADS)
    return pair_errors(np.stack([student, student - weak, ceiling - weak]))


def late_factor(doublings: np.ndarray, accuracy: np.ndarray, *, confidence: float) -> float:
    """Returns by how much the memory of what the sigmoid leaves of the accuracy inflates variances, or that of the accuracy itself."""
    return residual_factor(fit_sigmoid(doublings, accuracy, confidence=confidence), accuracy, 0.0)


def residual_factor(fitted: Sigmoid | str, accuracy: np.ndarray, noise: float) -> float:
    """Returns by how much the memory of what a fit leaves inflates variances, or that of the accuracy where there is no fit.

    ``noise`` is the variance that comes from the test pairs.
    """
    if isinstance(fitted, str):
        total = float(accuracy.var(ddof=1)) if len(accuracy) > 1 else 0.0
        return variance_factor(lag_one(accuracy), noise=noise / total if total > 0 else 0.0)
    return fitted.factor


def describe_late(
    curve: Curve,
    *,
    late: int,
    factor: float,
    pairs: PairErrors | None = None,
    ceiling: np.ndarray | None = None,
    confidence: float,
) -> dict[str, Estimate]:
    """Returns level, gain, fluctuation and PGR of the late revisions.

    The level's error has two parts: test pairs, which all revisions share, so that it does not shrink with their number,
    and fluctuation, which shrinks with their effective number m = n / f. Half widths add as
    variances do. The fluctuation is the standard deviation, less what test pairs alone would make it; its interval
    is that of a normal sample whose variance has (n - 1) / f₂ degrees of freedom, with f₂ of :func:`spread_factor`.

    Args:
        curve: W2SG over all revisions, R of them.
        late: Number of late revisions, n.
        factor: By how much memory between revisions inflates variances of means, f.
        pairs: What the test pairs contribute to accuracy, gain and gap (:func:`late_pairs`); None where unknown: the errors of
            single revisions are then taken for those of the mean.
        ceiling: Accuracy of the ceiling heads, (R,); None: no PGR.
        confidence: Coverage.

    Returns:
        Estimates by name; those ending in ``_shared`` are the half width of an interval by what the pairs make of all revisions alike.
    """
    degrees = late_degrees(late, factor)
    parts = [np.diag(one) / np.maximum(pairs.single, 1e-300) for one in (pairs.mean, pairs.lasting)] if pairs else []
    lasting, shared = np.sqrt(parts) if parts else np.ones((2, 3))
    noise = np.diag(pairs.noise) if pairs else np.zeros(3)
    found = {}
    for at, (name, values, errors) in enumerate(
        (("saturation", curve.accuracy, curve.accuracy_error), ("saturation_gain", curve.gain, curve.gain_error))
    ):
        error = float(errors[-late:].mean())
        found[name] = late_level(values[-late:], lasting[at] * error, degrees, confidence, noise=noise[at])
        half = float(stats.norm.ppf(0.5 + confidence / 2)) * shared[at] * error
        found[f"{name}_shared"] = Estimate(value=half, n=late, note=SHARED)
    if ceiling is not None:
        found |= _late_ratio(curve, ceiling, late=late, degrees=degrees, pairs=pairs, confidence=confidence)
    if late < 2:
        return found | {"fluctuation": undefined("one revision does not fluctuate", late)}
    total = float(curve.accuracy[-late:].var(ddof=1))
    own = max(1.0, (late - 1) / spread_factor(factor, noise=noise[0] / total if total > 0 else 0.0))
    tails = stats.chi2.ppf([0.5 + confidence / 2, 0.5 - confidence / 2], own)
    factors = np.concatenate([[1.0], own / tails])
    value, low, high = np.sqrt(np.maximum(total * factors - noise[0], 0.0))
    note = "not separated from sampling noise" if pairs is None else "" if value else "at the level of sampling noise"
    fluctuation = Estimate(value=float(value), low=float(low), high=float(high), n=late, note=note)
    return found | {"fluctuation": fluctuation}


def late_degrees(late: int, factor: float) -> float:
    """Returns the degrees of freedom of a mean over late revisions: their effective number less one, at least 1."""
    return max(1.0, late / factor - 1.0)


def late_level(values: np.ndarray, error: float, degrees: float, confidence: float, *, noise: float = 0.0) -> Estimate:
    """Returns the mean over late revisions; see :func:`describe_late`.

    Args:
        values: An accuracy or difference of each late revision, (m,).
        error: Standard error of their mean by the test pairs.
        degrees: Degrees of freedom of the fluctuation.
        confidence: Coverage.
        noise: Variance over the revisions by the test pairs: it is no fluctuation, and in ``error`` already.
    """
    n, value = len(values), float(values.mean())
    if n < 2:
        return Estimate(value=value, n=n, note="no interval: one revision")
    pairs = stats.norm.ppf(0.5 + confidence / 2) * error
    spread = np.sqrt(max(float(values.var(ddof=1)) - noise, 0.0))
    moving = stats.t.ppf(0.5 + confidence / 2, degrees) * spread / np.sqrt(degrees + 1.0)
    half = float(np.hypot(pairs, moving))
    return Estimate(value=value, low=value - half, high=value + half, n=n)


def _late_ratio(
    curve: Curve, ceiling: np.ndarray, *, late: int, degrees: float, pairs: PairErrors | None, confidence: float
) -> dict[str, Estimate]:
    """Returns the PGR of the late revisions, and the half width of its interval by what the pairs make of all of them alike."""
    gain = curve.gain[-late:]
    gap = gain + ceiling[-late:] - curve.accuracy[-late:]
    if np.isnan(gap).any():
        missing = undefined("the ceiling was not measured at all late revisions", late)
        return {"pgr": missing, "pgr_shared": missing}
    # Linked pairs and the draw of training pairs widen all errors by the factor of the gain's; without the answers of single
    # pairs the gap's error is taken for that of the gain, and none of it is shared, which is cautious.
    error = float(curve.gain_error[-late:].mean())
    moving = np.cov(gain, gap) if late > 1 else np.zeros((2, 2))
    errors = shared = np.eye(2) * error**2
    if pairs:
        scale = error**2 / max(float(pairs.single[1]), 1e-300)
        errors, shared = (scale * part[1:, 1:] for part in (pairs.mean, pairs.lasting))
        moving = semidefinite(moving - pairs.noise[1:, 1:])  # sampling noise is no fluctuation
    found, alone = (
        gap_recovered(gain, gap, errors=part, moving=rest, degrees=degrees, confidence=confidence)
        for part, rest in ((errors, moving), (shared, np.zeros((2, 2))))
    )
    half = Estimate(value=(alone.high - alone.low) / 2, n=late, note="; ".join(filter(None, [SHARED, alone.note])))
    return {"pgr": found, "pgr_shared": half}


def gap_recovered(
    gain: np.ndarray, gap: np.ndarray, *, errors: np.ndarray, moving: np.ndarray, degrees: float, confidence: float
) -> Estimate:
    """Returns the mean gain over the mean gap of the late revisions, with Fieller's interval.

    It holds every ratio R for which the mean of gain - R gap does not differ from zero: its error has the two parts of
    a late level, test pairs (``errors``), which do not shrink with the number of revisions, and fluctuation, which does. Unlike
    an error of the ratio to first order it does not break down where the gap is small; it is then unbounded.

    Args:
        gain: Student minus supervisor, (m,).
        gap: Ceiling minus supervisor, (m,); equal ones may differ by rounding errors of the means over head seeds.
        errors: Covariance of the means of gain and gap by the test pairs, (2, 2).
        moving: Covariance of gain and gap over the revisions, (2, 2).
        degrees: Degrees of freedom of the fluctuation.
        confidence: Coverage.
    """
    m, means = len(gain), np.array([gain.mean(), gap.mean()])
    if means[1] <= ROUNDING:
        return undefined("the mean ceiling is not above the supervisor", m)
    value = float(means[0] / means[1])
    if m < 2:
        return Estimate(value=value, n=m, note="no interval: one revision")
    squared = stats.norm.ppf(0.5 + confidence / 2) ** 2 * errors
    squared = squared + stats.t.ppf(0.5 + confidence / 2, degrees) ** 2 * moving / (degrees + 1.0)
    # (g - R c)² ≤ V_gg - 2 R V_gc + R² V_cc as a R² - 2 b R + c ≤ 0.
    a, b, c = (means[i] * means[j] - squared[i, j] for i, j in ((1, 1), (0, 1), (0, 0)))
    root = b * b - a * c
    if a <= 0 or root < 0:
        return Estimate(
            value=value, n=m, note="unbounded: the ceiling is not above the supervisor beyond sampling error"
        )
    low, high = (b - np.sqrt(root)) / a, (b + np.sqrt(root)) / a
    return Estimate(value=value, low=float(low), high=float(high), n=m)
