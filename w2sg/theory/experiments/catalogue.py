"""The experiments of the synthetic branch: one entry each, with all that is known about it by name. Standard library only.

A new experiment is a module, an entry here, a schema in ``tables.theory`` (unless it is a grid of fine-tuning runs),
its criteria in ``acceptance`` and its figures in ``figures``; nothing else lists experiments.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from w2sg.theory.experiments.settings import (
    AgreementSettings,
    BoundSettings,
    Grid,
    LandscapeSettings,
    PhaseSettings,
    RegionSettings,
    SignSettings,
)

KAPPA_GRID = tuple(round(0.1 + 0.85 * k / 9, 4) for k in range(10))
"""Ten alignments from 0.1 to 0.95."""

C_W_GRID = tuple(round(0.1 * k, 1) for k in range(1, 10))
"""Nine correlations of the supervisor from 0.1 to 0.9."""

RATE_GRID = tuple(round(10 ** (-4 + k / 4), 10) for k in range(21))
"""Learning rates 10^-4 ... 10^1, in quarters of a decade."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named experiment of the synthetic branch."""

    name: str
    """Name in rules and files."""
    section: str
    """Section of ``docs/theory.md`` that states its acceptance criteria."""
    number: int
    """Key of its random streams; never reused."""
    least_seeds: int = 1
    """Seeds below which its criteria are not meaningful: more are run if fewer are asked for."""
    seed_factor: int = 1
    """Runs per requested seed: more where runs are cheap, 0 where the number of runs is fixed."""
    grids: tuple[Grid, ...] = ()
    """Grids of fine-tuning runs; empty for the experiments that measure something else."""
    settings: Any = None
    """Parameters of an experiment without grids."""
    simulate: str = "grids:simulate_grid"
    """``module:function`` of ``experiments`` that makes its table from this entry and a ``RunSettings``."""
    schema: str = "RUNS"
    """Name of its table's schema in ``tables.theory``."""
    criteria: str
    """``module:function`` of ``acceptance`` that judges its table."""
    costly: bool = False
    """Whether it takes long enough to be given half of the cores."""

    def runs(self, seeds: int) -> int:
        """Returns the number of independent runs when ``seeds`` are requested."""
        return max(self.least_seeds, self.seed_factor * seeds)


_KAPPAS = (0.2, 0.5, 0.8, 0.95)
_ONLINE: dict[str, Any] = {"mode": "online", "batch": 1, "etas": (0.005,), "steps": 800}
_TRAJECTORY: dict[str, Any] = {"lams": (1.0,), "kappas": (0.5,), "starts": (0.1, 0.4, 0.55, 0.7), "points": 400}
_LEMMA: dict[str, Any] = {"lams": (1.0,), "kappas": (0.5,), "labels": "true", "points": 100}
_PHASE: dict[str, Any] = {
    "section": "phase",
    "simulate": "phase:simulate_phase",
    "schema": "PHASE",
    "criteria": "criteria_checks:judge_phase",
    "costly": True,
}

EXPERIMENTS = {
    item.name: item
    for item in (
        Experiment(
            name="kappa_threshold",
            section="8.1",
            number=1,
            seed_factor=4,
            criteria="criteria_runs:judge_kappa_threshold",
            grids=(Grid(lams=(2.0,), kappas=KAPPA_GRID, etas=(0.002,)),),
        ),
        Experiment(
            name="trajectories",
            section="8.2",
            number=2,
            least_seeds=10,
            criteria="criteria_runs:judge_trajectories",
            costly=True,
            grids=(
                Grid(etas=(0.01,), steps=400, **_TRAJECTORY),
                Grid(variant="online", **_ONLINE, **_TRAJECTORY),
                Grid(variant="population", mode="population", etas=(0.01,), steps=400, **_TRAJECTORY),
            ),
        ),
        Experiment(
            name="spike_strength",
            section="8.3",
            number=3,
            criteria="criteria_runs:judge_spike_strength",
            grids=(Grid(lams=(0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0), kappas=_KAPPAS, etas=(0.003,)),),
        ),
        Experiment(
            name="alignment",
            section="8.4",
            number=4,
            criteria="criteria_runs:judge_alignment",
            grids=(Grid(lams=(0.1, 0.7, 1.0, 2.0, 4.0), kappas=KAPPA_GRID, etas=(0.003,)),),
        ),
        Experiment(
            name="weak_quality",
            section="8.5",
            number=5,
            least_seeds=5,
            criteria="criteria_runs:judge_weak_quality",
            grids=(Grid(lams=(1.0,), kappas=_KAPPAS, c_ws=C_W_GRID, etas=(0.003,), ratio=10.0, steps=200),),
        ),
        Experiment(
            name="learning_rate",
            section="8.6",
            number=6,
            least_seeds=5,
            criteria="criteria_runs:judge_learning_rate",
            costly=True,
            grids=(Grid(lams=(1.0,), kappas=(0.5,), etas=RATE_GRID, starts=(0.5, 0.6, 0.7, 0.9), steps=300),),
        ),
        Experiment(
            name="landscape",
            section="8.7",
            number=7,
            least_seeds=10,
            seed_factor=0,
            settings=LandscapeSettings(),
            simulate="landscape:simulate_landscape",
            schema="LANDSCAPE",
            criteria="criteria_checks:judge_landscape",
            costly=True,
        ),
        Experiment(
            name="random_start",
            section="8.8",
            number=8,
            least_seeds=12,
            criteria="criteria_checks:judge_random_start",
            costly=True,
            grids=(
                Grid(variant="random", starts=(0.0,), dimensions=(500, 1000, 2000), **_ONLINE, **_LEMMA),
                Grid(variant="warm", etas=(0.01,), starts=(0.4,), steps=400, **_LEMMA),
            ),
        ),
        Experiment(
            name="sign_rule",
            section="8.8",
            number=9,
            least_seeds=40,
            seed_factor=4,
            settings=SignSettings(),
            simulate="signs:simulate_signs",
            schema="SIGNS",
            criteria="criteria_checks:judge_sign_rule",
        ),
        Experiment(
            name="region",
            section="8.8",
            number=10,
            settings=RegionSettings(),
            simulate="region:check_region",
            schema="REGION",
            criteria="criteria_checks:judge_region",
        ),
        Experiment(
            name="agreement",
            section="8.9",
            number=11,
            least_seeds=160,
            seed_factor=0,
            settings=AgreementSettings(),
            simulate="agreement:simulate_agreement",
            schema="AGREEMENT",
            criteria="criteria_checks:judge_agreement",
        ),
        Experiment(
            name="bound",
            section="5",
            number=12,
            least_seeds=3,
            seed_factor=0,
            settings=BoundSettings(),
            simulate="bounds:simulate_bound",
            schema="BOUND",
            criteria="criteria_checks:judge_bound",
        ),
        Experiment(name="phase_lam_kappa", number=13, settings=PhaseSettings(axes=("lam", "kappa")), **_PHASE),
        Experiment(name="phase_kappa_cw", number=14, settings=PhaseSettings(axes=("kappa", "c_w")), **_PHASE),
    )
}
"""Every experiment by name."""


def experiment_of(name: str) -> Experiment:
    """Returns an experiment's entry.

    Raises:
        ValueError: On an unknown name.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment must be one of {sorted(EXPERIMENTS)}, got {name!r}")
    return EXPERIMENTS[name]


def describe_experiment(name: str) -> dict[str, Any]:
    """Returns what decides the numbers of an experiment, as plain values, for rule parameters and provenance.

    Raises:
        ValueError: On an unknown name.
    """
    item = asdict(experiment_of(name))
    return {key: item[key] for key in ("number", "least_seeds", "seed_factor", "grids", "settings")}
