"""What a study wants against what was measured: the report on a partial sweep says what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def exclude_flagged(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns the metrics without the rows of flagged revisions; a supervisor's own rows (``head == "weak"``) stay.

    Args:
        metrics: Schema METRICS.
        audit: Schema AUDIT.
    """
    flagged = set(audit.loc[audit["flagged"], ["model", "revision"]].itertuples(index=False, name=None))
    keys = zip(metrics["model"], metrics["revision"], strict=True)
    dropped = pd.Series([key in flagged for key in keys], index=metrics.index, dtype=bool)
    return metrics[~dropped | (metrics["head"] == "weak")]


def left_out(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns model, revision and reason of every flagged revision that the study measured.

    Args:
        metrics: Schema METRICS.
        audit: Schema AUDIT.
    """
    measured = set(metrics[["model", "revision"]].itertuples(index=False, name=None))
    keys = zip(audit["model"], audit["revision"], strict=True)
    chosen = pd.Series([key in measured for key in keys], index=audit.index, dtype=bool) & audit["flagged"]
    return audit.loc[chosen, ["model", "revision", "reason"]].reset_index(drop=True)


def describe_left_out(rows: pd.DataFrame, *, excluded: bool) -> list[str]:
    """Returns one sentence per flagged revision, for readers: what is wrong and whether it counts."""
    verdict = "left out" if excluded else "kept, audit.exclude is off"
    return [f"{row['model']} {row['revision']} ({verdict}): {row['reason']}" for row in rows.to_dict("records")]


NAMED = 6
"""Missing revisions that a sentence names; more are counted."""


def completeness(
    measured: pd.DataFrame, wanted: Mapping[str, Mapping[str, int]], datasets: Sequence[str]
) -> pd.DataFrame:
    """Returns one row per family, dataset and selected revision, schema COMPLETENESS.

    Args:
        measured: Columns family, dataset, revision of the heads that were trained; duplicates do no harm.
        wanted: Step of each selected revision, per family.
        datasets: Datasets of the study.
    """
    found = set(measured[["family", "dataset", "revision"]].itertuples(index=False, name=None))
    rows = [
        (family, dataset, revision, step, (family, dataset, revision) in found)
        for family, revisions in wanted.items()
        for dataset in datasets
        for revision, step in revisions.items()
    ]
    return pd.DataFrame(rows, columns=["family", "dataset", "revision", "step", "measured"])


def describe_missing(table: pd.DataFrame) -> list[str]:
    """Returns one sentence per family, or per family and dataset, with missing revisions; none for a whole study.

    Args:
        table: Schema COMPLETENESS.
    """
    sentences = []
    for family, rows in table.groupby("family", sort=True):
        if not rows["measured"].any():
            sentences.append(f"{family}: nothing was measured ({rows['revision'].nunique()} revisions wanted)")
            continue
        for dataset, part in rows.groupby("dataset", sort=True):
            sentences += _describe_cell(f"{family} on {dataset}", part)
    return sentences


def _describe_cell(where: str, rows: pd.DataFrame) -> list[str]:
    missing: list[Any] = list(rows.loc[~rows["measured"]].sort_values("step")["revision"])
    if not missing:
        return []
    if len(missing) == len(rows):
        return [f"{where}: nothing was measured ({len(rows)} revisions wanted)"]
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return [f"{where}: {len(missing)} of {len(rows)} revisions are missing: {', '.join(missing[:NAMED])}{more}"]
