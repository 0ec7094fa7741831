"""Which revisions of a list are measured next: those that are expected to narrow the intervals of the onsets most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import expit

from w2sg.measures.estimates import Estimate
from w2sg.trajectories.onset import find_onset

DRAWS = 200
"""Courses of the gain that are drawn."""

WORTH = 0.01
"""Share of an interval's width by which a revision must be expected to narrow it; of several intervals, in sum."""

SCALES = (0.03, 1.0)
"""Least and greatest scale of a drawn rise, as a share of the doublings between two measured revisions."""

FLOOR = 1e-6
"""Least standard error: that of a gain without one."""


@dataclass(frozen=True, kw_only=True)
class KnownGain:
    """The gain of one dataset and one protocol or kind of student at the revisions measured so far."""

    places: np.ndarray
    """Their places among the candidates, ascending, (m,)."""
    gain: np.ndarray
    """Accuracy minus the supervisor's, (m,)."""
    error: np.ndarray
    """Standard errors, (m,)."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is measured next, and what is known before."""

    places: tuple[int, ...]
    """Places among the candidates, ascending; none where no revision is worth it."""
    worth: tuple[float, ...]
    """By which share of an interval's width each is expected to narrow it, in sum over the cases."""
    serves: tuple[int, ...]
    """Case of which each is expected to narrow the interval most."""
    widths: tuple[float, ...]
    """Doublings in which the onset of each case lies; without an onset so far, up to one after the last revision."""
    dated: tuple[bool, ...]
    """Whether it lies between two revisions that were measured."""


def locate_onset(case: KnownGain, *, listed: int, late: int, confidence: float) -> Estimate:
    """Returns the onset as a place among the candidates; its interval holds however the revisions were chosen.

    Args:
        case: What was measured.
        listed: Number of candidates.
        late: Place from which candidates count as late.
        confidence: Joint coverage.
    """
    number = max(1, int((case.places >= late).sum()))
    found = find_onset(case.gain, case.error, late=number, confidence=confidence, listed=listed)
    ends = {
        end: float(case.places[int(at)]) for end in ("value", "low", "high") if np.isfinite(at := getattr(found, end))
    }
    return Estimate(**{"value": float("nan")} | ends, n=found.n, note=found.note)


def choose(
    doublings: np.ndarray,
    taken: Sequence[int],
    cases: Sequence[KnownGain],
    *,
    each: int,
    within: float,
    late: int,
    confidence: float,
) -> Choice:
    """Returns the next revisions; the same for the same arguments.

    Courses of the gain are drawn that agree with what was measured (:func:`draw_scores`). In each, a candidate that would be found
    below its supervisor becomes the lower end of the onset's interval, one found above the upper end. The candidate
    that narrows the intervals most, as a share of their widths in the mean over the courses, is chosen; then the next one, given the first.

    Args:
        doublings: log2 of the candidates' tokens, finite, ascending, (n,).
        taken: Places of those that were chosen before, measured or not.
        cases: All datasets, protocols and kinds of students; without one nothing is chosen.
        each: Most revisions to choose.
        within: Factor in tokens below which an interval need not be narrowed.
        late: Place from which candidates count as late.
        confidence: Joint coverage of an onset's interval.
    """
    n, free = len(doublings), np.setdiff1d(np.arange(len(doublings)), np.asarray(taken, dtype=int))
    rng, critical = np.random.default_rng(0), float(stats.norm.isf((1.0 - confidence) / 2 / n))
    open_ends = np.concatenate([[doublings[0] - 1.0], doublings, [doublings[-1] + 1.0]])
    states, dated = [], []
    for case in cases:
        low, high = _between(case, locate_onset(case, listed=n, late=late, confidence=confidence), n, critical)
        scores = draw_scores(doublings, case, free, rng)
        low_end, high_end = (np.full(DRAWS, open_ends[place + 1]) for place in (low, high))
        dated.append(low >= 0 and high < n)
        states.append(_State(low_end, high_end, scores < -critical, scores > critical, float(np.log2(within))))
    widths = tuple(float(state.high[0] - state.low[0]) for state in states)
    chosen: dict[int, tuple[float, int]] = {}
    while states and len(chosen) < min(each, len(free)):
        narrowed = np.stack([state.narrowed(doublings[free]) for state in states])
        best = int(np.argmax(total := narrowed.sum(0)))
        if total[best] < WORTH:
            break
        chosen[int(free[best])] = float(total[best]), int(np.argmax(narrowed[:, best]))
        for state in states:
            state.take(best, float(doublings[free[best]]))
    places = tuple(sorted(chosen))
    found = [chosen[place] for place in places]
    worth, serves = tuple(share for share, _ in found), tuple(case for _, case in found)
    return Choice(places=places, worth=worth, serves=serves, widths=widths, dated=tuple(dated))


def _between(case: KnownGain, onset: Estimate, n: int, critical: float) -> tuple[int, int]:
    """Returns the places between which an onset lies, -1 and n where it is not bounded; without one, after the last one below."""
    if np.isfinite(onset.high):
        return (int(onset.low) if np.isfinite(onset.low) else -1), int(onset.high)
    below = case.places[case.gain < -critical * case.error]
    return (int(below[-1]) if len(below) else -1), n


def draw_scores(doublings: np.ndarray, case: KnownGain, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns gains in standard errors that candidates may be measured with, (DRAWS, f).

    Measured gains, made monotone by least squares, are the gain at the measured revisions; from one to the next it rises along a
    sigmoid whose place and steepness are drawn, and beyond them it is constant. The error of a measurement is added.

    Args:
        doublings: log2 of the candidates' tokens, (n,).
        case: What was measured.
        free: Places of the candidates that were not chosen yet, (f,).
        rng: Source of the draws.
    """
    x, at, error = doublings[free], doublings[case.places], np.maximum(case.error, FLOOR)
    level = isotonic_regression(case.gain, weights=error**-2).x
    gain = np.tile(np.interp(x, at, level), (DRAWS, 1))
    for left in range(len(at) - 1):
        inside = (x > at[left]) & (x < at[left + 1])
        centre, scale = (
            rng.uniform(size=(DRAWS, 1)),
            np.exp(rng.uniform(np.log(SCALES[0]), np.log(SCALES[1]), (DRAWS, 1))),
        )
        share = (np.append(x[inside], at[left : left + 2]) - at[left]) / (at[left + 1] - at[left])
        curve = expit((share - centre) / scale)
        rise = (curve[:, :-2] - curve[:, -2:-1]) / (curve[:, -1:] - curve[:, -2:-1])
        gain[:, inside] = level[left] + rise * (level[left + 1] - level[left])
    return gain / np.interp(x, at, error) + rng.standard_normal(gain.shape)


class _State:
    """The interval of one case's onset in every drawn course, while a round is chosen."""

    def __init__(self, low: np.ndarray, high: np.ndarray, below: np.ndarray, above: np.ndarray, wanted: float) -> None:
        self.low, self.high, self._below, self._above, self._wanted = low, high, below, above, wanted

    def narrowed(self, x: np.ndarray) -> np.ndarray:
        """Returns by which share of the mean width each candidate at x would narrow the interval, in the mean, (f,)."""
        low, high = self.low[:, None], self.high[:, None]
        width = np.where(self._below, high - x, np.where(self._above, x - low, np.inf))
        width[(x <= low) | (x >= high)] = np.inf
        saved = np.maximum(high - low, self._wanted) - np.maximum(width, self._wanted)
        return np.maximum(saved, 0.0).mean(0) / float((high - low).mean())

    def take(self, place: int, x: float) -> None:
        """Measures a candidate in every course."""
        inside = (x > self.low) & (x < self.high)
        self.low = np.where(inside & self._below[:, place], x, self.low)
        self.high = np.where(inside & self._above[:, place], x, self.high)
