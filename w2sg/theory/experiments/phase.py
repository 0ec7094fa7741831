"""Success probability of W2SG over two settings, beside the boundaries that theory predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from w2sg.theory.engines import flows, reduced
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import PhaseSettings
from w2sg.theory.experiments.signs import draw_overlaps
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.closed_forms import limit_margin
from w2sg.theory.model.law import (
    FineTuning,
    SpikedModel,
    distance,
    draw_geometry,
    geometry,
    limit_start,
    spectral_start,
)

FLOW_POINTS = 30
"""Least number of Runge-Kutta steps of a predicted path; doubling it changes D by less than 1e-3."""


@dataclass(frozen=True, kw_only=True)
class PhaseSize:
    """Size of a phase diagram: the part of it that the configuration decides."""

    dimension: int = 100_000
    """d."""
    grid: int = 12
    """Points per axis."""
    seeds: int = 4
    """Runs per cell."""

    def __post_init__(self) -> None:
        if self.dimension < 1000 or self.grid < 3 or self.seeds < 1:
            raise ValueError(
                f"dimension must be at least 1000, grid at least 3 and seeds at least 1, "
                f"got {self.dimension}, {self.grid} and {self.seeds}"
            )


def cells_of(name: str, size: PhaseSize, settings: PhaseSettings) -> list[tuple[float, float, float]]:
    """Returns the cells (lam, kappa, c_w) of a diagram, spike strengths slowest.

    Raises:
        ValueError: On an unknown diagram.
    """
    kappas = np.linspace(*settings.kappa_range, size.grid)
    if name == "phase_lam_kappa":
        lams = np.geomspace(*settings.lam_range, size.grid)
        return [(float(lam), float(kappa), settings.c_w) for lam in lams for kappa in kappas]
    if name == "phase_kappa_cw":
        weak = np.linspace(*settings.c_w_range, size.grid)
        return [(settings.lam, float(kappa), float(c_w)) for kappa in kappas for c_w in weak]
    raise ValueError(f"diagram must be phase_lam_kappa or phase_kappa_cw, got {name!r}")


def simulate_phase(
    experiment: Experiment, size: PhaseSize, *, seed: int, threads: int, advance: Callable[[int], None]
) -> pd.DataFrame:
    """Returns success fractions and predictions per cell, in the columns of ``schemas.PHASE``.

    Cells of equal spike strength share their overlaps, see ``signs.draw_overlaps``.
    """
    settings = PhaseSettings()
    cells = cells_of(experiment.name, size, settings)
    overlaps = draw_overlaps(
        sorted({lam for lam, _, _ in cells}),
        dimension=size.dimension,
        samples=round(settings.ratio * size.dimension),
        runs=size.seeds,
        streams=lambda k, run: stream(seed, experiment.number, 0, k, run),
        threads=threads,
    )

    def one_cell(task: tuple[int, tuple[float, float, float]]) -> dict[str, Any]:
        number, cell = task
        streams = [stream(seed, experiment.number, 1, number, run) for run in range(size.seeds)]
        row = _simulate_cell(cell, overlaps[cell[0]], size.dimension, settings, streams)
        advance(1)
        return row | predict_cell(cell, settings)

    return pd.DataFrame(parallel(one_cell, enumerate(cells), threads=threads))


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
    lam, kappa, c_w = cell
    overlap = spectral.limit_overlap(lam, 1 / settings.ratio)
    where = geometry(SpikedModel(lam=lam, kappa=kappa, c_w=c_w))
    path = flows.limit_flow(
        limit_start(overlap, where),
        where,
        activation_of(lam, kappa),
        horizon=settings.eta * settings.steps,
        noise=settings.noise,
        points=FLOW_POINTS,
    )
    return {
        "limit_overlap": overlap,
        "limit_margin": limit_margin(lam, kappa, c_w, overlap),
        "limit_distance": float(distance(path[-1, 0])),
    }
