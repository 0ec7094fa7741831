"""Grids of fine-tuning runs, every cell and seed with its own random stream; and the table of runs, cut by setting."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines import flows, reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import Cell, Grid, RunSettings
from w2sg.theory.model import closed_forms, law, spectral
from w2sg.theory.model.activations import Activation, activation_of


def simulate_runs(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
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
    found = parallel(one_cell, tasks, threads=asked.threads, watch=asked.watch)
    return pd.concat(found, ignore_index=True).assign(experiment=experiment.name)


def run_cell(cell: Cell, grid: Grid, streams: list[np.random.Generator]) -> pd.DataFrame:
    """Returns the recorded steps of one cell, one run per stream."""
    model = law.SpikedModel(lam=cell.lam, kappa=cell.kappa, c_w=cell.c_w, dimension=cell.dimension)
    sigma, online = activation_of(cell.lam, cell.kappa), grid.mode == "online"
    schedule = law.FineTuning(
        eta=cell.eta,
        steps=grid.steps * (cell.dimension if online else 1),
        batch=grid.batch,
        mode="online" if online else "batch",
        labels=grid.labels,
    )
    frames = []
    for run, rng in enumerate(streams):
        where = law.draw_geometry(model, rng)
        start = run_start(cell, where, grid.ratio, rng)
        if grid.mode == "population":
            path = flows.descend(start, where, schedule, sigma, points=grid.points)
        else:
            path = reduced.fine_tune(start, where, schedule, sigma, rng, points=grid.points)
        frames.append(measure(path, where, sigma, seed=run))
    fixed = cell._asdict() | {"m0": np.nan if cell.m0 is None else cell.m0}
    return pd.concat(frames, ignore_index=True).assign(variant=grid.variant, **fixed, weak_distance=model.weak_distance)


def run_start(cell: Cell, where: law.Geometry, ratio: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns theta_0 of a cell as a state (4,), oriented by the truth."""
    if cell.m0 is None:
        overlap, _ = spectral.sample_overlap(cell.lam, cell.dimension, round(ratio * cell.dimension), rng)
        return reduced.orient_by_truth(law.spectral_start(overlap, where, rng))
    return law.random_start(cell.dimension, rng) if cell.m0 == 0 else law.warm_start(cell.m0, cell.dimension, rng)


def measure(path: law.Path, where: law.Geometry, sigma: Activation, *, seed: int) -> pd.DataFrame:
    """Returns overlaps, law.distance, risk and weak loss of a path, and the supervisor's own risk."""
    m, q, w = where.overlaps(path.states).T
    target, weak = (closed_forms.laws(path.states, u, where) for u in (where.target, where.weak))
    supervisor = closed_forms.laws(np.append(where.weak, 0.0), where.target, where)
    return pd.DataFrame(
        {
            "seed": seed,
            "step": path.steps,
            "m": m,
            "q": q,
            "w": w,
            "distance": law.distance(m),
            "risk": closed_forms.loss(sigma, target),
            "weak_loss": closed_forms.loss(sigma, weak),
            "weak_risk": float(closed_forms.loss(sigma, supervisor)),
        }
    )


def finals(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the last recorded step of every run, with the risk ratio L/L(theta_w) as ``risk_ratio``."""
    keys = ["variant", "dimension", "lam", "kappa", "c_w", "eta", "m0", "seed"]
    last = runs.loc[runs.groupby(keys, dropna=False)["step"].transform("max") == runs["step"]]
    return last.assign(risk_ratio=last["risk"] / last["weak_risk"])


def curves(frame: pd.DataFrame, axis: str, value: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the sorted values of a setting (points,) and one curve per seed (seeds, points)."""
    table = frame.pivot(index="seed", columns=axis, values=value).sort_index(axis=1)
    return table.columns.to_numpy(dtype=np.float64), table.to_numpy(dtype=np.float64)


def sweep(runs: pd.DataFrame, series: str, axis: str) -> tuple[NDArray[np.float64], dict[float, NDArray[np.float64]]]:
    """Returns the values of one setting (points,), and per value of another the final distances (seeds, points)."""
    found = {value: curves(part, axis, "distance") for value, part in split(finals(runs), series).items()}
    return next(iter(found.values()))[0], {value: distances for value, (_, distances) in found.items()}


def split(frame: pd.DataFrame, setting: str) -> dict[float, pd.DataFrame]:
    """Returns the rows per value of a numeric setting, in increasing order; rows without a value are left out."""
    values = sorted(set(frame[setting].dropna().astype(float)))
    return {value: frame.loc[frame[setting] == value] for value in values}
