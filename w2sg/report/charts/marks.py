"""What charts share: how a series looks, also in the legend, rows that menus choose, tooltips, axes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from w2sg.plotting.style import COLOURS, DASHES, LABELS, SHAPES, bend_of, in_si, step_ticks
from w2sg.report.charts.rows import ANY, MEAN
from w2sg.study.protocols import protocols_in

INK = "currentColor"
"""Colour of texts and axes, and of what has none of its own: that of the page, light or dark."""

FAINT = "#7a7a7a"
"""Colour of floors and chance, to be seen on both."""

MOST_TICKS = 6
"""Steps that are written below an axis."""

MENUS = {"heads": "protocol", "seed": "seed", "layer": "layer"}
"""Menus, each with the column that it chooses from."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a series is drawn."""

    label: str
    colour: str = INK
    dash: tuple[float, ...] = ()
    """Dashes and gaps, pixels; empty: drawn through."""
    shape: str = ""
    """Mark, in the words of Vega; empty: a line alone."""
    width: float = 2.0
    """Of the line, pixels."""
    band: bool = False
    """Whether it is a vertical line with a band."""


def look_of(series: str) -> Look:
    """Returns how a series is drawn, the same in charts and in figures for print."""
    colour = COLOURS.get(series, FAINT)
    return Look(
        label=LABELS.get(series, series.replace(":", ": ")),
        colour=INK if series in ("loss", "onset") else colour,
        dash=tuple(2 * part for part in DASHES.get(series, ())),
        shape=SHAPES.get(series, ""),
        width=2.0 if series in SHAPES or series == "weak" else 1.2,
        band=series == "onset",
    )


def menus(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Returns the entries of the menus of a case, the first of each the one that is shown at first."""
    layers = sorted({layer for layer in rows["layer"] if layer != ANY}, key=int, reverse=True)
    seeds = sorted({seed for seed in rows["seed"] if seed not in (ANY, MEAN)}, key=int)
    return {"heads": protocols_in(rows["protocol"]), "seed": [MEAN, *seeds], "layer": layers}


def finish(chart: Any, rows: pd.DataFrame, *, description: str, data: str = "rows") -> dict[str, Any]:
    """Returns a chart's specification: without data, which the page hands to it by name, with the menus as parameters."""
    whole = chart.properties(data=alt.NamedData(name=data), description=description)
    whole = whole.add_params(*(alt.param(name=name, value=entries[0]) for name, entries in menus(rows).items()))
    return whole.to_dict()


def chosen(*, but: str = "") -> str:
    """Returns the Vega expression that a row passes if the menus choose it; one menu can be ignored."""
    return " && ".join(
        f"(datum.{column} == {name} || datum.{column} == '{ANY}')" for name, column in MENUS.items() if name != but
    )


def base(series: Iterable[str], *, but: str = "") -> alt.Chart:
    """Returns rows of some series that the menus choose, with a readable name and interval."""
    series = list(series)
    names = json.dumps({name: look_of(name).label for name in series})
    return (
        alt.Chart()
        .transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=series))
        .transform_filter(chosen(but=but))
        .transform_calculate(
            label=f"({names})[datum.series]",
            interval="isValid(datum.low) ? format(datum.low, '.4f') + ' to ' + format(datum.high, '.4f') : 'none'",
        )
    )


def tooltip(label: str) -> list[alt.Tooltip]:
    """Returns what pointing at a mark says of its row, whose value is called by the label."""
    return [
        alt.Tooltip("label:N", title="what"),
        alt.Tooltip("revision:N"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("tokens:Q", format=".4~s"),
        alt.Tooltip("value:Q", title=label, format=".4f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("layer:N"),
        alt.Tooltip("seed:N"),
    ]


def step_axes(rows: pd.DataFrame) -> tuple[alt.X, alt.X, alt.Scale]:
    """Returns two encodings of the step, bent as in figures: with the steps below, with the tokens of the same revisions above, and its scale."""
    found = rows[rows["revision"].notna() & rows["step"].notna()].drop_duplicates("step")
    tokens = {int(step): count for step, count in zip(found["step"], found["tokens"], strict=True)}
    ticks = step_ticks(tokens, MOST_TICKS)
    last = max(tokens, default=1)
    scale = alt.Scale(type="symlog", constant=bend_of(tokens), domain=[0, max(last, 1)], nice=False)
    named = {
        "bottom": ("pre-training step", {tick: step_label(tick) for tick in ticks}),
        "top": ("training tokens", {tick: in_si(tokens[tick], 2) for tick in ticks}),
    }
    below, above = (
        alt.X("step:Q", scale=scale, title=title, axis=_axis(ticks, labels, orient))
        for orient, (title, labels) in named.items()
    )
    return below, above, scale


def _axis(ticks: list[int], labels: Mapping[int, str], orient: Any) -> alt.Axis:
    text = f"({json.dumps({str(tick): label for tick, label in labels.items()})})[toString(datum.value)]"
    return alt.Axis(
        values=ticks, labelExpr=text, orient=orient, labelOverlap="greedy", labelFlush=True, grid=orient == "bottom"
    )


def step_label(step: int) -> str:
    """Returns a step as an axis writes it."""
    return in_si(step) if step >= 100_000 else f"{step:,}"


def looks_scale(series: Iterable[str], kind: str) -> alt.Scale:
    """Returns the scale of a channel (``colour``, ``dash`` or ``shape``) over series by name."""
    series = list(series)
    looks = [look_of(name) for name in series]
    values: dict[str, list[Any]] = {
        "colour": [look.colour for look in looks],
        "dash": [list(look.dash) or [1, 0] for look in looks],
        "shape": [look.shape or "circle" for look in looks],
    }
    return alt.Scale(domain=series, range=values[kind])
