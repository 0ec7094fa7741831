"""Which revisions count: those that the audit flags, and those that a study wants but has not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

_REVISION = ["model", "revision"]

SUPERVISORS = ["weak", "weak_on_weak"]
"""Heads on the supervisor's features."""


def exclude_flagged(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns METRICS without the rows of revisions that AUDIT flags; a supervisor's own rows (``SUPERVISORS``) stay."""
    return metrics[~_among(metrics, audit[audit["flagged"]]) | metrics["head"].isin(SUPERVISORS)]


def left_out(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns model, revision and reason of every revision in METRICS that AUDIT flags."""
    flagged = audit[audit["flagged"]]
    return flagged.loc[_among(flagged, metrics), [*_REVISION, "reason"]].reset_index(drop=True)


def _among(rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Returns which rows are of a revision that others are of too, bool, (n,)."""
    keys, known = (pd.MultiIndex.from_frame(table[_REVISION]) for table in (rows, others))
    return pd.Series(keys.isin(known), index=rows.index)


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
