"""Deterministic engines: exact-gradient descent and the limit equation of the online algorithm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from w2sg.theory.engines import kernels
from w2sg.theory.model import exact
from w2sg.theory.model.activations import HE3, Activation
from w2sg.theory.model.checks import require_count, require_positive
from w2sg.theory.model.law import FineTuning, Geometry, Path, record_steps
from w2sg.theory.model.quadrature import hermite_grid

Array = NDArray[np.float64]


def descend(start: Array, where: Geometry, schedule: FineTuning, sigma: Activation, *, points: int = 1) -> Path:
    """Returns the path of spherical descent with the exact population gradient (``population`` mode).

    Args:
        start: theta_0, shape (4,).
        where: Named directions.
        schedule: Learning rate, steps and labels; its batch plays no part.
        sigma: Activation; he3 has closed forms and is a hundred times faster than the others.
        points: Number of evenly spread records after the start.

    Equation: (1), (P2).
    """
    record = record_steps(schedule.steps, points)
    teacher, step = where.teacher(schedule.labels), schedule.step(where.dimension)
    states = np.empty((len(record), 4))
    theta = np.array(start, dtype=np.float64)
    done = 0
    for k, stop in enumerate(record):
        for _ in range(done, stop):
            theta -= step * exact.gradient(sigma, theta, teacher, where)
            theta /= np.linalg.norm(theta)
        done = stop
        states[k] = theta
    return Path(steps=record, states=states)


def limit_flow(
    starts: Array,
    where: Geometry,
    sigma: Activation,
    *,
    horizon: float,
    noise: float,
    labels: str = "weak",
    points: int = 200,
) -> Array:
    """Returns students on the d -> infinity limit of the algorithm, shape (points + 1, ..., 4).

    d theta/d tau = -(I - theta theta^T) grad L_u - (nu/2) V theta on the named coordinates, r^2 = 1 - |t|^2, by
    the classical fourth-order Runge-Kutta rule. tau is steps * step; the online algorithm has nu = eta.

    Args:
        starts: theta_0 as states, shape (..., 4).
        where: Named directions (one geometry for all starts).
        sigma: Activation; he3 runs compiled.
        horizon: Final tau, positive.
        noise: nu, not negative.
        labels: ``weak`` or ``true``.
        points: Number of records after the start, each at least one Runge-Kutta step.

    Raises:
        ValueError: On a horizon that is not positive or a negative noise.

    Equation: (E3).

    Regime: the heavy tail of h^2 makes convergence in d slow for he3; the limit overstates the noise at d = 1000.
    """
    require_positive("horizon", horizon)
    require_count("points", points, 1)
    if not noise >= 0:
        raise ValueError(f"noise (nu) must not be negative, got {noise!r}")
    teacher, states = where.teacher(labels), np.array(starts, dtype=np.float64)
    if sigma.code != HE3:
        return integrate(states, where, sigma, teacher, horizon=horizon, noise=noise, points=points)
    paths = np.empty((states.size // 4, points + 1, 4))
    setting = (teacher, where.spike, where.lam, sigma.p0, sigma.p1, noise, horizon, *hermite_grid(8))
    for start, path in zip(states.reshape(-1, 4), paths, strict=True):
        kernels.limit_flow(start, *setting, path)
    return np.moveaxis(paths, 0, 1).reshape(points + 1, *states.shape)


def integrate(
    states: Array,
    where: Geometry,
    sigma: Activation,
    teacher: Array,
    *,
    horizon: float,
    noise: float,
    points: int,
) -> Array:
    """Returns what :func:`limit_flow` returns, for any activation, not compiled.

    Args:
        states: theta_0, shape (..., 4).
        where: Named directions.
        sigma: Activation.
        teacher: Vector whose labels are learned, shape (3,).
        horizon: Final tau.
        noise: nu.
        points: Number of records after the start.
    """
    fastest = np.linalg.norm(exact.gradient(sigma, states, teacher, where), axis=-1).max() * (1 + where.lam)
    fastest += 0.5 * noise * np.max(exact.noise_coefficient(sigma, states, teacher, where))
    substeps = max(1, math.ceil(fastest * horizon / points))
    h = horizon / (points * substeps)

    def slope(t: Array) -> Array:
        g = exact.gradient(sigma, t, teacher, where)
        radial = np.sum(g * t, axis=-1, keepdims=True)
        shrink = 0.5 * noise * exact.noise_coefficient(sigma, t, teacher, where)
        change = radial * t - g - shrink[..., None] * t
        return np.where(np.arange(4) < 3, change, 0.0)

    path = np.empty((points + 1, *states.shape))
    path[0] = state = states
    for k in range(points):
        for _ in range(substeps):
            k1 = slope(state)
            k2 = slope(_close(state + h / 2 * k1))
            k3 = slope(_close(state + h / 2 * k2))
            k4 = slope(_close(state + h * k3))
            state = _close(state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        path[k + 1] = state
    return path


def _close(states: Array) -> Array:
    """Puts students back on the sphere by the norm of their unnamed part."""
    closed = states.copy()
    closed[..., 3] = np.sqrt(np.maximum(1 - np.sum(states[..., :3] ** 2, axis=-1), 0.0))
    return closed
