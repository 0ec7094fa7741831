"""Engine agreement: the same settings in the direct and the reduced engine, and raw against unit amplitude (8.9)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import direct, reduced
from w2sg.theory.engines.streams import stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import AgreementSettings
from w2sg.theory.model import spectral
from w2sg.theory.model.activations import he3
from w2sg.theory.model.law import FineTuning, SpikedModel, draw_geometry, spectral_start, warm_start


def simulate_agreement(experiment: Experiment, *, seed: int, advance: Callable[[int], None]) -> pd.DataFrame:
    """Returns final overlaps of every setting, engine and run, in the columns of ``schemas.AGREEMENT``."""
    settings, runs = AgreementSettings(), experiment.runs(0)
    model = SpikedModel(lam=settings.lam, kappa=settings.kappa, c_w=settings.c_w, dimension=settings.dimension)
    frames = []
    for number, (batch, eta, steps) in enumerate(settings.settings):
        mode = "online" if batch == 1 else "batch"
        schedule = FineTuning(eta=eta, steps=steps, batch=batch, mode=mode)
        slow = _run_direct(model, schedule, settings.ratio, runs, stream(seed, experiment.number, number, 0))
        streams = [stream(seed, experiment.number, number, 1, run) for run in range(runs)]
        fast = [_run_reduced(model, schedule, settings.ratio, rng) for rng in streams]
        frames += [_rows("law", "direct", batch, slow), _rows("law", "reduced", batch, np.array(fast))]
        advance(1)
    for batch, eta, steps in settings.settings:
        keys = [(experiment.number, 9, batch, run) for run in range(settings.amplitude_seeds)]
        for amplitude in ("unit", "raw"):
            found = [_run_amplitude(model, (batch, eta, steps), amplitude, stream(seed, *key)) for key in keys]
            frames.append(_rows("amplitude", amplitude, batch, np.array(found)))
    return pd.concat(frames, ignore_index=True)


def _run_direct(
    model: SpikedModel, schedule: FineTuning, ratio: float, runs: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    where = direct.draw_directions(model, runs, rng)
    start = direct.sampled_spectral_start(model, where, round(ratio * model.dimension), rng)
    _, overlaps = direct.fine_tune(start, where, model, schedule, he3(model.variance), rng)
    return overlaps[-1]


def _run_reduced(
    model: SpikedModel, schedule: FineTuning, ratio: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    where = draw_geometry(model, rng)
    overlap, _ = spectral.sample_overlap(model.lam, model.dimension, round(ratio * model.dimension), rng)
    start = reduced.orient_by_truth(spectral_start(overlap, where, rng))
    path = reduced.fine_tune(start, where, schedule, he3(model.variance), rng)
    return where.overlaps(path.states)[-1]


def _run_amplitude(
    model: SpikedModel, setting: tuple[int, float, int], amplitude: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A run with (a, eta) equals one with (1, a^2 eta) for equal random numbers: h scales by a^2."""
    batch, eta, steps = setting
    sigma = he3(model.variance, amplitude)
    if amplitude == "raw":
        eta *= he3(model.variance, "unit").p0 ** 2
    where = draw_geometry(model, rng)
    start = warm_start(0.5, model.dimension, rng)
    schedule = FineTuning(eta=eta, steps=steps, batch=batch, mode="online" if batch == 1 else "batch")
    return where.overlaps(reduced.fine_tune(start, where, schedule, sigma, rng).states)[-1]


def _rows(check: str, engine: str, batch: int, overlaps: NDArray[np.float64]) -> pd.DataFrame:
    frame = pd.DataFrame(overlaps, columns=["m", "q", "w"])
    return frame.assign(check=check, engine=engine, batch=batch, seed=np.arange(len(frame)))
