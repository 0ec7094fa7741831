"""The sweep in a few rows: what the first and last revisions reach, the onset of W2SG, and what predicts it."""

from __future__ import annotations

from os import PathLike
from typing import Any

import pandas as pd

from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.trajectories.onset import least_late
from w2sg.trajectories.selection import (
    CASE,
    INTERVAL,
    case_rows,
    final_means,
    headline_statistics,
    rows_with,
    seed_means,
)

DIGITS = 6
"""Decimals of the summary: its file, its text and the report then round the same number."""

QUANTITIES = {
    "w2s": ("w2s", "accuracy"),
    "ceiling": ("ceiling", "accuracy"),
    "gain": ("w2s", "gain"),
    "pgr": ("w2s", "pgr"),
    "probe": ("probe", "accuracy"),
    "loss": ("model", "nats_per_token"),
}
"""Head and metric of each quantity of a trajectory."""

CONDENSED = {
    "onset": ("transitions", {"estimate": "onset_step"}),
    "r2_probe": ("correlations", {"predictor": "probe", "statistic": "r2"}),
    "r2_loss": ("correlations", {"predictor": "loss", "statistic": "r2"}),
    "r2_difference": ("correlations", {"predictor": "difference", "statistic": "r2"}),
    "rho_probe": ("correlations", {"predictor": "probe", "statistic": "spearman"}),
    "rho_loss": ("correlations", {"predictor": "loss", "statistic": "spearman"}),
}
"""Columns taken from the tables of statistics, over all revisions."""


NOTED = ("onset", "r2_difference")
"""Columns that are worded, so that their notes are needed."""


def trajectory(metrics: pd.DataFrame, *, family: str, dataset: str, protocol: str) -> pd.DataFrame:
    """Returns the final-layer trajectory of one family on one dataset under one head protocol, means over head seeds.

    It is selected from ``metrics``, schema METRICS.

    Returns:
        One row per revision by step: step, tokens, and value, low, high of each of ``QUANTITIES`` and of ``weak``, the
        supervisor's accuracy, as ``<quantity>[_low|_high]``.

    Raises:
        ValueError: If there are no rows for this selection.
    """
    rows = case_rows(metrics, family=family, dataset=dataset)
    found = {name: final_means(rows, *which, protocol) for name, which in QUANTITIES.items()}
    table = found["w2s"][["step", "tokens"]]
    for name, part in found.items():
        table = table.join(part.set_index("step")[INTERVAL].set_axis(_columns(name), axis=1), on="step")
    weak = seed_means(rows, "weak", "accuracy", protocol)[INTERVAL].mean()
    return table.assign(**dict(zip(_columns("weak"), weak, strict=True)))


def _columns(quantity: str) -> list[str]:
    return [quantity, f"{quantity}_low", f"{quantity}_high"]


def summarize(metrics: pd.DataFrame, *, correlations: pd.DataFrame, transitions: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per family, dataset and head protocol, from METRICS and the statistics computed from them.

    Returns:
        Columns family, dataset, protocol, revisions, last_step, weak, and of W2SG ``w2s_first``, ``w2s_late``,
        ``gain_late`` (means over the last four revisions, no more than a third of them), ``ceiling_last``,
        ``pgr_last``, and the columns of ``CONDENSED`` with their intervals as ``<column>_low|_high`` (NaN: undefined);
        ``onset`` in steps; of ``NOTED`` also ``<column>_note``: why it or an end is undefined, or may be wrong.
    """
    tables = {"correlations": rows_with(correlations, span="all"), "transitions": transitions}
    found = {column: headline_statistics(tables[name], **cells) for column, (name, cells) in CONDENSED.items()}
    cases = rows_with(metrics, head="w2s")[CASE[:2]].drop_duplicates().sort_values(CASE[:2])
    rows = []
    for family, dataset in cases.itertuples(index=False, name=None):
        for protocol in HEADLINE_SETTINGS:
            case = {"family": family, "dataset": dataset, "protocol": protocol}
            table = trajectory(metrics, **case)
            late, last = table.tail(least_late(len(table))), table.iloc[-1]
            row = case | {
                "revisions": len(table),
                "last_step": int(last["step"]),
                "weak": last["weak"],
                "w2s_first": table["w2s"].iloc[0],
                "w2s_late": late["w2s"].mean(),
                "gain_late": late["gain"].mean(),
                "ceiling_last": last["ceiling"],
                "pgr_last": last["pgr"],
            }
            for column, statistics in found.items():
                one = _only(statistics, case, column)
                row |= dict(zip(_columns(column), one[INTERVAL], strict=True))
                if column in NOTED:
                    row[f"{column}_note"] = one["note"]
            rows.append(row)
    return pd.DataFrame(rows).round(DIGITS)


def read_summary(path: str | PathLike[str]) -> pd.DataFrame:
    """Returns :func:`summarize`'s table from its CSV file, in which a note that is empty is text, not a number."""
    return pd.read_csv(path, converters={f"{column}_note": str for column in NOTED})


def _only(table: pd.DataFrame, case: dict[str, Any], column: str) -> Any:
    """Returns the one row of a case; ValueError where there is another number of them."""
    chosen = rows_with(table, **case)
    if len(chosen) != 1:
        raise ValueError(f"statistics hold {len(chosen)} rows of {case | CONDENSED[column][1]}; one is expected")
    return chosen.iloc[0]
