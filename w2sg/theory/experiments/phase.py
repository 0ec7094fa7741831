"""Success probability of W2SG over two settings, beside the boundaries that theory predicts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from w2sg.theory.engines import reduced
from w2sg.theory.engines.streams import parallel
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.predictions import limit_distance
from w2sg.theory.experiments.settings import PhaseSettings, RunSettings
from w2sg.theory.experiments.signs import draw_overlaps, oriented_starts
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.closed_forms import limit_margin
from w2sg.theory.model.law import FineTuning, SpikedModel, distance


def cells_of(settings: PhaseSettings, grid: int) -> list[tuple[float, float, float]]:
    """Returns the cells (lam, kappa, c_w) of a diagram with ``grid`` points per axis, its first axis slowest."""
    ranges = {"lam": settings.lam_range, "kappa": settings.kappa_range, "c_w": settings.c_w_range}
    values = {"lam": [settings.lam], "c_w": [settings.c_w]}
    for name in settings.axes:
        spaced = np.geomspace if name == "lam" else np.linspace
        values[name] = spaced(*ranges[name], grid).tolist()
    return list(itertools.product(values["lam"], values["kappa"], values["c_w"]))


def simulate_phase(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns success fractions and predictions per cell, in the columns of ``tables.theory.PHASE``.

    Cells of equal spike strength share their overlaps, see ``signs.draw_overlaps``.
    """
    settings: PhaseSettings = experiment.settings
    size = asked.phase
    cells = cells_of(settings, size.grid)
    lams = sorted({lam for lam, _, _ in cells})
    overlaps = draw_overlaps(lams, experiment, asked, dimension=size.dimension, runs=size.seeds)
    batch = round(settings.eta * size.dimension / settings.noise)
    schedule = FineTuning(eta=settings.eta, steps=settings.steps, batch=batch)

    def one_cell(task: tuple[int, tuple[float, float, float]]) -> dict[str, Any]:
        number, cell = task
        lam, kappa, c_w = cell
        model = SpikedModel(lam=lam, kappa=kappa, c_w=c_w, dimension=size.dimension)
        sigma, found = activation_of(lam, kappa), []
        for rng, where, start in oriented_starts(overlaps[lam], model, sigma, experiment, asked, number):
            last = reduced.fine_tune(start, where, schedule, sigma, rng).states[-1]
            students = np.array([last, np.append(where.weak, 0.0)])
            risk, own = closed_forms.loss(sigma, closed_forms.laws(students, where.target, where))
            found.append((float(distance(last[0])), risk < own, start[0] < 0))
        distances, better, wrong = map(np.array, zip(*found, strict=True))
        return {
            "lam": lam,
            "kappa": kappa,
            "c_w": c_w,
            "dimension": size.dimension,
            "seeds": size.seeds,
            "success": float(np.mean(distances < model.weak_distance)),
            "success_risk": float(np.mean(better)),
            "wrong_sign": float(np.mean(wrong)),
            "distance": float(distances.mean()),
            "weak_distance": model.weak_distance,
            **predict_cell(cell, settings),
        }

    return pd.DataFrame(parallel(one_cell, enumerate(cells), threads=asked.threads, watch=asked.watch))


def predict_cell(cell: tuple[float, float, float], settings: PhaseSettings) -> dict[str, float]:
    """Returns spectral overlap, sign margin and final distance for d -> infinity, truth-oriented start."""
    overlap = spectral.limit_overlap(cell[0], 1 / settings.ratio)
    # Doubling the 30 points changes the distance by less than 1e-3.
    flow = {"horizon": settings.eta * settings.steps, "noise": settings.noise, "points": 30}
    return {
        "limit_overlap": overlap,
        "limit_margin": limit_margin(*cell, overlap),
        "limit_distance": limit_distance(*cell, ratio=settings.ratio, **flow),
    }
