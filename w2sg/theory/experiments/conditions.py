"""The four conditions of the theorem together, beside where fine-tuning in fact beats the supervisor (8.10)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import flows, reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments import region
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import ConditionSettings, RunSettings
from w2sg.theory.model import constants, law, spectral
from w2sg.theory.model.activations import projected_tanh


def simulate_conditions(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns the margins of the conditions and the measured success per cell, in ``tables.theory.CONDITIONS``.

    Without noise a run does not depend on eta: all cells with eta below ``noisy`` share one run of the exact gradient.
    """
    settings: ConditionSettings = experiment.settings
    planes = itertools.product(settings.lams, settings.spike_degrees, settings.weak_degrees)

    def one(task: tuple[int, tuple[float, float, float]]) -> list[dict[str, Any]]:
        number, (lam, spike_degrees, weak_degrees) = task
        kappa, c_w = math.cos(math.radians(spike_degrees)), math.cos(math.radians(weak_degrees))
        model = law.SpikedModel(lam=lam, kappa=kappa, c_w=c_w, dimension=settings.dimension)
        sigma = projected_tanh(model.variance)
        cap, c_g = constants.region_of(sigma, lam, kappa), constants.gradient_constant(sigma.required_bounds(), lam)
        eps = region.bias(sigma, region.supervisor(weak_degrees), cap.radius, lam=lam, kappa=kappa)
        overlap = spectral.limit_overlap(lam, 1 / settings.ratio)
        setting: dict[str, Any] = {"lam": lam, "kappa": kappa, "aspect": 1 / settings.ratio, "overlap": overlap}
        where, step = law.geometry(model), settings.horizon / cap.mu / settings.steps
        start = law.limit_start(overlap, where)

        def ends(eta: float) -> NDArray[np.float64]:
            """Distances of the runs at the end."""
            schedule = law.FineTuning(eta=step, steps=settings.steps, batch=math.ceil(step * model.dimension / eta))
            if eta < settings.noisy:
                return law.distance(flows.descend(start, where, schedule, sigma).states[-1:, 0])
            streams = [stream(asked.seed, experiment.number, number, run) for run in range(experiment.runs(0))]
            last = [reduced.fine_tune(start, where, schedule, sigma, rng).states[-1, 0] for rng in streams]
            return law.distance(last)

        calm, rows = ends(0.5 * settings.noisy), []
        for eta in settings.etas:
            noisy = eta >= settings.noisy
            distances = ends(eta) if noisy else calm
            found = constants.conditions(cap, **setting, eps=eps, eta=eta, c_g=c_g)
            bound = constants.squared_error_bound(
                settings.horizon / (eta * cap.mu), region=cap, eps=eps, eta=eta, c_g=c_g
            )
            rows.append(
                {
                    "lam": lam,
                    "kappa": kappa,
                    "c_w": c_w,
                    "eta": eta,
                    **asdict(found),
                    "hold": found.hold,
                    "seeds": len(distances) if noisy else 0,
                    "success": float(np.mean(distances < model.weak_distance)),
                    "squared_distance": float(np.mean(distances**2)),
                    "weak_distance": model.weak_distance,
                    "bound": float(bound),
                }
            )
        return rows

    found = parallel(one, enumerate(planes), threads=asked.threads, watch=asked.watch)
    return pd.DataFrame([row for rows in found for row in rows])


CONDITION_NAMES: Sequence[str] = ("detectable", "aligned", "informative", "stable")
"""The four conditions in the order of the theorem; a column of their names holds a margin, see ``constants.Conditions``."""


def failing(table: pd.DataFrame) -> pd.Series:
    """Returns per cell the numbers of the conditions that fail as digits, such as 23; 0 where all four hold."""
    fails = [table[name] <= 0 for name in CONDITION_NAMES[:-1]] + [table[CONDITION_NAMES[-1]] < 0]
    digits = pd.concat([fail.map({True: str(k), False: ""}) for k, fail in enumerate(fails, start=1)], axis=1)
    return digits.agg("".join, axis=1).replace("", "0").astype(int)
