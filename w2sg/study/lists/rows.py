"""Revision lists: tab-separated files with a row for each published state of a model's pre-training.

A list is read as strictly as what follows needs it: a name must fit the rules' wildcards, tokens must not fall while steps
rise. Every line is a revision, an error that names it, or blank; quotes are characters like others.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from w2sg.study.fields import LONGEST, NAME, REPO, WORDS, ConfigError, Mistake, check_repeats, did_you_mean

HUB_DEFAULT = "main"
"""The branch of a Hub repository that holds the final weights; no revision list names it, and audits compare with it."""

RANDOM = "random"
"""Name of the random twin: the model of a list without a step 0, with weights drawn again; no list may name it."""

COLUMNS = ("revision", "step", "tokens_billion")
"""Columns that every list has."""

PLACES = {"repo": REPO, "subfolder": r"^[^\\\x00-\x1f\x7f]+$", "commit": r"^[0-9a-f]{40}$", "seed": NAME}
"""Columns that say where a revision lies and of which pre-training it is, with the pattern of their values."""

LAST_STEP = 2**53
"""Up to here tables and figures, some of which hold steps as floats, tell every step from the next one."""


PLAIN = re.compile(r"[!-^`-~]+")
"""A number as digits of ASCII; Python would take spaces, underscores and other scripts' digits too."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One published state of a model's pre-training."""

    name: str
    """Its name in the study; on the Hub the branch, in a folder the sub-folder, unless one of the others says otherwise."""
    step: int
    """Optimiser steps taken."""
    tokens: float
    """Training tokens seen, in billions; NaN where they are not known, which only a supervisor may have."""
    repo: str = ""
    """Repository of the Hub that holds it; empty: the model's."""
    subfolder: str = ""
    """Folder inside the repository, or below the model's folder, that holds it."""
    commit: str = ""
    """Commit that is fetched instead of the branch."""
    seed: str = ""
    """Pre-training of the list that it belongs to; empty where a list holds one only."""

    @property
    def place(self) -> dict[str, str]:
        """What the entry and the name of its model do not say of its path."""
        return {key: value for key in ("repo", "subfolder", "commit") if (value := getattr(self, key))}


def read_revisions(path: Path) -> tuple[Revision, ...]:
    """Returns the rows of a revision list in UTF-8: columns revision, step, tokens_billion, and those of :data:`PLACES`.

    Other columns are notes. A cell of :data:`PLACES` that is empty or a dash says nothing.

    Raises:
        ConfigError: If the file is missing or no text in UTF-8, a column is missing, a row has more or fewer cells than the
            header, a name is no name of a revision, it or a commit occurs twice in a pre-training, a value is not a number, a step is
            negative or has been reached without tokens, or tokens fall while steps rise. The error names file and line.
    """
    lines = [(number, line) for number, line in enumerate(_lines(path), start=1) if line.strip()]
    if len(lines) < 2:
        raise _wrong(path, "this revision list has no rows")
    (first, top), *rows = lines
    header = top.split("\t")
    found: dict[tuple[str, str], tuple[Revision, int]] = {}
    number = first
    try:
        _check_header(header)
        for number, line in rows:
            revision = _read_row(dict(zip(header, _cells(line, header), strict=True)))
            if (key := (revision.seed, revision.name)) in found:
                raise ValueError(f"revision name {revision.name!r} is repeated, it stands in line {found[key][1]} too")
            same = [
                at
                for one, at in found.values()
                if one.commit and (one.seed, one.place) == (revision.seed, revision.place)
            ]
            if same:
                raise ValueError(
                    f"commit {revision.commit} is that of line {same[0]} too: both rows would be the same weights"
                )
            found[key] = (revision, number)
    except ValueError as error:
        raise _wrong(f"{path}, line {number}", error) from None
    for seed in {revision.seed for revision, _ in found.values()}:
        where = {one.name: f"{path}, line {at}" for one, at in found.values() if one.seed == seed}
        check_rising([one for one, _ in found.values() if one.seed == seed], where)
    revisions = tuple(revision for revision, _ in found.values())
    if len({bool(revision.seed) for revision in revisions}) > 1:
        names = [revision.name for revision in revisions if not revision.seed]
        raise _wrong(path, f"{len(names)} rows have no seed and others have one: {', '.join(names[:3])}")
    return revisions


def check_rising(revisions: Iterable[Revision], where: Mapping[str, str]) -> None:
    """Raises an error where tokens fall while steps rise: statistics place revisions by both.

    Args:
        revisions: Those of one pre-training, in any order.
        where: Where each was given, by name.

    Raises:
        ConfigError: Naming the revision and the one before it.
    """
    before: Revision | None = None  # the one with the most tokens among those with fewer steps
    ordered = sorted(revisions, key=lambda one: (one.step, one.tokens))
    for place, one in enumerate(ordered):
        if before is not None and one.step > before.step and one.tokens < before.tokens:
            fewer = f"{one.tokens:g} billion tokens at step {one.step} ({one.name})"
            more = f"the {before.tokens:g} at step {before.step} ({before.name})"
            raise _wrong(where[one.name], f"{fewer} are fewer than {more}; tokens must not fall while steps rise")
        later = place + 1 == len(ordered) or ordered[place + 1].step > one.step
        if later and not math.isnan(one.tokens):
            before = one


def check_name(name: str) -> None:
    """Raises ``ValueError`` unless a revision may have this name, which becomes a part of paths and a wildcard of rules."""
    if not re.fullmatch(NAME, name):
        advice = "a branch of another name can be given by its commit, in a column commit"
        raise ValueError(f"revision name {name!r} is empty or has odd characters: expected {WORDS[NAME]} ({advice})")
    if len(name) > LONGEST:
        raise ValueError(f"revision name {name[:20]!r}... has {len(name)} characters, allowed: at most {LONGEST}")
    check_repeats(name)
    kept = {RANDOM: "a random initialisation", HUB_DEFAULT: "the final weights, with which audits compare the others"}
    if name in kept:
        raise ValueError(f"revision name {name!r} is kept for {kept[name]}; give the revision another name")


def _wrong(place: Path | str, error: object) -> ConfigError:
    return ConfigError([Mistake((), f"{place}: {error}")])


def _lines(path: Path) -> list[str]:
    """The lines of a text in UTF-8, with or without a byte order mark, whatever ends them."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _wrong(path, f"cannot read this revision list ({error.strerror})") from None
    try:
        text = raw.decode("utf-8-sig")
        bad = text.encode("utf-8").find(b"\0")
    except UnicodeDecodeError as error:
        text, bad = "", error.start
    if bad >= 0:
        line = raw.count(b"\n", 0, bad) + 1
        raise _wrong(f"{path}, line {line}", "this revision list is no text in UTF-8; save it again with that encoding")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_header(header: list[str]) -> None:
    if missing := [column for column in COLUMNS if column not in header]:
        wanted = f"tab-separated columns {', '.join(COLUMNS)}"
        raise ValueError(
            f"expected {wanted}; {did_you_mean(missing[0], header)}{', '.join(missing)} missing in {header}"
        )
    if repeated := sorted({column for column in header if header.count(column) > 1}):
        raise ValueError(f"column {', '.join(repeated)} is repeated")
    for column in header:
        near = difflib.get_close_matches(column.strip().casefold(), PLACES, n=1, cutoff=0.85)
        if near and column not in PLACES:
            raise ValueError(f"column {column!r}: did you mean {near[0]!r}?")


def _cells(line: str, header: list[str]) -> list[str]:
    cells = line.split("\t")
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells, the header has {len(header)}: {cells}")
    return cells


def _read_row(row: Mapping[str, str]) -> Revision:
    check_name(row["revision"])
    step, tokens = int(_number(row, "step", int)), float(_number(row, "tokens_billion", float))
    if not 0 <= step < LAST_STEP or not math.isfinite(tokens) or tokens < 0 or (step > 0 and tokens == 0):
        allowed = f"step from 0 to {LAST_STEP} and, after step 0, a finite number of tokens > 0"
        raise ValueError(f"step {step} and tokens_billion {row['tokens_billion']}, allowed: {allowed}")
    places = {column: row[column] for column in PLACES if row.get(column, "") not in ("", "-")}
    for column, value in places.items():
        if not re.fullmatch(PLACES[column], value):
            raise ValueError(f"{column} is {value!r}, expected {WORDS.get(PLACES[column], 'a path with /')}")
    folder = PurePosixPath(places.get("subfolder", ""))
    if any(len(part.encode()) > 255 for part in folder.parts):
        raise ValueError(f"subfolder is {places['subfolder'][:40]!r}..., expected names of at most 255 bytes in it")
    if folder.is_absolute() or ".." in folder.parts or str(folder) != places.get("subfolder", "."):
        raise ValueError(f"subfolder is {places['subfolder']!r}, expected a path such as runs/step100")
    return Revision(name=row["revision"], step=step, tokens=tokens, **places)


def _number(row: Mapping[str, str], column: str, kind: type) -> int | float:
    text = row[column]
    try:
        if not PLAIN.fullmatch(text):
            raise ValueError
        return kind(text)
    except ValueError:
        what = {int: "an integer", float: "a number such as 4.19"}[kind]
        raise ValueError(f"{column} is {text[:40]!r}, expected {what}") from None
