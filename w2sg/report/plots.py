"""Figures of the sweep branch: a plotted table in, a matplotlib figure out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from w2sg.plotting.lines import draw_series
from w2sg.plotting.style import COLOURS, LABELS, MARKED, STEP_COLOURS, spread
from w2sg.report.catalogue import FIGURES
from w2sg.report.cells import records
from w2sg.study.protocols import protocol_title, protocols_in

COLUMN = 3.4
"""Width of a column of text, inches; panels side by side get one each."""

FLOOR_STYLES = {
    "floor:longer_response": (0, (1, 2)),
    "floor:tfidf": (0, (4, 2)),
    "floor:fewer_tokens": (0, (6, 2, 1, 2)),
    "floor:majority": (0, (1, 4)),
}
"""Line style per floor."""

THIN: dict[str, Any] = {"permuted": {"linestyle": "-"}, "weak_on_weak": {"linestyle": (0, (5, 1))}}
"""Line style of controls, which are thinner than what is measured."""

MOST_TICKS = 9
"""Steps that are written below columns, or beside colours, of revisions."""


def plot_figure(name: str, table: pd.DataFrame, *, title: str) -> Figure:
    """Returns a figure of one family on one dataset, which the title names.

    Args:
        name: Figure, a key of :data:`w2sg.report.catalogue.FIGURES`.
        table: What it shows, see :func:`w2sg.report.figure_tables.figure_table`.
        title: Family and dataset.
    """
    figure = _PLOTS[name](table) if len(table) else _nothing()
    figure.suptitle(f"{title}\n{FIGURES[name].title}", fontsize=10)
    return figure


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
    figure, axes = _grid(2, len(protocols), heights=[2.6, 1], height=5.0)
    for column, protocol in enumerate(protocols):
        _lines(axes[0, column], table, protocol, ("w2s", "ceiling", "probe", "permuted"))
        _twin(axes[0, column], table[table["panel"] == protocol])
        _levels(axes[0, column], table, protocol)
        axes[0, column].set_title(protocol_title(protocol))
    axes[0, 0].set_ylabel("test accuracy")
    _finish_steps(figure, axes, table)
    return figure


def _probe(table: pd.DataFrame) -> Figure:
    figure, axes = _grid(3, 1, heights=[2, 2, 1], height=6.0)
    for row, (metric, label) in enumerate({"accuracy": "test accuracy", "auroc": "AUROC"}.items()):
        _lines(axes[row, 0], table, metric, ("pair", "text"))
        _levels(axes[row, 0], table, metric)
        axes[row, 0].set_ylabel(label)
    _finish_steps(figure, axes, table)
    return figure


def _recovery(table: pd.DataFrame) -> Figure:
    protocols = _protocols(table)
    figure, axes = _grid(3, len(protocols), heights=[2, 2, 1], height=6.0)
    for column, protocol in enumerate(protocols):
        gap, calibration = axes[:2, column]
        _lines(gap, table, f"{protocol}:pgr", ("w2s",))
        gap.set_ylim(-1.0, 1.25)
        for level in (0.0, 1.0):
            gap.axhline(level, color="#888888", linewidth=0.8)
        _lines(calibration, table, f"{protocol}:ece", ("w2s", "ceiling"))
        _levels(calibration, table, f"{protocol}:ece", chance=None)
        calibration.set_ylim(0.0, None)
        gap.set_title(protocol_title(protocol))
    axes[0, 0].set_ylabel("PGR (cut at -1)")
    axes[1, 0].set_ylabel("calibration error")
    _finish_steps(figure, axes, table, legend=axes[1, 0])
    return figure


def _prediction(table: pd.DataFrame) -> Figure:
    predictors = {"probe": "linear-probe accuracy", "loss": "evaluation loss, nats/token"}
    protocols = _protocols(table)
    rows = len(protocols)
    size = (2 * COLUMN, 2.6 * rows + 0.4)
    figure, axes = plt.subplots(rows, 2, sharex="col", sharey=True, squeeze=False, figsize=size)
    steps = sorted(set(table.loc[table["series"].str.startswith("revision"), "step"]))
    order = {step: place for place, step in enumerate(steps)}
    colours = Normalize(0, max(len(order) - 1, 1))
    for row, protocol in enumerate(protocols):
        for column, (name, label) in enumerate(predictors.items()):
            axis, part = axes[row, column], table[table["panel"] == f"{protocol}:{name}"]
            _scatter(axis, part, order, colours)
            axes[-1, column].set_xlabel(label)
        axes[row, 0].set_ylabel(f"W2SG accuracy,\n{protocol_title(protocol)}")
    shown, scale = spread(len(steps), MOST_TICKS), ScalarMappable(colours, STEP_COLOURS)
    bar = figure.colorbar(scale, ax=axes, pad=0.02, aspect=40, label="pre-training step")
    bar.set_ticks(shown, labels=[f"{steps[place]:,}" for place in shown])
    _legend(figure, axes[0, 0])
    return figure


def _scatter(axis: Axes, part: pd.DataFrame, order: dict[int, int], colours: Normalize) -> None:
    points = part[part["series"].str.startswith("revision")]
    across, along = _reach(points, "x", "x_low", "x_high"), _reach(points, "value", "low", "high")
    thin: Any = {"fmt": "none", "ecolor": "#bbbbbb", "elinewidth": 0.7}
    axis.errorbar(points["x"], points["value"], xerr=across, yerr=along, zorder=1, **thin)
    error = part.loc[part["series"] == "error", "value"]
    (line,) = axis.plot(
        *part.loc[part["series"] == "monotone", ["x", "value"]].to_numpy().T, color="black", linewidth=1.2
    )
    if len(error):
        axis.legend([line], [f"held-out error {error.iloc[0]:.4f}"], loc="best", fontsize=7, handlelength=1.2)
    line.set_label("monotone fit")
    _levels(axis, part[part["series"] != "error"], points["panel"].iloc[0] if len(points) else "", chance=None)
    places = points["step"].map(order)
    axis.scatter(points["x"], points["value"], c=places, norm=colours, cmap=STEP_COLOURS, s=18, zorder=3)


def _reach(points: pd.DataFrame, value: str, low: str, high: str) -> np.ndarray:
    """Returns the distances from a value down and up to its interval, (2, n), as error bars need them."""
    ends = np.stack([points[value] - points[low], points[high] - points[value]])
    return np.clip(np.nan_to_num(ends), 0.0, None)


def _layers(table: pd.DataFrame) -> Figure:
    panels = {"probe": "linear probe"} | {
        protocol: f"W2SG, {protocol_title(protocol)}" for protocol in _protocols(table)
    }
    height = max(1.1, min(0.22 * table["layer"].nunique(), 2.2))
    figure, axes = plt.subplots(len(panels), 1, sharex=True, figsize=(COLUMN + 1.2, len(panels) * height + 1.2))
    least, most = min(0.5, table["value"].min()), table["value"].max()
    for axis, (panel, label) in zip(axes, panels.items(), strict=True):
        wide = table[table["panel"] == panel].pivot(index="layer", columns="step", values="value")
        colours = {"cmap": STEP_COLOURS, "vmin": least, "vmax": most, "cbar": False, "rasterized": True}
        sns.heatmap(wide, ax=axis, xticklabels=False, **colours)
        axis.invert_yaxis()
        axis.tick_params(axis="y", rotation=0)
        axis.set(xlabel="", ylabel="layer")
        axis.set_title(label, fontsize=9)
    steps = sorted(set(table["step"]))
    shown = spread(len(steps), MOST_TICKS)
    turned: Any = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes[-1].set_xticks([place + 0.5 for place in shown], labels=[f"{steps[place]:,}" for place in shown], **turned)
    axes[-1].set_xlabel("pre-training step (one column per revision)")
    figure.colorbar(axes[0].collections[0], ax=axes, label="test accuracy", pad=0.02, aspect=30)
    return figure


def _grid(rows: int, columns: int, *, heights: list[float], height: float) -> tuple[Figure, Any]:
    """Panels against steps: a column per protocol, the last row for the evaluation loss."""
    return plt.subplots(
        rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=heights, figsize=(COLUMN * columns, height)
    )  # fmt: skip


def _finish_steps(figure: Figure, axes: Any, table: pd.DataFrame, *, legend: Axes | None = None) -> None:
    """Draws the evaluation loss in the last row, and labels what all panels share."""
    names = [name for name in table["series"].unique() if name.startswith("loss:")]
    for axis in axes[-1]:
        _lines(axis, table, "loss", sorted(names, key=len)[:1])
        axis.set_xlabel("pre-training step (0 at the left edge)")
    text = names[0].split("@")[0].removeprefix("loss:") if names else ""
    axes[-1, 0].set_ylabel(f"nats/token on\n{text}")
    _bits(axes[-1, -1], table[table["panel"] == "loss"])
    _step_axis(axes[-1, 0], table.loc[table["step"] >= 0, "step"])
    _legend(figure, legend or axes[0, 0], columns=3 if axes.shape[1] > 1 else 2)


def _legend(figure: Figure, axis: Axes, *, columns: int = 3) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _lines(axis: Axes, table: pd.DataFrame, panel: str, series: Iterable[str]) -> None:
    """Draws series with their intervals; a marker per revision while they can be told apart.

    Of several pre-training seeds each is a thin line, ``<series>@<seed>``, and their mean a thick one; of controls, only the mean.
    """
    part = table[table["panel"] == panel]
    for name in series:
        kind = name.partition(":")[0]
        style: dict[str, Any] = {"label": LABELS[kind], "color": COLOURS[kind]}
        style |= {"linewidth": 0.9} | THIN[name] if name in THIN else {}
        seeds = [one for one in part["series"].unique() if one.startswith(f"{name}@")]
        for one in seeds if name not in THIN else []:
            label = "single seeds" if name == "w2s" and one == seeds[0] else "_"
            draw_series(axis, part.assign(low=np.nan), one, **style | {"label": label, "linewidth": 0.5}, alpha=0.7)
        if seeds and name not in THIN:
            style |= {"label": f"{LABELS[kind]}, mean", "linewidth": 2.0}
        elif part["x"].nunique() <= MARKED and name not in THIN:
            style["marker"] = "o"
        if (part["series"] == name).any():
            draw_series(axis, part, name, **style)


def _twin(axis: Axes, part: pd.DataFrame) -> None:
    """Rings the student of a model that no training has changed."""
    for row in records(part[part["series"].str.match("twin:[^@]*$")]):
        revision = row.series.removeprefix("twin:")
        label = f"random twin ({'step 0' if revision == 'step0' else revision})"
        axis.plot(
            row.x, row.value, "o", markersize=7, markerfacecolor="none", markeredgecolor=COLOURS["w2s"], label=label
        )


def _bits(axis: Axes, part: pd.DataFrame) -> None:
    """Adds bits per byte on the right: nats per token times a factor that a tokenizer and a text decide."""
    nats, bits = (part.loc[part["series"].str.startswith(name), "value"].mean() for name in ("loss:", "bits"))
    if np.isfinite(nats) and np.isfinite(bits):
        there, back = (partial(np.multiply, factor) for factor in (bits / nats, nats / bits))
        axis.secondary_yaxis("right", functions=(there, back)).set_ylabel("bits/byte")


def _levels(axis: Axes, table: pd.DataFrame, panel: str, *, chance: float | None = 0.5) -> None:
    """Draws the supervisor's level with its interval, the floors, and chance."""
    for row in records(table[(table["panel"] == panel) & table["x"].isna()]):
        if row.series == "weak":
            axis.axhline(row.value, color=COLOURS["weak"], linewidth=1.4, label=LABELS["weak"])
            axis.axhspan(row.low, row.high, color=COLOURS["weak"], alpha=0.12, linewidth=0)
        elif row.series in THIN:
            style = {"color": COLOURS[row.series], "linewidth": 0.9} | THIN[row.series]
            axis.axhline(row.value, label=LABELS[row.series], **style)
        else:
            style = FLOOR_STYLES.get(row.series, "-")
            label = LABELS.get(row.series, row.series.replace(":", ": "))
            axis.axhline(row.value, color="#888888", linewidth=1.0, linestyle=style, label=label)
    if chance is not None:
        axis.axhline(chance, color="#bbbbbb", linewidth=0.8)


def _step_axis(axis: Axes, steps: pd.Series) -> None:
    """Logarithmic above step 1, with step 0 one unit to its left: the schedule is 0, 1, 2, 4, ..."""
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    largest = max(int(steps.max()), 1)
    base = 4 if largest < 10_000 else 10
    ticks = [0] + [base**k for k in range(12) if base**k <= largest]
    axis.set_xticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlim(-0.3, largest * 1.25)


_PLOTS: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "trajectory": _trajectory,
    "probe": _probe,
    "recovery": _recovery,
    "prediction": _prediction,
    "layers": _layers,
}
