"""Adaptive sweeps: which rounds there were by now, and which revisions these chose of a family."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from w2sg.study.families import Family, FamilyEntry, members
from w2sg.study.fields import ConfigError, Mistake, read
from w2sg.study.lists.adaptive import EARLY, LATE, Adaptive, candidates, first_round, late_places
from w2sg.study.lists.rows import Revision

COLUMNS = ("round", "revision", "step", "tokens_billion", "worth", "reason")
"""Columns of a table of rounds, tab-separated; a row without a revision says why the sweep ended."""

NOTE = "begun.json"
"""File that says how many rounds there were when a run began."""

LEFT = "W2SG_ROUNDS_LEFT"
"""Variable that names a file for a run to leave where it chose more revisions, so that another run follows."""

PER_CASE, WITH_SATURATION = (10, 5), (18, 7)
"""Revisions that a sweep is expected to measure after its first round, for onsets and where saturation within a factor of 2 is sought
too: for one dataset and protocol, and for each further one."""


@dataclass(frozen=True)
class Chosen:
    """A revision that a round chose; two are equal whatever is said of them."""

    round: int
    """Number of the round."""
    revision: str
    """Name of the revision."""
    worth: str = field(compare=False)
    """Share by which it was expected to narrow the intervals sought; empty in the first round."""
    reason: str = field(compare=False)
    """Why it was chosen."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The rounds of one entry of ``families``; its pre-training seeds are measured at the same revisions."""

    name: str
    """Name of the entry."""
    members: tuple[str, ...]
    """Families that the entry stands for."""
    rule: Adaptive
    """Its section ``adaptive``."""
    total: int
    """Number of listed revisions."""
    candidates: tuple[Revision, ...]
    """Revisions among which rounds choose, by step."""
    late_step: int
    """Step from which revisions count as late."""
    rows: tuple[Chosen, ...]
    """Revisions chosen so far, by round and step."""
    end: str = ""
    """Why the sweep ended; empty while it goes on."""

    @property
    def number(self) -> int:
        """Returns the number of the last round that chose revisions."""
        return self.rows[-1].round

    @property
    def files(self) -> range:
        """Returns the numbers of the tables that the sweep has made or makes next: those of the rounds after the first."""
        return range(2, self.number + 2)

    def before(self, number: int) -> list[Chosen]:
        """Returns the revisions that were chosen before a round."""
        return [row for row in self.rows if row.round < number]

    def bounds(self, cases: int) -> dict[str, int]:
        """Returns least, expected and most revisions of a sweep of so many datasets and protocols, and how many there are.

        What is expected is the mean over simulated studies (``benchmarks/results/adaptive.tsv``).
        """
        now, most = len(self.rows), min(self.rule.most, len(self.candidates))
        each, further = PER_CASE if self.rule.saturation is None else WITH_SATURATION
        mean = len(self.before(2)) + each + further * (cases * len(self.members) - 1)
        ended = {"least": now, "expected": now, "most": now, "all listed": self.total}
        return ended if self.end else {**ended, "expected": max(now, min(mean, most)), "most": max(now, most)}

    def describe(self) -> str:
        """Returns where the sweep stands, in a line."""
        chosen = f"{len(self.rows)} of {self.total} revisions in {self.number} round{'s' * (self.number > 1)}"
        if self.end:
            return f"families.{self.name}: adaptive: {chosen}; {self.end}"
        now = ", ".join(row.revision for row in self.rows if row.round == self.number)
        return f"families.{self.name}: adaptive: {chosen}, of at most {self.rule.most}; round {self.number}: {now}"


def read_rounds(
    config: Mapping[str, Any], families: Mapping[str, Family], folder: Path, *, begun: bool = False
) -> dict[str, Rounds]:
    """Returns the rounds of every swept entry of ``families`` that is selected adaptively, by its name.

    Args:
        config: The checked configuration.
        families: All families of the study, with all revisions among which theirs may be chosen.
        folder: Where the tables of the rounds lie, ``<name>/<number>.tsv``. One that was not made of the rounds before it, or names
            others than the list, does not count, and it is made again.
        begun: Whether those are meant that there were when the present run began (:func:`note_rounds`): a job on another
            node must see no round that was chosen since.

    Raises:
        ConfigError: If the pre-training seeds of an entry have different lists.
    """
    found, note = {}, folder / NOTE
    last = json.loads(note.read_text(encoding="utf-8")) if begun and note.is_file() else {}
    for name in config["sweep"]["families"]:
        entry: FamilyEntry = read(FamilyEntry, config["families"][name], ("families", name))
        if entry.select.adaptive is None:
            continue
        named = tuple(members(name, config))
        lists = [[(one.name, one.step) for one in families[member].revisions] for member in named]
        if any(one != lists[0] for one in lists):
            text = "adaptive: the seeds have different revisions, and rounds choose for all of them; sweep them as families of their own"
            raise ConfigError([Mistake(("families", name, "select"), text)])
        listed, late = families[named[0]].revisions, config["statistics"]["late"]
        tokens = [one.tokens for one in listed]
        first = first_round(tokens, late)
        kinds = ["the first", *["spaced by log tokens"] * EARLY, *["late"] * LATE]
        rows = tuple(Chosen(1, listed[place].name, "", kind) for place, kind in zip(first, kinds, strict=False))
        among = tuple(listed[place] for place in candidates(tokens, late, entry.select.adaptive.within))
        first_only = Rounds(
            name=name, members=named, rule=entry.select.adaptive, total=len(listed), candidates=among,
            late_step=listed[late_places(len(listed), late)[0]].step, rows=rows,
        )  # fmt: skip
        found[name] = _continued(first_only, folder / name, last.get(name))
    return found


def note_rounds(rounds: Mapping[str, Rounds]) -> str:
    """Returns the text of :data:`NOTE`: how many rounds there are when a run begins."""
    return json.dumps({name: one.number for name, one in rounds.items()})


def _continued(rounds: Rounds, folder: Path, last: int | None) -> Rounds:
    known = {one.name for one in rounds.candidates}
    while not rounds.end and rounds.number != last and (path := folder / f"{rounds.number + 1}.tsv").is_file():
        with path.open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file, delimiter="\t"))
        rows = tuple(
            Chosen(int(row["round"]), row["revision"], row["worth"], row["reason"]) for row in table if row["revision"]
        )
        if rows[: len(rounds.rows)] != rounds.rows or not {row.revision for row in rows} <= known:
            break
        end = next((row["reason"] for row in table if not row["revision"]), "")
        if len(rows) == len(rounds.rows) and not end:
            break
        rounds = replace(rounds, rows=rows, end=end)
    return rounds


def narrow(families: Mapping[str, Family], rounds: Mapping[str, Rounds]) -> dict[str, Family]:
    """Returns the families with the revisions that their rounds have chosen so far."""
    narrowed = dict(families)
    for one in rounds.values():
        chosen = {row.revision for row in one.rows}
        for member in one.members:
            revisions = tuple(revision for revision in families[member].revisions if revision.name in chosen)
            narrowed[member] = replace(families[member], revisions=revisions)
    return narrowed
