"""Grids of fine-tuning runs: every cell and seed with its own random stream, on any number of threads."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import flows, reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import Cell, Grid, RunSettings
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import Activation, activation_of
from w2sg.theory.model.law import (
    FineTuning,
    Geometry,
    Path,
    SpikedModel,
    distance,
    draw_geometry,
    random_start,
    spectral_start,
    warm_start,
)


def simulate_grid(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns the runs of all grids of an experiment, in the columns of ``tables.theory.RUNS``."""
    runs = range(experiment.runs(asked.seeds))

    def one_cell(task: tuple[int, Grid, int, Cell]) -> pd.DataFrame:
        index, grid, number, cell = task
        return run_cell(cell, grid, [stream(asked.seed, experiment.number, index, number, run) for run in runs])

    tasks = [
        (index, grid, number, cell)
        for index, grid in enumerate(experiment.grids)
        for number, cell in enumerate(grid.cells())
    ]
    table = pd.concat(parallel(one_cell, tasks, threads=asked.threads, watch=asked.watch), ignore_index=True)
    table.insert(0, "experiment", experiment.name)
    return table


def run_cell(cell: Cell, grid: Grid, streams: list[np.random.Generator]) -> pd.DataFrame:
    """Returns the recorded steps of one cell, one run per stream."""
    model = SpikedModel(lam=cell.lam, kappa=cell.kappa, c_w=cell.c_w, dimension=cell.dimension)
    sigma, online = activation_of(cell.lam, cell.kappa), grid.mode == "online"
    schedule = FineTuning(
        eta=cell.eta,
        steps=grid.steps * (cell.dimension if online else 1),
        batch=grid.batch,
        mode="online" if online else "batch",
        labels=grid.labels,
    )
    frames = []
    for run, rng in enumerate(streams):
        where = draw_geometry(model, rng)
        start = run_start(cell, where, grid.ratio, rng)
        if grid.mode == "population":
            path = flows.descend(start, where, schedule, sigma, points=grid.points)
        else:
            path = reduced.fine_tune(start, where, schedule, sigma, rng, points=grid.points)
        frames.append(measure(path, where, sigma, seed=run))
    table = pd.concat(frames, ignore_index=True)
    fixed = {"variant": grid.variant, "dimension": cell.dimension, "lam": cell.lam, "kappa": cell.kappa}
    fixed |= {"c_w": cell.c_w, "eta": cell.eta, "m0": np.nan if cell.m0 is None else cell.m0}
    return table.assign(**fixed, weak_distance=model.weak_distance)


def run_start(cell: Cell, where: Geometry, ratio: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns theta_0 of a cell as a state (4,), oriented by the truth."""
    if cell.m0 is None:
        overlap, _ = spectral.sample_overlap(cell.lam, cell.dimension, round(ratio * cell.dimension), rng)
        return reduced.orient_by_truth(spectral_start(overlap, where, rng))
    return random_start(cell.dimension, rng) if cell.m0 == 0 else warm_start(cell.m0, cell.dimension, rng)


def measure(path: Path, where: Geometry, sigma: Activation, *, seed: int) -> pd.DataFrame:
    """Returns overlaps, distance, risk and weak loss of a path, and the supervisor's own risk."""
    overlaps = where.overlaps(path.states)
    target, weak = (closed_forms.laws(path.states, u, where) for u in (where.target, where.weak))
    supervisor = closed_forms.laws(np.append(where.weak, 0.0), where.target, where)
    return pd.DataFrame(
        {
            "seed": seed,
            "step": path.steps,
            "m": overlaps[:, 0],
            "q": overlaps[:, 1],
            "w": overlaps[:, 2],
            "distance": distance(overlaps[:, 0]),
            "risk": closed_forms.loss(sigma, target),
            "weak_loss": closed_forms.loss(sigma, weak),
            "weak_risk": float(closed_forms.loss(sigma, supervisor)),
        }
    )
