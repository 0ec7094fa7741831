"""The sweep in a few rows: what the first and last revisions reach, the onset of W2SG, and what predicts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.trajectories.onset import least_late

CASE_KEYS = ["family", "dataset", "protocol"]


def final_layer_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the last layer of each family, dataset and protocol."""
    last = table.groupby(CASE_KEYS)["layer"].transform("max")
    return table[table["layer"] == last]


DIGITS = 6
"""Decimals of the summary: its file, its text and the report then round the same number."""


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """One family's metrics on one dataset under one head protocol, averaged over head seeds."""

    family: str
    """Name of the family."""
    dataset: str
    """Name of the dataset."""
    protocol: str
    """``paper`` or ``converged``."""
    table: pd.DataFrame
    """One row per revision by step: step, tokens, and value, low, high of each quantity as ``<quantity>[_low|_high]``."""


def trajectory(metrics: pd.DataFrame, *, family: str, dataset: str, protocol: str) -> Trajectory:
    """Returns the final-layer trajectory of accuracies, gain, PGR and evaluation loss.

    Intervals are averaged over head seeds: they show the sampling error of the test pairs, not that of the seeds.

    Args:
        metrics: The long table, schema METRICS.
        family: Family to select.
        dataset: Dataset to select.
        protocol: Head protocol to select.

    Raises:
        ValueError: If there are no rows for this selection.
    """
    rows = metrics[metrics["family"] == family]
    heads = rows[(rows["dataset"] == dataset) & (rows["layer"] == rows.loc[rows["head"] == "w2s", "layer"].max())]
    setting = HEADLINE_SETTINGS[protocol]
    chosen = heads[(heads["protocol"] == protocol) & (heads["setting"] == setting)]
    wanted = {
        "w2s": chosen[(chosen["head"] == "w2s") & (chosen["metric"] == "accuracy")],
        "ceiling": chosen[(chosen["head"] == "ceiling") & (chosen["metric"] == "accuracy")],
        "gain": chosen[(chosen["head"] == "w2s") & (chosen["metric"] == "gain")],
        "pgr": chosen[(chosen["head"] == "w2s") & (chosen["metric"] == "pgr")],
        "probe": heads[(heads["head"] == "probe") & (heads["protocol"] == "pair") & (heads["metric"] == "accuracy")],
        "loss": rows[(rows["head"] == "model") & (rows["metric"] == "nats_per_token")],
    }
    if wanted["w2s"].empty:
        raise ValueError(f"no W2SG accuracies of family {family} on dataset {dataset} with protocol {protocol}")
    table = wanted["w2s"].groupby("step", as_index=False)[["tokens"]].first()
    for name, part in wanted.items():
        mean = part.groupby("step")[["value", "low", "high"]].mean()
        mean.columns = [name, f"{name}_low", f"{name}_high"]
        table = table.merge(mean, on="step", how="left", validate="1:1")
    weak = _weak(metrics, family, dataset, protocol)
    return Trajectory(
        family=family,
        dataset=dataset,
        protocol=protocol,
        table=table.assign(weak=weak[0], weak_low=weak[1], weak_high=weak[2]),
    )


def _weak(metrics: pd.DataFrame, family: str, dataset: str, protocol: str) -> tuple[float, float, float]:
    rows = metrics[
        (metrics["family"] == family)
        & (metrics["dataset"] == dataset)
        & (metrics["head"] == "weak")
        & (metrics["protocol"] == protocol)
        & (metrics["setting"] == HEADLINE_SETTINGS[protocol])
        & (metrics["metric"] == "accuracy")
    ]
    value, low, high = rows[["value", "low", "high"]].mean()
    return float(value), float(low), float(high)


CONDENSED = {
    "onset": ("transitions", {"estimate": "onset_step"}),
    "r2_probe": ("correlations", {"predictor": "probe", "statistic": "r2"}),
    "r2_loss": ("correlations", {"predictor": "loss", "statistic": "r2"}),
    "r2_difference": ("correlations", {"predictor": "difference", "statistic": "r2"}),
    "rho_probe": ("correlations", {"predictor": "probe", "statistic": "spearman"}),
    "rho_loss": ("correlations", {"predictor": "loss", "statistic": "spearman"}),
}
"""Columns taken from the tables of statistics: all revisions, mean over seeds, last layer."""


def summarize(metrics: pd.DataFrame, *, correlations: pd.DataFrame, transitions: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per family, dataset and head protocol.

    Args:
        metrics: The long table, schema METRICS.
        correlations: Schema CORRELATIONS, computed from the same metrics.
        transitions: Schema TRANSITIONS, likewise.

    Returns:
        Columns family, dataset, protocol, revisions, last_step, weak, and of W2SG ``w2s_first``, ``w2s_late``,
        ``gain_late`` (means over the last four revisions, no more than a third of them), ``ceiling_last``,
        ``pgr_last``, and the columns of ``CONDENSED`` with their intervals as ``<column>_low|_high`` (NaN: undefined);
        ``onset`` in steps, and ``onset_note`` with the reason where it or an end of its interval is undefined.
    """
    statistics = {"correlations": correlations[correlations["span"] == "all"], "transitions": transitions}
    statistics["transitions"] = transitions[transitions["seed"] == -1]
    rows = []
    heads = metrics[metrics["head"] == "w2s"]
    for (family, dataset), part in heads.groupby(["family", "dataset"], sort=True):
        for protocol in HEADLINE_SETTINGS:
            keys = {"family": str(family), "dataset": str(dataset), "protocol": protocol}
            table = trajectory(metrics, **keys).table
            late = table.tail(least_late(len(table)))
            row = keys | {
                "revisions": len(table),
                "last_step": int(table["step"].iloc[-1]),
                "weak": table["weak"].iloc[0],
                "w2s_first": table["w2s"].iloc[0],
                "w2s_late": late["w2s"].mean(),
                "gain_late": late["gain"].mean(),
                "ceiling_last": table["ceiling"].iloc[-1],
                "pgr_last": table["pgr"].iloc[-1],
            }
            for column, (name, selection) in CONDENSED.items():
                place = keys | {"layer": part["layer"].max()} | selection
                row |= _estimate(statistics[name], place, column)
                if column == "onset":
                    row["onset_note"] = _only(statistics[name], place)["note"]
            rows.append(row)
    return pd.DataFrame(rows).round(DIGITS)


def _estimate(table: pd.DataFrame, place: dict[str, Any], column: str) -> dict[str, float]:
    """Returns value and interval of the one row at a place, under the names of a column and its ends."""
    row = _only(table, place)
    return {
        f"{column}{suffix}": float(row[name]) for suffix, name in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def _only(table: pd.DataFrame, place: dict[str, Any]) -> Any:
    """Returns the one row at a place; ValueError where there is another number of them."""
    chosen = table[np.logical_and.reduce([table[key] == value for key, value in place.items()])]
    if len(chosen) != 1:
        raise ValueError(f"statistics hold {len(chosen)} rows of {place}; one is expected")
    return chosen.iloc[0]
