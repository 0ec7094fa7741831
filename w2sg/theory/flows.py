"""Deterministic engines for he3: exact-gradient descent and the limit equation of the online algorithm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from w2sg.theory import closed_forms
from w2sg.theory.activations import Activation
from w2sg.theory.model import FineTuning, Geometry, Path, record_steps

Array = NDArray[np.float64]


def descend(start: Array, where: Geometry, schedule: FineTuning, sigma: Activation, *, points: int = 1) -> Path:
    """Returns the path of spherical descent with the exact population gradient (``population`` mode).

    Args:
        start: theta_0, shape (4,).
        where: Named directions.
        schedule: Learning rate, steps and labels; its batch plays no part.
        sigma: he3 activation.
        points: Number of evenly spread records after the start.
    """
    record = record_steps(schedule.steps, points)
    teacher, step = where.teacher(schedule.labels), schedule.step(where.dimension)
    states = np.empty((len(record), 4))
    theta = np.array(start, dtype=np.float64)
    done = 0
    for k, stop in enumerate(record):
        for _ in range(done, stop):
            theta -= step * closed_forms.gradient(sigma, theta, teacher, where)
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
        sigma: he3 activation.
        horizon: Final tau, positive.
        noise: nu, not negative.
        labels: ``weak`` or ``true``.
        points: Number of records after the start, each at least one Runge-Kutta step.

    Raises:
        ValueError: On a horizon that is not positive or a negative noise.

    Regime: the heavy tail of h^2 makes convergence in d slow; the limit overstates the noise at d = 1000.
    """
    if not horizon > 0 or noise < 0:
        raise ValueError(f"horizon must be positive and noise not negative, got {horizon!r} and {noise!r}")
    teacher, state = where.teacher(labels), np.array(starts, dtype=np.float64)
    law = closed_forms.laws(state, teacher, where)
    # Strong spikes make the start stiff; the rule is stable while step * rate stays below 2.7.
    rate = np.max(np.abs(closed_forms.gradient_scalars(sigma, law)[0]) * (1 + where.lam))
    rate += 0.5 * noise * np.max(closed_forms.noise_coefficient(sigma, law))
    substeps = max(1, math.ceil(rate * horizon / points))
    h = horizon / (points * substeps)

    def slope(t: Array) -> Array:
        g = closed_forms.gradient(sigma, t, teacher, where)
        radial = np.sum(g * t, axis=-1, keepdims=True)
        shrink = 0.5 * noise * closed_forms.noise_coefficient(sigma, closed_forms.laws(t, teacher, where))
        change = radial * t - g - shrink[..., None] * t
        return np.where(np.arange(4) < 3, change, 0.0)

    path = np.empty((points + 1, *np.shape(starts)))
    path[0] = state
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
