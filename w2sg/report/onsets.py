"""How each status of an onset is worded: in a cell, in the sentence of a case, in the verdict on all cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from w2sg.trajectories.onset import Status, onset_status


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Words for one status; ``row`` in them is a row of the summary."""

    cell: str
    """In the table."""
    case: str
    """Of one family, dataset and head protocol."""
    verdict: str
    """Of several of them."""


ONSETS: dict[Status, Wording] = {
    "bounded": Wording(
        cell="step {row.onset:.0f}",
        case="W2SG sets in at step {row.onset:,.0f} of {row.last_step:,} (interval {row.onset_low:,.0f} to {row.onset_high:,.0f})",
        verdict="the student comes to exceed its weak supervisor beyond sampling error",
    ),
    "first": Wording(
        cell="by step {row.onset_high:.0f}",
        case="the student is already above its supervisor at the first revision, step {row.onset_high:,.0f} of {row.last_step:,}",
        verdict="the student is already above its weak supervisor at the first revision, so that no onset can be placed",
    ),
    "open": Wording(
        cell="by step {row.onset_high:.0f}",
        case="the student is above its supervisor by step {row.onset_high:,.0f} of {row.last_step:,} and below beyond sampling "
        "error at no revision, so W2SG may have set in before the first one",
        verdict="the student exceeds its weak supervisor and was never below it beyond sampling error, so that the onset may lie "
        "before the first revision",
    ),
    "fleeting": Wording(
        cell="not lasting",
        case="the student exceeds its supervisor at some revision, but the gain does not last",
        verdict="the student exceeds its weak supervisor at some revision, but the gain does not last",
    ),
    "few": Wording(
        cell="?",
        case="too few revisions to say whether W2SG sets in",
        verdict="there are too few revisions to say",
    ),
    "never": Wording(
        cell="none",
        case="no onset beyond sampling error",
        verdict="the student is above its weak supervisor at no revision beyond sampling error",
    ),
}
"""Words of every status, in the order of the verdict."""


def summary_status(row: Any) -> Status:
    """Returns the status of the onset in a row of the summary."""
    return onset_status(row.onset, row.onset_low, row.onset_note)
