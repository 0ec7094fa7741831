"""Which revisions of a list are measured next: those that are expected to narrow the intervals that are sought most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import expit

from w2sg.measures.estimates import Estimate
from w2sg.trajectories.adaptive.saturation import SaturationState, locate_saturation
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
class Sought:
    """An interval that rounds narrow."""

    kind: str
    """Of what it is, ``onset`` or ``saturation``."""
    case: int
    """Of which case."""
    width: float
    """Its width in doublings; where it is open, to a doubling beyond the candidates."""
    bounded: bool
    """Whether both its ends lie among the revisions that were measured."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is measured next, and what is known before."""

    places: tuple[int, ...]
    """Places among the candidates, ascending; none where no revision is worth it."""
    worth: tuple[float, ...]
    """By which share of an interval's width each is expected to narrow it, in sum over the intervals."""
    serves: tuple[Sought, ...]
    """The interval that each is expected to narrow most."""
    sought: tuple[Sought, ...]
    """All of them: the onset of each case, then the saturation of each that has one, if it is sought."""


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
    saturation: float | None = None,
) -> Choice:
    """Returns the next revisions; the same for the same arguments.

    Courses of the gain are drawn that agree with what was measured (:func:`draw_scores`). In each, a candidate that would be found
    below its supervisor becomes the lower end of the onset's interval, one found above the upper end. The candidate
    that narrows the intervals most, as a share of their widths in the mean over the courses, is chosen; then the next one, given the first.
    Where saturation is sought too, the share by which a candidate narrows its interval (:class:`SaturationState`) is added.

    Args:
        doublings: log2 of the candidates' tokens, finite, ascending, (n,).
        taken: Places of those that were chosen before, measured or not.
        cases: All datasets, protocols and kinds of students; without one nothing is chosen.
        each: Most revisions to choose.
        within: Factor in tokens below which an onset's interval need not be narrowed.
        late: Place from which candidates count as late.
        confidence: Joint coverage of an onset's interval, and coverage of a saturation's as it is reported.
        saturation: Factor in tokens below which a saturation's interval need not be narrowed; None: it is not sought.
    """
    free = np.setdiff1d(np.arange(len(doublings)), np.asarray(taken, dtype=int))
    found = _seek_onsets(doublings, free, cases, within=within, late=late, confidence=confidence)
    if saturation is not None:
        found += _seek_saturations(doublings, free, cases, within=saturation, confidence=confidence)
    sought, states = [one for one, _ in found], [state for _, state in found]
    chosen: dict[int, tuple[float, Sought]] = {}
    while states and len(chosen) < min(each, len(free)):
        narrowed = np.stack([state.narrowed() for state in states])
        best = int(np.argmax(total := narrowed.sum(0)))
        if total[best] < WORTH:
            break
        chosen[int(free[best])] = float(total[best]), sought[int(np.argmax(narrowed[:, best]))]
        for state in states:
            state.take(best)
    places = tuple(sorted(chosen))
    worth, serves = tuple(chosen[place][0] for place in places), tuple(chosen[place][1] for place in places)
    return Choice(places=places, worth=worth, serves=serves, sought=tuple(sought))


def _seek_onsets(
    doublings: np.ndarray, free: np.ndarray, cases: Sequence[KnownGain], *, within: float, late: int, confidence: float
) -> list[tuple[Sought, _OnsetState | SaturationState]]:
    """Returns the onset of every case; without an onset so far it may lie up to a doubling after the last revision."""
    n, rng, found = len(doublings), np.random.default_rng(0), []
    critical = float(stats.norm.isf((1.0 - confidence) / 2 / n))
    ends = _with_ends(doublings)
    for number, case in enumerate(cases):
        low, high = _between(case, locate_onset(case, listed=n, late=late, confidence=confidence), n, critical)
        scores = draw_scores(doublings, case, free, rng)
        width, bounded = float(ends[high + 1] - ends[low + 1]), low >= 0 and high < n
        state = _OnsetState(
            doublings[free], (ends[low + 1], ends[high + 1]), scores < -critical, scores > critical, np.log2(within)
        )
        found.append((Sought(kind="onset", case=number, width=width, bounded=bounded), state))
    return found


def _seek_saturations(
    doublings: np.ndarray, free: np.ndarray, cases: Sequence[KnownGain], *, within: float, confidence: float
) -> list[tuple[Sought, _OnsetState | SaturationState]]:
    """Returns the saturation of every case that has one by the last revision that was measured."""
    found = []
    first, last = _with_ends(doublings)[[0, -1]]
    for number, case in enumerate(cases):
        at = doublings[case.places]
        fitted = locate_saturation(at, case.gain, confidence=confidence)
        if fitted is not None:
            low, high = np.nan_to_num(fitted.saturation.low, nan=first), np.nan_to_num(fitted.saturation.high, nan=last)
            width, bounded = float(high - low), not fitted.saturation.note
            state = SaturationState(at, case.gain, fitted, doublings[free], width=width, wanted=float(np.log2(within)))
            found.append((Sought(kind="saturation", case=number, width=width, bounded=bounded), state))
    return found


def _with_ends(doublings: np.ndarray) -> np.ndarray:
    """Returns the candidates' log2 tokens between those of places a doubling before and after them, (n + 2,)."""
    return np.concatenate([[doublings[0] - 1.0], doublings, [doublings[-1] + 1.0]])


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


class _OnsetState:
    """The interval of one case's onset in every drawn course, while a round is chosen."""

    def __init__(
        self, x: np.ndarray, ends: tuple[float, float], below: np.ndarray, above: np.ndarray, wanted: float
    ) -> None:
        """Begins with the same interval in every course.

        Args:
            x: log2 of the tokens of the candidates, (f,).
            ends: log2 of the tokens between which the onset lies.
            below: Where each would be found below its supervisor, (DRAWS, f).
            above: Where each would be found above, (DRAWS, f).
            wanted: Doublings below which the interval need not be narrowed.
        """
        self._low, self._high = (np.full(DRAWS, end) for end in ends)
        self._x, self._below, self._above, self._wanted = x, below, above, wanted

    def narrowed(self) -> np.ndarray:
        """Returns by which share of the mean width each candidate would narrow the interval, in the mean, (f,)."""
        x, low, high = self._x, self._low[:, None], self._high[:, None]
        width = np.where(self._below, high - x, np.where(self._above, x - low, np.inf))
        width[(x <= low) | (x >= high)] = np.inf
        saved = np.maximum(high - low, self._wanted) - np.maximum(width, self._wanted)
        return np.maximum(saved, 0.0).mean(0) / float((high - low).mean())

    def take(self, place: int) -> None:
        """Measures a candidate in every course."""
        x = self._x[place]
        inside = (x > self._low) & (x < self._high)
        self._low = np.where(inside & self._below[:, place], x, self._low)
        self._high = np.where(inside & self._above[:, place], x, self._high)
