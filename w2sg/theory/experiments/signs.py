"""The weak-loss sign rule: how often it turns the spectral start the wrong way (8.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from w2sg.theory.engines import reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import RunSettings, SignSettings
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.law import SpikedModel, draw_geometry, spectral_start


def draw_overlaps(
    lams: Sequence[float],
    *,
    dimension: int,
    samples: int,
    runs: int,
    streams: Callable[[int, int], np.random.Generator],
    threads: int,
) -> dict[float, list[float]]:
    """Returns exact spectral overlaps, ``runs`` per spike strength.

    The overlap depends on lam alone and its draw costs as much as what follows: cells of equal lam share the
    draws. Each run keeps its exact law; runs of such cells are dependent.

    Args:
        lams: Spike strengths.
        dimension: d.
        samples: N.
        runs: Draws per spike strength.
        streams: Random stream of (index of the spike strength, run).
        threads: Threads.
    """
    tasks = [(k, run) for k in range(len(lams)) for run in range(runs)]

    def one(task: tuple[int, int]) -> float:
        return spectral.sample_overlap(lams[task[0]], dimension, samples, streams(*task))[0]

    drawn = parallel(one, tasks, threads=threads)
    return {lam: drawn[k * runs : (k + 1) * runs] for k, lam in enumerate(lams)}


def simulate_signs(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns the rule's choices on the grid, in the columns of ``tables.theory.SIGNS``."""
    settings: SignSettings = experiment.settings
    runs = experiment.runs(asked.seeds)
    overlaps = draw_overlaps(
        settings.lams,
        dimension=settings.dimension,
        samples=round(settings.ratio * settings.dimension),
        runs=runs,
        streams=lambda k, run: stream(asked.seed, experiment.number, 0, k, run),
        threads=asked.threads,
    )
    cells = [(lam, kappa) for lam in settings.lams for kappa in settings.kappas]

    def one(task: tuple[int, tuple[float, float]]) -> list[dict[str, object]]:
        number, (lam, kappa) = task
        streams = [stream(asked.seed, experiment.number, 1, number, run) for run in range(runs)]
        return _one_cell(lam, kappa, settings, overlaps[lam], streams)

    found = parallel(one, enumerate(cells), threads=asked.threads, watch=asked.watch)
    return pd.DataFrame([row for rows in found for row in rows])


def _one_cell(
    lam: float,
    kappa: float,
    settings: SignSettings,
    overlaps: Sequence[float],
    streams: Sequence[np.random.Generator],
) -> list[dict[str, object]]:
    model = SpikedModel(lam=lam, kappa=kappa, c_w=settings.c_w, dimension=settings.dimension)
    sigma = activation_of(lam, kappa)
    rows: list[dict[str, object]] = []
    for run, (overlap, rng) in enumerate(zip(overlaps, streams, strict=True)):
        where = draw_geometry(model, rng)
        start = spectral_start(overlap, where, rng)
        chosen = reduced.orient_by_loss(start, where, sigma, rng, samples=settings.samples)
        true = reduced.orient_by_truth(start)
        margin = float(closed_forms.sign_margin(sigma, closed_forms.laws(true, where.weak, where)))
        wrong = bool(chosen[0] < 0)
        rows.append({"lam": lam, "kappa": kappa, "seed": run, "wrong": wrong, "margin": margin})
    return rows
