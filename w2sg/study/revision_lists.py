"""Revision lists and their selection: what the DAG is built from."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2sg.study.fields import ConfigError, Count, Mistake, Section
from w2sg.study.pretraining import pythia_schedule, revision_name

HUB_DEFAULT = "main"
"""The branch of a Hub repository that holds the final weights; no revision list names it, and audits compare with it."""

RANDOM = "random"
"""Name of the random twin: the model of a list without a step 0, with weights drawn anew; no list may name it."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One published state of a model's pre-training."""

    name: str
    """Branch or folder name, as published."""
    step: int
    """Optimiser steps taken."""
    tokens: float
    """Training tokens seen, in billions; NaN where they are not known, which only a supervisor may have."""


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


def read_revisions(path: Path) -> tuple[Revision, ...]:
    """Returns the rows of a revision list: tab-separated, with columns revision, step, tokens_billion.

    Raises:
        ConfigError: If the file is missing, a column is missing, a value is not a number, a step is negative or has been
            reached without tokens, or a name occurs twice.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError as error:
        raise ConfigError([Mistake((), f"{path}: cannot read this revision list ({error.strerror})")]) from None
    if not rows:
        raise ConfigError([Mistake((), f"{path}: this revision list has no rows")])
    found: dict[str, Revision] = {}
    for number, row in enumerate(rows, start=2):
        try:
            revision = _read_row(row)
            if revision.name in found:
                raise ValueError(f"revision name {revision.name!r} is repeated")
        except ValueError as error:
            raise ConfigError([Mistake((), f"{path}, line {number}: {error}")]) from None
        found[revision.name] = revision
    return tuple(found.values())


def _read_row(row: Mapping[str, str]) -> Revision:
    try:
        name, step, tokens = row["revision"], int(row["step"]), float(row["tokens_billion"])
    except (KeyError, TypeError, ValueError) as error:
        expected = "tab-separated columns revision, step (integer) and tokens_billion (number)"
        raise ValueError(f"expected {expected}, found {dict(row)} ({error})") from None
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ValueError(f"revision name {name!r} is empty, or has odd characters")
    if name == RANDOM:
        raise ValueError(
            f"revision name {name!r} is kept for a random initialisation; a step 0 may have any other name"
        )
    if step < 0 or not math.isfinite(tokens) or tokens < 0 or (step > 0 and tokens == 0):
        allowed = "step >= 0 and, after step 0, a finite number of tokens > 0"
        raise ValueError(f"step {step} and tokens_billion {row['tokens_billion']}, allowed: {allowed}")
    return Revision(name=name, step=step, tokens=tokens)


def with_twin(listed: Sequence[Revision], selected: Sequence[Revision]) -> tuple[Revision, ...]:
    """Returns the selected revisions, before them the random twin where the list has no step 0."""
    has_start = any(revision.step == 0 for revision in listed)
    return tuple(selected) if has_start else (Revision(name=RANDOM, step=0, tokens=0.0), *selected)


def files_of(revision: str, listed: Sequence[Revision]) -> str:
    """Returns the revision whose files are opened: of the random twin that is the first of the list."""
    return min(listed, key=lambda one: one.step).name if revision == RANDOM else revision


def revisions_of(name: str, model: Mapping[str, Any], root: Path) -> tuple[Revision, ...]:
    """Returns every published revision of a model, sorted by step; of a Hub model without a list, ``main`` alone.

    Paths of lists are relative to ``root``, the project's folder; ``name`` is for messages.

    Raises:
        ConfigError: If the list cannot be read or a local folder holds no ``step<N>`` folders.
    """
    if model["source"] == "pretrain":
        settings = model["pretraining"]
        per_step = settings["batch_size"] * settings["sequence_length"] / 1e9
        steps = pythia_schedule(settings["steps"], settings["save_every"])
        return tuple(Revision(name=revision_name(step), step=step, tokens=step * per_step) for step in steps)
    if model["source"] == "hub" and "revisions" not in model:
        return (Revision(name=HUB_DEFAULT, step=0, tokens=math.nan),)
    if "revisions" in model:
        path = Path(model["revisions"])
        return read_revisions(path if path.is_absolute() else root / path)
    folder, per_step = Path(model["path"]), model.get("tokens_per_step", math.nan)
    matches = [(child, re.fullmatch(r"step(\d+)", child.name)) for child in folder.glob("step*")]
    found = [
        Revision(name=child.name, step=int(match[1]), tokens=int(match[1]) * per_step / 1e9)
        for child, match in matches
        if match and child.is_dir()
    ]
    if not found:
        text = f"{folder} holds no step<N> folders; give models.{name}.revisions, a revision list"
        raise ConfigError([Mistake(("models", name, "path"), text)])
    return tuple(sorted(found, key=lambda revision: revision.step))
