"""Figures of the sweep branch: a table in, a matplotlib figure out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

STYLE = Path(__file__).resolve().parent.parent / "resources" / "paper.mplstyle"
"""The style file of every figure."""

COLOURS = {"w2s": "#0072B2", "ceiling": "#009E73", "probe": "#CC79A7", "weak": "#D55E00", "loss": "#444444"}
"""One colour per quantity (Okabe and Ito 2008), the same in every figure."""

LABELS = {"w2s": "W2SG (weak labels)", "ceiling": "ceiling (true labels)", "probe": "linear probe"}
"""Legend text of the trajectories."""

FLOOR_STYLES = {"longer_response": (0, (1, 2)), "tfidf": (0, (4, 2))}
"""Line style per floor."""

FLOOR_LABELS = {"longer_response": "floor: longer response", "tfidf": "floor: TF-IDF"}
"""Legend text of the floors."""


def plot_trajectory(table: pd.DataFrame, floors: pd.DataFrame, *, title: str) -> Figure:
    """Returns a figure of one family on one dataset: a column per head protocol, accuracies above evaluation loss.

    Args:
        table: Columns protocol, step, and value, low, high of w2s, ceiling, probe, weak and loss (see
            :func:`w2sg.summary.trajectory`).
        floors: Rows of the floors table of this dataset: floor, value.
        title: Title of the figure.
    """
    protocols = list(dict.fromkeys(table["protocol"]))
    figure, axes = plt.subplots(
        2,
        len(protocols),
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=[2.6, 1],
        figsize=(3.5 * len(protocols), 4.8),
    )
    for column, protocol in enumerate(protocols):
        part = table[table["protocol"] == protocol].sort_values("step")
        _accuracies(axes[0, column], part, floors)
        _band(axes[1, column], part, "loss", "evaluation loss")
        axes[0, column].set_title(f"{protocol} heads")
        axes[1, column].set_xlabel("pre-training step (0 at the left edge)")
    axes[0, 0].set_ylabel("test accuracy")
    axes[1, 0].set_ylabel("loss, nats/token")
    _step_axis(axes[1, 0], table["step"])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.suptitle(title, fontsize=10)
    return figure


def _accuracies(axis: Axes, part: pd.DataFrame, floors: pd.DataFrame) -> None:
    for name, label in LABELS.items():
        _band(axis, part, name, label)
    weak = part.iloc[0]
    axis.axhline(weak["weak"], color=COLOURS["weak"], linewidth=1.4, label="weak supervisor")
    axis.axhspan(weak["weak_low"], weak["weak_high"], color=COLOURS["weak"], alpha=0.12, linewidth=0)
    records: list[Any] = list(floors.itertuples())
    for row in records:
        axis.axhline(
            row.value,
            color="#888888",
            linewidth=1.0,
            linestyle=FLOOR_STYLES.get(row.floor, "-"),
            label=FLOOR_LABELS.get(row.floor, row.floor),
        )
    axis.axhline(0.5, color="#bbbbbb", linewidth=0.8)


def _band(axis: Axes, part: pd.DataFrame, name: str, label: str) -> None:
    axis.plot(part["step"], part[name], color=COLOURS[name], marker="o", label=label)
    axis.fill_between(
        part["step"], part[f"{name}_low"], part[f"{name}_high"], color=COLOURS[name], alpha=0.18, linewidth=0
    )


def _step_axis(axis: Axes, steps: pd.Series) -> None:
    """Logarithmic above step 1, with step 0 one unit to its left: the schedule is 0, 1, 2, 4, ..."""
    axis.set_xscale("symlog", linthresh=1, linscale=0.5)
    largest = max(int(steps.max()), 1)
    base = 4 if largest < 10_000 else 10
    ticks = [0] + [base**k for k in range(12) if base**k <= largest]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value):,}"))
    axis.set_xlim(-0.3, largest * 1.25)
