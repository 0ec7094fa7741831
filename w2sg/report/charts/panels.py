"""Charts of one family and dataset: trajectories, evaluation loss, predictors against W2SG, corrected pairs, every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from w2sg.plotting.style import MARKED, STEP_COLOURS, bend_of, spread, step_ticks
from w2sg.report.charts.marks import INK, Look, base, finish, look_of, looks_scale, step_axes, step_label, tooltip
from w2sg.report.charts.rows import ANY, TAUGHT
from w2sg.report.figure_tables import DRAWN

CONTROLS = ("permuted",)
"""Controls that are curves."""

MEASURED = ("w2s", "ceiling", "probe")
"""What is measured at every revision."""

_OF = {"width": "container"}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of a page."""

    name: str
    """Part of its id and of the files that are saved of it."""
    title: str
    """What it shows, above it."""
    spec: dict[str, Any]
    """Vega-Lite specification without data."""
    key: tuple[Look, ...] = ()
    """Its legend."""
    note: str = ""
    """What else a reader has to know."""


def case_charts(rows: pd.DataFrame, *, corpus: str, title: str) -> list[Chart]:
    """Returns the charts of the rows of one family and dataset, :func:`w2sg.report.charts.rows.chart_rows`; one set of menus moves all.

    Args:
        rows: What is drawn.
        corpus: Text of the evaluation loss.
        title: Family and dataset, for those who do not see the charts.
    """
    found = set(rows["series"])
    charts = [_trajectories(rows, title)]
    if "loss" in found:
        charts.append(_losses(rows, corpus, title))
    if found >= set(TAUGHT):
        charts.append(_corrected(rows, title))
    charts += [_against(rows, name, title) for name in DRAWN if name in found]
    if len({layer for layer in rows["layer"] if layer != ANY}) > 1:
        charts += [_map(rows, series, title) for series in ("probe", "w2s") if series in found]
    return charts


def _trajectories(rows: pd.DataFrame, title: str) -> Chart:
    found = set(rows["series"])
    curves = [name for name in MEASURED if name in found]
    thin = [name for name in CONTROLS if name in found]
    floors = sorted(name for name in found if name.startswith("floor:"))
    levels = [name for name in ("weak", "weak_on_weak") if name in found] + floors
    below, above, scale = step_axes(rows)
    hidden = alt.X("step:Q", axis=None, scale=scale)
    y = alt.Y("value:Q", title="test accuracy", scale=alt.Scale(zero=False))
    every = [*curves, *thin, *levels]
    look: dict[str, Any] = {
        "color": alt.Color("series:N", scale=looks_scale(every, "colour"), legend=None),
        "strokeDash": alt.StrokeDash("series:N", scale=looks_scale(every, "dash"), legend=None),
    }
    layers: list[Any] = []
    if "onset" in found:
        start = base(["onset"]).transform_calculate(
            interval="format(datum.low, ',') + ' to ' + format(datum.high, ',')"
        )
        said = [alt.Tooltip("label:N", title="what"), alt.Tooltip("value:Q", title="step", format=","), "interval:N"]
        line = look_of("onset")
        layers += [
            start.mark_rect(color=INK, opacity=0.14).encode(x=alt.X("low:Q", axis=None, scale=scale), x2="high:Q"),
            start.mark_rule(color=INK, strokeDash=list(line.dash), size=1.2).encode(x=hidden, tooltip=said),
        ]
    level = base(levels)
    level_tip = [alt.Tooltip("label:N", title="what"), alt.Tooltip("value:Q", title="accuracy", format=".4f"),
                 alt.Tooltip("interval:N", title="interval")]  # fmt: skip
    chance = look_of("chance")
    layers += [
        base(["weak"]).mark_rect(color=look_of("weak").colour, opacity=0.2).encode(y=alt.Y("low:Q", title="test accuracy"), y2="high:Q"),
        alt.Chart(alt.InlineData(values=[{"value": 0.5}])).mark_rule(color=chance.colour, strokeDash=list(chance.dash), size=1.2).encode(y=y),
        level.mark_rule(size=1.5).encode(y=y, tooltip=level_tip, **look),
        base(curves).mark_area(opacity=0.2).encode(x=hidden, y=alt.Y("low:Q", title="test accuracy"), y2="high:Q", color=look["color"]),
        *([base(thin).mark_line(size=1.2).encode(x=hidden, y=y, **look)] if thin else []),
        base(curves).mark_line(size=2).encode(x=below, y=y, **look),
        base(curves).mark_point(filled=True, size=_size(rows), opacity=1).encode(
            x=above, y=y, color=look["color"], tooltip=tooltip("test accuracy"),
            shape=alt.Shape("series:N", scale=looks_scale(curves, "shape"), legend=None),
        ),
    ]  # fmt: skip
    whole = alt.layer(*layers).properties(height=300, **_OF).resolve_axis(x="independent")
    named = [*curves, *thin, *levels, "chance", *(["onset"] if "onset" in found else [])]
    heading = "W2SG over pre-training"
    return Chart(
        name="trajectory",
        title=heading,
        spec=finish(whole, rows, description=f"{heading}: {title}"),
        key=tuple(map(look_of, named)),
    )


def _losses(rows: pd.DataFrame, text: str, title: str) -> Chart:
    """Nats per token; bits per byte, the same curve in another unit, are an axis on the right."""
    below, *_ = step_axes(rows)
    label = "nats per token"
    y = alt.Y("value:Q", title=label, scale=alt.Scale(zero=False))
    curve = base(["loss"])
    layers = [
        curve.mark_area(opacity=0.2, color=INK).encode(x=below, y=alt.Y("low:Q", title=label), y2="high:Q"),
        curve.mark_line(color=INK).encode(x=below, y=y),
        curve.mark_point(filled=True, color=INK, size=_size(rows), opacity=1).encode(
            x=below, y=y, tooltip=tooltip(label)
        ),
    ]
    whole = alt.layer(*layers)
    if "bits" in set(rows["series"]):
        other = alt.Y("value:Q", title="bits per byte", scale=alt.Scale(zero=False), axis=alt.Axis(grid=False))
        bits = base(["bits"]).mark_line(opacity=0).encode(x=below, y=other)
        whole = alt.layer(whole, bits).resolve_scale(y="independent")
    heading = f"evaluation loss on {text}"
    spec = finish(whole.properties(height=120, **_OF), rows, description=f"{heading}: {title}")
    return Chart(name="loss", title=heading, spec=spec)


def _size(rows: pd.DataFrame) -> int:
    """Area of a mark, square pixels: smaller where revisions are many."""
    return 55 if rows["step"].nunique() <= MARKED else 15


def _against(rows: pd.DataFrame, predictor: str, title: str) -> Chart:
    """W2SG accuracy against a predictor, a point per revision."""
    label = DRAWN[predictor]
    wide = (
        base(["w2s", predictor])
        .transform_pivot("series", value="value", groupby=["step", "revision", "tokens"])
        .transform_filter(f"isValid(datum.w2s) && isValid(datum.{predictor})")
    )
    steps = sorted({int(step) for step in rows.loc[rows["series"] == "w2s", "step"]})
    ticks = step_ticks(steps, 4)
    shown = alt.Legend(
        orient="bottom",
        title="pre-training step",
        values=ticks,
        labelExpr="format(datum.value, ',')",
        gradientLength=180,
    )
    values = {predictor: label, "w2s": "W2SG accuracy"}
    x, y = (
        alt.X(f"{predictor}:Q", title=label, scale=_padded()),
        alt.Y("w2s:Q", title="W2SG accuracy", scale=_padded()),
    )
    order = alt.Color(
        "step:Q", scale=alt.Scale(type="symlog", constant=bend_of(steps), scheme=STEP_COLOURS), legend=shown
    )
    said = tooltip(label)[1:4] + [alt.Tooltip(f"{name}:Q", title=text, format=".4f") for name, text in values.items()]
    marks = wide.mark_circle(size=55, opacity=1, stroke=INK, strokeWidth=0.4).encode(
        x=x, y=y, color=order, tooltip=said
    )
    heading = f"W2SG against {'the linear probe' if predictor == 'probe' else 'evaluation loss'}"
    spec = finish(marks.properties(height=220, **_OF), rows, description=f"{heading}: {title}")
    return Chart(name=f"against_{predictor}", title=heading, spec=spec)


def _padded() -> alt.Scale:
    return alt.Scale(zero=False, padding=12, nice=False)


def _corrected(rows: pd.DataFrame, title: str) -> Chart:
    """Shares of the test pairs on which the student and its supervisor differ."""
    below, *_ = step_axes(rows)
    y = alt.Y("value:Q", title="share of the test pairs", axis=alt.Axis(format="%"))
    drawn = base(TAUGHT, but="layer").encode(
        x=below,
        y=y,
        color=alt.Color("series:N", scale=looks_scale(TAUGHT, "colour"), legend=None),
        strokeDash=alt.StrokeDash("series:N", scale=looks_scale(TAUGHT, "dash"), legend=None),
    )
    marked = drawn.mark_point(filled=True, size=_size(rows), opacity=1).encode(
        shape=alt.Shape("series:N", scale=looks_scale(TAUGHT, "shape"), legend=None), tooltip=tooltip("share")[:5]
    )
    heading = "pairs that the student corrects and spoils"
    spec = finish(
        alt.layer(drawn.mark_line(), marked).properties(height=160, **_OF), rows, description=f"{heading}: {title}"
    )
    note = "Corrected: the supervisor is wrong and the student right; spoiled: the other way round. Last layer."
    return Chart(name="corrected", title=heading, spec=spec, key=tuple(map(look_of, TAUGHT)), note=note)


def _map(rows: pd.DataFrame, series: str, title: str) -> Chart:
    """Accuracy at every layer and revision, some of whose steps are written below."""
    steps = sorted({int(step) for step in rows.loc[rows["series"] == series, "step"]})
    shown = [steps[place] for place in spread(len(steps), 6)]
    names = "{" + ",".join(f"'{step}':'{step_label(step)}'" for step in shown) + "}"
    axis = alt.Axis(values=shown, labelAngle=-45, labelExpr=f"({names})[toString(datum.value)]")
    drawn = (
        base([series], but="layer")
        .mark_rect()
        .encode(
            x=alt.X("step:O", title="pre-training step", axis=axis),
            y=alt.Y("layer:O", sort="descending", title="layer"),
            color=alt.Color(
                "value:Q", scale=alt.Scale(scheme=STEP_COLOURS), legend=alt.Legend(orient="bottom", title="accuracy")
            ),
            tooltip=tooltip("test accuracy"),
        )
    )
    heading = f"every layer: {look_of(series).label}"
    return Chart(
        name=f"layers_{series}",
        title=heading,
        spec=finish(drawn.properties(height=140, **_OF), rows, description=f"{heading}: {title}"),
    )
