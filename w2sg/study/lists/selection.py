"""Which of a model's revisions are swept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from w2sg.study.fields import Count, Section
from w2sg.study.lists.rows import Revision


class Selection(Section):
    """Which of the published revisions are swept; default all."""

    first: Count | None = None
    """The earliest ones, all taken."""
    stride: Count | None = None
    """Distance between those taken afterwards."""
    count: Count | None = None
    """Total number; the rest is spaced evenly to the end."""
    last: Count | None = None
    """Position at which the list is cut."""
    thin: Count = 1
    """Keep every n-th of the selected ones and the last."""
    add: list[str] = []
    """Names taken in any case."""


def select(revisions: Sequence[Revision], rule: Selection) -> tuple[Revision, ...]:
    """Returns the selected part of a revision list, given in any order, sorted by step.

    Positions are 1-based. With ``first: 100, stride: 5`` the revisions 1 to 100, 105, 110, ... are taken; with
    ``first: 100, count: 317`` the 217 others are spaced evenly up to the end, the last one included. With ``stride`` or
    ``count`` alone nothing is taken first. Multiples of ``thin`` are nested: what ``thin: 16`` took is part of what
    ``thin: 4`` takes, so a sweep can be refined without repeating anything.

    Raises:
        ValueError: If a number does not fit the list or another one, or a name is unknown.
    """
    ordered = sorted(revisions, key=lambda revision: (revision.step, revision.name))
    _check_selection(len(ordered), rule)
    kept = ordered[: rule.last]
    block = rule.first or (0 if rule.stride or rule.count else len(kept))
    positions = list(range(block))
    if rule.stride:
        positions += range(max(block - 1 + rule.stride, 0), len(kept), rule.stride)
    elif rule.count:
        positions += _evenly(block, len(kept), rule.count - block)
    names = {kept[position].name for position in (*positions[:: rule.thin], *positions[-1:])}
    known = {revision.name for revision in ordered}
    for name in rule.add:
        if name not in known:
            raise ValueError(f"add: no revision {name!r}; the nearest are {_nearest(name, ordered)}")
    return tuple(revision for revision in ordered if revision.name in names | set(rule.add))


def _evenly(block: int, total: int, wanted: int) -> list[int]:
    """Positions (0-based) of ``wanted`` revisions after the first ``block``, evenly spaced, ending at the last."""
    rest = total - block
    if wanted > rest:
        raise ValueError(f"count: {block + wanted} revisions wanted, the list has {total}")
    # Integer arithmetic, rounding half up: no float decides which revision is downloaded.
    return [block - 1 + (2 * (k + 1) * rest + wanted) // (2 * wanted) for k in range(wanted)]


def _check_selection(total: int, rule: Selection) -> None:
    length = rule.last or total
    if rule.stride and rule.count:
        raise ValueError("stride and count exclude each other")
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
