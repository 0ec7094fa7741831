"""The sweep in a few rows: what the first and last revisions reach, the onset of W2SG, and what predicts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from w2sg.onset import Status, least_late, onset_status

SETTINGS = {"paper": "selected", "converged": "cv"}
"""Headline setting of each head protocol: chosen without test data."""

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
        ``gain_late`` (means over the last four revisions, no more than a third of them), ``ceiling_last``,
        ``pgr_last``, and the columns of ``CONDENSED`` with their intervals as ``<column>_low|_high`` (NaN: undefined);
        ``onset`` in steps, and ``onset_note`` with the reason where it or an end of its interval is undefined.
    """
    statistics = {"correlations": correlations[correlations["span"] == "all"], "transitions": transitions}
    statistics["transitions"] = transitions[transitions["seed"] == -1]
    rows = []
    heads = metrics[metrics["head"] == "w2s"]
    for (family, dataset), part in heads.groupby(["family", "dataset"], sort=True):
        for protocol in SETTINGS:
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


HEADINGS = {
    "family": "family", "dataset": "dataset", "protocol": "heads", "weak": "weak", "w2s_first": "W2SG first",
    "w2s_late": "W2SG late", "gain_late": "gain", "ceiling_last": "ceiling", "pgr_last": "PGR",
    "onset": "onset", "r2_probe": "R² probe", "r2_loss": "R² loss",
}  # fmt: skip
"""Columns shown to a reader, with their headings."""


_ONSET_CELLS: dict[Status, str] = {
    "bounded": "step {}",
    "first": "by step {}",
    "open": "by step {}",
    "fleeting": "not lasting",
    "few": "?",
    "never": "none",
}


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """Returns the summary as text cells under readable headings.

    An onset that never came is ``none``; one that may lie before the first revision is ``by step`` the first one above; a
    gain that goes again is ``not lasting``; too few revisions give ``?``.
    """
    shown = summary[list(HEADINGS)].copy()
    records: list[Any] = list(summary.itertuples())
    shown["onset"] = [_onset_cell(row) for row in records]
    for column in shown.columns:
        if shown[column].dtype.kind == "f":
            sign = "+" if column == "gain_late" else ""
            shown[column] = [f"{value:{sign}.3f}" if np.isfinite(value) else "—" for value in shown[column]]
    return shown.rename(columns=HEADINGS).astype(str)


def _status(row: Any) -> Status:
    note = row.onset_note if isinstance(row.onset_note, str) else ""  # an empty cell of a CSV file is read as NaN
    return onset_status(row.onset, row.onset_low, note)


def _onset_cell(row: Any) -> str:
    status = _status(row)
    step = row.onset if status == "bounded" else row.onset_high
    return _ONSET_CELLS[status].format(f"{step:.0f}")


def describe(summary: pd.DataFrame) -> list[str]:
    """Returns one sentence per row of the summary, honest when the effect is absent."""
    sentences = []
    records: list[Any] = list(summary.itertuples())
    for row in records:
        where = f"{row.family} on {row.dataset}, {row.protocol} heads"
        effect = f"{_effect(row)}; {_late(row)}"
        sentences.append(f"{where}: {effect}{_foretold(row)}.")
    return sentences


def _effect(row: Any) -> str:
    """Returns whether and when W2SG sets in, in the words that the interval or the reason for none allows."""
    status = _status(row)
    if status == "bounded":
        between = f"interval {int(row.onset_low):,} to {int(row.onset_high):,}"
        return f"W2SG sets in at step {int(row.onset):,} of {row.last_step:,} ({between})"
    if status == "first":
        return f"the student is already above its supervisor at the first revision, step {int(row.onset_high):,} of {row.last_step:,}"
    if status == "open":
        return (
            f"the student is above its supervisor by step {int(row.onset_high):,} of {row.last_step:,} and below beyond sampling "
            "error at no revision, so W2SG may have set in before the first one"
        )
    if status == "fleeting":
        return "the student exceeds its supervisor at some revision, but the gain does not last"
    if status == "few":
        return "too few revisions to say whether W2SG sets in"
    return "no onset beyond sampling error" if row.gain_late > 0 else "no W2SG"


def _late(row: Any) -> str:
    late = least_late(row.revisions)
    place = "at the last revision" if late == 1 else f"over the last {late} revisions"
    return f"{place} the student scores {row.w2s_late:.3f} against its supervisor's {row.weak:.3f}"


def _foretold(row: Any) -> str:
    """Returns the R² of both predictors; one is called better only where the interval of the difference says so."""
    if not (np.isfinite(row.r2_probe) and np.isfinite(row.r2_loss)):
        return ""
    both = f"probe accuracy (R² {row.r2_probe:.3f})", f"evaluation loss (R² {row.r2_loss:.3f})"
    if not (np.isfinite(row.r2_difference_low) and np.isfinite(row.r2_difference_high)):
        return f". W2SG accuracy against {both[0]} and {both[1]}: the difference has no interval, so which foretells it better cannot be told"
    ends = f"the difference of {row.r2_difference:+.3f} has the interval {row.r2_difference_low:+.3f} to {row.r2_difference_high:+.3f}"
    if row.r2_difference_low <= 0 <= row.r2_difference_high:
        return f". W2SG accuracy against {both[0]} and {both[1]}: {ends}, so which foretells it better cannot be told"
    better = "better" if row.r2_difference_low > 0 else "worse"
    return f". P{both[0][1:]} predicts W2SG accuracy {better} than {both[1]}; {ends}"


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
