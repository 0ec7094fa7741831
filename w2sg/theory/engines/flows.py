"""Deterministic engines: exact-gradient descent and the limit equation of the online algorithm."""

from __future__ import annotations

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

    From theta_0 of shape (4,), with ``points`` evenly spread records after it; the schedule's batch plays no part. he3
    has closed forms and is a hundred times faster than other activations.

    Equation: (1), (P2).
    """
    record, states = record_steps(schedule.steps, points), []
    teacher, step = where.teacher(schedule.labels), schedule.step(where.dimension)
    theta = np.array(start, dtype=np.float64)
    for steps in np.diff(record, prepend=0):
        for _ in range(steps):
            theta -= step * exact.gradient(sigma, theta, teacher, where)
            theta /= np.linalg.norm(theta)
        states.append(theta.copy())
    return Path(steps=record, states=np.array(states))


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

    d theta/d tau = -(I - theta theta^T) grad L_u - (nu/2) V theta on the named coordinates, r^2 = 1 - |t|^2. tau is
    steps * step; the online algorithm has nu = eta.

    Args:
        starts: theta_0 as states, shape (..., 4).
        where: Named directions (one geometry for all starts).
        sigma: Activation; he3 runs compiled, by the classical fourth-order Runge-Kutta rule.
        horizon: Final tau, positive.
        noise: nu, not negative.
        labels: ``weak`` or ``true``.
        points: Number of records after the start; of he3, each is at least one Runge-Kutta step.

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
    states: Array, where: Geometry, sigma: Activation, teacher: Array, *, horizon: float, noise: float, points: int
) -> Array:
    """Returns what :func:`limit_flow` returns, to twelve digits, for any activation and a teacher of shape (3,)."""
    from scipy.integrate import solve_ivp  # figures import this module without needing it

    def close(named: Array) -> Array:
        """Puts students (..., 3) back on the sphere by the norm of their unnamed part."""
        rest = np.sqrt(np.maximum(1 - np.sum(named**2, axis=-1, keepdims=True), 0.0))
        return np.concatenate([named, rest], axis=-1)

    def slope(_: float, named: Array) -> Array:
        t = close(named.reshape(-1, 3))
        g = exact.gradient(sigma, t, teacher, where)
        shrink = 0.5 * noise * exact.noise_coefficient(sigma, t, teacher, where)
        return ((np.sum(g * t, axis=-1, keepdims=True) - shrink[..., None]) * t - g)[..., :3].ravel()

    times, start = np.linspace(0, horizon, points + 1), states[..., :3].ravel()
    found = solve_ivp(slope, (0, horizon), start, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-12)
    return close(found.y.T.reshape(points + 1, *states.shape[:-1], 3))
