"""How each status of an onset is worded: in a cell, and in a sentence on the cases that have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from w2sg.report.conclusions import Case, Finding, finding_of
from w2sg.trajectories.onset import GAP, Status, onset_status

Place = Status | Literal["gap"]
"""``gap``: bounded by two revisions with none between them for long, as the note says; ``unknown`` also where there is no statistic, or one
that decides nothing."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Words for one status; ``onset`` in them is the finding, ``last`` the last step."""

    cell: str
    """In the table."""
    phrase: str
    """Stands before its cases, after the level: ``In this run``."""
    number: str = ""
    """What the list says of each."""


ONSETS: dict[Place, Wording] = {
    "bounded": Wording(
        cell="{onset.value:,.0f}",
        phrase="W2SG sets in (step, with its interval)",
        number="{onset.value:,.0f} of {last:,.0f} [{onset.low:,.0f}, {onset.high:,.0f}]",
    ),
    "gap": Wording(
        cell="by {onset.high:,.0f}",
        phrase="the onset lies between two revisions too far apart for it to be placed",
        number="{onset.note}",
    ),
    "first": Wording(
        cell="by {onset.high:,.0f}",
        phrase="the student is already above its supervisor at the first revision (step), so that no onset can be placed",
        number="{onset.high:,.0f} of {last:,.0f}",
    ),
    "open": Wording(
        cell="by {onset.high:,.0f}",
        phrase="the student is above its supervisor by a step, but the onset may lie before the first revision",
        number="{onset.high:,.0f} of {last:,.0f}",
    ),
    "fleeting": Wording(
        cell="not lasting", phrase="the student exceeds its supervisor at some revision, but the gain does not last"
    ),
    "some": Wording(
        cell="some seeds",
        phrase="an onset is found with some seeds only",
        number="{onset.note}",
    ),
    "few": Wording(cell="?", phrase="there are too few revisions to say whether W2SG sets in"),
    "never": Wording(cell="none", phrase="the student is above its supervisor at no revision beyond sampling error"),
    "unknown": Wording(cell="?", phrase="when W2SG sets in cannot be told", number="{onset.note}"),
}
"""Words of every status."""


def onset_of(onset: Finding) -> Place:
    """Returns the status of an onset; only one that is ``bounded`` can be placed."""
    if not (onset.known or onset.note):
        return "unknown"
    status = onset_status(onset.value, onset.low, onset.note)
    if status != "bounded":
        return status
    if not onset.bounded:
        return "unknown"
    return "gap" if GAP in onset.note else status


def placed(onsets: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of onsets, of the table of conclusions or of TRANSITIONS, that can be placed: no other one is drawn."""
    found = [onset_of(finding_of(row)) == "bounded" for row in onsets.itertuples()]
    return onsets[np.array(found, dtype=bool)]


def onset_cell(case: Case) -> str:
    """Returns a case's onset as a cell."""
    onset = case["onset_step"]
    return ONSETS[onset_of(onset)].cell.format(onset=onset)


def onset_number(case: Case) -> str:
    """Returns what a sentence says of a case's onset."""
    onset = case["onset_step"]
    return ONSETS[onset_of(onset)].number.format(onset=onset, last=case["last_step"].value).replace(" of nan", "")
