"""The answer of a study in two sentences, made from its tables; honest where the effect is absent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from w2sg.onset import Status, onset_status
from w2sg.report_tables import final_layer
from w2sg.resampling import TOO_SHORT
from w2sg.series import MEAN_SEED
from w2sg.summary import SETTINGS

_CASES = "family, dataset and head protocol"


def verdict(transitions: pd.DataFrame, correlations: pd.DataFrame) -> str:
    """Returns whether strong students come to exceed their weak supervisors, and what foretells it.

    Args:
        transitions: Schema TRANSITIONS; read is the onset at the last layer, means over seeds.
        correlations: Schema CORRELATIONS; read is the difference of R², probe minus loss, over all revisions of the last layer.
    """
    return f"{_effect(transitions)} {_foretold(correlations)}"


_WORDS: dict[Status, str] = {
    "bounded": "the student comes to exceed its weak supervisor beyond sampling error",
    "first": "the student is already above its weak supervisor at the first revision, so that no onset can be placed",
    "open": "the student exceeds its weak supervisor and was never below it beyond sampling error, so that the onset may lie "
    "before the first revision",
    "fleeting": "the student exceeds its weak supervisor at some revision, but the gain does not last",
    "few": "there are too few revisions to say",
    "never": "the student is above its weak supervisor at no revision beyond sampling error",
}
"""What an onset says about the student, by its status; in this order."""


def _effect(transitions: pd.DataFrame) -> str:
    means = final_layer(transitions[transitions["seed"] == MEAN_SEED])
    onsets = means[(means["estimate"] == "onset_step") & means["protocol"].isin(list(SETTINGS))]
    found = [onset_status(*cells) for cells in zip(onsets["value"], onsets["low"], onsets["note"], strict=True)]
    total = len(found)
    if not total:
        return "Whether students come to exceed their weak supervisors cannot be told: nothing was measured."
    if set(found) == {"never"}:
        return (
            f"No weak-to-strong generalization was seen: in none of {total} cases ({_CASES}) does the student come to exceed its "
            "weak supervisor beyond sampling error."
        )
    if set(found) == {"bounded"}:
        return (
            f"Weak-to-strong generalization sets in during pre-training: in all {total} cases ({_CASES}) the student comes to "
            "exceed its weak supervisor beyond sampling error."
        )
    parts = [(found.count(status), words) for status, words in _WORDS.items() if status in found]
    (first, words), others = parts[0], "".join(f"; in {count} {words}" for count, words in parts[1:])
    return f"In {first} of {total} cases ({_CASES}) {words}{others}."


def _foretold(correlations: pd.DataFrame) -> str:
    rows = final_layer(correlations)
    rows = rows[(rows["span"] == "all") & (rows["statistic"] == "r2") & (rows["predictor"] == "difference")]
    if rows.empty:
        return "What foretells W2SG accuracy cannot be told: nothing was measured."
    known = np.isfinite(rows["low"]) & np.isfinite(rows["high"])
    better, worse = known & (rows["low"] > 0), known & (rows["high"] < 0)
    reasons = "; ".join(dict.fromkeys(rows.loc[~known, "note"])) or "the difference has no interval"
    if not known.any():
        return f"What foretells W2SG accuracy cannot be told: {reasons}."
    counts = [
        (better, "foretells W2SG accuracy better than evaluation loss does"),
        (worse, "foretells W2SG accuracy worse than evaluation loss does"),
        (known & ~better & ~worse, "cannot be told apart from evaluation loss as a predictor of W2SG accuracy"),
        (~known, f"could not be compared ({reasons})"),
    ]
    parts = [f"{text} in {int(which.sum())} of {len(rows)} cases" for which, text in counts if which.any()]
    text = f"Linear-probe accuracy {'; it '.join(parts)}."
    short = int((known & rows["note"].str.startswith(TOO_SHORT)).sum())
    if short:
        text += f" Intervals may be too short in {short}: there are few revisions for their autocorrelation."
    return text
