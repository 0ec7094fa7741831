"""Which of a model's revisions are swept, and which a list lacks."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field

from w2sg.study.fields import Count, Listed, Positive, Rate, Section
from w2sg.study.lists.adaptive import Adaptive
from w2sg.study.lists.rows import Revision

SPACINGS = ("stride", "count", "log", "tokens", "share")
"""Rules of which a selection has one at most."""

WIDE = 2
"""Times the usual distance of its neighbours from which a distance between two revisions is a hole."""


class Selection(Section):
    """Which of the published revisions are swept; default all."""

    first: Count | None = None
    """The earliest ones, all taken."""
    stride: Count | None = None
    """Distance between those taken afterwards."""
    count: Count | None = None
    """Total number; the rest is spaced evenly to the end."""
    log: Annotated[int, Field(ge=2)] | None = None
    """So many, evenly spaced on a logarithmic axis of steps from the earliest to the last; a step 0 is one of them."""
    tokens: Listed[Positive] | None = None
    """Those nearest to so many training tokens, in billions."""
    share: Listed[Rate] | None = None
    """Those nearest to such shares of the training tokens that the last revision of the list has seen."""
    last: Count | None = None
    """Position at which the list is cut."""
    thin: Count = 1
    """Keep every n-th of the selected ones and the last."""
    add: list[str] = []
    """Names taken in any case."""
    adaptive: Adaptive | None = None


def select(revisions: Sequence[Revision], rule: Selection) -> tuple[Revision, ...]:
    """Returns the selected part of a revision list, given in any order, sorted by step.

    Positions are 1-based. With ``first: 100, stride: 5`` the revisions 1 to 100, 105, 110, ... are taken; with
    ``first: 100, count: 317`` the 217 others are spaced evenly up to the end, the last one included. With ``stride`` or
    ``count`` alone nothing is taken first; ``log``, ``tokens`` and ``share`` take no first block. Multiples of ``thin`` are
    nested: what ``thin: 16`` took is part of what ``thin: 4`` takes, so a sweep can be refined without repeating anything.
    With ``adaptive``, these are those among which its rounds choose.

    Raises:
        ValueError: If a number does not fit the list or another one, or a name is unknown.
    """
    ordered = sorted(revisions, key=lambda revision: (revision.step, revision.name))
    _check_selection(len(ordered), rule)
    kept = ordered[: rule.last]
    positions = _positions(kept, rule, ordered[-1].tokens)
    names = {kept[position].name for position in (*positions[:: rule.thin], *positions[-1:])}
    known = {revision.name for revision in ordered}
    for name in rule.add:
        if name not in known:
            raise ValueError(f"add: no revision {name!r}; the nearest are {_nearest(name, ordered)}")
    if not names | set(rule.add):
        raise ValueError(
            f"stride: {rule.stride} leaves no revision of the {len(kept)} that there are; give first, or a shorter stride"
        )
    return tuple(revision for revision in ordered if revision.name in names | set(rule.add))


def _positions(kept: Sequence[Revision], rule: Selection, whole: float) -> list[int]:
    """Positions (0-based) of the selected ones before they are thinned; ``whole``: tokens of the whole training."""
    if rule.log:
        return _log_spaced([revision.step for revision in kept], rule.log)
    if rule.tokens:
        return _nearest_to(rule.tokens, kept, "tokens", lambda value: value)
    if rule.share:
        return _nearest_to(rule.share, kept, "share", lambda value: value * whole)
    block = rule.first or (0 if rule.stride or rule.count else len(kept))
    positions = list(range(block))
    if rule.stride:
        positions += range(max(block - 1 + rule.stride, 0), len(kept), rule.stride)
    elif rule.count:
        positions += _evenly(block, len(kept), rule.count - block)
    return positions


def _log_spaced(steps: Sequence[int], wanted: int) -> list[int]:
    """Positions of exactly ``wanted`` steps: each target takes the nearest that leaves enough for those after it."""
    if wanted > len(steps):
        raise ValueError(f"log: {wanted} revisions wanted, the list has {len(steps)}")
    chosen = [0] if steps[0] == 0 else []
    # Rounded, so that no last digit of a logarithm decides which revision is downloaded.
    exponents = [round(math.log(max(step, 1)), 9) for step in steps]
    spaced = wanted - len(chosen)
    low, high = exponents[len(chosen)], exponents[-1]
    for number in range(spaced):
        target = round(low + number * (high - low) / (spaced - 1), 9) if spaced > 1 else high
        allowed = range(chosen[-1] + 1 if chosen else 0, len(steps) - (spaced - 1 - number))
        chosen.append(min(allowed, key=lambda position: round(abs(exponents[position] - target), 9)))
    return chosen


def _nearest_to(
    asked: Sequence[float], kept: Sequence[Revision], key: str, tokens_of: Callable[[float], float]
) -> list[int]:
    """Positions of the revisions whose tokens are nearest, the earlier one of two; each target has one of its own."""
    last = kept[-1].tokens
    if any(math.isnan(revision.tokens) for revision in kept):
        raise ValueError(f"{key}: the tokens of the revisions are not known")
    found: dict[int, float] = {}
    for value in asked:
        target = tokens_of(value)
        if target > last * (1 + 1e-9):
            raise ValueError(f"{key}: {value:g} is {target:g} billion tokens, the last revision has seen {last:g}")
        position = min(range(len(kept)), key=lambda place: abs(kept[place].tokens - target))
        if position in found:
            near = f"the nearest revision is {kept[position].name} ({kept[position].tokens:g} billion tokens)"
            raise ValueError(f"{key}: of both {found[position]:g} and {value:g} {near}; leave one out")
        found[position] = value
    return sorted(found)


def _evenly(block: int, total: int, wanted: int) -> list[int]:
    """Positions (0-based) of ``wanted`` revisions after the first ``block``, evenly spaced, ending at the last."""
    rest = total - block
    if wanted > rest:
        raise ValueError(f"count: {block + wanted} revisions wanted, the list has {total}")
    # Integer arithmetic, rounding half up: no float decides which revision is downloaded.
    return [block - 1 + (2 * (k + 1) * rest + wanted) // (2 * wanted) for k in range(wanted)]


def _check_selection(total: int, rule: Selection) -> None:
    length = rule.last or total
    given = [key for key in SPACINGS if getattr(rule, key)]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} exclude each other")
    if rule.first and given and given[0] not in ("stride", "count"):
        raise ValueError(f"first and {given[0]} exclude each other")
    if rule.adaptive and rule.add:
        raise ValueError("adaptive and add exclude each other")
    if length > total:
        raise ValueError(f"last: position {length} is past the end of a list of {total}")
    if rule.first and rule.first > length:
        raise ValueError(f"first: {rule.first} revisions wanted, the list has {length}")
    if rule.first and rule.count and rule.count < rule.first:
        raise ValueError(f"count: {rule.count} is less than first: {rule.first}")


def _nearest(name: str, revisions: Sequence[Revision]) -> list[str]:
    digits = re.search(r"\d+", name)
    step = int(digits.group()) if digits else 0
    return [revision.name for revision in sorted(revisions, key=lambda r: abs(r.step - step))[:3]]


def holes_in(revisions: Sequence[Revision]) -> list[tuple[int, int]]:
    """Returns the steps between which a list lacks revisions: twice as far apart as usual around there, or more.

    Usual is the median of the three distances before and the three after, so that grids that grow, doubling or by a change
    of the interval, have no holes. The first distance is that from step 0, whether or not there is such a revision.
    """
    steps = sorted({0, *(revision.step for revision in revisions)})
    gaps = [later - earlier for earlier, later in zip(steps, steps[1:], strict=False)]
    found = []
    for place, gap in enumerate(gaps):
        around = gaps[max(place - 3, 0) : place] + gaps[place + 1 : place + 4]
        if len(around) > 1 and gap >= WIDE * statistics.median(around):
            found.append((steps[place], steps[place + 1]))
    return found
