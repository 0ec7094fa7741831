"""Which revisions count: those that the audit flags, those far from their neighbours, and those wanted but not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from w2sg.trajectories.selection import headline_cells, rows_with

_REVISION = ["model", "revision"]

SUPERVISORS = ["weak", "weak_on_weak"]
"""Heads on the supervisor's features."""


FAR = 6.0
"""Units from which a revision is named. Of 60 revisions that differ by normal noise alone one is named in 1 % of the runs."""

AROUND = 4
"""Revisions to each side whose changes make the unit."""

_TYPICAL = 1.4826
"""Standard deviation of normal values over the median of their magnitudes."""


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


def distances_to_neighbours(values: np.ndarray) -> np.ndarray:
    """Returns how far each value lies from both of its neighbours, in robust units, (n,); 0 at the ends.

    It is the distance to the nearer neighbour. The unit is the largest of: half the distance between the two neighbours, so that a
    value between them, on however steep a rise, is at most one unit away; and the usual distance to the nearer neighbour, over all
    revisions and over those around.

    Args:
        values: One per revision by step, (n,).

    Equation: R20 in docs/statistics.md.
    """
    found = np.zeros(len(values))
    if len(values) < 3:
        return found
    steps = np.abs(np.diff(values))
    nearer = np.minimum(steps[:-1], steps[1:])  # (n - 2,)
    apart = np.abs(values[2:] - values[:-2])
    around = [np.median(nearer[max(0, i - AROUND) : i + AROUND + 1]) for i in range(len(nearer))]
    unit = np.maximum(apart / 2, _TYPICAL * np.maximum(np.median(nearer), around))
    found[1:-1] = np.divide(nearer, unit, out=np.zeros(len(nearer)), where=unit > 0)
    return found


def far_from_neighbours(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns model, revision and reason of the revisions whose evaluation loss is far from those of both neighbours.

    A spike of the training looks the same, so they are named and nobody leaves them out. Not found are the first and the last
    revision, and those that were exchanged with one of a similar loss.

    Args:
        metrics: Schema METRICS.
    """
    losses = rows_with(metrics, **headline_cells("model", "nats_per_token"))
    rows = []
    for (_, model), part in losses.groupby(["family", "model"], sort=True):
        curve = part.groupby(["step", "revision"], as_index=False)["value"].mean()
        values, names = curve["value"].to_numpy(np.float64), curve["revision"].tolist()
        for place in np.flatnonzero(distances_to_neighbours(values) > FAR):
            before, own, after = (f"{names[i]} {values[i]:.3f}" for i in (place - 1, place, place + 1))
            reason = (
                f"its evaluation loss is far from both neighbours' ({before}, {own}, {after}): these may be "
                "another revision's weights, or the training had a spike; nobody can tell, so it counts"
            )
            rows.append({"model": model, "revision": names[place], "reason": reason})
    return pd.DataFrame(rows, columns=[*_REVISION, "reason"]).drop_duplicates(_REVISION)


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
