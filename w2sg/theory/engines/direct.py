"""The direct engine: d-dimensional samples, the reference for the reduced one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2sg.theory.model.activations import Activation
from w2sg.theory.model.law import FineTuning, SpikedModel, record_steps

Array = NDArray[np.float64]

BLOCK = 2**21
"""Normals drawn at once: bounds the memory of large batches."""


class Directions(NamedTuple):
    """Named directions theta*, v and theta_w of several independent runs in R^d, shape (runs, d) each."""

    target: Array
    spike: Array
    weak: Array


def draw_directions(model: SpikedModel, runs: int, rng: np.random.Generator) -> Directions:
    """Returns theta* = e1 and v, theta_w with uniform independent remainders, for ``runs`` runs. Equation: (M2)."""
    target = np.zeros((runs, model.dimension))
    target[:, 0] = 1.0
    return Directions(target=target, spike=_lean(target, model.kappa, rng), weak=_lean(target, model.c_w, rng))


def draw_start(where: Directions, alignment: float, rng: np.random.Generator) -> Array:
    """Returns m0 theta* + sqrt(1-m0^2) (uniform orthogonal), shape (runs, d)."""
    return _lean(where.target, alignment, rng)


def sampled_spectral_start(model: SpikedModel, where: Directions, samples: int, rng: np.random.Generator) -> Array:
    """Returns the top eigenvectors of empirical covariances of N samples, sign by the truth, shape (runs, d)."""
    start = np.empty_like(where.target)
    for k, (spike, target) in enumerate(zip(where.spike, where.target, strict=True)):
        data = sample_inputs(spike, model.lam, samples, rng)
        vector = np.linalg.eigh(data.T @ data)[1][:, -1]
        start[k] = vector * np.sign(vector @ target)
    return start


def sample_inputs(spike: Array, lam: float, count: int, rng: np.random.Generator) -> Array:
    """Returns ``count`` draws of N(0, I + lam v v^T), shape (count, d). Equation: (M1)."""
    z = rng.standard_normal((count, len(spike)))
    z += np.multiply.outer((math.sqrt(1 + lam) - 1) * (z @ spike), spike)
    return z


def fine_tune(
    start: Array,
    where: Directions,
    model: SpikedModel,
    schedule: FineTuning,
    sigma: Activation,
    rng: np.random.Generator,
    *,
    points: int = 1,
) -> tuple[NDArray[np.int64], Array]:
    """Returns recorded steps (R,) and overlaps (m, q, w), shape (R, runs, 3), of independent runs side by side.

    The start theta_0 has unit rows, shape (runs, d); ``points`` is the number of evenly spread records after it.

    Equation: (1).
    """
    theta = np.array(start, dtype=np.float64)
    teacher = where.weak if schedule.labels == "weak" else where.target
    record, found = record_steps(schedule.steps, points), []
    for steps in np.diff(record, prepend=0):
        for _ in range(steps):
            gradient = mean_gradient(theta, teacher, where.spike, model.lam, schedule.batch, sigma, rng)
            theta -= schedule.step(model.dimension) * gradient
            theta /= np.linalg.norm(theta, axis=1, keepdims=True)
        found.append(np.stack([np.einsum("rd,rd->r", theta, u) for u in where], axis=-1))
    return record, np.array(found)


def mean_gradient(
    theta: Array,
    teacher: Array,
    spike: Array,
    lam: float,
    batch: int,
    sigma: Activation,
    rng: np.random.Generator,
) -> Array:
    """Returns the mini-batch gradient of every run, shape (runs, d), in blocks of bounded memory. Equation: (M3), (4)."""
    runs, d = theta.shape
    total = np.zeros_like(theta)
    left = batch
    while left:
        count = min(left, max(1, BLOCK // (runs * d)))
        x = rng.standard_normal((runs, count, d))
        x += (math.sqrt(1 + lam) - 1) * (x @ spike[:, :, None]) * spike[:, None, :]
        a = (x @ theta[:, :, None])[..., 0]
        b = (x @ teacher[:, :, None])[..., 0]
        h = (sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1)  # (runs, count)
        total += (h[:, None, :] @ x)[:, 0]
        left -= count
    return total / batch


def _lean(axis: Array, cosine: float, rng: np.random.Generator) -> Array:
    """Unit vectors at a given cosine to the rows of ``axis``, otherwise uniform."""
    rest = rng.standard_normal(axis.shape)
    rest -= np.einsum("rd,rd->r", rest, axis)[:, None] * axis
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    return cosine * axis + math.sqrt(1 - cosine**2) * rest
