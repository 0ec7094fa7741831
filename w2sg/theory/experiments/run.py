"""One entry point from an experiment's name to its table."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg.theory.experiments import agreement, bounds, grids, landscape, region, signs
from w2sg.theory.experiments.catalogue import EXPERIMENTS
from w2sg.theory.experiments.phase import PhaseSize, simulate_phase
from w2sg.theory.experiments.settings import SignSettings


def count_units(name: str, phase: PhaseSize) -> int:
    """Returns how many units of work an experiment reports, for its progress display."""
    item = EXPERIMENTS[name]
    if item.grids:
        return sum(len(list(grid.cells())) for grid in item.grids)
    if name.startswith("phase_"):
        return phase.grid**2
    settings = {
        "landscape": 3 * item.runs(0),
        "sign_rule": len(SignSettings().lams) * len(SignSettings().kappas),
        "bound": item.runs(0),
        "agreement": 2,
    }
    return settings.get(name, 1)


def simulate_experiment(
    name: str,
    *,
    seeds: int,
    seed: int,
    phase: PhaseSize,
    threads: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> pd.DataFrame:
    """Returns an experiment's table, in the columns of ``schemas.schema_of(name)``.

    The result depends on ``seeds``, ``seed`` and ``phase`` only, not on threads or machine load.

    Args:
        name: Experiment.
        seeds: Requested seeds; an experiment may run more (``Experiment.runs``).
        seed: Study seed.
        phase: Size of the phase diagrams.
        threads: Threads.
        advance: Called with the number of finished units.

    Raises:
        ValueError: On an unknown experiment or fewer than 2 seeds (no standard error).
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment must be one of {sorted(EXPERIMENTS)}, got {name!r}")
    if seeds < 2:
        raise ValueError(f"seeds must be at least 2 (one has no standard error), got {seeds}")
    with threadpool_limits(limits=1):  # sums of matrix products then have one order on every machine
        return _dispatch(name, seeds=seeds, seed=seed, phase=phase, threads=threads, advance=advance)


def _dispatch(
    name: str, *, seeds: int, seed: int, phase: PhaseSize, threads: int, advance: Callable[[int], None]
) -> pd.DataFrame:
    item = EXPERIMENTS[name]
    if item.grids:
        return grids.simulate_grid(item, seeds=seeds, seed=seed, threads=threads, advance=advance)
    if name.startswith("phase_"):
        return simulate_phase(item, phase, seed=seed, threads=threads, advance=advance)
    if name == "sign_rule":
        return signs.simulate_signs(item, seeds=seeds, seed=seed, threads=threads, advance=advance)
    if name == "landscape":
        return landscape.simulate_landscape(item, seed=seed, threads=threads, advance=advance)
    if name == "bound":
        return bounds.simulate_bound(item, seed=seed, threads=threads, advance=advance)
    if name == "agreement":
        return agreement.simulate_agreement(item, seed=seed, advance=advance)
    table = region.check_region(item, seed=seed)
    advance(1)
    return table
