"""The table of conclusions, case by case, as sentences and tables read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.trajectories.selection import CASE

SEEDS = "seeds"
"""Level of a conclusion over several pre-training seeds; that of a single run is ``revisions``."""

ONE_SEED = "one seed"
"""Level of a conclusion on one of those seeds."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table: an estimate, its interval and what it says."""

    value: float = np.nan
    """The estimate; NaN where undefined."""
    low: float = np.nan
    """Lower end of its interval; NaN where there is none."""
    high: float = np.nan
    """Upper end."""
    level: str = ""
    """``revisions``, ``one seed`` or ``seeds``; empty where nothing was measured."""
    n: int = 0
    """What it rests on."""
    note: str = ""
    """Why the value or an end is undefined, or may be wrong."""
    verdict: str = ""
    """``above`` or ``below`` zero, ``unclear`` or ``undefined``; empty where nothing is compared with zero."""

    @property
    def known(self) -> bool:
        """Whether there is an estimate."""
        return bool(np.isfinite(self.value))

    @property
    def bounded(self) -> bool:
        """Whether it has both ends, and they can be trusted."""
        ends = np.isfinite([self.value, self.low, self.high]).all()
        return bool(ends) and not self.cut and self.verdict not in ("unclear", "undefined")

    @property
    def cut(self) -> bool:
        """Whether the interval may be too short (blocks that were cut, one draw of a permutation): it never decides."""
        return TOO_SHORT in self.note

    @property
    def decided(self) -> str:
        """``above`` or ``below`` where the interval excludes zero, ``unclear`` where it does not, ``undefined`` without value or interval."""
        if not self.known or self.verdict == "undefined":
            return "undefined"
        return self.verdict if self.verdict in ("above", "below") and not self.cut else "unclear"


@dataclass(frozen=True, kw_only=True)
class Case:
    """The conclusions on one family, dataset and head protocol."""

    family: str
    dataset: str
    protocol: str
    findings: dict[str, Finding] = field(default_factory=dict)

    def __getitem__(self, quantity: str) -> Finding:
        """Returns a finding; an empty one where the table has none."""
        return self.findings.get(quantity, Finding())

    @property
    def pooled(self) -> bool:
        """Whether it is one over several pre-training seeds."""
        return any(finding.level == SEEDS for finding in self.findings.values())


def cases(summary: pd.DataFrame) -> list[Case]:
    """Returns the cases of the table of :func:`w2sg.trajectories.summary.summarize`, in its order."""
    found: dict[tuple[str, ...], Case] = {}
    for row in summary.itertuples():
        key = tuple(getattr(row, name) for name in CASE)
        case = found.setdefault(key, Case(family=key[0], dataset=key[1], protocol=key[2]))
        case.findings[str(row.quantity)] = finding_of(row)
    return list(found.values())


def finding_of(row: Any) -> Finding:
    """Returns a row of that table, or of another with value, low, high, n and note, as a finding."""
    given = {name: getattr(row, name, "") for name in ("level", "note", "verdict")}
    texts = {name: text if isinstance(text, str) else "" for name, text in given.items()}
    n = int(row.n) if np.isfinite(row.n) else 0
    return Finding(value=float(row.value), low=float(row.low), high=float(row.high), n=n, **texts)


def answering(found: Iterable[Case]) -> list[Case]:
    """Returns the cases that the answer is about.

    Families that are seeds of a pooled one stay out: it speaks for them.
    """
    return [case for case in found if not any(finding.level == ONE_SEED for finding in case.findings.values())]
