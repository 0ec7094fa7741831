"""The performance gap recovered (PGR) over the late revisions, with an interval that stays right where the gap is small."""

from __future__ import annotations

import numpy as np
from scipy import stats

from w2sg.measures.estimates import Estimate, undefined


def gap_recovered(
    gain: np.ndarray, gap: np.ndarray, *, errors: np.ndarray, degrees: float, confidence: float
) -> Estimate:
    """Returns the mean gain over the mean gap of the late revisions, with Fieller's interval.

    It holds every ratio R for which the mean of gain - R gap does not differ from zero: its error has the two parts of
    a late level, test pairs (``errors``), which do not shrink with the number of revisions, and fluctuation, which does. Unlike
    an error of the ratio to first order it does not break down where the gap is small; it is then unbounded.

    Args:
        gain: Student minus supervisor, (m,).
        gap: Ceiling minus supervisor, (m,).
        errors: Covariance of gain and gap by the test pairs, (2, 2).
        degrees: Degrees of freedom of the fluctuation.
        confidence: Coverage.
    """
    m, means = len(gain), np.array([gain.mean(), gap.mean()])
    if means[1] <= 0:
        return undefined("the mean ceiling is not above the supervisor", m)
    value = float(means[0] / means[1])
    if m < 2:
        return Estimate(value=value, n=m, note="no interval: one revision")
    moving = np.cov(gain, gap) / (degrees + 1.0)
    squared = stats.norm.ppf(0.5 + confidence / 2) ** 2 * errors
    squared = squared + stats.t.ppf(0.5 + confidence / 2, degrees) ** 2 * moving
    # (g - R c)² ≤ V_gg - 2 R V_gc + R² V_cc as a R² - 2 b R + c ≤ 0.
    a, b, c = (means[i] * means[j] - squared[i, j] for i, j in ((1, 1), (0, 1), (0, 0)))
    root = b * b - a * c
    if a <= 0 or root < 0:
        return Estimate(
            value=value, n=m, note="unbounded: the ceiling is not above the supervisor beyond sampling error"
        )
    low, high = (b - np.sqrt(root)) / a, (b + np.sqrt(root)) / a
    return Estimate(value=value, low=float(low), high=float(high), n=m)


def joint_errors(student: float, ceiling: float, weak: float, gain: float, gap: float) -> np.ndarray:
    """Returns the covariance of gain and gap, (2, 2), from the standard errors of three accuracies and two differences.

    They tell how each of student and ceiling goes with the supervisor on the same pairs; that student and ceiling go
    together no less than either goes with the supervisor is taken, which is cautious: both read the strong model.
    """
    with_weak = [(one**2 + weak**2 - left**2) / 2.0 for one, left in ((student, gain), (ceiling, gap))]
    shares = [
        cov / (one * weak) if one * weak > 0 else 0.0 for cov, one in zip(with_weak, (student, ceiling), strict=True)
    ]
    together = float(np.clip(max(shares), 0.0, 1.0)) * student * ceiling
    joint = together - sum(with_weak) + weak**2
    joint = float(np.clip(joint, -gain * gap, gain * gap))
    return np.array([[gain**2, joint], [joint, gap**2]])
