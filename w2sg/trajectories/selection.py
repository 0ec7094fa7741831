"""Which rows of a table are the headline: one place decides, and everything that concludes or draws reads them here."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pyarrow import compute, parquet

from w2sg.measures.agreement import MEAN_SEED
from w2sg.study.protocols import HEADLINE_SETTINGS

CASE = ["family", "dataset", "protocol"]
"""Columns that name what the answer is given for."""

INTERVAL = ["value", "low", "high"]
"""Columns of an estimate and its interval."""

_OWN = compute.field("tested_on") == compute.field("dataset")

UNRELATED = ("probe_length", "probe_random", "probe_group")
"""Probes of what does not tell chosen from rejected."""


def own_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of METRICS that were tested on the dataset of their training: all but transfer."""
    return table[table["tested_on"] == table["dataset"]]


def rows_with(table: pd.DataFrame, **cells: Any) -> pd.DataFrame:
    """Returns the rows that hold the given value in each of the named columns."""
    for name, value in cells.items():
        table = table[table[name] == value]
    return table


def headline_cells(head: str, metric: str, protocol: str = "", *, split: str = "pair") -> dict[str, str]:
    """Returns what tells the headline rows of one metric of one head from all other rows of METRICS.

    Args:
        head: ``w2s``, ``ceiling``, ``weak``, ``probe``, ``model``, or a control.
        metric: Such as ``accuracy``.
        protocol: ``paper`` or ``converged``; probes and model have none.
        split: Way to split the probe's texts.
    """
    cells = {"head": head, "metric": metric}
    if head == "probe" or head in UNRELATED:
        return cells | {"protocol": split}
    return cells if head == "model" else cells | {"protocol": protocol, "setting": HEADLINE_SETTINGS[protocol]}


def series_cells() -> list[dict[str, str]]:
    """Returns :func:`headline_cells` of all that transitions, correlations and predictions rest on."""
    read = (("w2s", "accuracy"), ("w2s", "gain"), ("ceiling", "accuracy"))
    return [
        *(headline_cells(*which, protocol) for which in read for protocol in HEADLINE_SETTINGS),
        headline_cells("probe", "accuracy"),
        headline_cells("probe_length", "accuracy"),
        {"head": "probe_plain", "metric": "accuracy"},
        {"head": "subspace", "metric": "unexplained_norm"},
        headline_cells("model", "nats_per_token"),
    ]


def headline_rows() -> Any:
    """Returns :func:`series_cells` as an Arrow expression: reading a table with it spares the memory of all other rows."""
    cells = [[(key, "==", value) for key, value in one.items()] for one in series_cells()]
    return parquet.filters_to_expression(cells) & _OWN


def shown_rows(family: str = "") -> Any:
    """Returns, as an Arrow expression, the rows that summary, figures and report read: all headline settings of a family.

    Without its name, those of all families.
    """
    own = [("family", "==", family)] if family else []
    kinds = [[("head", "in", ["probe", "probe_plain", "subspace", "floor", "model", *UNRELATED])]]
    kinds += [[("protocol", "==", name), ("setting", "==", setting)] for name, setting in HEADLINE_SETTINGS.items()]
    return parquet.filters_to_expression([own + kind for kind in kinds]) & _OWN


def transfer_rows() -> Any:
    """Returns, as an Arrow expression, the headline accuracies of heads on the test pairs of datasets they did not learn from."""
    kinds = [
        [("protocol", "==", name), ("setting", "==", setting), ("metric", "==", "accuracy")]
        for name, setting in HEADLINE_SETTINGS.items()
    ]
    return parquet.filters_to_expression(kinds) & ~_OWN


def case_rows(metrics: pd.DataFrame, *, family: str, dataset: str) -> pd.DataFrame:
    """Returns the rows of one family on one dataset, and its evaluation loss, which has a corpus of its own.

    Raises:
        ValueError: If there are no W2SG accuracies among them.
    """
    rows = own_rows(rows_with(metrics, family=family))
    rows = rows[(rows["dataset"] == dataset) | (rows["head"] == "model")]
    if rows_with(rows, head="w2s", metric="accuracy").empty:
        raise ValueError(f"no W2SG accuracies of family {family} on dataset {dataset}")
    return rows


def floor_levels(floors: pd.DataFrame, rows: pd.DataFrame, *, dataset: str) -> pd.DataFrame:
    """Returns floor, value, low, high: accuracies of FLOORS on a dataset, and of the tokenizer's floor in :func:`case_rows`."""
    own = rows_with(rows, head="floor", metric="accuracy").assign(floor=lambda found: found["setting"])
    levels = [part[["floor", *INTERVAL]] for part in (rows_with(floors, dataset=dataset, metric="accuracy"), own)]
    return pd.concat([part for part in levels if len(part)] or levels, ignore_index=True)


def trained_layers(rows: pd.DataFrame) -> list[int]:
    """Returns the layers with W2SG heads, ascending; the last one is the headline."""
    return sorted(rows.loc[rows["head"] == "w2s", "layer"].unique().tolist())


def seed_means(rows: pd.DataFrame, head: str, metric: str, protocol: str = "", *, split: str = "pair") -> pd.DataFrame:
    """Returns layer, step, tokens, value, low, high of a metric's :func:`headline_cells`, means over head seeds.

    Intervals are averaged too: they show the sampling error of the test pairs, not that of the seeds. The rows are
    those of :func:`case_rows`.
    """
    chosen = rows_with(rows, **headline_cells(head, metric, protocol, split=split))
    means = {name: (name, "mean") for name in INTERVAL}
    return chosen.groupby(["layer", "step"], as_index=False).agg(tokens=("tokens", "first"), **means)


def final_means(rows: pd.DataFrame, head: str, metric: str, protocol: str = "", *, split: str = "pair") -> pd.DataFrame:
    """Returns :func:`seed_means` at the last layer; the model's own metrics have none."""
    found = seed_means(rows, head, metric, protocol, split=split)
    return found if head == "model" else rows_with(found, layer=trained_layers(rows)[-1])


def headline_statistics(table: pd.DataFrame, **cells: Any) -> pd.DataFrame:
    """Returns the rows of CORRELATIONS or TRANSITIONS that the answer is read from.

    These are, of each family, dataset and head protocol, those of the last layer and of the mean over head seeds.

    Args:
        table: One of both tables; comparisons of the protocols stay out.
        cells: What else the rows hold, such as ``statistic="r2"``.
    """
    table = rows_with(table[table["protocol"].isin(list(HEADLINE_SETTINGS))], **cells)
    if "seed" in table:
        table = rows_with(table, seed=MEAN_SEED)
    return table[table["layer"] == table.groupby(CASE)["layer"].transform("max")]
