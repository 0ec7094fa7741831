"""The answer of a study in sentences, made from its tables; honest where the effect is absent or something is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.report.cells import format_summary, records
from w2sg.report.onsets import ONSETS, summary_status
from w2sg.trajectories.onset import least_late, onset_status
from w2sg.trajectories.selection import headline_statistics

NAMED = 6
"""Missing revisions that a sentence names; more are counted."""

_CASES = "family, dataset and head protocol"


def verdict(transitions: pd.DataFrame, correlations: pd.DataFrame) -> str:
    """Returns whether strong students come to exceed their weak supervisors, and what predicts it.

    Args:
        transitions: Schema TRANSITIONS; read is the onset at the last layer, means over seeds.
        correlations: Schema CORRELATIONS; read is the difference of R², probe minus loss, over all revisions of the last layer.
    """
    return f"{_onsets(transitions)} {_predictors(correlations)}"


def _onsets(transitions: pd.DataFrame) -> str:
    onsets = headline_statistics(transitions, estimate="onset_step")
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
            f"Weak-to-strong generalization sets in during pre-training: in all {total} cases ({_CASES}) "
            f"{ONSETS['bounded'].verdict}."
        )
    first, *others = [(found.count(status), words.verdict) for status, words in ONSETS.items() if status in found]
    more = "".join(f"; in {count} {words}" for count, words in others)
    return f"In {first[0]} of {total} cases ({_CASES}) {first[1]}{more}."


def _predictors(correlations: pd.DataFrame) -> str:
    rows = headline_statistics(correlations, span="all", statistic="r2", predictor="difference")
    if rows.empty:
        return "What predicts W2SG accuracy cannot be told: nothing was measured."
    known = [_decides(*cells) for cells in zip(rows["low"], rows["high"], rows["note"], strict=True)]
    known = pd.Series(known, index=rows.index)
    better, worse = known & (rows["low"] > 0), known & (rows["high"] < 0)
    reasons = "; ".join(dict.fromkeys(rows.loc[~known, "note"])) or "the difference has no interval"
    if not known.any():
        return f"What predicts W2SG accuracy cannot be told: {reasons}."
    counts = [
        (better, "predicts W2SG accuracy better than evaluation loss does"),
        (worse, "predicts W2SG accuracy worse than evaluation loss does"),
        (known & ~better & ~worse, "cannot be told apart from evaluation loss as a predictor of W2SG accuracy"),
        (~known, f"could not be compared ({reasons})"),
    ]
    parts = [f"{text} in {int(which.sum())} of {len(rows)} cases" for which, text in counts if which.any()]
    return f"Linear-probe accuracy {'; it '.join(parts)}."


def _decides(low: float, high: float, note: str) -> bool:
    """Returns whether an interval can carry a verdict: it has both ends, and its blocks were not cut."""
    return bool(np.isfinite(low) and np.isfinite(high)) and not note.startswith(TOO_SHORT)


def describe_summary(summary: pd.DataFrame) -> list[str]:
    """Returns one sentence per row of the summary: whether and when W2SG sets in, how it ends, what predicts it."""
    return [
        f"{row.family} on {row.dataset}, {row.protocol} heads: {_onset(row)}; {_late(row)}{_predicted(row)}."
        for row in records(summary)
    ]


def _onset(row: Any) -> str:
    status = summary_status(row)
    return "no W2SG" if status == "never" and not row.gain_late > 0 else ONSETS[status].case.format(row=row)


def _late(row: Any) -> str:
    late = least_late(row.revisions)
    place = "at the last revision" if late == 1 else f"over the last {late} revisions"
    return f"{place} the student scores {row.w2s_late:.3f} against its supervisor's {row.weak:.3f}"


def _predicted(row: Any) -> str:
    """Returns the R² of both predictors; one is called better only where the interval of the difference says so."""
    if not (np.isfinite(row.r2_probe) and np.isfinite(row.r2_loss)):
        return ""
    probe, loss = f"robe accuracy (R² {row.r2_probe:.3f})", f"evaluation loss (R² {row.r2_loss:.3f})"
    low, high = row.r2_difference_low, row.r2_difference_high
    known = np.isfinite(low) and np.isfinite(high)
    ends = f"the difference of {row.r2_difference:+.3f} has the interval {low:+.3f} to {high:+.3f}"
    if known and not _decides(low, high, row.r2_difference_note):
        ends += ", which may be too short for few revisions"
    elif known and not low <= 0 <= high:
        return f". P{probe} predicts W2SG accuracy {'better' if low > 0 else 'worse'} than {loss}; {ends}"
    reason = ends if known else "the difference has no interval"
    return f". W2SG accuracy against p{probe} and {loss}: {reason}, so which predicts it better cannot be told"


def describe_missing(completeness: pd.DataFrame) -> list[str]:
    """Returns a sentence per family, or per family and dataset, with missing revisions in COMPLETENESS; none of a whole study."""
    sentences = []
    for family, rows in completeness.groupby("family", sort=True):
        if not rows["measured"].any():
            sentences.append(f"{family}: nothing was measured ({rows['revision'].nunique()} revisions wanted)")
            continue
        for dataset, part in rows.groupby("dataset", sort=True):
            missing = part.loc[~part["measured"]].sort_values("step")["revision"].tolist()
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            found = f"{len(missing)} of {len(part)} revisions are missing: {', '.join(missing[:NAMED])}{more}"
            if len(missing) == len(part):
                found = f"nothing was measured ({len(part)} revisions wanted)"
            sentences += [f"{family} on {dataset}: {found}"] if missing else []
    return sentences


def describe_left_out(flagged: pd.DataFrame) -> list[str]:
    """Returns one sentence per flagged revision (model, revision, reason, excluded): what is wrong and whether it counts."""
    return [
        f"{row.model} {row.revision} ({'left out' if row.excluded else 'kept, audit.exclude is off'}): {row.reason}"
        for row in records(flagged)
    ]


def summary_text(
    summary: pd.DataFrame, *, bands: pd.DataFrame, completeness: pd.DataFrame, flagged: pd.DataFrame
) -> str:
    """Returns the summary for a terminal: what is missing, an aligned table, the sentences, acceptance bands, doubts.

    Args:
        summary: Table of :func:`w2sg.trajectories.summary.summarize`.
        bands: Table of :func:`w2sg.trajectories.bands.judge_nano`, possibly empty.
        completeness: Schema COMPLETENESS.
        flagged: Columns model, revision, reason, excluded.
    """
    shown = format_summary(summary)
    rows = [list(shown.columns), *shown.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    lines = [f"missing: {sentence}" for sentence in describe_missing(completeness)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += ["", *describe_summary(summary)]
    if len(bands):
        failed = records(bands[~bands["holds"].astype(bool)])
        lines += ["", f"acceptance bands of the embedded study: {len(bands) - len(failed)} of {len(bands)} hold"]
        lines += [
            f"  not: {row.family} on {row.dataset}, {row.protocol} heads, {row.criterion}: {row.measured:.3f}, "
            f"expected {row.expected}"
            for row in failed
        ]
    return "\n".join([*lines, *describe_left_out(flagged)]) + "\n"
