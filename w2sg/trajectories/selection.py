"""Which rows of the long table are the headline: one place decides, and everything that concludes reads them here."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute

from w2sg.study.protocols import HEADLINE_SETTINGS

pc: Any = compute  # its functions are made at import, unseen by type checkers

INTERVAL_COLUMNS = ["value", "low", "high"]
"""Columns of an estimate and its interval."""


def estimates(rows: pd.DataFrame, head: str, metric: str, protocol: str | None = None) -> pd.DataFrame:
    """Returns layer, step, tokens, value, low, high of one metric of one head in its headline setting, means over seeds.

    Args:
        rows: Rows of one family and dataset, schema METRICS; the evaluation loss besides.
        head: ``w2s``, ``ceiling``, ``weak``, ``probe`` or ``model``.
        metric: Such as ``accuracy``.
        protocol: Head protocol, or split of the probe; not needed for the model.
    """
    chosen = rows[(rows["head"] == head) & (rows["metric"] == metric)]
    if protocol is not None:
        chosen = chosen[chosen["protocol"] == protocol]
    if protocol in HEADLINE_SETTINGS:
        chosen = chosen[chosen["setting"] == HEADLINE_SETTINGS[protocol]]
    means = {name: (name, "mean") for name in INTERVAL_COLUMNS}
    return chosen.groupby(["layer", "step"], as_index=False).agg(tokens=("tokens", "first"), **means)


def final_layer(rows: pd.DataFrame) -> int:
    """Returns the last layer on which W2SG heads were trained."""
    return int(rows.loc[rows["head"] == "w2s", "layer"].max())


def final_rows(rows: pd.DataFrame, head: str, metric: str, protocol: str | None = None) -> pd.DataFrame:
    """Returns :func:`estimates` at the final layer; the model's own metrics have none."""
    found = estimates(rows, head, metric, protocol)
    return found if head == "model" else found[found["layer"] == final_layer(rows)]


def headline_rows() -> Any:
    """Returns the Arrow expression that selects the rows of METRICS which :func:`collect_series` uses.

    Reading a table with it spares the memory of all other rows.
    """
    setting = pc.scalar(False)
    for protocol, name in HEADLINE_SETTINGS.items():
        setting = setting | ((pc.field("protocol") == protocol) & (pc.field("setting") == name))
    head, metric = pc.field("head"), pc.field("metric")
    students = (head == "w2s") & metric.isin(pa.array(["accuracy", "gain"])) & setting
    probes = (head == "probe") & (pc.field("protocol") == "pair") & (metric == "accuracy")
    return students | probes | ((head == "model") & (metric == "nats_per_token"))
