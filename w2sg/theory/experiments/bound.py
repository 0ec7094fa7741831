"""Bound (3) beside measured trajectories inside the provable region."""

from __future__ import annotations

import numpy as np
import pandas as pd

from w2sg.theory.engines import reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments import region
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import BoundSettings, RunSettings
from w2sg.theory.model import constants
from w2sg.theory.model.activations import softplus
from w2sg.theory.model.law import FineTuning, SpikedModel, distance, draw_geometry, record_steps, warm_start


def simulate_bound(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns bound, levels and measured squared distances, in the columns of ``tables.theory.BOUND``.

    A run takes ``steps`` batch steps whose noise nu equals that of the online algorithm at the same rescaled
    time, and starts on the edge of the region, where the bound starts.
    """
    settings: BoundSettings = experiment.settings
    sigma, lam, kappa = softplus(1.0), settings.lam, settings.kappa
    cap, weak = constants.region_of(sigma, lam, kappa), region.supervisor(settings.supervisor_degrees)
    eps = region.bias(sigma, weak, cap.radius, lam=lam, kappa=kappa)
    c_g = constants.gradient_constant(sigma.required_bounds(), lam)
    eta = settings.fraction * constants.largest_step(cap, c_g, eps)
    model = SpikedModel(lam=lam, kappa=kappa, c_w=float(weak[0]), dimension=settings.dimension)
    step = settings.measured / cap.mu / settings.steps  # steps * step = alpha eta = measured / mu
    schedule = FineTuning(eta=step, steps=settings.steps, batch=round(step * settings.dimension / eta))
    recorded = record_steps(settings.steps, settings.points) * (settings.measured / settings.steps)

    def one(run: int) -> pd.DataFrame:
        rng = stream(asked.seed, experiment.number, run)
        where = draw_geometry(model, rng)
        start = warm_start(cap.gamma, model.dimension, rng)
        path = reduced.fine_tune(start, where, schedule, sigma, rng, points=settings.points)
        return _curve("measured", run, recorded, distance(path.states[:, 0]) ** 2)

    frames = parallel(one, range(experiment.runs(0)), threads=asked.threads, watch=asked.watch)
    time = np.linspace(0, settings.horizon, settings.points + 1)
    bound = constants.squared_error_bound(time / (eta * cap.mu), region=cap, eps=eps, eta=eta, c_g=c_g)
    frames.append(_curve("bound", 0, time, bound))
    frames.append(_curve("supervisor", 0, time, 2 - 2 * float(weak[0])))
    frames.append(_curve("bias floor", 0, time, 2 * (eps / cap.mu) ** 2))
    return pd.concat(frames, ignore_index=True)


def _curve(name: str, run: int, time: np.ndarray, values: np.ndarray | float) -> pd.DataFrame:
    return pd.DataFrame({"curve": name, "seed": run, "time": time, "squared_distance": values})
