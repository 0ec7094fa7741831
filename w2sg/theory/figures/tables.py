"""What each figure shows, as a table: means and standard errors of experiments, and predictions beside them.

``table_<figure>`` takes the experiment's entry and table, and returns the columns of ``tables.theory.FIGURE``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd

from w2sg.tables.theory import FIGURE
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.conditions import failing
from w2sg.theory.experiments.phase import cells_of, predict_cell
from w2sg.theory.experiments.predictions import WEAK_DISTANCE, limit_distance, limit_of, limit_trajectory
from w2sg.theory.experiments.region import empirical_profile, one_point_map
from w2sg.theory.experiments.runs import finals
from w2sg.theory.experiments.settings import ConditionSettings, PhaseSettings, RegionSettings, SignSettings
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.closed_forms import limit_margin
from w2sg.theory.model.law import SpikedModel, distance, geometry


def lines(frame: pd.DataFrame, *, panel: str, series: str, x: str, value: str) -> pd.DataFrame:
    """Returns mean and one standard error of a column over runs, per setting ``x``."""
    found = frame.groupby(x)[value].agg(["mean", "sem"]).reset_index()
    low, high = found["mean"] - found["sem"], found["mean"] + found["sem"]
    return _rows(panel, series, found[x], found["mean"], low=low, high=high)


def table_fig1a(experiment: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Returns distance (with start and prediction) and risk ratio against kappa."""
    grid = experiment.grids[0]
    last, first = finals(runs), runs.loc[runs["step"] == 0]
    kappas = np.linspace(grid.kappas[0], grid.kappas[-1], 35)
    flow = {"ratio": grid.ratio, **limit_of(grid), "points": 20}
    curve = [limit_distance(grid.lams[0], k, grid.c_ws[0], **flow) for k in kappas.tolist()]
    return pd.concat(
        [
            lines(last, panel="distance", series="student", x="kappa", value="distance"),
            lines(first, panel="distance", series="start", x="kappa", value="distance"),
            _rows("distance", "limit", kappas, curve),
            _rows("distance", "supervisor", kappas[[0, -1]], [WEAK_DISTANCE] * 2),
            lines(last, panel="risk", series="student", x="kappa", value="risk_ratio"),
            _rows("risk", "supervisor", kappas[[0, -1]], [1.0, 1.0]),
        ]
    )


def table_fig1b(experiment: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the distance against t/T for every start, per engine."""
    parts = []
    for (variant, m0), part in runs.groupby(["variant", "m0"]):
        time = part.assign(time=part["step"] / part["step"].max())
        parts.append(lines(time, panel=str(variant), series=f"m0 = {m0:g}", x="time", value="distance"))
    for grid in experiment.grids:
        parts.append(_rows(grid.variant, "supervisor", [0.0, 1.0], [WEAK_DISTANCE] * 2))
        starts = [] if grid.mode == "population" else [m0 for m0 in grid.starts if m0 is not None]
        for m0 in starts:
            curve = limit_trajectory(grid, m0, points=100)
            parts.append(_rows(f"limit, {grid.variant}", f"m0 = {m0:g}", np.linspace(0, 1, len(curve)), curve))
    return pd.concat(parts)


def table_fig3(experiment: Experiment, _: pd.DataFrame) -> pd.DataFrame:
    """Returns the one-point map of he3 with spectral starts on it, and the worst-direction profiles."""
    settings: RegionSettings = experiment.settings
    lam, kappa = settings.lam, settings.kappa
    grid, values = one_point_map(lam, kappa)
    parts = [_rows("map", "one-point convexity", grid[:, 0], values, y=grid[:, 1])]
    ratios = np.array([1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])
    starts = np.array([_polar_start(spectral.limit_overlap(lam, 1 / ratio), kappa) for ratio in ratios])
    parts.append(_rows("map", "spectral start", starts[:, 0], ratios, y=starts[:, 1]))
    for name, profile in empirical_profile(lam, kappa).items():
        parts.append(_rows("profile", name, profile[:, 0], profile[:, 1]))
    return pd.concat(parts)


def _polar_start(overlap: float, kappa: float) -> tuple[float, float]:
    m, along, rest = kappa * overlap, math.sqrt(1 - kappa**2) * overlap, math.sqrt(1 - overlap**2)
    angle, size = math.degrees(math.acos(m)), math.hypot(along, rest)
    return angle * along / size, angle * rest / size


def table_fig4(experiment: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the tangential weak-gradient field on a half disc, and mean batch runs on it."""
    grid = experiment.grids[0]
    c_w = grid.c_ws[0]
    where, sigma = geometry(SpikedModel(lam=1.0, kappa=0.5, c_w=c_w)), activation_of(1.0, 0.5)
    y, m = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, 81), np.linspace(0, 1, 41)))
    # Grid points off the disc take the value at its edge, which keeps the drawn borders smooth.
    shrink = np.minimum(1.0, 1.0 / np.maximum(np.hypot(y, m), 1e-12))
    y_in, m_in = shrink * y, shrink * m
    rest = np.sqrt(np.maximum(1 - m_in**2 - y_in**2, 0.0))
    students = np.stack([m_in, np.zeros_like(m), y_in, rest], axis=-1)
    slope = closed_forms.gradient(sigma, students, where.weak, where)
    field = np.sum(slope * students, axis=1, keepdims=True) * students - slope
    parts = [_rows("field", name, y, field[:, k], y=m) for name, k in (("up", 0), ("right", 2))]
    for m0, part in runs.loc[runs["variant"] == "batch"].groupby("m0"):
        mean = part.groupby("step")[["m", "w"]].mean()
        across = (mean["w"] - c_w * mean["m"]) / math.sqrt(1 - c_w**2)
        parts.append(_rows("runs", f"m0 = {m0:g}", across, np.arange(len(mean)), y=mean["m"]))
    return pd.concat(parts)


def table_sweep(experiment: Experiment, runs: pd.DataFrame, *, axis: str, series: str, points: int) -> pd.DataFrame:
    """Returns final distances along one setting, one series per value of another, with ``points`` of the limit equation."""
    grid, last, parts = experiment.grids[0], finals(runs), []
    ends = (float(last[axis].min()), float(last[axis].max()))
    flow = {"ratio": grid.ratio, **limit_of(grid), "points": 20}
    across = np.geomspace(*ends, points) if axis == "lam" else np.linspace(*ends, points)
    for value, part in last.groupby(series):
        name = f"{series} = {value:g}"
        parts.append(lines(part, panel="distance", series=name, x=axis, value="distance"))
        fixed = {key: float(part[key].iloc[0]) for key in ("lam", "kappa", "c_w")}
        curve = [limit_distance(**(fixed | {axis: x}), **flow) for x in across.tolist()]
        parts.append(_rows("limit", name, across, curve))
    weak = last.groupby(axis)["weak_distance"].first()
    parts.append(_rows("distance", "supervisor", weak.index, weak))
    return pd.concat(parts)


table_fig5 = partial(table_sweep, axis="lam", series="kappa", points=25)
table_fig6 = partial(table_sweep, axis="kappa", series="lam", points=18)
table_fig7 = partial(table_sweep, axis="c_w", series="kappa", points=18)


def table_fig8(_: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Returns final distances against the step, one series per start."""
    last = finals(runs)
    parts = [
        lines(part, panel="distance", series=f"m0 = {m0:g}", x="eta", value="distance")
        for m0, part in last.groupby("m0")
    ]
    ends = [float(last["eta"].min()), float(last["eta"].max())]
    parts.append(_rows("distance", "supervisor", ends, [WEAK_DISTANCE] * 2))
    parts.append(_rows("distance", "orthogonal", ends, [math.sqrt(2)] * 2))
    return pd.concat(parts)


def table_fig9(_: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """Returns the landscape metrics against the power-iteration step, per case."""
    return pd.concat(
        lines(part, panel=str(case), series=metric, x="step", value=metric)
        for case, part in table.groupby("case")
        for metric in ("mu", "eps", "pull", "angle")
    )


def table_bound(_: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """Returns bound, levels and the mean of the measured squared distances against alpha eta mu."""
    return pd.concat(
        lines(part, panel="squared distance", series=str(curve), x="time", value="squared_distance")
        for curve, part in table.groupby("curve")
    )


def table_lemma(_: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Returns sqrt(d) |m| (mean and largest) from random starts, and m from the warm start, against t/T."""
    parts = []
    for (variant, d), part in runs.groupby(["variant", "dimension"]):
        size = np.sqrt(part["dimension"]) * part["m"].abs()
        time = part.assign(time=part["step"] / part["step"].max(), size=size)
        if variant == "warm":
            parts.append(lines(time, panel="warm", series="m0 = 0.4", x="time", value="m"))
            continue
        parts.append(lines(time, panel="random", series=f"d = {d}", x="time", value="size"))
        largest = time.groupby("time")["size"].max()
        parts.append(_rows("largest", f"d = {d}", largest.index, largest))
    return pd.concat(parts)


def table_sign_rule(experiment: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """Returns wrong fractions on the grid, and both theoretical margins on a finer one."""
    settings: SignSettings = experiment.settings
    wrong = table.groupby(["lam", "kappa"])["wrong"].mean().reset_index()
    parts = [_rows("wrong", "fraction", wrong["lam"], wrong["wrong"], y=wrong["kappa"])]
    lams = np.geomspace(settings.lams[0], settings.lams[-1], 60)
    limits = [spectral.limit_overlap(lam, 1 / settings.ratio) for lam in lams.tolist()]
    for name, overlaps in (("limit overlap", limits), ("overlap 1", [1.0] * len(lams))):
        for kappa in np.linspace(settings.kappas[0], settings.kappas[-1], 45).tolist():
            found = zip(lams.tolist(), overlaps, strict=True)
            margin = [limit_margin(lam, kappa, settings.c_w, overlap) for lam, overlap in found]
            parts.append(_rows("margin", name, lams, margin, y=np.full_like(lams, kappa)))
    return pd.concat(parts)


def table_phase(experiment: Experiment, table: pd.DataFrame, *, points: int = 49) -> pd.DataFrame:
    """Returns success and wrong-sign fractions per cell, and predictions with ``points`` per axis of the plane."""
    settings: PhaseSettings = experiment.settings
    x, y = settings.axes
    cells = cells_of(settings, points)
    fine = pd.DataFrame(cells, columns=["lam", "kappa", "c_w"])
    predicted = pd.DataFrame([predict_cell(cell, settings) for cell in cells])
    above = predicted["limit_distance"] - distance(fine["c_w"])
    return pd.concat(
        [
            *(_rows("runs", name, table[x], table[name], y=table[y]) for name in ("success", "wrong_sign")),
            _rows("prediction", "distance - D_w", fine[x], above, y=fine[y]),
            _rows("prediction", "margin", fine[x], predicted["limit_margin"], y=fine[y]),
        ]
    )


table_phase_lam_kappa = table_phase_kappa_cw = table_phase


CONDITION_PLANES = {
    "spike": ("lam", "kappa"),
    "supervisor": ("kappa", "c_w"),
    "step": ("eta", "c_w"),
}
"""Panels of the figure of the four conditions: the settings on its axes; angles stand for kappa and c_w."""


def table_four_conditions(experiment: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """Returns success and failing conditions on three planes through one cell of the grid."""
    settings: ConditionSettings = experiment.settings
    lam, spike, weak, eta = settings.slices
    at = {"lam": lam, "kappa": math.cos(math.radians(spike)), "c_w": math.cos(math.radians(weak)), "eta": eta}
    parts = []
    for panel, plane in CONDITION_PLANES.items():
        fixed = [name for name in at if name not in plane]
        part = table.loc[np.all([np.isclose(table[name], at[name], rtol=1e-9, atol=0.0) for name in fixed], axis=0)]
        x, y = (np.degrees(np.arccos(part[k])).round(6) if k in ("kappa", "c_w") else part[k] for k in plane)
        for series, values in (("success", part["success"]), ("failing", failing(part))):
            parts.append(_rows(panel, series, x, values, y=y))
    return pd.concat(parts)


def _rows(
    panel: str,
    series: str,
    x: Iterable[float],
    value: Iterable[float],
    *,
    y: Iterable[float] | float = math.nan,
    low: Iterable[float] | float = math.nan,
    high: Iterable[float] | float = math.nan,
) -> pd.DataFrame:
    columns = {"x": x, "y": y, "value": value, "low": low, "high": high}
    arrays = {name: np.asarray(v, dtype=np.float64) for name, v in columns.items()}
    return pd.DataFrame({"panel": panel, "series": series, **arrays}, columns=FIGURE.fields.names)
