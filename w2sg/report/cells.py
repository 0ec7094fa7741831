"""Tables of the report as text cells: numbers, estimates with their intervals, and in words why one is undefined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.report.onsets import ONSETS, summary_status
from w2sg.trajectories.selection import CASE, headline_statistics, rows_with

SPANS = {"all": "all revisions", "before_saturation": "before saturation"}
"""Spans in words; ``first_<n>`` is read as it stands."""

STATISTICS = {"r2": "R²", "spearman": "Spearman's rho", "r2_given_log_tokens": "R² given log tokens"}
"""Statistics in words."""

ESTIMATES = {
    "onset_step": ("onset, step", ",.0f"),
    "onset_tokens": ("onset, billion tokens", ".4g"),
    "sigmoid_midpoint": ("midpoint of the rise, billion tokens", ".4g"),
    "sigmoid_width": ("width of the rise, doublings of tokens", ".2f"),
    "change_point": ("change point, billion tokens", ".4g"),
    "saturation": ("late accuracy", ".3f"),
    "saturation_gain": ("late gain over the supervisor", "+.3f"),
    "fluctuation": ("late fluctuation", ".4f"),
}
"""Estimates of the transition in words, with the format of their numbers."""

HEADINGS = {
    "family": "family", "dataset": "dataset", "protocol": "heads", "weak": "weak", "w2s_first": "W2SG first",
    "w2s_late": "W2SG late", "gain_late": "gain", "ceiling_last": "ceiling", "pgr_last": "PGR",
    "onset": "onset", "r2_probe": "R² probe", "r2_loss": "R² loss",
}  # fmt: skip
"""Columns of the summary that are shown, with their headings."""


def records(table: pd.DataFrame) -> list[Any]:
    """Returns the rows of a table, each with its columns as attributes."""
    return list(table.itertuples())


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """Returns the summary under readable headings; how an onset is worded is said in :mod:`w2sg.report.onsets`."""
    onsets = [ONSETS[summary_status(row)].cell.format(row=row) for row in records(summary)]
    shown = summary.assign(onset=onsets)[list(HEADINGS)]
    for column in shown.select_dtypes("float"):
        shown[column] = numbers(shown[column], "+.3f" if column == "gain_late" else ".3f")
    return shown.rename(columns=HEADINGS).astype(str)


def format_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Returns CORRELATIONS of the last layer: a row per family, dataset, heads, span and statistic."""
    keys, order = [*CASE, "span", "statistic"], list(STATISTICS)
    rows = headline_statistics(table)
    cells = rows.assign(cell=[with_interval(row, ".3f") for row in records(rows)])
    cells = cells.pivot(index=keys, columns="predictor", values="cell")
    probe = rows_with(rows, predictor="probe").join(cells, on=keys)
    probe = probe.sort_values(keys, key=lambda one: one.map(order.index) if one.name == "statistic" else one)
    return pd.DataFrame(
        {
            "family": probe["family"],
            "dataset": probe["dataset"],
            "heads": probe["protocol"],
            "revisions": [SPANS.get(span, span.replace("_", " ")) for span in probe["span"]],
            "statistic": probe["statistic"].map(STATISTICS),
            **{name: probe[name] for name in ("probe", "loss", "difference")},
            "n": numbers(probe["n"], ".0f"),
            "n effective": numbers(probe["n_effective"], ".1f"),
            "naive p, probe": numbers(probe["p_naive"], ".1e"),
        }
    )


def format_transitions(table: pd.DataFrame) -> pd.DataFrame:
    """Returns TRANSITIONS of the last layer, means over seeds: a row per estimate, a column per family, dataset, heads."""
    columns = {"estimate": [label for label, _ in ESTIMATES.values()]}
    for key, part in headline_statistics(table).groupby(CASE, sort=True):
        rows = {row.estimate: row for row in records(part)}
        cells = [with_interval(rows[name], form) for name, (_, form) in ESTIMATES.items()]
        columns["{} on {}, {}".format(*key)] = cells
    return pd.DataFrame(columns)


def format_bands(bands: pd.DataFrame) -> pd.DataFrame:
    """Returns the acceptance bands, :func:`w2sg.trajectories.bands.judge_nano`, as text."""
    words = bands["holds"].map({True: "yes", False: "NO"})
    shown = bands.rename(columns={"protocol": "heads"}).assign(measured=numbers(bands["measured"], ".3f"), holds=words)
    return shown[["criterion", "family", "heads", "expected", "measured", "holds"]]


def format_theory(acceptance: pd.DataFrame) -> pd.DataFrame:
    """Returns the acceptance of the synthetic branch per section and kind: how many criteria hold, of how many."""
    return acceptance.groupby(["section", "kind"])["holds"].agg(criteria="size", hold="sum").reset_index().astype(str)


def format_stages(stages: pd.DataFrame) -> pd.DataFrame:
    """Returns the measured costs, :func:`w2sg.report.page.stage_costs`, with a total."""
    sums = stages[["jobs", "hours", "cpu_hours"]].sum()
    total = pd.DataFrame([{"stage": "total", **sums, "peak_gb": stages["peak_gb"].max()}])
    rows = pd.concat([stages, total], ignore_index=True)
    return pd.DataFrame(
        {
            "stage": rows["stage"],
            "jobs": numbers(rows["jobs"], ".0f"),
            "minutes": numbers(60 * rows["hours"], ".1f"),
            "CPU minutes": numbers(60 * rows["cpu_hours"], ".1f"),
            "largest memory, GB": numbers(rows["peak_gb"], ".2f"),
        }
    )


def numbers(values: Iterable[float], form: str) -> list[str]:
    """Returns numbers in a format, and a dash for each that is undefined."""
    return [format(value, form) if np.isfinite(value) else "—" for value in values]


def with_interval(row: Any, form: str) -> str:
    """Returns an estimate with its interval, such as ``0.98 (0.95 to 0.99)``, and in words why a part is undefined.

    A dagger marks an interval that may be too short.

    Args:
        row: value, low, high and note; one of the ends may be undefined on its own.
        form: Format of the numbers.
    """
    if not np.isfinite(row.value):
        return row.note or "undefined"
    ends = [format(end, form) if np.isfinite(end) else "?" for end in (row.low, row.high)]
    interval = f" ({ends[0]} to {ends[1]})" if ends != ["?", "?"] else ""
    if row.note.startswith(TOO_SHORT):
        return format(row.value, form) + interval + "†"
    return format(row.value, form) + interval + (f"; {row.note}" if row.note else "")
