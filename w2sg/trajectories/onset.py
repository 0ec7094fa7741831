"""The first revision whose student exceeds its supervisor, and in a word why there is none or where it may lie."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from w2sg.measures.estimates import Estimate, undefined
from w2sg.measures.verdicts import SOME

LATE = 4
"""Late revisions there are at least, where there are twelve or more."""

LEAST = 3
"""Revisions from which an onset can be denied: fewer have no early, middle and late one."""

# How a note begins. No revision is above its supervisor; that may be for want of revisions; some is, but none that counts:
NEVER, FEW, FLEETING = "no gain above zero beyond sampling error", "too few revisions", "the gain does not last"
# An onset may lie before the list: the first revision is above, or a later one is the first one above, and none is below.
# Nothing between two revisions was measured; of several pre-training seeds, or without standard errors, there is no place.
GAP, UNPLACED = "no revision between them was measured", "not to be placed"
FIRST, OPEN = "already above at the first revision", "no revision is below its supervisor beyond sampling error"

Status = Literal["bounded", "first", "open", "fleeting", "few", "some", "unknown", "never"]


def least_late(n: int) -> int:
    """Returns how many of n revisions, from the end, are late at least: four, but no more than a third, and one at least.

    Of a short list four would reach back to its beginning, where the student is still below its supervisor.
    """
    return min(LATE, max(1, n // 3))


def onset_status(value: float, low: float, note: str) -> Status:
    """Returns what an onset of TRANSITIONS says: its interval is bounded, or in which way it is not.

    ``bounded``: below before, above after. ``first``: above at the first revision. ``open``: above later, below never.
    No onset, of which value and ``low`` are NaN: ``fleeting`` (above somewhere), ``few`` (too few revisions), ``never``, and
    of several pre-training seeds ``some`` (with some of them only), and ``unknown`` (no place by its note).
    """
    if np.isfinite(value):
        return "bounded" if np.isfinite(low) else "first" if note.startswith(FIRST) else "open"
    # Notes of several seeds stand together, so that the first of these that is among them counts.
    told: tuple[tuple[str, Status], ...] = ((SOME, "some"), (UNPLACED, "unknown"), (FLEETING, "fleeting"), (FEW, "few"))
    found: list[Status] = [status for part, status in told if part in note]
    return found[0] if found else "never"


def find_onset(gain: np.ndarray, error: np.ndarray, *, late: int, confidence: float, listed: int = 0) -> Estimate:
    """Returns the first revision whose student exceeds its supervisor, as its place from 0; ``low`` is the last one below.

    Every revision is tested for a gain above zero and for one below, each family of n tests by Holm's method at half the
    error probability; it holds whatever the dependence of the tests, which share their test pairs. With the
    chosen confidence, then, all revisions found above are above and all found below are below. The last one below
    bounds the onset from below: it lies after that one. The first one above after it bounds it from above. Between them the estimate is the
    most likely place of a single crossing: the k with the least Σ_{i<k} max(z_i, 0)² + Σ_{i≥k} min(z_i, 0)².

    Args:
        gain: Accuracy minus the supervisor's, (n,).
        error: Standard errors, (n,).
        late: Number of last revisions whose mean gain must be positive: else the onset does not last.
        confidence: Joint coverage.
        listed: Number of revisions from which the n were chosen by what had been measured; 0 where the choice was made before.
            Those without a measurement count as tested and not rejected, so that what is found above and below is part of
            what all of them would have shown, and the interval holds whatever the choice.
    """
    n, listed = len(gain), max(len(gain), listed)
    if np.isnan(error).any():
        return undefined(f"{UNPLACED}: gains have no intervals, as test pairs form too few groups of one source", n)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num(np.clip(gain / error, -1e3, 1e3), nan=0.0)  # 0 / 0: neither above nor below
    tail = (1.0 - confidence) / 2
    above, below = (holm(stats.norm.sf(side * z), tail, listed) for side in (1.0, -1.0))
    first = int(np.flatnonzero(below)[-1]) + 1 if below.any() else 0
    sure = np.flatnonzero(above[first:]) + first
    if not len(sure):
        return undefined(_why_none(bool(above.any()), n, listed), n)
    if gain[-late:].mean() <= 0:
        places = "at the last revision" if late == 1 else f"over the last {late} revisions"
        return undefined(f"{FLEETING}: its mean {places} is not positive", n)
    last = int(sure[0])
    before = np.concatenate([[0.0], np.cumsum(np.maximum(z, 0.0) ** 2)])  # (n + 1,)
    after = np.concatenate([np.cumsum((np.minimum(z, 0.0) ** 2)[::-1])[::-1], [0.0]])
    cost = (before + after)[first : last + 1]
    value = last - int(np.argmin(cost[::-1]))  # of equals the last one: a gain of exactly zero is none
    if first == 0:
        note = f"{FIRST if above[0] else OPEN}: the onset may lie before the first one"
        return Estimate(value=value, high=last, n=n, note=note)
    return Estimate(value=value, low=first - 1, high=last, n=n)


def _why_none(above: bool, n: int, listed: int) -> str:
    """Returns the note of n revisions of which none after the last one below is above; an earlier one may be."""
    tested = f"(Holm over {listed} revisions)"
    if above:
        return f"{FLEETING}: no revision after the last one below is above beyond sampling error {tested}"
    few = f"{FEW}: {n}, none of them above beyond sampling error; {LEAST} are needed"
    return few if n < LEAST else f"{NEVER} {tested}"


def holm(p: np.ndarray, level: float, tests: int = 0) -> np.ndarray:
    """Returns which of n hypotheses are rejected, bool, (n,), with an error probability of ``level`` for all together.

    Of more ``tests`` than n, the others have a p-value of one.

    The smallest p-value is held against level / n, the next against level / (n - 1), until one is larger (Holm 1979).
    That of statsmodels agrees, but collects garbage at every call, which takes a hundred times as long as the test.
    """
    n = len(p)
    order = np.argsort(p, kind="stable")
    passed = np.logical_and.accumulate(p[order] <= level / (max(n, tests) - np.arange(n)))
    rejected = np.zeros(n, dtype=bool)
    rejected[order] = passed
    return rejected
