"""Engine agreement: the same settings in the direct and the reduced engine (8.9)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import direct, reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import AgreementSettings, RunSettings
from w2sg.theory.model import spectral
from w2sg.theory.model.activations import he3
from w2sg.theory.model.law import FineTuning, SpikedModel, draw_geometry, spectral_start

Array = NDArray[np.float64]


def simulate_agreement(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns final overlaps of every setting, engine and run, in the columns of ``tables.theory.AGREEMENT``."""
    settings: AgreementSettings = experiment.settings
    runs, samples = experiment.runs(0), round(settings.ratio * settings.dimension)
    model = SpikedModel(lam=settings.lam, kappa=settings.kappa, c_w=settings.c_w, dimension=settings.dimension)

    def streams(*key: int, runs: int) -> list[np.random.Generator]:
        return [stream(asked.seed, experiment.number, *key, run) for run in range(runs)]

    def one(task: tuple[int, tuple[int, float, int]]) -> list[pd.DataFrame]:
        index, (batch, eta, steps) = task
        schedule = FineTuning(eta=eta, steps=steps, batch=batch, mode="online" if batch == 1 else "batch")
        rng = stream(asked.seed, experiment.number, index, 0)
        slow = _run_direct(model, schedule, samples, runs, rng)
        fast = [_run_reduced(model, schedule, samples, rng) for rng in streams(index, 1, runs=runs)]
        return [_rows("direct", batch, slow), _rows("reduced", batch, np.array(fast))]

    found = parallel(one, enumerate(settings.settings), threads=asked.threads, watch=asked.watch)
    return pd.concat([frame for frames in found for frame in frames], ignore_index=True)


def _run_direct(model: SpikedModel, schedule: FineTuning, samples: int, runs: int, rng: np.random.Generator) -> Array:
    where = direct.draw_directions(model, runs, rng)
    start = direct.sampled_spectral_start(model, where, samples, rng)
    return direct.fine_tune(start, where, model, schedule, he3(model.variance), rng)[1][-1]


def _run_reduced(model: SpikedModel, schedule: FineTuning, samples: int, rng: np.random.Generator) -> Array:
    where = draw_geometry(model, rng)
    overlap, _ = spectral.sample_overlap(model.lam, model.dimension, samples, rng)
    start = reduced.orient_by_truth(spectral_start(overlap, where, rng))
    return where.overlaps(reduced.fine_tune(start, where, schedule, he3(model.variance), rng).states)[-1]


def _rows(engine: str, batch: int, overlaps: Array) -> pd.DataFrame:
    frame = pd.DataFrame(overlaps, columns=["m", "q", "w"])
    return frame.assign(engine=engine, batch=batch, seed=np.arange(len(frame)))
