"""What the limit equation predicts for runs of the engines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from w2sg.theory.engines import flows
from w2sg.theory.experiments.settings import Grid
from w2sg.theory.model import spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.law import FineTuning, SpikedModel, distance, geometry, limit_start

WEAK_DISTANCE = SpikedModel(lam=1.0, kappa=0.5, c_w=0.6).weak_distance
"""D_w at the supervisor of all experiments but the sweep of c_w."""


def limit_distance(
    lam: float, kappa: float, c_w: float, *, ratio: float, horizon: float, noise: float, points: int
) -> float:
    """Returns the final distance of the limit equation from a spectral start with N/d = ``ratio``."""
    where = geometry(SpikedModel(lam=lam, kappa=kappa, c_w=c_w))
    start = limit_start(spectral.limit_overlap(lam, 1 / ratio), where)
    path = flows.limit_flow(start, where, activation_of(lam, kappa), horizon=horizon, noise=noise, points=points)
    return float(distance(path[-1, 0]))


def limit_trajectory(grid: Grid, m0: float, points: int = 400) -> np.ndarray:
    """Returns the distance along the limit equation from a warm start, at the noise of a grid, shape (points + 1,)."""
    lam, kappa, c_w = grid.lams[0], grid.kappas[0], grid.c_ws[0]
    where = geometry(SpikedModel(lam=lam, kappa=kappa, c_w=c_w))
    start = np.array([m0, 0.0, 0.0, math.sqrt(1 - m0**2)])
    path = flows.limit_flow(start, where, activation_of(lam, kappa), **limit_of(grid), points=points)
    return distance(path[:, 0])


def limit_of(grid: Grid) -> dict[str, Any]:
    """Returns horizon and noise at which the limit equation stands for a grid's runs, as arguments of ``limit_flow``."""
    (eta,), (dimension,) = grid.etas, grid.dimensions
    schedule = FineTuning(eta=eta, steps=grid.steps, batch=grid.batch, mode=grid.mode)
    return {"horizon": eta * grid.steps, "noise": schedule.noise(dimension)}
