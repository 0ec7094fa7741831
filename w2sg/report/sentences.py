"""The answer of a study in two sentences, made from its tables; honest where the effect is absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.report.cells import format_summary, onset_row_status
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.trajectories.onset import Status, least_late, onset_status
from w2sg.trajectories.series import MEAN_SEED
from w2sg.trajectories.summary import final_layer_rows

_CASES = "family, dataset and head protocol"


def verdict(transitions: pd.DataFrame, correlations: pd.DataFrame) -> str:
    """Returns whether strong students come to exceed their weak supervisors, and what foretells it.

    Args:
        transitions: Schema TRANSITIONS; read is the onset at the last layer, means over seeds.
        correlations: Schema CORRELATIONS; read is the difference of R², probe minus loss, over all revisions of the last layer.
    """
    return f"{_effect_found(transitions)} {_predicted(correlations)}"


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


def _effect_found(transitions: pd.DataFrame) -> str:
    means = final_layer_rows(transitions[transitions["seed"] == MEAN_SEED])
    onsets = means[(means["estimate"] == "onset_step") & means["protocol"].isin(list(HEADLINE_SETTINGS))]
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


def _predicted(correlations: pd.DataFrame) -> str:
    rows = final_layer_rows(correlations)
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


def describe_summary(summary: pd.DataFrame) -> list[str]:
    """Returns one sentence per row of the summary, honest when the effect is absent."""
    sentences = []
    records: list[Any] = list(summary.itertuples())
    for row in records:
        where = f"{row.family} on {row.dataset}, {row.protocol} heads"
        effect = f"{_effect(row)}; {_late(row)}"
        sentences.append(f"{where}: {effect}{_foretold(row)}.")
    return sentences


def _effect(row: Any) -> str:
    """Returns whether and when W2SG sets in, in the words that the interval or the reason for none allows."""
    status = onset_row_status(row)
    if status == "bounded":
        between = f"interval {int(row.onset_low):,} to {int(row.onset_high):,}"
        return f"W2SG sets in at step {int(row.onset):,} of {row.last_step:,} ({between})"
    if status == "first":
        return f"the student is already above its supervisor at the first revision, step {int(row.onset_high):,} of {row.last_step:,}"
    if status == "open":
        return (
            f"the student is above its supervisor by step {int(row.onset_high):,} of {row.last_step:,} and below beyond sampling "
            "error at no revision, so W2SG may have set in before the first one"
        )
    if status == "fleeting":
        return "the student exceeds its supervisor at some revision, but the gain does not last"
    if status == "few":
        return "too few revisions to say whether W2SG sets in"
    return "no onset beyond sampling error" if row.gain_late > 0 else "no W2SG"


def _late(row: Any) -> str:
    late = least_late(row.revisions)
    place = "at the last revision" if late == 1 else f"over the last {late} revisions"
    return f"{place} the student scores {row.w2s_late:.3f} against its supervisor's {row.weak:.3f}"


def _foretold(row: Any) -> str:
    """Returns the R² of both predictors; one is called better only where the interval of the difference says so."""
    if not (np.isfinite(row.r2_probe) and np.isfinite(row.r2_loss)):
        return ""
    both = f"probe accuracy (R² {row.r2_probe:.3f})", f"evaluation loss (R² {row.r2_loss:.3f})"
    if not (np.isfinite(row.r2_difference_low) and np.isfinite(row.r2_difference_high)):
        return f". W2SG accuracy against {both[0]} and {both[1]}: the difference has no interval, so which foretells it better cannot be told"
    ends = f"the difference of {row.r2_difference:+.3f} has the interval {row.r2_difference_low:+.3f} to {row.r2_difference_high:+.3f}"
    if row.r2_difference_low <= 0 <= row.r2_difference_high:
        return f". W2SG accuracy against {both[0]} and {both[1]}: {ends}, so which foretells it better cannot be told"
    better = "better" if row.r2_difference_low > 0 else "worse"
    return f". P{both[0][1:]} predicts W2SG accuracy {better} than {both[1]}; {ends}"


def summary_text(summary: pd.DataFrame, bands: pd.DataFrame) -> str:
    """Returns the summary for a terminal: an aligned table, the sentences, and whether acceptance bands hold."""
    shown = format_summary(summary)
    names = [str(name) for name in shown.columns]
    widths = [max(len(name), *map(len, shown[name])) for name in names]
    lines = ["  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True))]
    lines.append("  ".join("-" * width for width in widths))
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown.to_numpy()]
    lines += ["", *describe_summary(summary)]
    if len(bands):
        failed = bands[~bands["holds"].astype(bool)]
        records: list[Any] = list(failed.itertuples())
        lines += [
            "",
            f"acceptance bands of the embedded study: {len(bands) - len(failed)} of {len(bands)} hold",
        ]
        lines += [
            f"  not: {row.family}, {row.protocol} heads, {row.criterion}: {row.measured:.3f}, expected {row.expected}"
            for row in records
        ]
    return "\n".join(lines) + "\n"
