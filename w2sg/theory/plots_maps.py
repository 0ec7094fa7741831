"""Theory figures on a plane: region around the target, weak-gradient flow, sign rule, phase diagrams."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch

from w2sg.theory.plot_parts import COLOURS, as_grid, draw_series, symbol

FRACTIONS = "cividis"
"""Colour map of fractions: perceptually even and safe for colour-blind readers."""


def fig3(table: pd.DataFrame) -> Figure:
    """Returns the one-point map around the target with spectral starts, and the worst-direction profiles."""
    figure, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2], figsize=(8.4, 3.9))
    plane = table[table["panel"] == "map"]
    x, y, ratio = as_grid(plane[plane["series"] == "one-point convexity"])
    left.grid(False)
    levels = np.linspace(-2, 4, 25)
    image = left.contourf(x, y, ratio, levels=levels, cmap="PuOr_r", extend="both", vmin=-2, vmax=4)
    edge = left.contour(x, y, ratio, levels=[1.0], colors="black", linewidths=1.6)
    for part in (image, edge):  # the table reaches a little beyond 90 degrees, for a smooth border
        part.set_clip_path(Circle((0, 0), 90, transform=left.transData))
    figure.colorbar(image, ax=left, label=r"one-point convexity / ($c_\sigma/2$)", ticks=range(-2, 5), shrink=0.8)
    starts = plane[plane["series"] == "spectral start"].sort_values("value")
    left.plot(starts["x"], starts["y"], color="black", marker="o", markersize=4, linewidth=0.8, mfc="white")
    for row in starts.iloc[[1, 3, 5, -1]].itertuples():
        left.annotate(f"{row.value:g}", (row.x, row.y), xytext=(5, 4), textcoords="offset points", fontsize=7)
    left.plot([0], [0], marker="*", markersize=11, color=COLOURS[4], mec="black", mew=0.6)
    left.set(xlabel="angle towards the spike, degrees", ylabel="angle in a remaining direction", aspect="equal")
    left.set(xlim=(-95, 95), ylim=(-2, 97))
    left.set_title("he3: dots are spectral starts, number N/d", fontsize=9)
    profile = table[table["panel"] == "profile"]
    for k, name in enumerate(("he3", "softplus")):
        for series, style in (("one-point", "-"), ("Hessian", "--")):
            label = f"{name}, {series}"
            draw_series(right, profile, label, label=label, color=COLOURS[k], linestyle=style)
    radius = float(profile.loc[profile["series"] == "softplus, analytic radius", "x"].iloc[0])
    right.axvline(radius, color=COLOURS[1], linewidth=0.9, linestyle=":", label=f"softplus, analytic: {radius:.1f}°")
    right.axhline(1.0, color="black", linewidth=0.8)
    right.set(xlabel="angle to the target, degrees", ylabel=r"worst direction / ($c_\sigma/2$)", ylim=(-4, 6))
    right.legend(fontsize=7, loc="upper right")
    return figure


def fig4(table: pd.DataFrame) -> Figure:
    """Returns the weak-gradient flow on the half disc, with the region where it approaches the target."""
    figure, axis = plt.subplots(figsize=(7.6, 3.7))
    field = table[table["panel"] == "field"]
    x, y, up = as_grid(field[field["series"] == "up"])
    _, _, right = as_grid(field[field["series"] == "right"])
    axis.grid(False)
    shade = axis.contourf(x, y, up, levels=[0, np.inf], colors=["#d6e8f5"])
    shade.set_clip_path(Circle((0, 0), 1, transform=axis.transData))
    inside = np.hypot(*np.meshgrid(x, y)) < 0.995
    right, up = np.where(inside, right, np.nan), np.where(inside, up, np.nan)
    speed = np.hypot(right, up)
    width = 0.4 + 1.2 * np.sqrt(np.nan_to_num(speed / np.nanpercentile(speed, 95))).clip(0, 1)
    axis.streamplot(x, y, right, up, color="#999999", linewidth=width, density=1.1, arrowsize=0.8)
    runs = table[table["panel"] == "runs"]
    for name, colour in zip(sorted(set(runs["series"])), COLOURS, strict=False):
        path = runs[runs["series"] == name].sort_values("value")
        axis.plot(path["x"], path["y"], color=colour, linewidth=2.2, label=symbol(name))
        axis.plot(path["x"].iloc[0], path["y"].iloc[0], marker="o", color=colour, markersize=5)
    arc = np.linspace(-np.pi / 2, np.pi / 2, 200)
    axis.plot(np.sin(arc), np.cos(arc), color="black", linewidth=0.8)
    axis.plot([0], [1], marker="*", markersize=13, color=COLOURS[4], mec="black", mew=0.6, clip_on=False)
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
    figure, axis = plt.subplots(figsize=(7.2, 3.9))
    x, y, wrong = as_grid(table[table["panel"] == "wrong"])
    _heat(figure, axis, x, y, wrong, label="fraction of wrong signs")
    for name, style in (("limit overlap", "-"), ("overlap 1", "--")):
        mx, my, margin = as_grid(table[table["series"] == name])
        detectable = np.where(mx > 0.5, margin, np.nan) if name == "limit overlap" else margin
        axis.contour(mx, my, detectable, levels=[0], colors="#D55E00", linestyles=style, linewidths=1.8)
    axis.axvline(0.5, color="white", linewidth=1.2, linestyle=":")
    axis.set(xscale="log", xlabel=r"spike strength $\lambda$", ylabel=r"alignment $\kappa$")
    handles = [
        Line2D([], [], color="#D55E00", label="margin 0, limiting overlap"),
        Line2D([], [], color="#D55E00", linestyle="--", label="margin 0, overlap 1"),
        Line2D([], [], color="#999999", linestyle=":", label=r"threshold $\sqrt{d/N}$"),
    ]
    figure.legend(handles=handles, loc="outside right upper")
    return figure


def phase_lam_kappa(table: pd.DataFrame) -> Figure:
    """Returns the phase diagram over spike strength and alignment."""
    return _phase(table, xlabel=r"spike strength $\lambda$", ylabel=r"alignment $\kappa$", log=True, threshold=0.5)


def phase_kappa_cw(table: pd.DataFrame) -> Figure:
    """Returns the phase diagram over alignment and weak correlation."""
    return _phase(table, xlabel=r"alignment $\kappa$", ylabel=r"weak correlation $c_w$", log=False, threshold=None)


def _phase(table: pd.DataFrame, *, xlabel: str, ylabel: str, log: bool, threshold: float | None) -> Figure:
    figure, axes = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(10.2, 3.7))
    series = {name: table[table["series"] == name] for name in sorted(set(table["series"]))}
    for axis, name, title in zip(axes, ("success", "wrong sign"), ("success", "wrong sign of the start"), strict=True):
        x, y, values = as_grid(series[name])
        _heat(figure, axis, x, y, values, label="fraction of runs", log=log)
        _, _, over = as_grid(series["limit distance - D_w"])
        _, _, margin = as_grid(series["limit margin"])
        axis.contour(x, y, over, levels=[0], colors="#D55E00", linewidths=1.8)
        seen = x > threshold if threshold is not None else np.full_like(x, True, dtype=bool)
        axis.contour(
            x,
            y,
            np.where(seen, margin, np.nan),
            levels=[0],
            colors="#CC79A7",
            linewidths=1.8,
            linestyles="--",
        )
        if threshold is not None:
            axis.axvline(threshold, color="white", linewidth=1.4, linestyle=":")
        axis.set(xscale="log" if log else "linear", xlabel=xlabel, title=title)
    axes[0].set_ylabel(ylabel)
    handles = [
        Line2D([], [], color="#D55E00", label=r"predicted $D_T = D_w$"),
        Line2D([], [], color="#CC79A7", linestyle="--", label="predicted sign change"),
    ]
    if threshold is not None:
        handles.append(Line2D([], [], color="#999999", linestyle=":", label=r"threshold $\sqrt{d/N}$"))
    figure.legend(handles=handles, loc="outside right upper")
    return figure


def _heat(
    figure: Figure,
    axis: Axes,
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    *,
    label: str,
    log: bool = True,
) -> None:
    image = axis.pcolormesh(_edges(x, log), _edges(y, False), values, cmap=FRACTIONS, vmin=0, vmax=1)
    axis.grid(False)
    figure.colorbar(image, ax=axis, label=label)


def _edges(centres: np.ndarray, log: bool) -> np.ndarray:
    """Cell borders halfway between neighbours, on the axis's own scale."""
    c = np.log(centres) if log else centres
    inner = (c[1:] + c[:-1]) / 2
    edges = np.concatenate([[c[0] - (inner[0] - c[0])], inner, [c[-1] + (c[-1] - inner[-1])]])
    return np.exp(edges) if log else edges
