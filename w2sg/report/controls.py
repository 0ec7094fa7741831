"""Tables of the report about what a student's accuracy has to be compared with: controls, and heads tested on other datasets."""

from __future__ import annotations

import pandas as pd

from w2sg.report.cells import estimate, numbers
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.trajectories.selection import INTERVAL, own_rows, rows_with

HEADS = {
    "w2s": "student of the supervisor's labels (W2SG)",
    "permuted": "student of the same labels, permuted over pairs",
    "ceiling": "student of true labels (ceiling)",
    "weak": "supervisor",
    "weak_on_weak": "student on the supervisor's own features, or its own model trained (weak on weak)",
}
"""Heads of both protocols."""

PROBES = {
    "probe": "linear probe",
    "probe_group": "probe of an unrelated concept: groups within one side",
    "probe_length": "probe of an unrelated concept: longer than the median",
    "probe_random": "probe of random labels",
}
"""Probes, whose texts are split by pair."""

FLOORS = {
    "floor": "fewer tokens, by the supervisor's tokenizer",
    "longer_response": "longer response",
    "tfidf": "bag of words (TF-IDF), without a language model",
}
"""What needs no model."""


def control_table(metrics: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """Returns the accuracies of METRICS and FLOORS that W2SG accuracy is compared with, at the first and the last revision, as text."""
    rows = rows_with(own_rows(metrics), metric="accuracy")
    parts = [
        *(
            rows_with(rows, protocol=protocol, setting=setting).loc[lambda part: part["head"].isin(list(HEADS))]
            for protocol, setting in HEADLINE_SETTINGS.items()
        ),
        rows_with(rows, protocol="pair").loc[lambda part: part["head"].isin(list(PROBES))].assign(protocol="—"),
        rows[rows["head"].isin(list(FLOORS))].assign(protocol="—"),
        rows[["family", "dataset"]]
        .drop_duplicates()
        .merge(rows_with(floors, metric="accuracy").rename(columns={"floor": "head"}), on="dataset")
        .query("head in @FLOORS")
        .assign(protocol="—", layer=0, step=0),
    ]
    means = _means(pd.concat(parts), [])
    labels, keys = HEADS | PROBES | FLOORS, ["family", "dataset", "protocol", "head"]
    shown = []
    for (family, dataset, protocol, head), part in means.groupby(keys, sort=False):
        first, last = part.iloc[0], part.iloc[-1]
        shown.append(
            {
                "family": family,
                "dataset": dataset,
                "heads": protocol,
                "what": labels[head],
                "first revision": estimate(first, ".3f") if len(part) > 1 else "",
                "last revision": estimate(last, ".3f"),
            }
        )
    return pd.DataFrame(shown, columns=["family", "dataset", "heads", "what", "first revision", "last revision"])


def describe_floors(summary: pd.DataFrame, floors: pd.DataFrame) -> list[str]:
    """Returns a sentence for each dataset on which a bag of words scores more than any student of the table of conclusions does late."""
    reached = summary[summary["quantity"] == "w2s_late"].groupby("dataset")[["value", "high"]].max()
    words = rows_with(floors, floor="tfidf", metric="accuracy").to_dict("records")
    return [
        f"On {row['dataset']} a bag of words (TF-IDF), without a language model, scores {row['value']:.3f} "
        f"[{row['low']:.3f}, {row['high']:.3f}], more than any student does late ({reached['value'][row['dataset']]:.3f} at most)."
        for row in words
        if row["dataset"] in reached.index and row["low"] > reached.loc[row["dataset"]].max()
    ]


def transfer_table(metrics: pd.DataFrame) -> pd.DataFrame | None:
    """Returns, as text, the last revision's accuracies on the pairs of other datasets than the heads learned from; None if none.

    The rows of METRICS are those of :func:`w2sg.trajectories.selection.transfer_rows`.
    """
    means = _means(metrics[metrics["head"].isin(list(HEADS))], ["tested_on"])
    if means.empty:
        return None
    keys = ["family", "dataset", "tested_on", "protocol"]
    last = means.groupby([*keys, "head"], as_index=False, sort=False).last()
    wide = last.assign(cell=[estimate(row, ".3f") for _, row in last.iterrows()]).pivot(
        index=keys, columns="head", values="cell"
    )
    wide = wide[[head for head in HEADS if head in wide]].rename(columns=HEADS).reset_index().fillna("—")
    return wide.rename(columns={"dataset": "learned from", "tested_on": "tested on", "protocol": "heads"})


def agreement_table(agreement: pd.DataFrame) -> pd.DataFrame | None:
    """Returns, as text, which share of the test pairs students correct and spoil at the first and last revision, means over seeds.

    The table is AGREEMENT; None if it is empty.
    """
    keys = ["family", "dataset", "protocol"]
    names = {
        "corrected": "corrected: supervisor wrong, student right",
        "spoiled": "spoiled: supervisor right, student wrong",
        "same_as_last": "answered as by the last revision",
    }
    means = agreement.groupby([*keys, "step"], as_index=False)[list(names)].mean()
    steps = means.groupby(keys)["step"]
    ends = means[(means["step"] == steps.transform("min")) | (means["step"] == steps.transform("max"))]
    if ends.empty:
        return None
    shown = ends.assign(
        **{name: numbers(ends[name], ".3f") for name in names}, step=[f"{step:,}" for step in ends["step"]]
    )
    return shown.rename(columns=names | {"protocol": "heads"})


def _means(rows: pd.DataFrame, more: list[str]) -> pd.DataFrame:
    """Returns means over head seeds at the last layer of each head, by step; in the order of the heads above."""
    order = [*HEADS, *PROBES, *FLOORS]
    keys = ["family", "dataset", *more, "protocol", "head"]
    rows = rows[rows["layer"] == rows.groupby(["family", "dataset", "head"])["layer"].transform("max")]
    means = rows.groupby([*keys, "step"], as_index=False)[INTERVAL].mean()
    return means.sort_values([*keys, "step"], key=lambda one: one.map(order.index) if one.name == "head" else one)
