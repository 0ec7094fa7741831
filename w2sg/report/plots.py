"""Figures of the sweep branch for print: a plotted table in, a matplotlib figure out, without a title and at the width of a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from w2sg.plotting.lines import draw_series, finish_step_axis
from w2sg.plotting.style import COLOURS, LABELS, MARKED, STEP_COLOURS, dash_style, marker_of, spread
from w2sg.report.cells import records
from w2sg.report.figure_tables import DRAWN
from w2sg.study.protocols import protocol_title, protocols_in

COLUMN = 3.3
"""Width of a column of text, inches; of panels side by side there are two, over the width of a page."""

CONTROLS = ("permuted", "weak_on_weak")
"""Series that are thinner than what is measured."""

MOST_TICKS = 7
"""Steps that are written beside colours, or below columns, of revisions."""

CHANCE = 0.5
"""Accuracy of a guess."""


def plot_figure(name: str, table: pd.DataFrame) -> Figure:
    """Returns a figure of one family on one dataset; its caption is :func:`w2sg.report.figure_tables.caption`.

    Args:
        name: Figure, a key of :data:`w2sg.report.catalogue.FIGURES`.
        table: What it shows, see :func:`w2sg.report.figure_tables.figure_table`.
    """
    return _PLOTS[name](table) if len(table) else _nothing()


def _protocols(table: pd.DataFrame) -> list[str]:
    """Returns the protocols that a plotted table has panels of."""
    return protocols_in(table["panel"].str.partition(":")[0])


def _nothing() -> Figure:
    """A figure of a family whose revisions were all left out."""
    figure, axis = plt.subplots(figsize=(COLUMN, 1.5))
    axis.set_axis_off()
    axis.text(0.5, 0.5, "no revision is left to show", ha="center", va="center")
    return figure


def _trajectory(table: pd.DataFrame) -> Figure:
    protocols = _protocols(table)
    figure, axes = _panels(table, protocols)
    for protocol, axis in zip(protocols, axes, strict=True):
        axis.sharey(axes[0])
        _onset(axis, table[table["panel"] == protocol])
        _lines(axis, table, protocol, ("w2s", "ceiling", "probe", "permuted"))
        _twin(axis, table[table["panel"] == protocol])
        _levels(axis, table, protocol)
        axis.set_title(protocol_title(protocol))
        axis.set_ylabel("test accuracy")
    _finish(figure, axes)
    return figure


def _probe(table: pd.DataFrame) -> Figure:
    names = {"accuracy": "test accuracy", "auroc": "AUROC"}
    figure, axes = _panels(table, list(names))
    for axis, (metric, label) in zip(axes, names.items(), strict=True):
        _lines(axis, table, metric, ("pair", "text"))
        _levels(axis, table, metric)
        axis.set_ylabel(label)
        axis.set_title("linear probe")
    _finish(figure, axes)
    return figure


def _recovery(table: pd.DataFrame) -> Figure:
    protocols = _protocols(table)
    figure, axes = _panels(table, [f"{name}:{metric}" for name in protocols for metric in ("pgr", "ece")])
    for place, protocol in enumerate(protocols):
        gap, calibration = axes[2 * place : 2 * place + 2]
        _lines(gap, table, f"{protocol}:pgr", ("w2s",))
        gap.set_ylim(-1.0, 1.25)
        gap.set_ylabel("PGR (cut at -1)")
        for level in (0.0, 1.0):
            gap.axhline(level, color="#888888", linewidth=0.8)
        _lines(calibration, table, f"{protocol}:ece", ("w2s", "ceiling"))
        _levels(calibration, table, f"{protocol}:ece", chance=None)
        calibration.set_ylim(0.0, None)
        calibration.set_ylabel("calibration error")
        for axis in (gap, calibration):
            axis.set_title(protocol_title(protocol))
    _finish(figure, axes)
    return figure


def _prediction(table: pd.DataFrame) -> Figure:
    protocols = _protocols(table)
    rows = len(protocols)
    size = (2 * COLUMN, 2.1 * rows + 0.5)
    figure, axes = plt.subplots(rows, 2, sharex="col", sharey=True, squeeze=False, figsize=size)
    steps = sorted(set(table.loc[table["series"].str.startswith("revision"), "step"]))
    order = {step: place for place, step in enumerate(steps)}
    colours = Normalize(0, max(len(order) - 1, 1))
    for row, protocol in enumerate(protocols):
        for column, (name, label) in enumerate(DRAWN.items()):
            axis, part = axes[row, column], table[table["panel"] == f"{protocol}:{name}"]
            _scatter(axis, part, order, colours)
            axis.set_title(protocol_title(protocol))
            axes[-1, column].set_xlabel(label)
        axes[row, 0].set_ylabel("W2SG accuracy")
    shown, scale = spread(len(steps), MOST_TICKS), ScalarMappable(colours, STEP_COLOURS)
    bar = figure.colorbar(scale, ax=axes, pad=0.02, aspect=40, label="pre-training step")
    bar.set_ticks(shown, labels=[f"{steps[place]:,}" for place in shown])
    _finish(figure, axes[0, :1], place="outside lower center")
    return figure


def _scatter(axis: Axes, part: pd.DataFrame, order: dict[int, int], colours: Normalize) -> None:
    points = part[part["series"].str.startswith("revision")]
    across, along = _reach(points, "x", "x_low", "x_high"), _reach(points, "value", "low", "high")
    axis.errorbar(
        points["x"], points["value"], xerr=across, yerr=along, zorder=1, fmt="none", ecolor="#bbbbbb", elinewidth=0.7
    )
    error = part.loc[part["series"] == "error", "value"]
    fit = part.loc[part["series"] == "monotone", ["x", "value"]].to_numpy().T
    (line,) = axis.plot(*fit, color="black", linewidth=1.2)
    if len(error):
        axis.legend([line], [f"held-out error {error.iloc[0]:.4f}"], loc="best", handlelength=1.2)
    line.set_label("monotone fit")
    _levels(axis, part[part["series"] != "error"], points["panel"].iloc[0] if len(points) else "", chance=None)
    places = points["step"].map(order)
    axis.scatter(points["x"], points["value"], c=places, norm=colours, cmap=STEP_COLOURS, s=14, zorder=3)


def _reach(points: pd.DataFrame, value: str, low: str, high: str) -> np.ndarray:
    """Returns the distances from a value down and up to its interval, (2, n), as error bars need them."""
    ends = np.stack([points[value] - points[low], points[high] - points[value]])
    return np.clip(np.nan_to_num(ends), 0.0, None)


def _layers(table: pd.DataFrame) -> Figure:
    panels = {"probe": "linear probe"} | {one: f"W2SG, {protocol_title(one)}" for one in _protocols(table)}
    height = max(0.9, min(0.2 * table["layer"].nunique(), 2.0))
    figure, axes = plt.subplots(len(panels), 1, sharex=True, figsize=(COLUMN, len(panels) * height + 1.0))
    least, most = min(CHANCE, table["value"].min()), table["value"].max()
    for axis, (panel, label) in zip(axes, panels.items(), strict=True):
        wide = table[table["panel"] == panel].pivot(index="layer", columns="step", values="value")
        colours = {"cmap": STEP_COLOURS, "vmin": least, "vmax": most, "cbar": False, "rasterized": True}
        sns.heatmap(wide, ax=axis, xticklabels=False, **colours)
        axis.invert_yaxis()
        axis.tick_params(axis="y", rotation=0)
        axis.set(xlabel="", ylabel="layer")
        axis.set_title(label)
    steps = sorted(set(table["step"]))
    shown = spread(len(steps), MOST_TICKS)
    turned: Any = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes[-1].set_xticks([place + 0.5 for place in shown], labels=[f"{steps[place]:,}" for place in shown], **turned)
    axes[-1].set_xlabel("pre-training step (a column per revision)")
    figure.colorbar(axes[0].collections[0], ax=axes, label="test accuracy", pad=0.02, aspect=30)
    _letter(axes)
    return figure


def _panels(table: pd.DataFrame, names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Returns a figure of panels against steps, two beside each other and the evaluation loss last, and the axes of the names.

    A single one stands above the loss. Every column has its steps below and its tokens above.
    """
    columns = 1 if len(names) == 1 else 2
    total = len(names) + 1
    rows = -(-total // columns)
    loss_alone = (total - 1) % columns == 0
    heights = [1.9] * (rows - 1) + [1.2 if loss_alone else 1.9]
    size = (COLUMN * columns, sum(heights) + 0.6)
    figure, grid = plt.subplots(rows, columns, squeeze=False, height_ratios=heights, figsize=size)
    places = list(grid.flat)
    for spare in places[total:]:
        spare.set_axis_off()
        spare.set_label("legend")
    loss = places[total - 1]
    _loss(loss, table)
    revisions = table[table["step"] >= 0].drop_duplicates("step")
    tokens = dict(zip(revisions["step"], 1e9 * revisions["tokens"], strict=True))
    for place, axis in enumerate(places[:total]):
        finish_step_axis(axis, tokens, below=place + columns >= total, above=place < columns)
    return figure, places[: len(names)]


def _loss(axis: Axes, table: pd.DataFrame) -> None:
    """Draws the evaluation loss, in nats per token on the left and in bits per byte on the right."""
    names = sorted((name for name in table["series"].unique() if name.startswith("loss:")), key=len)
    _lines(axis, table, "loss", names[:1])
    axis.set_title(f"evaluation loss on {names[0].split('@')[0].removeprefix('loss:')}" if names else "evaluation loss")
    axis.set_ylabel("nats/token")
    part = table[table["panel"] == "loss"]
    nats, bits = (part.loc[part["series"].str.startswith(name), "value"].mean() for name in ("loss:", "bits"))
    if np.isfinite(nats) and np.isfinite(bits):  # a factor apart, that a tokenizer and a text decide
        there, back = (partial(np.multiply, factor) for factor in (bits / nats, nats / bits))
        axis.secondary_yaxis("right", functions=(there, back)).set_ylabel("bits/byte")


def _letter(axes: Iterable[Axes]) -> None:
    """Puts a letter before the heading of each panel, in the order of reading."""
    for letter, axis in zip(ascii_lowercase, axes, strict=False):
        axis.set_title(letter, loc="left", fontweight="bold")


def _finish(figure: Figure, axes: Iterable[Axes], *, place: str = "") -> None:
    """Gives panels their letters, and the figure its legend: in the panel that is left over, or below all of them."""
    _letter(one for one in figure.axes if one.get_title())
    named: dict[str, Any] = {}
    for one in axes:
        handles, texts = one.get_legend_handles_labels()
        named = dict(zip(texts, handles, strict=True)) | named
    labels, handles = list(named), list(named.values())
    spare = [one for one in figure.axes if one.get_label() == "legend"]
    if spare and not place:
        columns = 1 if len(labels) < 6 else 2
        spare[0].legend(handles, labels, loc="center", ncols=columns, borderaxespad=0, columnspacing=1)
    else:
        columns = 2 if figure.get_figwidth() < 1.5 * COLUMN else 3
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _lines(axis: Axes, table: pd.DataFrame, panel: str, series: Iterable[str]) -> None:
    """Draws series with their intervals; a marker per revision while they can be told apart.

    Of several pre-training seeds each is a thin line, ``<series>@<seed>``, and their mean a thick one; of controls, only the mean.
    """
    part = table[table["panel"] == panel]
    for name in series:
        kind, control = name.partition(":")[0], name in CONTROLS
        style: dict[str, Any] = {"label": LABELS[kind], "color": COLOURS[kind], "linestyle": dash_style(kind)}
        style |= {"linewidth": 0.9} if control else {}
        seeds = [one for one in part["series"].unique() if one.startswith(f"{name}@")]
        for one in seeds if not control else []:
            label = "single seeds" if name == "w2s" and one == seeds[0] else "_"
            draw_series(axis, part.assign(low=np.nan), one, **style | {"label": label, "linewidth": 0.5}, alpha=0.7)
        if seeds and not control:
            style |= {"label": f"{LABELS[kind]}, mean", "linewidth": 2.0}
        elif part["x"].nunique() <= MARKED:
            style["marker"] = marker_of(kind)
        if (part["series"] == name).any():
            draw_series(axis, part, name, **style)


def _twin(axis: Axes, part: pd.DataFrame) -> None:
    """Rings the student of a model that no training has changed."""
    for row in records(part[part["series"].str.match("twin:[^@]*$")]):
        revision = row.series.removeprefix("twin:")
        label = f"random twin ({'step 0' if revision == 'step0' else revision})"
        ring: Any = {"markersize": 6, "markerfacecolor": "none", "markeredgecolor": COLOURS["w2s"]}
        axis.plot(row.x, row.value, "o", label=label, **ring)


def _onset(axis: Axes, part: pd.DataFrame) -> None:
    """Draws the onset as a vertical line, and its interval as a band."""
    for row in records(part[part["series"] == "onset"]):
        axis.axvspan(row.x_low, row.x_high, color="#777777", alpha=0.15, linewidth=0)
        axis.axvline(row.x, color="#333333", linewidth=1.0, linestyle=dash_style("onset"), label=LABELS["onset"])


def _levels(axis: Axes, table: pd.DataFrame, panel: str, *, chance: float | None = CHANCE) -> None:
    """Draws the supervisor's level with its interval, the floors, and chance."""
    for row in records(table[(table["panel"] == panel) & table["x"].isna()]):
        label = LABELS.get(row.series, row.series.replace(":", ": "))
        style: dict[str, Any] = {"color": "#777777", "linewidth": 0.9, "label": label}
        if row.series == "weak":
            style |= {"color": COLOURS["weak"], "linewidth": 1.4}
            axis.axhspan(row.low, row.high, color=COLOURS["weak"], alpha=0.12, linewidth=0)
        elif row.series in CONTROLS:
            style["color"] = COLOURS[row.series]
        axis.axhline(row.value, linestyle=dash_style(row.series), **style)
    if chance is not None:
        axis.axhline(chance, color="#777777", linewidth=0.8, linestyle=dash_style("chance"), label=LABELS["chance"])


_PLOTS: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "trajectory": _trajectory,
    "probe": _probe,
    "recovery": _recovery,
    "prediction": _prediction,
    "layers": _layers,
}
