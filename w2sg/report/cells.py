"""Tables of the report as text cells: estimates with their intervals, and in words why one is undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.trajectories.onset import Status, onset_status
from w2sg.trajectories.series import MEAN_SEED
from w2sg.trajectories.summary import CASE_KEYS, final_layer_rows

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


def format_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the correlations of the last layer: a row per family, dataset, heads, span and statistic.

    Args:
        table: Schema CORRELATIONS.
    """
    rows = []
    chosen = final_layer_rows(table)
    order = {name: place for place, name in enumerate(STATISTICS)}
    chosen = chosen.sort_values("statistic", key=lambda names: names.map(order), kind="stable")
    chosen = chosen.sort_values([*CASE_KEYS, "span"], kind="stable")
    for key, part in chosen.groupby([*CASE_KEYS, "span", "statistic"], sort=False):
        records = _by(part, "predictor")
        family, dataset, protocol, span, statistic = map(str, key)
        cells = {
            name: with_interval(records[name], ".3f") for name in ("probe", "loss", "difference") if name in records
        }
        numbers = part[part["predictor"] == "probe"]
        rows.append(
            {
                "family": family, "dataset": dataset, "heads": protocol, "revisions": SPANS.get(span, span.replace("_", " ")),
                "statistic": STATISTICS.get(statistic, statistic), **cells,
                "n": _first(numbers["n"], ".0f"), "n effective": _first(numbers["n_effective"], ".1f"),
                "naive p, probe": _first(numbers["p_naive"], ".1e"),
            }
        )  # fmt: skip
    return pd.DataFrame(rows).fillna("").astype(str)


def _by(part: pd.DataFrame, column: str) -> dict[str, Any]:
    """Returns the rows by the value of a column."""
    rows: list[Any] = list(part.itertuples())
    return {getattr(row, column): row for row in rows}


def _first(values: pd.Series, form: str) -> str:
    """Returns the first number that is defined, or a dash."""
    known = values.dropna()
    return format(known.iloc[0], form) if len(known) else "—"


def format_transitions(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the transition of the last layer, means over seeds: a row per estimate, a column per family, dataset, heads.

    The comparison of the head protocols stays out: its positions are in other units.

    Args:
        table: Schema TRANSITIONS.
    """
    means = final_layer_rows(table[(table["seed"] == MEAN_SEED) & table["protocol"].isin(list(HEADLINE_SETTINGS))])
    columns: dict[str, list[str]] = {"estimate": [label for label, _ in ESTIMATES.values()]}
    for key, part in means.groupby(CASE_KEYS, sort=True):
        records = _by(part, "estimate")
        heading = "{} on {}, {}".format(*key)
        columns[heading] = [
            with_interval(records[name], form) if name in records else "" for name, (_, form) in ESTIMATES.items()
        ]
    return pd.DataFrame(columns)


def format_bands(bands: pd.DataFrame) -> pd.DataFrame:
    """Returns the acceptance bands, :func:`w2sg.trajectories.bands.check_nano`, as text."""
    return pd.DataFrame(
        {
            "criterion": bands["criterion"],
            "family": bands["family"],
            "heads": bands["protocol"],
            "expected": bands["expected"],
            "measured": [f"{value:.3f}" for value in bands["measured"]],
            "holds": ["yes" if holds else "NO" for holds in bands["holds"]],
        }
    )


def format_theory(acceptance: pd.DataFrame) -> pd.DataFrame:
    """Returns the acceptance of the synthetic branch per section: how many criteria hold, of how many."""
    grouped = acceptance.groupby("section", sort=True)["holds"].agg(["sum", "size"]).reset_index()
    return pd.DataFrame(
        {
            "section": grouped["section"].astype(str),
            "criteria": grouped["size"].astype(str),
            "hold": grouped["sum"].astype(int).astype(str),
        }
    )


def format_stages(stages: pd.DataFrame) -> pd.DataFrame:
    """Returns the measured costs, :func:`w2sg.report.page.stage_costs`, as text with a total."""
    total = {"stage": "total", "peak_gb": stages["peak_gb"].max()} | stages[
        ["jobs", "hours", "cpu_hours"]
    ].sum().to_dict()
    rows = pd.concat([stages, pd.DataFrame([total])], ignore_index=True)
    return pd.DataFrame(
        {
            "stage": rows["stage"].astype(str),
            "jobs": [f"{value:.0f}" for value in rows["jobs"]],
            "minutes": [f"{60 * value:.1f}" for value in rows["hours"]],
            "CPU minutes": [f"{60 * value:.1f}" for value in rows["cpu_hours"]],
            "largest memory, GB": [f"{value:.2f}" for value in rows["peak_gb"]],
        }
    )


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


def onset_row_status(row: Any) -> Status:
    """Returns the status of the onset in a row of the summary."""
    note = row.onset_note if isinstance(row.onset_note, str) else ""  # an empty cell of a CSV file is read as NaN
    return onset_status(row.onset, row.onset_low, note)


def _onset_cell(row: Any) -> str:
    status = onset_row_status(row)
    step = row.onset if status == "bounded" else row.onset_high
    return _ONSET_CELLS[status].format(f"{step:.0f}")
