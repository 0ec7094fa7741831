"""Lines with their bands, as a table holds them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from w2sg.plotting.style import bend_of, in_si, step_ticks

LEVEL: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.0}
"""Appearance of the supervisor's own level."""

MOST_STEPS = 7
"""Steps that are written below an axis."""


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


def finish_step_axis(axis: Axes, tokens: dict[int, float], *, below: bool, above: bool) -> None:
    """Makes the axis of steps logarithmic above its bend; steps stand below, the tokens of the same revisions above."""
    bend, ticks = bend_of(tokens), step_ticks(tokens, MOST_STEPS)
    named = {"below": (axis, [f"{tick:,}" for tick in ticks] if below else [""] * len(ticks))}
    if below:
        axis.set_xlabel("pre-training step")
    if above and np.isfinite(list(tokens.values())).all():
        top = axis.twiny()
        top.grid(visible=False)
        top.spines["top"].set_visible(True)
        top.set_xlabel("training tokens")
        named["above"] = (top, [in_si(tokens[tick], 2) for tick in ticks])
    for one, labels in named.values():
        one.set_xscale("function", functions=(partial(_bent, bend=bend), partial(_unbent, bend=bend)))
        one.set_xticks(ticks, labels=labels)
        one.set_xlim(-0.15 * bend, bend * float(np.expm1(1.03 * np.log1p(max([*tokens, 1]) / bend))))


def _bent(x: np.ndarray, *, bend: float) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x) / bend)


def _unbent(y: np.ndarray, *, bend: float) -> np.ndarray:
    return np.sign(y) * bend * np.expm1(np.abs(y))
