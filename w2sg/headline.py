"""The answer of a study in two sentences, made from its tables; honest where the effect is absent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from w2sg.report_tables import final_layer
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


def _effect(transitions: pd.DataFrame) -> str:
    means = final_layer(transitions[transitions["seed"] == MEAN_SEED])
    onsets = means.loc[(means["estimate"] == "onset_step") & means["protocol"].isin(list(SETTINGS)), "value"]
    total, found = len(onsets), int(np.isfinite(onsets).sum())
    if not found:
        return (
            f"No weak-to-strong generalization was seen: in none of {total} cases ({_CASES}) does the student come to exceed its "
            "weak supervisor beyond sampling error."
        )
    if found == total:
        return (
            f"Weak-to-strong generalization sets in during pre-training: in all {total} cases ({_CASES}) the student comes to "
            "exceed its weak supervisor beyond sampling error."
        )
    return (
        f"In {found} of {total} cases ({_CASES}) the student comes to exceed its weak supervisor beyond sampling error; in the "
        "others it does not."
    )


def _foretold(correlations: pd.DataFrame) -> str:
    rows = final_layer(correlations)
    rows = rows[(rows["span"] == "all") & (rows["statistic"] == "r2") & (rows["predictor"] == "difference")]
    known = rows[np.isfinite(rows["low"]) & np.isfinite(rows["high"])]
    if known.empty:
        return "What foretells W2SG accuracy cannot be told: too few revisions, or accuracies that do not vary."
    better, worse = known["low"] > 0, known["high"] < 0
    counts = [
        (int(better.sum()), "foretells W2SG accuracy better than evaluation loss does"),
        (int(worse.sum()), "foretells W2SG accuracy worse than evaluation loss does"),
        (int((~better & ~worse).sum()), "cannot be told apart from evaluation loss as a predictor of W2SG accuracy"),
    ]
    parts = [f"{text} in {count} of {len(known)} cases" for count, text in counts if count]
    return f"Linear-probe accuracy {'; it '.join(parts)}."
