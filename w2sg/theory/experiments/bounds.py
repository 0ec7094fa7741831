"""Bound (3) beside measured trajectories inside the provable region."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from w2sg.theory.engines import reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments import region
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import BoundSettings
from w2sg.theory.model import constants
from w2sg.theory.model.activations import Activation, softplus
from w2sg.theory.model.law import FineTuning, SpikedModel, distance, draw_geometry, record_steps, warm_start


@dataclass(frozen=True, kw_only=True)
class BoundCase:
    """Everything bound (3) needs, for one activation and supervisor."""

    sigma: Activation
    """Activation."""
    cap: constants.EffectiveRegion
    """Effective region."""
    eps: float
    """Bias of the supervisor over the region."""
    c_g: float
    """Gradient constant."""
    eta: float
    """Learning rate of the online algorithm."""
    weak_squared: float
    """D_w^2."""

    def bound(self, time: np.ndarray) -> np.ndarray:
        """Returns the bound on E D^2 at rescaled times alpha eta mu."""
        alpha = time / (self.eta * self.cap.mu)
        return constants.squared_error_bound(alpha, region=self.cap, eps=self.eps, eta=self.eta, c_g=self.c_g)


def bound_case(settings: BoundSettings) -> BoundCase:
    """Returns the constants of the softplus case; the learning rate is a fraction of the largest admissible one."""
    sigma = softplus(1.0)
    cap = constants.region_of(sigma, settings.lam, settings.kappa)
    weak = region.supervisor(settings.supervisor_degrees)
    eps = region.bias(sigma, weak, cap.radius, lam=settings.lam, kappa=settings.kappa)
    c_g = constants.gradient_constant(sigma.required_bounds(), settings.lam)
    eta = settings.fraction * constants.largest_step(cap, c_g, eps)
    return BoundCase(sigma=sigma, cap=cap, eps=eps, c_g=c_g, eta=eta, weak_squared=2 - 2 * float(weak[0]))


def simulate_bound(experiment: Experiment, *, seed: int, threads: int, advance: Callable[[int], None]) -> pd.DataFrame:
    """Returns bound, levels and measured squared distances, in the columns of ``schemas.BOUND``.

    A run takes ``steps`` batch steps whose noise nu equals that of the online algorithm at the same rescaled
    time, and starts on the edge of the region, where the bound starts.
    """
    settings = BoundSettings()
    case = bound_case(settings)
    model = SpikedModel(
        lam=settings.lam,
        kappa=settings.kappa,
        c_w=math.cos(math.radians(settings.supervisor_degrees)),
        dimension=settings.dimension,
    )
    step = settings.measured / case.cap.mu / settings.steps  # steps * step = alpha eta = measured / mu
    batch = round(step * settings.dimension / case.eta)
    schedule = FineTuning(eta=step, steps=settings.steps, batch=batch)
    time = record_steps(settings.steps, settings.points) * (settings.measured / settings.steps)

    def one(run: int) -> pd.DataFrame:
        rng = stream(seed, experiment.number, run)
        where = draw_geometry(model, rng)
        start = warm_start(case.cap.gamma, model.dimension, rng)
        path = reduced.fine_tune(start, where, schedule, case.sigma, rng, points=settings.points)
        advance(1)
        return _curve("measured", run, time, distance(path.states[:, 0]) ** 2)

    frames = parallel(one, range(experiment.runs(0)), threads=threads)
    time = np.linspace(0, settings.horizon, settings.points + 1)
    frames.append(_curve("bound", 0, time, case.bound(time)))
    frames.append(_curve("supervisor", 0, time, np.full_like(time, case.weak_squared)))
    floor = 2 * (case.eps / case.cap.mu) ** 2
    frames.append(_curve("bias floor", 0, time, np.full_like(time, floor)))
    return pd.concat(frames, ignore_index=True)


def _curve(name: str, run: int, time: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"curve": name, "seed": run, "time": time, "squared_distance": values})
