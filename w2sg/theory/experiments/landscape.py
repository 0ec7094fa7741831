"""Landscape along pre-training: local convexity, bias and pull at the iterates of power iteration (8.7)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import direct
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import LandscapeSettings, RunSettings
from w2sg.theory.model import population, spectral
from w2sg.theory.model.activations import Activation, tanh_cubed
from w2sg.theory.model.law import SpikedModel

Vector = NDArray[np.float64]


def probe(
    sigma: Activation, theta: Vector, target: Vector, weak: Vector, *, spike: Vector, lam: float
) -> dict[str, float]:
    """Returns the landscape metrics at a unit student (d,): angle, mu, eps and pull.

    ``mu`` is the one-point convexity <grad L, theta-theta*>/|theta-theta*|^2, ``eps`` = |grad L_w - grad L|,
    ``pull`` the component of -grad L along the tangent towards theta*, ``angle`` that to theta* in degrees. The student
    must not equal plus or minus theta*.
    """
    true = population.gradient(sigma, theta, target, spike=spike, lam=lam)
    biased = population.gradient(sigma, theta, weak, spike=spike, lam=lam)
    gap, m = theta - target, float(theta @ target)
    tangent = target - m * theta
    return {
        "angle": math.degrees(math.acos(max(-1.0, min(1.0, m)))),
        "mu": float(true @ gap / (gap @ gap)),
        "eps": float(np.linalg.norm(biased - true)),
        "pull": float(-true @ tangent / np.linalg.norm(tangent)),
    }


def empirical_covariance(spike: Vector, lam: float, samples: int, rng: np.random.Generator) -> Vector:
    """Returns the empirical covariance of N samples, shape (d, d), exactly in law and without the data.

    Bartlett: for a lower triangular A with chi_{N-i} on the diagonal and normals below it, A A^T is a Wishart
    matrix; Sigma^{1/2} on both sides gives it the population covariance.

    Raises:
        ValueError: If N < d, where the decomposition does not exist.
    """
    d = len(spike)
    if samples < d:
        raise ValueError(f"samples (N) must be at least the dimension {d}, got {samples}")
    factor = np.tril(rng.standard_normal((d, d)), -1)
    factor[np.diag_indices(d)] = np.sqrt(rng.chisquare(samples - np.arange(d)))
    factor += (math.sqrt(1 + lam) - 1) * np.outer(spike, spike @ factor)
    return factor @ factor.T / samples


def simulate_landscape(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns the metrics at every power-iteration step of every case and run, in ``tables.theory.LANDSCAPE``.

    The cases of a run share their random numbers, so that their differences are hardly noisy.
    """
    settings: LandscapeSettings = experiment.settings

    def one(task: tuple[str, float, int]) -> pd.DataFrame:
        case, lam, run = task
        rows = _one_path(lam, settings, stream(asked.seed, experiment.number, run))
        return pd.DataFrame(rows).assign(case=case, lam=lam, seed=run)

    tasks = [(case, lam, run) for run in range(experiment.runs(0)) for case, lam in settings.cases]
    return pd.concat(parallel(one, tasks, threads=asked.threads, watch=asked.watch), ignore_index=True)


def _one_path(lam: float, settings: LandscapeSettings, rng: np.random.Generator) -> list[dict[str, float]]:
    model = SpikedModel(lam=lam, kappa=settings.kappa, c_w=settings.c_w, dimension=settings.dimension)
    where = direct.draw_directions(model, 1, rng)
    target, spike, weak = where.target[0], where.spike[0], where.weak[0]
    covariance = empirical_covariance(spike, lam, round(settings.ratio * model.dimension), rng)
    path = spectral.power_iteration(covariance, rng.standard_normal(model.dimension), settings.steps)
    sigma = tanh_cubed()
    rows, metrics = [], {}
    for step, theta in enumerate(path):
        # The strong spikes converge in ten steps; what does not move any more is not integrated again.
        if step == 0 or np.linalg.norm(theta - path[step - 1]) > 1e-10:
            oriented = theta if theta @ target > 0 else -theta
            metrics = probe(sigma, oriented, target, weak, spike=spike, lam=lam)
        rows.append({"step": step, **metrics})
    return rows
