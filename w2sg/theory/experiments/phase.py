"""Success probability of W2SG over two settings, beside the boundaries that theory predicts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from w2sg.theory.engines import reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.predictions import limit_distance
from w2sg.theory.experiments.settings import PhaseSettings, RunSettings
from w2sg.theory.experiments.signs import draw_overlaps
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.closed_forms import limit_margin
from w2sg.theory.model.law import FineTuning, SpikedModel, distance, draw_geometry, spectral_start


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
    overlaps = draw_overlaps(
        sorted({lam for lam, _, _ in cells}),
        dimension=size.dimension,
        samples=round(settings.ratio * size.dimension),
        runs=size.seeds,
        streams=lambda k, run: stream(asked.seed, experiment.number, 0, k, run),
        threads=asked.threads,
    )

    def one_cell(task: tuple[int, tuple[float, float, float]]) -> dict[str, Any]:
        number, cell = task
        streams = [stream(asked.seed, experiment.number, 1, number, run) for run in range(size.seeds)]
        row = _simulate_cell(cell, overlaps[cell[0]], size.dimension, settings, streams)
        return row | predict_cell(cell, settings)

    return pd.DataFrame(parallel(one_cell, enumerate(cells), threads=asked.threads, watch=asked.watch))


def _simulate_cell(
    cell: tuple[float, float, float],
    overlaps: list[float],
    dimension: int,
    settings: PhaseSettings,
    streams: list[np.random.Generator],
) -> dict[str, Any]:
    lam, kappa, c_w = cell
    model = SpikedModel(lam=lam, kappa=kappa, c_w=c_w, dimension=dimension)
    sigma = activation_of(lam, kappa)
    batch = round(settings.eta * dimension / settings.noise)
    schedule = FineTuning(eta=settings.eta, steps=settings.steps, batch=batch)
    found = []
    for overlap, rng in zip(overlaps, streams, strict=True):
        where = draw_geometry(model, rng)
        start = spectral_start(overlap, where, rng)
        start = reduced.orient_by_loss(start, where, sigma, rng, samples=settings.samples)
        last = reduced.fine_tune(start, where, schedule, sigma, rng).states[-1]
        risk = closed_forms.loss(sigma, closed_forms.laws(last, where.target, where))
        own = closed_forms.loss(sigma, closed_forms.laws(np.append(where.weak, 0.0), where.target, where))
        found.append((float(distance(last[0])), float(risk) < float(own), start[0] < 0))
    d = np.array([row[0] for row in found])
    return {
        "lam": lam,
        "kappa": kappa,
        "c_w": c_w,
        "dimension": dimension,
        "seeds": len(streams),
        "success": float(np.mean(d < model.weak_distance)),
        "success_risk": float(np.mean([row[1] for row in found])),
        "wrong_sign": float(np.mean([row[2] for row in found])),
        "distance": float(d.mean()),
        "weak_distance": model.weak_distance,
    }


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
