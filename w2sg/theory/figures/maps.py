"""Theory figures on a plane: region around the target, weak-gradient flow, sign rule, phase diagrams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from w2sg.plotting.lines import draw_series, symbol

FRACTIONS = "cividis"
"""Colour map of fractions: perceptually even and safe for colour-blind readers."""

CROSSING, SIGN = "C1", "C3"
"""Colours of the predicted boundaries, the same in every diagram."""

PREDICTIONS = {"predicted $D_T = D_w$": (CROSSING, "-"), "predicted sign change": (SIGN, "--")}
"""Legend of the phase diagrams: colour and style of the predicted boundaries."""

THRESHOLD: dict[str, Any] = {"color": "white", "linestyle": ":", "linewidth": 1.6}
"""Appearance of the spectral threshold on a diagram."""


def fig3(table: pd.DataFrame) -> Figure:
    """Returns the one-point map around the target with spectral starts, and the worst-direction profiles."""
    figure, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2], figsize=(8.4, 3.9))
    plane = table[table["panel"] == "map"]
    x, y, ratio = _as_grid(plane[plane["series"] == "one-point convexity"])
    left.grid(False)
    levels = np.linspace(-2, 4, 25)
    image = left.contourf(x, y, ratio, levels=levels, cmap="PuOr_r", extend="both", vmin=-2, vmax=4)
    edge = left.contour(x, y, ratio, levels=[1.0], colors="black", linewidths=1.6)
    for part in (image, edge):  # the table reaches a little beyond 90 degrees, for a smooth border
        part.set_clip_path(Circle((0, 0), 90, transform=left.transData))
    figure.colorbar(image, ax=left, label=r"one-point convexity / ($c_\sigma/2$)", ticks=range(-2, 5), shrink=0.8)
    starts = plane[plane["series"] == "spectral start"].sort_values("value")
    left.plot(starts["x"], starts["y"], color="black", marker="o", markersize=4, linewidth=0.8, mfc="white")
    for row in starts.iloc[[0, 2, 5, -1]].itertuples():
        left.annotate(f"{row.value:g}", (row.x, row.y), xytext=(6, 5), textcoords="offset points", fontsize=7)
    left.plot([0], [0], marker="*", markersize=11, color="C4", mec="black", mew=0.6)
    left.set(xlabel="angle towards the spike, degrees", ylabel="angle in a remaining direction", aspect="equal")
    left.set(xlim=(-95, 95), ylim=(-2, 97))
    left.set_title("he3: dots are spectral starts, number N/d", fontsize=9)
    profile = table[table["panel"] == "profile"]
    for k, name in enumerate(("he3", "softplus")):
        for series, style in (("one-point", "-"), ("Hessian", "--")):
            label = f"{name}, {series}"
            draw_series(right, profile, label, label=label, color=f"C{k}", linestyle=style)
    radius = float(profile.loc[profile["series"] == "softplus, analytic radius", "x"].iloc[0])
    right.axvline(radius, color="C1", linewidth=0.9, linestyle=":", label=f"softplus, analytic: {radius:.1f}°")
    right.axhline(1.0, color="black", linewidth=0.8)
    right.set(xlabel="angle to the target, degrees", ylabel=r"worst direction / ($c_\sigma/2$)", ylim=(-4, 6))
    right.legend(fontsize=7, loc="upper right")
    return figure


def fig4(table: pd.DataFrame) -> Figure:
    """Returns the weak-gradient flow on the half disc, with the region where it approaches the target."""
    figure, axis = plt.subplots(figsize=(7.6, 3.7))
    field = table[table["panel"] == "field"]
    x, y, up = _as_grid(field[field["series"] == "up"])
    _, _, right = _as_grid(field[field["series"] == "right"])
    axis.grid(False)
    shade = axis.contourf(x, y, up, levels=[0, np.inf], colors=["#d6e8f5"])
    shade.set_clip_path(Circle((0, 0), 1, transform=axis.transData))
    inside = np.hypot(*np.meshgrid(x, y)) < 0.995
    right, up = np.where(inside, right, np.nan), np.where(inside, up, np.nan)
    speed = np.hypot(right, up)
    width = 0.4 + 1.2 * np.sqrt(np.nan_to_num(speed / np.nanpercentile(speed, 95))).clip(0, 1)
    axis.streamplot(x, y, right, up, color="#999999", linewidth=width, density=1.1, arrowsize=0.8)
    runs = table[table["panel"] == "runs"]
    for name, path in runs.sort_values("value").groupby("series"):
        start = {"marker": "o", "markersize": 5, "markevery": [0]}
        axis.plot(path["x"], path["y"], linewidth=2.2, label=symbol(str(name)), **start)
    arc = np.linspace(-np.pi / 2, np.pi / 2, 200)
    axis.plot(np.sin(arc), np.cos(arc), color="black", linewidth=0.8)
    axis.plot([0], [1], marker="*", markersize=13, color="C4", mec="black", mew=0.6, clip_on=False)
    axis.plot([0.8], [0.6], marker="D", markersize=7, color="white", mec="black", clip_on=False)
    axis.annotate(r"target $\theta^*$", (0, 1), xytext=(8, 3), textcoords="offset points")
    axis.annotate(r"supervisor $\theta_w$", (0.8, 0.6), xytext=(9, 0), textcoords="offset points")
    axis.plot([-0.8, 0.8], [0.6, 0.6], color="black", linestyle="--", linewidth=1.0)
    axis.set(xlabel="component along the supervisor's own part", ylabel=r"$\langle\theta,\theta^*\rangle$")
    axis.set(aspect="equal", xlim=(-1.02, 1.4), ylim=(-0.02, 1.08))
    handles, labels = axis.get_legend_handles_labels()
    handles.append(Patch(color="#d6e8f5"))
    axis.legend(handles, [*labels, "distance falls"], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def sign_rule(table: pd.DataFrame) -> Figure:
    """Returns the heat map of wrong signs with the zero lines of the population margin."""
    figure, axis = plt.subplots(figsize=(5.6, 4.4))
    x, y, wrong = _as_grid(table[table["panel"] == "wrong"])
    image = _heat(axis, x, y, wrong, log=True)
    figure.colorbar(image, ax=axis, label="fraction of wrong signs")
    for name, style in (("limit overlap", "-"), ("overlap 1", "--")):
        _boundary(axis, table[table["series"] == name], SIGN, style=style, least=0.5 if style == "-" else 0.0)
    axis.axvline(0.5, **THRESHOLD)
    axis.set(xscale="log", xlabel=r"spike strength $\lambda$", ylabel=r"alignment $\kappa$")
    _plain_ticks(axis, (0.5, 1, 2, 5, 10))
    lines = {"margin 0, limiting overlap": (SIGN, "-"), "margin 0, overlap 1": (SIGN, "--")}
    _legend_inside(axis, lines, "upper center", threshold=True)
    return figure


def phase_lam_kappa(table: pd.DataFrame) -> Figure:
    """Returns the phase diagram over spike strength and alignment."""
    figure, axes = _phase(table, log=True, threshold=0.5)
    axes[0].set_ylabel(r"alignment $\kappa$")
    for axis in axes:
        axis.set_xlabel(r"spike strength $\lambda$")
        _plain_ticks(axis, (0.2, 0.5, 1, 2, 5, 10))
    _legend_inside(axes[0], PREDICTIONS, "lower left", threshold=True)
    return figure


def phase_kappa_cw(table: pd.DataFrame) -> Figure:
    """Returns the phase diagram over alignment and weak correlation."""
    figure, axes = _phase(table, log=False, threshold=None)
    axes[0].set_ylabel(r"weak correlation $c_w$")
    for axis in axes:
        axis.set_xlabel(r"alignment $\kappa$")
    _legend_inside(axes[0], PREDICTIONS, "upper left", threshold=False)
    return figure


def four_conditions(table: pd.DataFrame) -> Figure:
    """Returns success on three planes, with the numbers of the failing conditions, framed where none fails."""
    figure, axes = plt.subplots(1, 3, width_ratios=[5, 6, 11], figsize=(11.4, 3.8))
    spike, weak = r"angle of $v$ to $\theta^*$, degrees", r"angle of $\theta_w$ to $\theta^*$, degrees"
    labels = {
        "spike": (r"spike strength $\lambda$", spike),
        "supervisor": (spike, weak),
        "step": (r"step $\eta$", weak),
    }
    for axis, (panel, (xlabel, ylabel)) in zip(axes, labels.items(), strict=True):
        part = table[table["panel"] == panel]
        x, y, success = _as_grid(part[part["series"] == "success"])
        _, _, failing = _as_grid(part[part["series"] == "failing"])
        axis.grid(False)
        # Settings are spaced unevenly: cells are numbered, and named on the axes.
        image = axis.imshow(success, origin="lower", aspect="auto", cmap=FRACTIONS, vmin=0, vmax=1)
        for (row, column), digits in np.ndenumerate(failing.astype(int)):
            ink = "white" if success[row, column] < 0.5 else "black"
            axis.text(column, row, str(digits or ""), ha="center", va="center", fontsize=6.5, color=ink)
            if digits == 0:
                axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=SIGN, linewidth=2.0))
        axis.set_xticks(range(len(x)), labels=[_short(value) for value in x], fontsize=7)
        axis.set_yticks(range(len(y)), labels=[f"{value:g}" for value in y], fontsize=7)
        axis.set(xlabel=xlabel, ylabel=ylabel)
    figure.colorbar(image, ax=axes, label="fraction of runs better than their supervisor", shrink=0.9)
    return figure


def _short(value: float) -> str:
    return f"{value:g}" if value >= 1e-3 else f"$10^{{{round(np.log10(value))}}}$"


def _phase(table: pd.DataFrame, *, log: bool, threshold: float | None) -> tuple[Figure, Any]:
    figure, axes = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(8.4, 4.2))
    titles = {"success": "student better than supervisor", "wrong_sign": "start turned the wrong way"}
    predicted = table[table["panel"] == "prediction"]
    least = threshold or 0.0
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        image = _heat(axis, *_as_grid(table[table["series"] == name]), log=log)
        _boundary(axis, predicted[predicted["series"] == "distance - D_w"], CROSSING, style="-")
        _boundary(axis, predicted[predicted["series"] == "margin"], SIGN, style="--", least=least)
        if threshold is not None:
            axis.axvline(threshold, **THRESHOLD)
        axis.set(xscale="log" if log else "linear", title=title)
    figure.colorbar(image, ax=axes, label="fraction of runs")
    return figure, axes


def _as_grid(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns sorted x (nx,), y (ny,) and values (ny, nx) of a series on a plane; NaN where a cell is missing."""
    wide = table.pivot(index="y", columns="x", values="value").sort_index().sort_index(axis=1)
    return wide.columns.to_numpy(), wide.index.to_numpy(), wide.to_numpy(dtype=np.float64)


def _heat(axis: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, *, log: bool) -> QuadMesh:
    axis.grid(False)
    return axis.pcolormesh(_edges(x, log), _edges(y, False), values, cmap=FRACTIONS, vmin=0, vmax=1)


def _boundary(axis: Axes, series: pd.DataFrame, colour: str, *, style: Any, least: float = 0.0) -> None:
    """Draws the zero line of a field where x exceeds ``least``, on a white edge that shows on any background."""
    x, y, values = _as_grid(series)
    lines = axis.contour(x, y, np.where(x > least, values, np.nan), levels=[0], colors=colour, linewidths=1.8)
    lines.set_linestyle(style)
    lines.set_path_effects([Stroke(linewidth=3.2, foreground="white"), Normal()])


def _plain_ticks(axis: Axes, ticks: tuple[float, ...]) -> None:
    """Labels a short logarithmic axis with plain numbers."""
    axis.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)


def _legend_inside(axis: Axes, lines: dict[str, tuple[str, Any]], place: Any, *, threshold: bool) -> None:
    """Puts the legend on the dark part of a diagram."""
    handles = [Line2D([], [], color=colour, linestyle=style, label=name) for name, (colour, style) in lines.items()]
    if threshold:
        handles.append(Line2D([], [], label=r"threshold $\sqrt{d/N}$", **THRESHOLD))
    dark = plt.get_cmap(FRACTIONS)(0.0)
    axis.legend(
        handles=handles, loc=place, fontsize=8, labelcolor="white", frameon=True, facecolor=dark, edgecolor=dark
    )


def _edges(centres: np.ndarray, log: bool) -> np.ndarray:
    """Cell borders halfway between neighbours, on the axis's own scale."""
    c = np.log(centres) if log else centres
    inner = (c[1:] + c[:-1]) / 2
    edges = np.concatenate([[c[0] - (inner[0] - c[0])], inner, [c[-1] + (c[-1] - inner[-1])]])
    return np.exp(edges) if log else edges
