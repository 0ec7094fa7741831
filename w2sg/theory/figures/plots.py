"""Figures of the theory branch: a figure's table in, a matplotlib figure out."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from w2sg.plotting.lines import LEVEL, draw_lines, draw_series
from w2sg.theory.figures import maps
from w2sg.theory.figures.catalogue import FIGURES


def plot_theory_figure(name: str, table: pd.DataFrame, *, verdict: str) -> Figure:
    """Returns a figure of the theory branch, with its acceptance verdict below it.

    Args:
        name: Figure, a key of ``FIGURES``.
        table: What it shows, in the columns of ``schemas.FIGURE``.
        verdict: Sentence on the acceptance criteria.

    Raises:
        ValueError: On an unknown figure.
    """
    if name not in PLOTS:
        raise ValueError(f"figure must be one of {sorted(PLOTS)}, got {name!r}")
    figure = PLOTS[name](table)
    figure.suptitle(FIGURES[name].title, fontsize=10)
    colour = "#b00020" if "FAIL" in verdict else "#555555"
    figure.supxlabel(verdict, fontsize=7, color=colour)
    return figure


def _fig1a(table: pd.DataFrame) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4))
    part = table[table["panel"] == "distance"]
    draw_series(left, part, "start", label="start", color="#777777", linestyle=":")
    draw_series(left, part, "limit", label="limit equation", color="black", linewidth=0.9)
    draw_series(left, part, "student", label="student", color="C0", marker="o", linestyle="none")
    draw_series(left, part, "supervisor", label="supervisor $D_w$", **LEVEL)
    risk = table[table["panel"] == "risk"]
    draw_series(right, risk, "student", label="student", color="C0", marker="o")
    draw_series(right, risk, "supervisor", label="supervisor", **LEVEL)
    left.set(xlabel=r"alignment $\kappa$", ylabel=r"distance $|\theta_T-\theta^*|$")
    right.set(xlabel=r"alignment $\kappa$", ylabel=r"risk $L(\theta_T)/L(\theta_w)$", ylim=(0, None))
    left.legend()
    return figure


def _fig1b(table: pd.DataFrame) -> Figure:
    titles = {"batch": "batch gradient", "online": "one sample per step", "population": "exact gradient"}
    figure, axes = plt.subplots(1, 3, sharey=True, figsize=(9.2, 3.3))
    for axis, (panel, title) in zip(axes, titles.items(), strict=True):
        part = table[table["panel"] == panel]
        draw_series(axis, part, "supervisor", label="supervisor $D_w$", **LEVEL)
        draw_lines(axis, part[part["series"] != "supervisor"])
        draw_lines(axis, table[table["panel"] == f"limit, {panel}"], labelled=False, linestyle=":", linewidth=1.1)
        axis.set(title=title, xlabel="time $t/T$")
    axes[0].plot([], [], color="#444444", linestyle=":", linewidth=1.1, label="limit equation")
    axes[0].set_ylabel(r"distance $|\theta_t-\theta^*|$")
    _legend_beside(figure, axes[0])
    return figure


def _sweep(xlabel: str, *, log: bool = False, threshold: float | None = None) -> Callable[[pd.DataFrame], Figure]:
    def draw(table: pd.DataFrame) -> Figure:
        figure, axis = plt.subplots(figsize=(5.6, 3.9))
        distance = table[table["panel"] == "distance"]
        draw_lines(axis, table[table["panel"] == "limit"], linestyle=":", linewidth=1.1, labelled=False)
        draw_lines(axis, distance[distance["series"] != "supervisor"], marker="o", linewidth=1.0)
        draw_series(axis, distance, "supervisor", label="supervisor $D_w$", **LEVEL)
        if threshold is not None:
            axis.axvline(threshold, color="#777777", linewidth=0.9, label=r"threshold $\sqrt{d/N}$")
        axis.plot([], [], color="#444444", linestyle=":", linewidth=1.1, label="limit equation")
        axis.set(xlabel=xlabel, ylabel=r"distance $|\theta_T-\theta^*|$", xscale="log" if log else "linear")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure

    return draw


def _fig8(table: pd.DataFrame) -> Figure:
    figure, axis = plt.subplots(figsize=(6.0, 3.9))
    draw_lines(axis, table[~table["series"].isin(["supervisor", "orthogonal"])], marker="o")
    draw_series(axis, table, "supervisor", label="supervisor $D_w$", **LEVEL)
    draw_series(axis, table, "orthogonal", label=r"orthogonal, $\sqrt{2}$", color="#777777", linewidth=0.9)
    axis.set(xscale="log", xlabel=r"step $\eta$", ylabel=r"distance $|\theta_T-\theta^*|$")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _fig9(table: pd.DataFrame) -> Figure:
    figure, axes = plt.subplots(2, 3, sharex=True, sharey="row", height_ratios=[2, 1], figsize=(9.2, 4.4))
    names = {"mu": r"one-point convexity $\mu$", "eps": r"bias $\varepsilon$", "pull": "pull to the target"}
    for column, case in enumerate("ABC"):
        part = table[table["panel"] == case]
        for k, (series, label) in enumerate(names.items()):
            draw_series(axes[0, column], part, series, label=label, color=f"C{k}", marker="o", markersize=2.5)
        draw_series(axes[1, column], part, "angle", label="angle", color="black", marker="o", markersize=2.5)
        axes[0, column].set_title(f"case {case}, $\\lambda$ = {dict(A=1, B=3, C=10)[case]}")
        axes[1, column].set_xlabel("power-iteration step")
    axes[0, 0].set_ylabel("value")
    axes[1, 0].set_ylabel("angle, degrees")
    _legend_beside(figure, axes[0, 0])
    return figure


def _bound(table: pd.DataFrame) -> Figure:
    figure, axis = plt.subplots(figsize=(6.0, 3.9))
    draw_series(axis, table, "bound", label="bound (3)", color="C1")
    draw_series(axis, table, "bias floor", label=r"bias floor $2\varepsilon^2/\mu^2$", color="C1", linestyle=":")
    draw_series(axis, table, "measured", label="measured", color="C0")
    draw_series(axis, table, "supervisor", label="supervisor $D_w^2$", **LEVEL)
    axis.set(xlabel=r"time $\alpha\eta\mu$", ylabel=r"squared distance $|\theta-\theta^*|^2$", yscale="log")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _lemma(table: pd.DataFrame) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2], figsize=(7.4, 3.5))
    draw_lines(left, table[table["panel"] == "random"])
    draw_lines(left, table[table["panel"] == "largest"], linestyle=":", linewidth=1.0, labelled=False)
    left.plot([], [], color="#444444", linestyle=":", linewidth=1.0, label="largest run")
    draw_lines(right, table[table["panel"] == "warm"])
    left.set(xlabel="time $t/T$", ylabel=r"$\sqrt{d}\,|\langle\theta_t,\theta^*\rangle|$", title="random start")
    right.set(xlabel="time $t/T$", ylabel=r"$\langle\theta_t,\theta^*\rangle$", title="warm start", ylim=(0, 1.05))
    left.set_ylim(0, 1.45 * left.get_ylim()[1])
    left.legend(ncols=2, loc="upper center")
    right.legend(loc="lower right")
    return figure


def _legend_beside(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")


PLOTS: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "fig1a": _fig1a,
    "fig1b": _fig1b,
    "fig3": maps.fig3,
    "fig4": maps.fig4,
    "fig5": _sweep(r"spike strength $\lambda$", log=True, threshold=0.5),
    "fig6": _sweep(r"alignment $\kappa$"),
    "fig7": _sweep(r"weak correlation $c_w$"),
    "fig8": _fig8,
    "fig9": _fig9,
    "bound": _bound,
    "lemma": _lemma,
    "sign_rule": maps.sign_rule,
    "phase_lam_kappa": maps.phase_lam_kappa,
    "phase_kappa_cw": maps.phase_kappa_cw,
}
"""Drawing function of each figure."""
