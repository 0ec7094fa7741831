"""Charts of a whole study: all families, datasets, seeds and kinds of students over each other, and what predicts W2SG accuracy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from w2sg.plotting.style import bend_of, in_si, step_ticks
from w2sg.report.charts.marks import INK, Look
from w2sg.report.charts.panels import Chart
from w2sg.study.protocols import protocol_title, protocols_in
from w2sg.trajectories.prediction import PREDICTORS

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of lines in their order (Okabe and Ito 2008)."""

FORMS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""Marks of lines in their order."""

STROKES: tuple[tuple[float, ...], ...] = ((), (8, 3), (2, 2), (10, 3, 2, 3))
"""Dashes: the next ones once all colours are used."""

ROOM = 10
"""Pixels between the onsets of two lines."""


def line_looks(lines: Sequence[str]) -> list[Look]:
    """Returns how each line of the overview is drawn; two that share a colour differ by their dashes."""
    return [
        Look(
            label=line,
            colour=PALETTE[k % len(PALETTE)],
            shape=FORMS[k % len(FORMS)],
            dash=STROKES[(k // len(PALETTE)) % len(STROKES)],
        )
        for k, line in enumerate(lines)
    ]


def overview_charts(rows: pd.DataFrame, lines: Sequence[str]) -> list[Chart]:
    """Returns a chart per kind of students: the gain over the supervisor of every line, and below it each onset with its interval.

    The arguments are what :func:`w2sg.report.charts.rows.overview_rows` returns. Panels share their axes.
    """
    gains = rows[rows["metric"] == "gain"]
    ends = [gains["low"].fillna(gains["value"]).min(), gains["high"].fillna(gains["value"]).max()]
    return [
        Chart(
            name=f"overview_{protocol}",
            title=protocol_title(protocol),
            spec=_overview(rows, lines, protocol, [float(min(ends[0], 0)), float(max(ends[1], 0))]),
        )
        for protocol in protocols_in(gains["protocol"])
    ]


def _overview(rows: pd.DataFrame, lines: Sequence[str], protocol: str, domain: list[float]) -> dict[str, Any]:
    looks = line_looks(lines)
    tokens = sorted({int(count) for count in rows.loc[rows["metric"] == "gain", "tokens"].dropna()})
    ticks = step_ticks(tokens, 5)
    names = json.dumps({str(tick): in_si(tick, 2) for tick in ticks})
    axis = alt.Axis(values=ticks, labelExpr=f"({names})[toString(datum.value)]", labelOverlap="greedy", labelFlush=True)
    scale = alt.Scale(type="symlog", constant=bend_of(tokens), domain=[0, max(tokens, default=1)], nice=False)
    x = alt.X("tokens:Q", scale=scale, axis=axis, title="training tokens")
    hidden = alt.X("tokens:Q", scale=scale, axis=None)
    given: dict[str, Any] = {
        "color": alt.Color(
            "line:N", scale=alt.Scale(domain=list(lines), range=[one.colour for one in looks]), legend=None
        ),
        "strokeDash": alt.StrokeDash(
            "line:N",
            scale=alt.Scale(domain=list(lines), range=[list(one.dash) or [1, 0] for one in looks]),
            legend=None,
        ),
    }
    shape = alt.Shape("line:N", scale=alt.Scale(domain=list(lines), range=[one.shape for one in looks]), legend=None)
    own = f"datum.protocol == '{protocol}'"
    gains = alt.Chart().transform_filter(f"{own} && datum.metric == 'gain'")
    y = alt.Y("value:Q", title="gain over the supervisor", scale=alt.Scale(domain=domain, nice=True))
    said = [
        alt.Tooltip("line:N", title="what"), alt.Tooltip("family:N"), alt.Tooltip("revision:N"), alt.Tooltip("step:Q", format=","),
        alt.Tooltip("tokens:Q", format=".4~s"), alt.Tooltip("value:Q", title="gain", format="+.4f"),
        alt.Tooltip("low:Q", format="+.4f"), alt.Tooltip("high:Q", format="+.4f"),
    ]  # fmt: skip
    detail = alt.Detail("family:N")
    above = alt.layer(
        alt.Chart(alt.InlineData(values=[{"value": 0}])).mark_rule(color=INK, strokeDash=[6, 3]).encode(y=y),
        gains.mark_area(opacity=0.2).encode(
            x=hidden, y=alt.Y("low:Q", title=""), y2="high:Q", color=given["color"], detail=detail
        ),
        gains.mark_line().encode(x=hidden, y=y, detail=detail, **given),
        gains.mark_point(filled=True, size=40, opacity=1).encode(
            x=x, y=y, color=given["color"], shape=shape, tooltip=said
        ),
    ).resolve_axis(x="independent")
    order = json.dumps({line: 260 - ROOM * place - 6 for place, line in enumerate(lines)})
    onsets = (
        alt.Chart()
        .transform_filter(f"{own} && datum.metric == 'onset'")
        .transform_calculate(place=f"({order})[datum.line]")
    )
    level = alt.Y("place:Q", scale=alt.Scale(domain=[260, 0], range=[260, 0], nice=False, zero=False), axis=None)
    told = [
        alt.Tooltip("line:N", title="onset of"),
        *(alt.Tooltip(f"{name}:Q", title=name, format=".3~s") for name in ("value", "low", "high")),
    ]
    below = alt.layer(
        onsets.mark_rule(size=2).encode(
            x=alt.X("low:Q", scale=scale, axis=None), x2="high:Q", y=level, color=given["color"]
        ),
        onsets.mark_point(filled=True, size=60, opacity=1).encode(
            x=alt.X("value:Q", scale=scale, axis=None), y=level, color=given["color"], shape=shape, tooltip=told
        ),
    )
    whole = (
        alt.layer(above, below)
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
        .properties(width="container", height=260)
    )
    whole = whole.properties(
        data=alt.NamedData(name="rows"), description=f"Gain over the supervisor, {protocol_title(protocol)}"
    )
    return whole.to_dict()


def error_charts(summary: pd.DataFrame) -> tuple[pd.DataFrame, list[Chart]]:
    """Returns the prediction errors of the table of conclusions as rows, and a chart per case: dots with their intervals."""
    named = {f"error_{name}": label for name, label in PREDICTORS.items()}
    rows = summary[summary["quantity"].isin(list(named)) & summary["value"].notna()]
    case = rows["family"] + " on " + rows["dataset"] + ", " + rows["protocol"].map(protocol_title)
    rows = rows.assign(case=case, predictor=rows["quantity"].map(named))[["case", "predictor", "value", "low", "high"]]
    order = [name for name in PREDICTORS.values() if name in set(rows["predictor"])]
    most = float(rows["high"].fillna(rows["value"]).max()) if len(rows) else 1.0
    charts = [
        Chart(name=f"errors_{k}", title=name, spec=_errors(str(name), order, most))
        for k, name in enumerate(dict.fromkeys(rows["case"]))
    ]
    return rows, charts


def _errors(case: str, order: list[str], most: float) -> dict[str, Any]:
    base = alt.Chart().transform_filter(alt.FieldEqualPredicate(field="case", equal=case))
    base = base.encode(y=alt.Y("predictor:N", sort=order, title=None, axis=alt.Axis(labelLimit=170)))
    title, scale = "error of predicted W2SG accuracy", alt.Scale(domain=[0, most])
    said = [alt.Tooltip("predictor:N"), *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("value", "low", "high"))]
    whole = alt.layer(
        base.mark_rule(color=INK, opacity=0.6, size=1.5).encode(
            x=alt.X("low:Q", title=title, scale=scale), x2="high:Q"
        ),
        base.mark_point(filled=True, size=60, opacity=1, color=PALETTE[0]).encode(
            x=alt.X("value:Q", title=title, scale=scale), tooltip=said
        ),
    )
    whole = whole.properties(
        width="container", height=18 * len(order) + 10, data=alt.NamedData(name="rows"), description=f"{title}: {case}"
    )
    return whole.to_dict()
