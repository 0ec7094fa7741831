"""The sweep in a few rows: what the first and last revisions reach, the onset of W2SG, and what predicts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SETTINGS = {"paper": "selected", "converged": "cv"}
"""Headline setting of each head protocol: chosen without test data."""

DIGITS = 6
"""Decimals of the summary: its file, its text and the report then round the same number."""

LATE = 4
"""Number of last revisions over which saturation is averaged."""


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
    setting = SETTINGS[protocol]
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
        & (metrics["setting"] == SETTINGS[protocol])
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
        ``gain_late`` (means over the last four revisions), ``ceiling_last``, ``pgr_last``, and the columns of
        ``CONDENSED`` with their intervals as ``<column>_low|_high`` (NaN: undefined); ``onset`` in steps.
    """
    statistics = {"correlations": correlations[correlations["span"] == "all"], "transitions": transitions}
    statistics["transitions"] = transitions[transitions["seed"] == -1]
    rows = []
    heads = metrics[metrics["head"] == "w2s"]
    for (family, dataset), part in heads.groupby(["family", "dataset"], sort=True):
        for protocol in SETTINGS:
            keys = {"family": str(family), "dataset": str(dataset), "protocol": protocol}
            table = trajectory(metrics, **keys).table
            late = table.tail(LATE)
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
            rows.append(row)
    return pd.DataFrame(rows).round(DIGITS)


def _estimate(table: pd.DataFrame, place: dict[str, Any], column: str) -> dict[str, float]:
    """Returns value and interval of the one row at a place, under the names of a column and its ends."""
    chosen = table[np.logical_and.reduce([table[key] == value for key, value in place.items()])]
    if len(chosen) != 1:
        raise ValueError(f"statistics hold {len(chosen)} rows of {place}; one is expected")
    row = chosen.iloc[0]
    return {
        f"{column}{suffix}": float(row[name]) for suffix, name in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


HEADINGS = {
    "family": "family", "dataset": "dataset", "protocol": "heads", "weak": "weak", "w2s_first": "W2SG first",
    "w2s_late": "W2SG late", "gain_late": "gain", "ceiling_last": "ceiling", "pgr_last": "PGR",
    "onset": "onset", "r2_probe": "R² probe", "r2_loss": "R² loss",
}  # fmt: skip
"""Columns shown to a reader, with their headings."""


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """Returns the summary as text cells under readable headings; an onset that never came is ``none``."""
    shown = summary[list(HEADINGS)].copy()
    shown["onset"] = [f"step {int(step)}" if np.isfinite(step) else "none" for step in shown["onset"]]
    for column in shown.columns:
        if shown[column].dtype.kind == "f":
            sign = "+" if column == "gain_late" else ""
            shown[column] = [f"{value:{sign}.3f}" if np.isfinite(value) else "—" for value in shown[column]]
    return shown.rename(columns=HEADINGS).astype(str)


def describe(summary: pd.DataFrame) -> list[str]:
    """Returns one sentence per row of the summary, honest when the effect is absent."""
    sentences = []
    records: list[Any] = list(summary.itertuples())
    for row in records:
        where = f"{row.family} on {row.dataset}, {row.protocol} heads"
        late = f"over the last {LATE} revisions the student scores {row.w2s_late:.3f} against its supervisor's {row.weak:.3f}"
        if np.isfinite(row.onset):
            low = f"{int(row.onset_low):,}" if np.isfinite(row.onset_low) else "the first revision"
            between = f"interval {low} to {int(row.onset_high):,}"
            effect = f"W2SG sets in at step {int(row.onset):,} of {row.last_step:,} ({between}); {late}"
        elif row.gain_late > 0:
            effect = f"no onset beyond sampling error; {late}"
        else:
            effect = f"no W2SG; {late}"
        if np.isfinite(row.r2_probe) and np.isfinite(row.r2_loss):
            better = "better than" if row.r2_probe > row.r2_loss else "no better than"
            effect += f". Probe accuracy predicts W2SG accuracy (R² {row.r2_probe:.3f}) {better} evaluation loss (R² {row.r2_loss:.3f})"
            if np.isfinite(row.r2_difference_low):
                verdict = "" if row.r2_difference_low > 0 or row.r2_difference_high < 0 else ", which includes none"
                ends = f"{row.r2_difference_low:+.3f} to {row.r2_difference_high:+.3f}"
                effect += f"; the difference of {row.r2_difference:+.3f} has the interval {ends}{verdict}"
        sentences.append(f"{where}: {effect}.")
    return sentences


def as_text(summary: pd.DataFrame, bands: pd.DataFrame) -> str:
    """Returns the summary for a terminal: an aligned table, the sentences, and whether acceptance bands hold."""
    shown = format_summary(summary)
    names = [str(name) for name in shown.columns]
    widths = [max(len(name), *map(len, shown[name])) for name in names]
    lines = ["  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True))]
    lines.append("  ".join("-" * width for width in widths))
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown.to_numpy()]
    lines += ["", *describe(summary)]
    if len(bands):
        failed = bands[~bands["holds"].astype(bool)]
        records: list[Any] = list(failed.itertuples())
        lines += [
            "",
            f"acceptance bands of the embedded study: {len(bands) - len(failed)} of {len(bands)} hold",
        ]
        lines += [
            f"  not: {row.family}, {row.protocol} heads, {row.criterion}: {row.measured:.3f}, expected {row.expected}"
            for row in records
        ]
    return "\n".join(lines) + "\n"
