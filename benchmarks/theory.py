"""Reduced against direct engine: the same experiment and seeds at growing dimension, each run in a fresh process.

The experiment is that of section 8.2: lam = 1, kappa = 0.5, c_w = 0.6, warm start m0 = 0.55, he3. Batch mode draws
B = 2000 samples a step, online mode one. Time is that of a step in the fastest
of three equal runs, compiled code warmed up before; memory is the largest
resident size of the process beyond that after the warm-up. Both engines use one thread, so the ratio is of work, not of cores.

    python benchmarks/theory.py             # writes benchmarks/results/theory.tsv, about five minutes
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, save
from w2sg.theory.engines import direct, reduced
from w2sg.theory.model.activations import he3
from w2sg.theory.model.law import FineTuning, SpikedModel, distance, draw_geometry, warm_start

ALIGNMENT = 0.55
DIMENSIONS = (100, 1000, 10_000, 100_000, 1_000_000)
SECONDS = 2.0
"""Least time of a measurement, where a single step does not take longer."""
REPEATS = 3
"""Equal runs of which the fastest counts."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement."""

    engine: str
    """``reduced`` or ``direct``."""
    mode: str
    """``batch`` (B = 2000) or ``online`` (B = 1)."""
    dimension: int
    """Input dimension d."""
    seed: int
    """Seed of directions, start and samples."""


def run(case: Case, steps: int) -> tuple[float, float]:
    """Returns seconds and final distance of a run of ``steps`` updates."""
    model = SpikedModel(lam=1.0, kappa=0.5, c_w=0.6, dimension=case.dimension)
    batch, eta = (2000, 0.01) if case.mode == "batch" else (1, 0.005)
    schedule = FineTuning(eta=eta, steps=steps, batch=batch, mode=case.mode)
    sigma, rng = he3(model.variance), np.random.default_rng(case.seed)
    if case.engine == "reduced":
        where = draw_geometry(model, rng)
        start = warm_start(ALIGNMENT, case.dimension, rng)
        begin = time.perf_counter()
        path = reduced.fine_tune(start, where, schedule, sigma, rng)
        return time.perf_counter() - begin, float(distance(path.states[-1, 0]))
    where = direct.draw_directions(model, 1, rng)
    start = direct.draw_start(where, ALIGNMENT, rng)
    begin = time.perf_counter()
    _, overlaps = direct.fine_tune(start, where, model, schedule, sigma, rng)
    return time.perf_counter() - begin, float(distance(overlaps[-1, 0, 0]))


def measure(case: Case) -> dict[str, float | str]:
    """Returns the row of a case; meant for a process of its own."""
    with threadpool_limits(limits=1):
        run(Case(engine=case.engine, mode=case.mode, dimension=100, seed=1), 2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        steps, seconds = 1, run(case, 1)[0]
        while seconds < SECONDS and steps < 10**6:
            steps = min(10**6, max(2 * steps, int(1.2 * steps * SECONDS / max(seconds, 1e-6))))
            seconds = run(case, steps)[0]
        # Other processes only ever add time: the fastest of equal runs is the closest to the cost of the work.
        seconds = min(seconds, *(run(case, steps)[0] for _ in range(REPEATS - 1)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "mode": case.mode,
        "engine": case.engine,
        "d": case.dimension,
        "steps": steps,
        "us_per_step": 1e6 * seconds / steps,
        "extra_memory_mb": (peak - before) / 1024,
    }


def main() -> None:
    """Measures every case and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, nargs="+", default=DIMENSIONS)
    arguments = parser.parse_args()
    cases = [
        Case(engine=engine, mode=mode, dimension=d, seed=0)
        for mode in ("batch", "online")
        for d in arguments.dimensions
        for engine in ("reduced", "direct")
    ]
    context = multiprocessing.get_context("spawn")
    rows = []
    for case in cases:
        with context.Pool(1) as pool:  # a process of its own: its peak memory is nobody else's
            rows.append(pool.apply(measure, (case,)))
        sys.stderr.write(f"{rows[-1]}\n")
    table = pd.DataFrame(rows)
    times = table.pivot(index=["mode", "d"], columns="engine", values="us_per_step")
    ratio = (times["direct"] / times["reduced"]).rename("direct_over_reduced").reset_index()
    table = table.merge(ratio, on=["mode", "d"])
    path = save(table, "theory", machine=describe(("numpy", "numba")), command="python benchmarks/theory.py")
    sys.stdout.write(f"{path.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    main()
