"""The weak-loss sign rule: how often it turns the spectral start the wrong way (8.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import RunSettings, SignSettings
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import Activation, activation_of
from w2sg.theory.model.law import Geometry, SpikedModel, draw_geometry, spectral_start


def draw_overlaps(
    lams: Sequence[float], experiment: Experiment, asked: RunSettings, *, dimension: int, runs: int
) -> dict[float, list[float]]:
    """Returns exact spectral overlaps for d and N = d times the experiment's ratio, ``runs`` per spike strength.

    The overlap depends on lam alone and its draw costs as much as what follows: cells of equal lam share the
    draws. Each run keeps its exact law; runs of such cells are dependent.
    """
    samples = round(experiment.settings.ratio * dimension)

    def one(task: tuple[int, int]) -> float:
        rng = stream(asked.seed, experiment.number, 0, *task)
        return spectral.sample_overlap(lams[task[0]], dimension, samples, rng)[0]

    drawn = parallel(one, [(k, run) for k in range(len(lams)) for run in range(runs)], threads=asked.threads)
    return {lam: drawn[k * runs : (k + 1) * runs] for k, lam in enumerate(lams)}


def oriented_starts(
    overlaps: Sequence[float],
    model: SpikedModel,
    sigma: Activation,
    experiment: Experiment,
    asked: RunSettings,
    cell: int,
) -> Iterator[tuple[np.random.Generator, Geometry, NDArray[np.float64]]]:
    """Yields for each run of a cell of the grid its source of samples, directions and spectral start, turned by the weak loss."""
    for run, overlap in enumerate(overlaps):
        rng = stream(asked.seed, experiment.number, 1, cell, run)
        where = draw_geometry(model, rng)
        start = spectral_start(overlap, where, rng)
        yield rng, where, reduced.orient_by_loss(start, where, sigma, rng, samples=experiment.settings.samples)


def simulate_signs(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns the rule's choices on the grid, in the columns of ``tables.theory.SIGNS``."""
    settings: SignSettings = experiment.settings
    runs = experiment.runs(asked.seeds)
    overlaps = draw_overlaps(settings.lams, experiment, asked, dimension=settings.dimension, runs=runs)
    cells = [(lam, kappa) for lam in settings.lams for kappa in settings.kappas]

    def one_cell(task: tuple[int, tuple[float, float]]) -> list[dict[str, Any]]:
        cell, (lam, kappa) = task
        model = SpikedModel(lam=lam, kappa=kappa, c_w=settings.c_w, dimension=settings.dimension)
        sigma, rows = activation_of(lam, kappa), []
        starts = oriented_starts(overlaps[lam], model, sigma, experiment, asked, cell)
        for run, (_, where, chosen) in enumerate(starts):
            true = closed_forms.laws(reduced.orient_by_truth(chosen), where.weak, where)
            margin, wrong = float(closed_forms.sign_margin(sigma, true)), bool(chosen[0] < 0)
            rows.append({"lam": lam, "kappa": kappa, "seed": run, "wrong": wrong, "margin": margin})
        return rows

    found = parallel(one_cell, enumerate(cells), threads=asked.threads, watch=asked.watch)
    return pd.DataFrame([row for rows in found for row in rows])
