"""Tables of the report as text cells: numbers, estimates with their intervals, and in words why one is undefined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.plotting.style import in_si
from w2sg.report.conclusions import SEEDS, Case, Finding, cases
from w2sg.report.onsets import onset_cell
from w2sg.trajectories.prediction import PREDICTORS
from w2sg.trajectories.selection import CASE, headline_statistics, rows_with

SI = "tokens"
"""Format of billions of tokens: as a count in units of the SI."""

SPANS = {"all": "all revisions", "before_saturation": "before saturation"}
"""Spans in words; ``first_<n>`` is read as it stands."""

STATISTICS = {"r2": "R²", "spearman": "Spearman's rho", "r2_given_log_tokens": "R² given log tokens"}
"""Statistics in words."""

ESTIMATES = {
    "onset_step": ("onset, step", ",.0f"),
    "onset_tokens": ("onset, tokens", SI),
    "sigmoid_midpoint": ("midpoint of the rise, tokens", SI),
    "sigmoid_width": ("width of the rise, doublings of tokens", ".2f"),
    "change_point": ("change point, tokens", SI),
    "saturation": ("late accuracy", ".3f"),
    "saturation_gain": ("late gain over the supervisor", "+.3f"),
    "fluctuation": ("late fluctuation", ".4f"),
}
"""Estimates of the transition in words, with the format of their numbers."""

CONCLUSIONS = {
    "revisions": ("revisions", ".0f"),
    "seeds": ("pre-training seeds", ".0f"),
    "weak": ("supervisor, accuracy", ".3f"),
    "w2s_first": ("W2SG at the first revision", ".3f"),
    "gain_first": ("gain over the supervisor at the first revision", "+.3f"),
    "w2s_late": ("W2SG late", ".3f"),
    "ceiling_late": ("ceiling late", ".3f"),
    "gain": ("gain over the supervisor", "+.3f"),
    "weak_on_weak_gain": ("gain of a student of the supervisor's own features (weak on weak)", "+.3f"),
    "gain_beyond_weak_on_weak": ("gain beyond weak on weak", "+.3f"),
    "permuted_gain": ("gain with the labels permuted over pairs", "+.3f"),
    "systematic_cost": ("cost of systematic errors (permuted minus real)", "+.3f"),
    "pgr": ("share of the gap recovered, PGR", ".2f"),
    "fluctuation": ("late fluctuation", ".4f"),
    "onset_step": ("onset, step", ",.0f"),
    "onset_tokens": ("onset, tokens", SI),
    "saturation_tokens": ("saturation, tokens", SI),
    **{f"error_{name}": (f"held-out error, {label}", ".4f") for name, label in PREDICTORS.items()},
    "error_probe_minus_loss": ("error, probe minus loss", "+.4f"),
    "error_probe_minus_step": ("error, probe minus log step", "+.4f"),
    "error_probe_minus_subspace": ("error, probe minus components", "+.4f"),
}
"""Quantities of the table of conclusions in words, with the format of their numbers."""

STAR = "*"
"""Marks an estimate whose interval excludes zero; of two errors, the one that is smaller."""

SUMMARY_NOTE = (
    "weak: the supervisor's accuracy on the test pairs. W2SG first, late: the student's, at the first revision and as a mean over the late "
    "ones, as is the ceiling's. gain: late accuracy minus the supervisor's. beyond weak on weak: gain minus that of a student of the "
    "supervisor's own features. errors cost: what a student of the same labels, permuted over pairs, is better by. PGR: share of the gap "
    "between supervisor and ceiling that is recovered; a dash where there is none. onset: the likeliest step at which the student passes its "
    "supervisor; its interval ends where the student is found above, all revisions tested together. error: root mean square of predicting "
    "held-out W2SG accuracy by a monotone fit on probe accuracy or evaluation loss."
)
"""What the columns of the summary mean."""

_SEEDS_NOTE = (
    "Over pre-training seeds the onset is the mean of the places, between revisions too, at which their gains cross zero (of their "
    "onsets, where no sigmoid fits or the revision before is far), with Student's interval."
)

_MARKS = (
    f"Brackets: intervals. {STAR}: the interval excludes zero; at an error, that of the difference does, and it is the smaller one. "
    "†: the interval may be too short, and nothing is concluded from it."
)

FIRST_NOTE = "random twin"
"""In the note of the first revision's accuracy: its weights are random."""


def marks(summary: pd.DataFrame) -> str:
    """Returns what marks in the table of conclusions mean, and what is different in its rows over seeds, if there are any."""
    return f"{_MARKS} {_SEEDS_NOTE}" if (summary["level"] == "seeds").any() else _MARKS


def records(table: pd.DataFrame) -> list[Any]:
    """Returns the rows of a table, each with its columns as attributes."""
    return list(table.itertuples())


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """Returns the conclusions as a wide table of about 150 characters: a row per family, dataset and heads.

    A heading of two lines holds a line break. Where there is room for no interval, a star marks one that excludes zero.
    """
    rows = []
    for case in cases(summary):
        family = (
            f"{case.family} ({case['seeds'].value:.0f} seeds)" if case.pooled and case["seeds"].known else case.family
        )
        rows.append(
            {
                "family": family,
                "dataset": case.dataset,
                "heads": case.protocol,
                "weak": number(case["weak"], ".3f"),
                "W2SG\nfirst": number(case["w2s_first"], ".3f"),
                "W2SG\nlate": number(case["w2s_late"], ".3f"),
                "gain": number(case["gain"], "+.3f") + interval(case["gain"], "+.3f"),
                "beyond\nweak on weak": _starred(case["gain_beyond_weak_on_weak"], "+.3f"),
                "errors\ncost": _starred(case["systematic_cost"], "+.3f"),
                "ceiling": number(case["ceiling_late"], ".3f"),
                "PGR": number(case["pgr"], ".2f"),
                "onset\nstep": onset_cell(case),
                "error\nprobe": _error(case, "probe", "below"),
                "error\nloss": _error(case, "loss", "above"),
            }
        )
    return pd.DataFrame(rows)


def _starred(finding: Finding, form: str) -> str:
    return number(finding, form) + (STAR if finding.decided in ("above", "below") else "†" if finding.cut else "")


def _error(case: Case, predictor: str, smaller: str) -> str:
    better = case["error_probe_minus_loss"].decided == smaller
    return number(case[f"error_{predictor}"], ".4f") + (STAR if better else "")


def format_conclusions(summary: pd.DataFrame) -> pd.DataFrame:
    """Returns the conclusions with their intervals: a row per quantity, a column per family, dataset and heads."""
    found = cases(summary)
    shown = {name: cell for name, cell in CONCLUSIONS.items() if any(name in case.findings for case in found)}
    columns = {"quantity": [label for label, _ in shown.values()]}
    for case in found:
        cells = [with_interval(_unpooled(case[name]), form) for name, (_, form) in shown.items()]
        columns[f"{case.family} on {case.dataset}, {case.protocol}"] = cells
    return pd.DataFrame(columns)


def _unpooled(finding: Finding) -> Finding:
    """Returns a finding without the note that says how seeds were pooled, which is said once for all of them."""
    if finding.level != SEEDS or finding.cut or np.isnan([finding.low, finding.high]).all():
        return finding
    return replace(finding, note="")


def aligned(shown: pd.DataFrame) -> list[str]:
    """Returns a table as lines of text under each other; a line break in a heading starts a second line."""
    heads = [name.split("\n") for name in shown.columns]
    depth = max(map(len, heads))
    above = [[*[""] * (depth - len(head)), *head] for head in heads]
    lines = [list(row) for row in zip(*above, strict=True)]
    rows = [list(map(str, row)) for row in shown.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*lines, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [*lines, rule, *rows]]


def formatted(value: float, form: str) -> str:
    """Returns a number in a format; billions of tokens in that of :data:`SI`."""
    return in_si(1e9 * value) if form == SI else format(value, form)


def number(finding: Finding, form: str) -> str:
    """Returns a finding's value; a dash where it is undefined."""
    return formatted(finding.value, form) if finding.known else "—"


def interval(finding: Finding, form: str) -> str:
    """Returns a finding's interval such as `` [0.95, 0.99]``; nothing where there is none. A dagger: it may be too short."""
    ends = [formatted(end, form) if np.isfinite(end) else "?" for end in (finding.low, finding.high)]
    shown = "" if ends == ["?", "?"] or not finding.known else f" [{', '.join(ends)}]"
    return shown + ("†" if shown and finding.cut else "")


def format_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Returns CORRELATIONS of the last layer: a row per family, dataset, heads, span and statistic; none of an empty one.

    Spans of no revision, or of the same revisions as all, are left out.
    """
    keys, order = [*CASE, "span", "statistic"], list(STATISTICS)
    rows = headline_statistics(table)
    whole = rows_with(rows, span="all").set_index([*CASE, "predictor", "statistic"])["n"]
    same = whole.reindex(pd.MultiIndex.from_frame(rows[whole.index.names])).to_numpy() == rows["n"].to_numpy()
    rows = rows[(rows["span"] == "all") | (~same & (rows["n"] > 0))]
    if rows.empty:
        return pd.DataFrame()
    cells = rows.assign(cell=[with_interval(row, ".3f") for row in records(rows)])
    cells = cells.pivot(index=keys, columns="predictor", values="cell").reindex(columns=["probe", "loss", "difference"])
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
    return shown[["criterion", "family", "dataset", "heads", "expected", "measured", "holds"]]


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


def estimate(row: Any, form: str) -> str:
    """Returns a value with its interval as :func:`with_interval`, for tables that have no notes."""
    return with_interval(Finding(value=row["value"], low=row["low"], high=row["high"]), form)


def with_interval(row: Any, form: str) -> str:
    """Returns an estimate with its interval, such as ``0.98 (0.95 to 0.99)``, and in words why a part is undefined.

    A dagger marks an interval that may be too short.

    Args:
        row: value, low, high and note; one of the ends may be undefined on its own.
        form: Format of the numbers.
    """
    if not np.isfinite(row.value):
        return row.note or "undefined"
    ends = [formatted(end, form) if np.isfinite(end) else "?" for end in (row.low, row.high)]
    interval = f" ({ends[0]} to {ends[1]})" if ends != ["?", "?"] else ""
    if TOO_SHORT in row.note:
        return formatted(row.value, form) + interval + "†"
    return formatted(row.value, form) + interval + (f"; {row.note}" if row.note else "")
