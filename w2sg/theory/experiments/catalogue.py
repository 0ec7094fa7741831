"""The experiments of the synthetic branch as data. Standard library only.

Those that are not grids of fine-tuning runs have their parameters in ``probe_settings``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

KAPPAS = tuple(round(0.1 + 0.85 * k / 9, 4) for k in range(10))
"""Ten alignments from 0.1 to 0.95."""

QUARTER_DECADES = tuple(round(10 ** (-4 + k / 4), 10) for k in range(21))
"""Learning rates 10^-4 ... 10^1."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One setting of a grid; every seed runs all cells."""

    lam: float
    """Spike strength."""
    kappa: float
    """Alignment of spike and target."""
    c_w: float
    """Correlation of the weak supervisor."""
    eta: float
    """Learning rate."""
    m0: float | None
    """Alignment of a warm start; None for the spectral start; 0 for a uniformly random start."""
    dimension: int
    """d."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A product of settings, all run in the same way."""

    variant: str
    """Name within the experiment."""
    lams: tuple[float, ...]
    """Spike strengths."""
    kappas: tuple[float, ...]
    """Alignments."""
    c_ws: tuple[float, ...] = (0.6,)
    """Weak correlations."""
    etas: tuple[float, ...]
    """Learning rates."""
    starts: tuple[float | None, ...] = (None,)
    """Warm starts m0; None is the spectral start."""
    dimensions: tuple[int, ...] = (1000,)
    """Input dimensions d."""
    ratio: float = 4.0
    """N/d of the spectral start."""
    steps: int = 50
    """T in batch mode; T/d in online mode."""
    batch: int = 2000
    """B; 1 in online mode."""
    mode: str = "batch"
    """``batch``, ``online`` or ``population``."""
    labels: str = "weak"
    """``weak`` or ``true``."""
    points: int = 1
    """Records after the start."""

    def cells(self) -> Iterator[Cell]:
        """Yields the cells in a fixed order, d slowest and eta fastest."""
        for d, lam, kappa, c_w, m0, eta in itertools.product(
            self.dimensions, self.lams, self.kappas, self.c_ws, self.starts, self.etas
        ):
            yield Cell(lam=lam, kappa=kappa, c_w=c_w, eta=eta, m0=m0, dimension=d)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named experiment of the synthetic branch."""

    name: str
    """Name in rules and files."""
    section: str
    """Section of ``docs/theory.md`` that states its acceptance criteria."""
    figure: str
    """Figure that shows it."""
    number: int
    """Key of its random streams; never reused."""
    least_seeds: int = 1
    """Seeds below which its criteria are not meaningful: more are run if fewer are asked for."""
    seed_factor: int = 1
    """Runs per requested seed: more where runs are cheap, 0 where the number of runs is fixed."""
    grids: tuple[Grid, ...] = ()
    """Grids of fine-tuning runs; empty for the experiments that measure something else."""

    def runs(self, seeds: int) -> int:
        """Returns the number of independent runs when ``seeds`` are requested."""
        return max(self.least_seeds, self.seed_factor * seeds)


_TRAJECTORY: dict[str, Any] = {"lams": (1.0,), "kappas": (0.5,), "points": 400}
_LEMMA: dict[str, Any] = {"lams": (1.0,), "kappas": (0.5,), "labels": "true", "points": 100}

EXPERIMENTS = {
    item.name: item
    for item in (
        Experiment(
            name="kappa_threshold",
            section="8.1",
            figure="1a",
            number=1,
            seed_factor=4,
            grids=(Grid(variant="batch", lams=(2.0,), kappas=KAPPAS, etas=(0.002,)),),
        ),
        Experiment(
            name="trajectories",
            section="8.2",
            figure="1b",
            number=2,
            least_seeds=10,
            grids=(
                Grid(variant="batch", etas=(0.01,), starts=(0.1, 0.4, 0.55, 0.7), steps=400, **_TRAJECTORY),
                Grid(
                    variant="online",
                    etas=(0.005,),
                    starts=(0.1, 0.4, 0.55, 0.7),
                    steps=800,
                    mode="online",
                    batch=1,
                    **_TRAJECTORY,
                ),
                Grid(
                    variant="population",
                    etas=(0.01,),
                    starts=(0.1, 0.4, 0.55, 0.7),
                    steps=400,
                    mode="population",
                    **_TRAJECTORY,
                ),
            ),
        ),
        Experiment(
            name="spike_strength",
            section="8.3",
            figure="5",
            number=3,
            grids=(
                Grid(
                    variant="batch",
                    lams=(0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0),
                    kappas=(0.2, 0.5, 0.8, 0.95),
                    etas=(0.003,),
                ),
            ),
        ),
        Experiment(
            name="alignment",
            section="8.4",
            figure="6",
            number=4,
            grids=(Grid(variant="batch", lams=(0.1, 0.7, 1.0, 2.0, 4.0), kappas=KAPPAS, etas=(0.003,)),),
        ),
        Experiment(
            name="weak_quality",
            section="8.5",
            figure="7",
            number=5,
            least_seeds=5,
            grids=(
                Grid(
                    variant="batch",
                    lams=(1.0,),
                    kappas=(0.2, 0.5, 0.8, 0.95),
                    c_ws=tuple(round(0.1 * k, 1) for k in range(1, 10)),
                    etas=(0.003,),
                    ratio=10.0,
                    steps=200,
                ),
            ),
        ),
        Experiment(
            name="learning_rate",
            section="8.6",
            figure="8",
            number=6,
            least_seeds=5,
            grids=(
                Grid(
                    variant="batch",
                    lams=(1.0,),
                    kappas=(0.5,),
                    etas=QUARTER_DECADES,
                    starts=(0.5, 0.6, 0.7, 0.9),
                    steps=300,
                ),
            ),
        ),
        Experiment(name="landscape", section="8.7", figure="9", number=7, least_seeds=10, seed_factor=0),
        Experiment(
            name="random_start",
            section="8.8",
            figure="lemma",
            number=8,
            least_seeds=12,
            grids=(
                Grid(
                    variant="random",
                    etas=(0.005,),
                    starts=(0.0,),
                    dimensions=(500, 1000, 2000),
                    steps=800,
                    mode="online",
                    batch=1,
                    **_LEMMA,
                ),
                Grid(variant="warm", etas=(0.01,), starts=(0.4,), steps=400, **_LEMMA),
            ),
        ),
        Experiment(name="sign_rule", section="8.8", figure="sign_rule", number=9, least_seeds=40, seed_factor=4),
        Experiment(name="region", section="8.8", figure="3", number=10),
        Experiment(name="agreement", section="8.9", figure="agreement", number=11, least_seeds=160, seed_factor=0),
        Experiment(name="bound", section="5", figure="bound", number=12, least_seeds=3, seed_factor=0),
        Experiment(name="phase_lam_kappa", section="phase", figure="phase_lam_kappa", number=13),
        Experiment(name="phase_kappa_cw", section="phase", figure="phase_kappa_cw", number=14),
    )
}
"""Every experiment by name."""

DEAR = ("learning_rate", "trajectories", "phase_lam_kappa", "phase_kappa_cw", "random_start", "landscape")
"""The experiments worth starting first and giving more than one thread."""


def describe_experiment(name: str) -> dict[str, Any]:
    """Returns an experiment's settings as plain values, for rule parameters and captions.

    Raises:
        ValueError: On an unknown name.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment must be one of {sorted(EXPERIMENTS)}, got {name!r}")
    return asdict(EXPERIMENTS[name])
