"""Parts that the theory figures share: colours, lines with bands, grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), in the order of the style file."""

LEVEL: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.0}
"""Appearance of the supervisor's own level."""


def draw_series(axis: Axes, table: pd.DataFrame, series: str, *, label: str, **style: Any) -> None:
    """Draws one series with its band of one standard error, where it has one.

    Args:
        axis: Where.
        table: Rows of one panel, in the columns of ``schemas.FIGURE``.
        series: Which rows.
        label: Legend text.
        style: Line properties.
    """
    part = table[table["series"] == series].sort_values("x")
    axis.plot(part["x"], part["value"], label=label, **style)
    if part["low"].notna().any():
        colour = style.get("color")
        axis.fill_between(part["x"], part["low"], part["high"], color=colour, alpha=0.2, linewidth=0)


def draw_lines(axis: Axes, table: pd.DataFrame, *, labelled: bool = True, **style: Any) -> None:
    """Draws all series of a panel, in the order of the number in their names, in the colours of the cycle.

    Args:
        axis: Where.
        table: Rows of one panel.
        labelled: Whether the series appear in the legend.
        style: Line properties shared by all.
    """
    names = sorted(set(table["series"]), key=lambda name: float(name.rpartition("=")[2]))
    for name, colour in zip(names, LINE_COLOURS, strict=False):
        label = symbol(name) if labelled else "_"
        draw_series(axis, table, name, label=label, color=colour, **style)


def symbol(name: str) -> str:
    """Returns a series name such as ``kappa = 0.5`` with the setting as a mathematical symbol."""
    setting, _, value = name.partition(" = ")
    symbols = {"kappa": r"$\kappa$", "lam": r"$\lambda$", "m0": "$m_0$", "c_w": "$c_w$", "d": "$d$"}
    return f"{symbols.get(setting, setting)} = {value}"


def as_grid(table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns sorted x (nx,), y (ny,) and values (ny, nx) of a series on a plane; nan where a cell is missing."""
    wide = table.pivot(index="y", columns="x", values="value").sort_index().sort_index(axis=1)
    return wide.columns.to_numpy(), wide.index.to_numpy(), wide.to_numpy(dtype=np.float64)
