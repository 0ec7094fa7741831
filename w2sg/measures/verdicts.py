"""What an estimate says when it is compared with zero, and estimates of several pre-training seeds as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.measures.estimates import Estimate, undefined

SOME = "with some seeds only"
"""How the note of an estimate begins that is undefined for some of several seeds."""

Verdict = Literal["above", "below", "unclear", "undefined"]


def decide(low: float, high: float, note: str = "") -> Verdict:
    """Returns on which side of zero an interval lies; ``undefined`` without one.

    One that holds zero is ``unclear``, and so is one that may be too short: its note says so.
    """
    if np.isnan(low) and np.isnan(high):
        return "undefined"
    if TOO_SHORT in note:
        return "unclear"
    return "above" if low > 0 else "below" if high < 0 else "unclear"


def pool_seeds(
    found: Sequence[Estimate], *, shared: tuple[float, float] = (0.0, 0.0), of_fits: bool = False, confidence: float
) -> Estimate:
    """Returns the mean over pre-training seeds, with Student's t interval.

    The variance of the mean over seeds, a = sd² / S, has S - 1 degrees of freedom, that of the error which all seeds share, b,
    is known; their sum has ν = (a + b)² (S - 1) / a² (Welch and Satterthwaite).

    Equations: half = t_ν √(a + b), (R15); a = sd² (S + 1) / (S (S - 1)) for fits on the other seeds, (R14).

    Args:
        found: The estimate of each seed, S of them; one without a value makes the mean undefined.
        shared: Half widths, below and above, of the error that all seeds share: that of test and training pairs.
        of_fits: Whether each estimate comes from a fit on all other seeds. Two such are no sample: each seed predicts the other.
        confidence: Coverage.
    """
    count = len(found)
    values = np.array([one.value for one in found], dtype=np.float64)
    missing = [one.note for one in found if np.isnan(one.value)]
    if missing:
        reasons = "; ".join(dict.fromkeys(filter(None, missing)))
        which = "" if len(missing) == count else f"{SOME} ({len(missing)} of {count} have none): "
        return undefined(which + reasons, count)
    if count < 2:
        return Estimate(value=float(values.mean()), n=count, note=f"no interval: {count} seed")
    if of_fits and count < 3:
        return Estimate(
            value=float(values.mean()), n=count, note=f"no interval: {count} seeds predict each other, 3 are needed"
        )
    if not np.ptp(values) and not any(shared):  # copies of one seed are no sample
        return Estimate(
            value=float(values[0]), n=count, note=f"no interval: the same with all {count} pre-training seeds"
        )
    own = values.var(ddof=1) / count * ((count + 1) / (count - 1) if of_fits else 1.0)
    normal = stats.norm.ppf(0.5 + confidence / 2)
    halves = []
    for width in shared:
        both = own + (width / normal) ** 2
        degrees = (both / own) ** 2 * (count - 1) if own > 0 else np.inf
        halves.append(float(stats.t.ppf(0.5 + confidence / 2, degrees) * np.sqrt(both)))
    low, high = values.mean() - halves[0], values.mean() + halves[1]
    note = f"mean over {count} pre-training seeds, interval by Student's t over seeds"
    if not np.ptp(values):
        note = f"the same with all {count} pre-training seeds"
    if np.isnan([low, high]).all():
        reasons = [one.note for one in found if one.note and np.isnan([one.low, one.high]).all()]
        note = "; ".join(dict.fromkeys(reasons)) if len(reasons) == count else "no interval: not known with all seeds"
    note = "; ".join(dict.fromkeys([*(one.note for one in found if TOO_SHORT in one.note), note]))
    return Estimate(value=float(values.mean()), low=float(low), high=float(high), n=count, note=note)
