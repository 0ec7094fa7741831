"""How each status of an onset is worded: in a cell, and in a sentence on the cases that have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from w2sg.report.conclusions import SEEDS, Case
from w2sg.trajectories.onset import Status, onset_status


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Words for one status; ``onset`` in them is the finding, ``last`` the last step."""

    cell: str
    """In the table."""
    phrase: str
    """Stands before its cases, after the level: ``In this run``."""
    number: str = ""
    """What the list says of each."""


ONSETS: dict[Status | Literal["unknown"], Wording] = {
    "bounded": Wording(
        cell="{onset.value:,.0f}",
        phrase="W2SG sets in (step, with its interval)",
        number="{onset.value:,.0f} of {last:,.0f} [{onset.low:,.0f}, {onset.high:,.0f}]",
    ),
    "first": Wording(
        cell="by {onset.high:,.0f}",
        phrase="the student is already above its supervisor at the first revision (step), so that no onset can be placed",
        number="{onset.high:,.0f} of {last:,.0f}",
    ),
    "open": Wording(
        cell="by {onset.high:,.0f}",
        phrase="the student is above its supervisor by a step and below beyond sampling error at none, so that the onset may lie "
        "before the first revision",
        number="{onset.high:,.0f} of {last:,.0f}",
    ),
    "fleeting": Wording(
        cell="not lasting", phrase="the student exceeds its supervisor at some revision, but the gain does not last"
    ),
    "some": Wording(
        cell="some seeds",
        phrase="the student comes to exceed its supervisor with some seeds only",
        number="{onset.note}",
    ),
    "few": Wording(cell="?", phrase="there are too few revisions to say whether W2SG sets in"),
    "never": Wording(cell="none", phrase="the student is above its supervisor at no revision beyond sampling error"),
    "unknown": Wording(cell="?", phrase="when W2SG sets in cannot be told", number="{onset.note}"),
}
"""Words of every status; ``unknown`` where there is no statistic, or one whose interval decides nothing."""


def onset_of(case: Case) -> Status | Literal["unknown"]:
    """Returns the status of a case's onset."""
    onset = case["onset_step"]
    if "onset_step" not in case.findings:
        return "unknown"
    status = onset_status(onset.value, onset.low, onset.note)
    return "unknown" if status == "bounded" and not onset.bounded else status


def onset_cell(case: Case) -> str:
    """Returns a case's onset as a cell."""
    onset, status = case["onset_step"], onset_of(case)
    return f"by {onset.high:,.0f}" if _unseen(case) else ONSETS[status].cell.format(onset=onset)


def onset_number(case: Case) -> str:
    """Returns what a sentence says of a case's onset."""
    onset = case["onset_step"]
    if _unseen(case):
        return onset.note
    return ONSETS[onset_of(case)].number.format(onset=onset, last=case["last_step"].value).replace(" of nan", "")


def _unseen(case: Case) -> bool:
    """Whether the onset is bounded by two revisions with none between them for long, as its note says."""
    onset = case["onset_step"]
    return (
        onset_of(case) == "bounded" and bool(onset.note) and onset.level != SEEDS
    )  # of seeds, the note says how they were pooled
