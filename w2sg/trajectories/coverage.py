"""Which revisions count: those that the audit flags, far from their neighbours, measured at another commit, or wanted but not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from w2sg.study.protocols import LINEAR
from w2sg.trajectories.selection import headline_cells, rows_with

_REVISION = ["model", "revision"]

SUPERVISORS = ["weak", "weak_on_weak"]
"""Heads on the supervisor's features."""


FAR = 6.0
"""Units from which a revision is named."""

AROUND = 4
"""Revisions to each side whose differences make the unit, where they are larger than those of all."""

_COMPARED = 5
"""Revisions with which something can be said."""

_TYPICAL = 1.4826
"""Standard deviation of normal values over the median of their magnitudes."""


def exclude_flagged(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns METRICS without the rows of revisions that AUDIT flags; a supervisor's own rows (``SUPERVISORS``) stay."""
    return metrics[~_among(metrics, audit[audit["flagged"]]) | metrics["head"].isin(SUPERVISORS)]


def left_out(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns model, revision and reason of every revision in METRICS that AUDIT flags."""
    flagged = audit[audit["flagged"]]
    return flagged.loc[_among(flagged, metrics), [*_REVISION, "reason"]].reset_index(drop=True)


def moved_since(metrics: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Returns model, revision and reason of revisions that were measured at another commit than the audit saw: it compared other weights.

    Args:
        metrics: Schema METRICS.
        audit: Schema AUDIT.
    """
    measured = metrics.loc[metrics["commit"] != "", [*_REVISION, "commit"]].drop_duplicates()
    both = measured.merge(
        audit.loc[audit["commit"] != "", [*_REVISION, "commit"]], on=_REVISION, suffixes=("", "_audited")
    )
    moved = both[both["commit"] != both["commit_audited"]]
    seen = "measured at commit " + moved["commit"].str[:8] + ", but the audit saw " + moved["commit_audited"].str[:8]
    todo = ": its branch has moved; run again with --forcerun audit_revisions"
    return moved[_REVISION].assign(reason=seen + todo).reset_index(drop=True)


def _among(rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Returns which rows are of a revision that others are of too, bool, (n,)."""
    keys, known = (pd.MultiIndex.from_frame(table[_REVISION]) for table in (rows, others))
    return pd.Series(keys.isin(known), index=rows.index)


def far_places(values: np.ndarray) -> list[int]:
    """Returns the places of values that lie far outside of the range between their two neighbours, ascending.

    A value between its neighbours, on however steep a rise, is never far. The farthest is named first and taken out before the
    others are looked at, since it is a neighbour itself.

    Args:
        values: One per revision by step, (n,).

    Equation: R20 in docs/statistics.md.
    """
    left, found = np.arange(len(values)), list[int]()
    while len(left) >= _COMPARED:
        beyond = _beyond(values[left])
        far = [
            at
            for at in np.flatnonzero(beyond).tolist()
            if beyond[at] > FAR * _unit(np.delete(values[left], at), at) > 0
        ]
        if not far:
            break
        worst = max(far, key=beyond.__getitem__)
        found.append(int(left[worst]))
        left = np.delete(left, worst)
    return sorted(found)


def _beyond(values: np.ndarray) -> np.ndarray:
    """Returns how far each value lies outside of the range between its neighbours, (n,); 0 at the ends."""
    found = np.zeros(len(values))
    ends = np.stack([values[:-2], values[2:]])
    found[1:-1] = np.maximum(0.0, np.maximum(values[1:-1] - ends.max(0), ends.min(0) - values[1:-1]))
    return found


def _unit(others: np.ndarray, at: int) -> float:
    """Returns what counts as little at a place between the other values: their noise, or a third of the usual step if that is more.

    Noise is read from second differences, which a smooth trend leaves small.
    """
    steps = np.abs(np.diff(others))
    nearer, bends = np.minimum(steps[:-1], steps[1:]), np.abs(np.diff(others, 2)) / np.sqrt(6.0)

    def usual(sizes: np.ndarray) -> float:
        return float(max(np.median(sizes), np.median(sizes[max(0, at - 1 - AROUND) : at - 1 + AROUND])))

    return max(usual(nearer) / 3.0, _TYPICAL * usual(bends))


def far_from_neighbours(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns model, revision and reason of the revisions whose evaluation loss is far from those of both neighbours (:func:`far_places`).

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
        for place in far_places(values):
            before, own, after = (f"{names[i]} {values[i]:.3f}" for i in (place - 1, place, place + 1))
            reason = (
                f"its evaluation loss is far from both neighbours' ({before}, {own}, {after}): these may be "
                "another revision's weights, or the training had a spike; nobody can tell, so it counts"
            )
            rows.append({"model": model, "revision": names[place], "reason": reason})
    return pd.DataFrame(rows, columns=[*_REVISION, "reason"]).drop_duplicates(_REVISION)


def completeness(
    measured: pd.DataFrame,
    wanted: Mapping[str, Mapping[str, int]],
    datasets: Sequence[str],
    kinds: Sequence[str],
) -> pd.DataFrame:
    """Returns one row per family, dataset, selected revision and kind of students, schema COMPLETENESS.

    Args:
        measured: Columns family, dataset, revision, protocol of the students that were trained; duplicates do no harm.
        wanted: Step of each selected revision, per family.
        datasets: Datasets of the study.
        kinds: ``students.kinds``.
    """
    protocol = measured["protocol"].astype(str)
    own = measured.assign(kind=protocol.where(protocol.isin(list(kinds)), LINEAR))
    found = set(own[["family", "dataset", "revision", "kind"]].itertuples(index=False, name=None))
    rows = [
        (family, dataset, revision, step, kind, (family, dataset, revision, kind) in found)
        for family, revisions in wanted.items()
        for dataset in datasets
        for revision, step in revisions.items()
        for kind in kinds
    ]
    return pd.DataFrame(rows, columns=["family", "dataset", "revision", "step", "students", "measured"])
