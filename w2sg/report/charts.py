"""Interactive charts of the report: one Vega-Lite specification per family and dataset, data included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from w2sg.plotting.style import COLOURS, LABELS, MARKED, STEP_COLOURS, spread
from w2sg.study.protocols import HEADLINE_SETTINGS, protocols_in
from w2sg.trajectories.selection import INTERVAL, case_rows, floor_levels, headline_cells, rows_with, trained_layers

MAX_LAYERS = 9
"""Layers that a chart carries at most; what is left out is said beside it."""

WIDTH = 640
"""Width of the widest panel, pixels."""

MEAN = "mean"
"""Entry of the seed menu that shows means over head seeds."""

_LOSSES = {"loss": "nats_per_token", "bits": "bits_per_byte"}
"""Series of the evaluation loss, with their metrics."""

_ANY = "any"
"""Marks rows that do not depend on a menu: they pass each of its settings."""

_COLUMNS = ["series", "layer", "protocol", "seed", "revision", "step", "tokens", "value", "low", "high"]
_NUMBERS = _COLUMNS[5:]
_ACCURACY = ["w2s", "ceiling", "probe"]
_CONTROLS = ["permuted"]
_STEP_SCALE = alt.Scale(type="symlog", constant=1)
_TICKS = [0, *(4**power for power in range(12))]


def choose_layers(layers: list[int]) -> list[int]:
    """Returns at most ``MAX_LAYERS`` of the sorted layers, evenly spread, the first and the last among them."""
    return [layers[place] for place in spread(len(layers), MAX_LAYERS)]


def describe_thinning(layers: Mapping[str, list[int]]) -> str:
    """Returns a sentence on which trained layers, given per chart title, charts leave out; empty if they show all."""
    parts = [
        f"{title}: {len(chosen)} of {len(found)} layers ({', '.join(map(str, chosen))})"
        for title, found in layers.items()
        if len(chosen := choose_layers(found)) < len(found)
    ]
    lead = "To keep the page small, charts show a part of the layers, and single seeds only of the last one; the tables hold all."
    return f"{lead} {'; '.join(parts)}." if parts else ""


def chart_rows(metrics: pd.DataFrame, floors: pd.DataFrame, *, family: str, dataset: str) -> pd.DataFrame:
    """Returns what charts draw of METRICS and FLOORS of one family and dataset: means over head seeds and each seed.

    Returns:
        Columns series, layer, protocol and seed as text (``any`` where a row does not depend on it), revision, step,
        tokens (billions), value, low, high.
    """
    rows = case_rows(metrics, family=family, dataset=dataset)
    trained = trained_layers(rows)
    layers = choose_layers(trained)
    heads = pd.concat(
        [_accuracies(rows, head) for head in ("w2s", "ceiling", "permuted")]
    ).sort_index()  # as in the table
    drawn = pd.concat([heads, rows_with(rows, **headline_cells("probe", "accuracy")).assign(protocol=_ANY)])
    drawn = drawn[drawn["layer"].isin(layers)]
    single = drawn if len(layers) == len(trained) else rows_with(drawn, layer=layers[-1])
    losses = {name: rows_with(rows, **headline_cells("model", metric)) for name, metric in _LOSSES.items()}
    levels = floor_levels(floors, rows, dataset=dataset)
    parts = [
        _means(drawn),
        single,
        *(
            _means(_accuracies(rows, head)).assign(seed=_ANY, layer=_ANY, step=np.nan, tokens=np.nan)
            for head in ("weak", "weak_on_weak")
        ),
        *(loss.assign(head=name, layer=_ANY, protocol=_ANY, seed=_ANY) for name, loss in losses.items()),
        levels.assign(head="floor:" + levels["floor"], layer=_ANY, protocol=_ANY, seed=_ANY),
    ]
    shown = [part.rename(columns={"head": "series"}).reindex(columns=_COLUMNS) for part in parts if len(part)]
    return pd.concat([part.astype({"layer": str, "seed": str}) for part in shown], ignore_index=True)


def _accuracies(rows: pd.DataFrame, head: str) -> pd.DataFrame:
    return pd.concat([rows_with(rows, **headline_cells(head, "accuracy", protocol)) for protocol in HEADLINE_SETTINGS])


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["head", "layer", "protocol", "revision", "step", "tokens"]
    return rows.groupby(keys, as_index=False)[INTERVAL].mean().assign(seed=MEAN)


def chart(rows: pd.DataFrame, *, corpus: str) -> dict[str, Any]:
    """Returns the specification: trajectories, evaluation loss on a corpus, predictors against W2SG, and layers by revision.

    Menus choose heads, seed and layer for all panels of :func:`chart_rows` at once; a tooltip names revision, step,
    tokens, value and interval.
    """
    layers = sorted({layer for layer in rows["layer"] if layer != _ANY}, key=int)
    seeds = sorted({seed for seed in rows["seed"] if seed not in (_ANY, MEAN)}, key=int)
    protocols = protocols_in(rows["protocol"])
    menus = [
        alt.param(name="heads", value=protocols[0], bind=alt.binding_radio(options=protocols, name="heads ")),
        alt.param(name="seed", value=MEAN, bind=alt.binding_select(options=[MEAN, *seeds], name="seed ")),
        alt.param(name="layer", value=layers[-1], bind=alt.binding_select(options=layers, name="layer ")),
    ]
    parse = {name: ("number" if name in _NUMBERS else "string") for name in _COLUMNS}
    text = rows.round({"tokens": 6, "value": 5, "low": 5, "high": 5}).to_csv(index=False)
    data = alt.Data(values=text, format=alt.CsvDataFormat(type="csv", parse=parse))
    panels: list[Any] = [_trajectories(rows), _losses(rows, corpus), alt.hconcat(_against("probe"), _against("loss"))]
    if len(layers) > 1:
        panels.append(alt.hconcat(*(_map(series, rows) for series in ("probe", "w2s"))))
    whole = alt.vconcat(*panels, data=data).add_params(*menus).resolve_scale(color="independent")
    return whole.to_dict()


PREDICTORS = {
    "error_probe": "linear probe", "error_loss": "evaluation loss", "error_step": "log step",
    "error_ceiling": "ceiling head", "error_unrelated": "unrelated probe", "error_plain": "probe, default settings",
    "error_subspace": "components without labels",
}  # fmt: skip
"""Errors of the table of conclusions, by what predicts."""


def error_chart(summary: pd.DataFrame) -> dict[str, Any] | None:
    """Returns the specification of the prediction errors of the table of conclusions, a panel per case; None without any."""
    rows = summary[summary["quantity"].isin(list(PREDICTORS)) & summary["value"].notna()]
    if rows.empty:
        return None
    case = rows["family"] + " on " + rows["dataset"] + ", " + rows["protocol"]
    shown = rows.assign(case=case, predictor=rows["quantity"].map(PREDICTORS))
    shown = shown[["case", "predictor", "value", "low", "high"]].round(6)
    order = [name for name in PREDICTORS.values() if name in set(shown["predictor"])]
    base = alt.Chart().encode(y=alt.Y("predictor:N", sort=order, title=None)).properties(width=WIDTH // 2, height=90)
    x = alt.X("value:Q", title="error of predicted W2SG accuracy")
    tooltip = [
        alt.Tooltip("predictor:N"),
        *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("value", "low", "high")),
    ]
    marks = alt.layer(
        base.mark_rule(color="#888888").encode(x=alt.X("low:Q", title="error of predicted W2SG accuracy"), x2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1, color=COLOURS["probe"]).encode(x=x, tooltip=tooltip),
    )
    data = alt.Data(values=json.loads(shown.to_json(orient="records")))
    return marks.facet(facet=alt.Facet("case:N", title=None), columns=2, data=data).to_dict()


def _chosen(*, but: str = "") -> str:
    """Vega expression that a row passes if the menus choose it; one menu can be ignored."""
    tests = {"protocol": "heads", "seed": "seed", "layer": "layer"}
    return " && ".join(
        f"(datum.{field} == {menu} || datum.{field} == '{_ANY}')" for field, menu in tests.items() if menu != but
    )


def _tooltip(label: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="what"),
        alt.Tooltip("revision:N"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("tokens:Q", title="tokens, billions", format=",.6~g"),
        alt.Tooltip("value:Q", title=label, format=".4f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("layer:N"),
        alt.Tooltip("seed:N"),
    ]


def _base(series: list[str], *, but: str = "") -> alt.Chart:
    """Rows of some series that the menus choose, with a readable name and interval."""
    names = json.dumps({name: LABELS.get(name, name) for name in series})
    return (
        alt.Chart()
        .transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=series))
        .transform_filter(_chosen(but=but))
        .transform_calculate(
            label=f"({names})[datum.series]",
            interval="isValid(datum.low) ? format(datum.low, '.4f') + ' to ' + format(datum.high, '.4f') : 'none'",
        )
    )


def _curves(series: list[str], *, label: str, height: int, size: int, thin: Sequence[str] = ()) -> list[alt.Chart]:
    """Band, line and points of a size with tooltips of some series against the step; of others a thin line alone."""
    shown = [*series, *thin]
    scale = alt.Scale(domain=[LABELS[name] for name in shown], range=[COLOURS[name] for name in shown])
    legend = alt.Legend(orient="right") if len(shown) > 1 else None
    colour = alt.Color("label:N", title=None, scale=scale, legend=legend)
    x = alt.X("step:Q", scale=_STEP_SCALE, title="pre-training step", axis=alt.Axis(values=_TICKS, format=",~d"))
    size_of: Any = {"width": WIDTH, "height": height}
    base = _base(series).encode(x=x, color=colour).properties(**size_of)
    y = alt.Y("value:Q", title=label, scale=alt.Scale(zero=False))
    return [
        base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title=label, scale=alt.Scale(zero=False)), y2="high:Q"),
        base.mark_line().encode(y=y),
        *([_base([*thin]).encode(x=x, color=colour, y=y).mark_line(size=1).properties(**size_of)] if thin else []),
        base.mark_circle(size=size, opacity=1).encode(y=y, tooltip=_tooltip(label)),
    ]


def _trajectories(rows: pd.DataFrame) -> Any:
    found = set(rows["series"])
    levels = ["weak", *(["weak_on_weak"] if "weak_on_weak" in found else [])]
    levels += sorted(name for name in found if name.startswith("floor:"))
    dashes = alt.Scale(
        domain=[LABELS.get(name, name) for name in levels],
        range=[[1, 0], *([2 + 2 * place, 2] for place in range(len(levels) - 1))],
    )
    lines = _base(levels).mark_rule(size=1.5).encode(
        y="value:Q",
        color=alt.condition("indexof(datum.series, 'weak') == 0", alt.value(COLOURS["weak"]), alt.value("#888888")),
        strokeDash=alt.StrokeDash("label:N", title=None, scale=dashes, legend=alt.Legend(orient="right")),
        tooltip=[alt.Tooltip("label:N", title="what"), alt.Tooltip("value:Q", title="accuracy", format=".4f"),
                 alt.Tooltip("interval:N", title="interval")],
    )  # fmt: skip
    weak = _base(["weak"]).mark_rect(color=COLOURS["weak"], opacity=0.12).encode(y="low:Q", y2="high:Q")
    return alt.layer(
        weak,
        *_curves(
            _ACCURACY,
            label="test accuracy",
            height=280,
            size=_size(rows),
            thin=[name for name in _CONTROLS if name in found],
        ),
        lines,
    )


def _losses(rows: pd.DataFrame, text: str) -> Any:
    """Nats per token; bits per byte, the same curve in another unit, are an axis on the right."""
    curve = alt.layer(*_curves(["loss"], label=f"nats per token on {text}", height=110, size=_size(rows)))
    if "bits" not in set(rows["series"]):
        return curve
    y = alt.Y("value:Q", title="bits per byte", scale=alt.Scale(zero=False))
    bits = _base(["bits"]).mark_line(opacity=0).encode(x=alt.X("step:Q", scale=_STEP_SCALE), y=y)
    return alt.layer(curve, bits).resolve_scale(y="independent")


def _size(rows: pd.DataFrame) -> int:
    """Area of a mark, square pixels: smaller where revisions are many."""
    return 55 if rows["step"].nunique() <= MARKED else 15


def _against(predictor: str) -> Any:
    """W2SG accuracy against a predictor, a point per revision."""
    label = {"probe": "linear-probe accuracy", "loss": "evaluation loss, nats per token"}[predictor]
    wide = (
        _base(["w2s", predictor])
        .transform_pivot("series", value="value", groupby=["step", "revision", "tokens"])
        .transform_filter(f"isValid(datum.w2s) && isValid(datum.{predictor})")
        .properties(width=WIDTH // 2 - 50, height=200)
    )
    x = alt.X(f"{predictor}:Q", title=label, scale=alt.Scale(zero=False))
    y = alt.Y("w2s:Q", title="W2SG accuracy", scale=alt.Scale(zero=False))
    order = alt.Color("step:Q", scale=alt.Scale(type="symlog", constant=1, scheme=STEP_COLOURS), legend=None)
    values = {predictor: label, "w2s": "W2SG accuracy"}
    tooltip = _tooltip(label)[1:4] + [
        alt.Tooltip(f"{name}:Q", title=text, format=".4f") for name, text in values.items()
    ]
    return wide.mark_circle(size=55, opacity=1).encode(x=x, y=y, color=order, tooltip=tooltip)


def _map(series: str, rows: pd.DataFrame) -> alt.Chart:
    """Accuracy at every layer and revision, some of whose steps are written below."""
    steps = sorted({int(step) for step in rows.loc[rows["series"] == series, "step"]})
    shown = [steps[place] for place in spread(len(steps), 8)]
    return (
        _base([series], but="layer")
        .mark_rect()
        .encode(
            x=alt.X("step:O", title="pre-training step", axis=alt.Axis(values=shown, labelAngle=-45, format=",d")),
            y=alt.Y("layer:O", sort="descending", title="layer"),
            color=alt.Color("value:Q", title="accuracy", scale=alt.Scale(scheme=STEP_COLOURS)),
            tooltip=_tooltip("test accuracy"),
        )
        .properties(width=WIDTH // 2 - 90, height=130, title=LABELS[series])
    )
