"""Adaptive selection: which revisions a sweep begins with, and among which its further rounds choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from w2sg.study.fields import Count, Section

EARLY, LATE = 3, 4
"""Revisions of the first round: between the first one and the late ones, evenly by log tokens; and among the late ones, evenly."""

FIRST_ROUND = 1 + EARLY + LATE
"""Revisions of the first round."""

APART = 1 / 6
"""How close revisions may be among which rounds choose, as a share of the wanted width of the onset's interval, in doublings."""


class Adaptive(Section):
    """Selection in rounds: a coarse grid, then the revisions that are expected to narrow the intervals sought most."""

    within: Annotated[float, Field(gt=1)] = 1.25
    """The sweep ends when the upper end of every onset's interval is at most so many times the lower one, in tokens."""
    saturation: Annotated[float, Field(gt=1)] | None = None
    """As ``within`` for saturations, which are sought too; not given, rounds seek onsets only."""
    most: Annotated[int, Field(ge=FIRST_ROUND)] = 40
    """Most revisions that are measured."""
    each: Count = 4
    """Most revisions of a round; as many as can be measured at once are best, the GPUs or nodes there are."""


def doublings(tokens: Sequence[float]) -> list[float]:
    """Returns log2 of the tokens of revisions by step; one without tokens lies a doubling before the next."""
    logs = [math.log2(count) if count > 0 else math.nan for count in tokens]
    known = next((one for one in logs if not math.isnan(one)), 0.0)
    return [known - 1.0 if math.isnan(one) else one for one in logs]


def late_places(n: int, share: float) -> range:
    """Returns the places (from 0) in a list of n that count as late: a share of them, no fewer than a grid has, and not its others."""
    most = n if n <= FIRST_ROUND else n - 1 - EARLY
    return range(n - min(most, max(LATE, round(share * n))), n)


def first_round(tokens: Sequence[float], late: float) -> list[int]:
    """Returns the places of the revisions that a sweep begins with: all of a list that is not longer.

    These are the first one, ``EARLY`` evenly spaced in log tokens, and ``LATE`` evenly spaced over the late ones, on which
    the levels at the end rest.

    Args:
        tokens: Training tokens of the listed revisions, by step.
        late: Share of the revisions, from the end, that count as late.
    """
    x, places = doublings(tokens), late_places(len(tokens), late)
    if len(tokens) <= FIRST_ROUND:
        return list(range(len(tokens)))
    ends = [places[round(number * (len(places) - 1) / (LATE - 1))] for number in range(LATE)]
    chosen = [0]
    for number in range(1, EARLY + 1):
        target = x[0] + number * (x[ends[0]] - x[0]) / (EARLY + 1)
        free = range(chosen[-1] + 1, ends[0] - EARLY + number)
        chosen.append(min(free, key=lambda place: round(abs(x[place] - target), 9)))
    return chosen + ends


def candidates(tokens: Sequence[float], late: float, within: float) -> list[int]:
    """Returns the places among which rounds choose: those of the first one, and all others that are not too close to one before.

    Closer ones would not help to reach the wanted width, and the more could be chosen the stricter each must be tested.
    """
    x, chosen = doublings(tokens), set(first_round(tokens, late))
    apart, kept = APART * math.log2(within), [0]
    for place in range(1, len(x)):
        if place in chosen or x[place] - x[kept[-1]] > apart - 1e-9:
            kept.append(place)
    return kept
