"""Lines with their bands, as a table holds them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

LEVEL: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.0}
"""Appearance of the supervisor's own level."""


def draw_series(axis: Axes, table: pd.DataFrame, series: str, *, label: str, **style: Any) -> None:
    """Draws one series of a panel as a line, with a band between the ends of its intervals where it has any.

    The table has the columns series, x, value, low and high; ``style`` are properties of the line.
    """
    part = table[table["series"] == series].sort_values("x")
    axis.plot(part["x"], part["value"], label=label, **style)
    if part["low"].notna().any():
        axis.fill_between(part["x"], part["low"], part["high"], color=style["color"], alpha=0.2, linewidth=0)


def draw_lines(axis: Axes, table: pd.DataFrame, *, labelled: bool = True, **style: Any) -> None:
    """Draws all series of a panel, in the order of the number in their names, in the colours of the style.

    ``labelled`` says whether they appear in the legend; ``style`` are properties of all lines.
    """
    for k, name in enumerate(sorted(set(table["series"]), key=lambda name: float(name.rpartition("=")[2]))):
        draw_series(axis, table, name, label=symbol(name) if labelled else "_", color=f"C{k}", **style)


def symbol(name: str) -> str:
    """Returns a series name such as ``kappa = 0.5`` with the setting as a mathematical symbol."""
    setting, _, value = name.partition(" = ")
    symbols = {"kappa": r"$\kappa$", "lam": r"$\lambda$", "m0": "$m_0$", "c_w": "$c_w$", "d": "$d$"}
    return f"{symbols.get(setting, setting)} = {value}"
