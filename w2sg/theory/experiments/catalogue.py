"""The experiments of the synthetic branch: one entry each, with all that is known about it. No array library.

A new experiment is a module, an entry here, a schema in ``tables.theory`` (unless it is a grid of fine-tuning runs),
its criteria in ``acceptance`` and its figures in ``figures``; nothing else lists experiments.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from w2sg.theory.experiments.settings import (
    AgreementSettings,
    BoundSettings,
    ConditionSettings,
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


@dataclass(frozen=True)
class Experiment:
    """A named experiment, judged by ``judge_<name>`` of ``acceptance.criteria_runs`` or ``criteria_checks``."""

    name: str
    """Name in rules and files."""
    section: str
    """Section under which ``docs/theory.md`` lists it."""
    number: int
    """Key of its random streams; never reused."""
    kind: str = "runs"
    """Module of ``experiments`` whose ``simulate_<kind>`` makes its table from this entry and a ``RunSettings``; the
    table's schema has the same name, in capitals.
    """
    least_seeds: int = 1
    """Seeds below which its criteria are not meaningful: more are run if fewer are asked for."""
    seed_factor: int = 1
    """Runs per requested seed: more where runs are cheap, 0 where the number of runs is fixed."""
    costly: bool = False
    """Whether it takes long enough to be given half of the cores."""
    grids: tuple[Grid, ...] = ()
    """Grids of fine-tuning runs; empty for the experiments that measure something else."""
    settings: Any = None
    """Parameters of an experiment without grids."""

    def runs(self, seeds: int) -> int:
        """Returns the number of independent runs when ``seeds`` are requested."""
        return max(self.least_seeds, self.seed_factor * seeds)


_KAPPAS = (0.2, 0.5, 0.8, 0.95)
_LAMS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
_ONLINE: dict[str, Any] = {"mode": "online", "batch": 1, "etas": (0.005,), "steps": 800}
_TRAJECTORY: dict[str, Any] = {"lams": (1.0,), "kappas": (0.5,), "starts": (0.1, 0.4, 0.55, 0.7), "points": 400}
_LEMMA: dict[str, Any] = {"lams": (1.0,), "kappas": (0.5,), "labels": "true", "points": 100}

_THRESHOLD = Grid(lams=(2.0,), kappas=KAPPA_GRID, etas=(0.002,))
_TRAJECTORIES = (
    Grid(etas=(0.01,), steps=400, **_TRAJECTORY),
    Grid(variant="online", **_ONLINE, **_TRAJECTORY),
    Grid(variant="population", mode="population", etas=(0.01,), steps=400, **_TRAJECTORY),
)
_STRENGTH = Grid(lams=_LAMS, kappas=_KAPPAS, etas=(0.003,))
_ALIGNMENT = Grid(lams=(0.1, 0.7, 1.0, 2.0, 4.0), kappas=KAPPA_GRID, etas=(0.003,))
_QUALITY = Grid(lams=(1.0,), kappas=_KAPPAS, c_ws=C_W_GRID, etas=(0.003,), ratio=10.0, steps=200)
_RATE = Grid(lams=(1.0,), kappas=(0.5,), etas=RATE_GRID, starts=(0.5, 0.6, 0.7, 0.9), steps=300)
_STARTS = (
    Grid(variant="random", starts=(0.0,), dimensions=(500, 1000, 2000), **_ONLINE, **_LEMMA),
    Grid(variant="warm", etas=(0.01,), starts=(0.4,), steps=400, **_LEMMA),
)
_LAM_KAPPA, _KAPPA_CW = (PhaseSettings(axes=axes) for axes in (("lam", "kappa"), ("kappa", "c_w")))

EXPERIMENTS = {
    item.name: item
    for item in (
        Experiment("kappa_threshold", "8.1", 1, seed_factor=4, grids=(_THRESHOLD,)),
        Experiment("trajectories", "8.2", 2, least_seeds=10, costly=True, grids=_TRAJECTORIES),
        Experiment("spike_strength", "8.3", 3, grids=(_STRENGTH,)),
        Experiment("alignment", "8.4", 4, grids=(_ALIGNMENT,)),
        Experiment("weak_quality", "8.5", 5, least_seeds=5, grids=(_QUALITY,)),
        Experiment("learning_rate", "8.6", 6, least_seeds=5, costly=True, grids=(_RATE,)),
        Experiment(
            "landscape", "8.7", 7, "landscape", least_seeds=10, seed_factor=0, costly=True, settings=LandscapeSettings()
        ),
        Experiment("random_start", "8.8", 8, least_seeds=12, costly=True, grids=_STARTS),
        Experiment("sign_rule", "8.8", 9, "signs", least_seeds=40, seed_factor=4, settings=SignSettings()),
        Experiment("region", "8.8", 10, "region", settings=RegionSettings()),
        Experiment("agreement", "8.9", 11, "agreement", least_seeds=160, seed_factor=0, settings=AgreementSettings()),
        Experiment("bound", "5", 12, "bound", least_seeds=3, seed_factor=0, settings=BoundSettings()),
        Experiment("phase_lam_kappa", "phase", 13, "phase", costly=True, settings=_LAM_KAPPA),
        Experiment("phase_kappa_cw", "phase", 14, "phase", costly=True, settings=_KAPPA_CW),
        Experiment(
            "conditions",
            "8.10",
            15,
            "conditions",
            least_seeds=3,
            seed_factor=0,
            costly=True,
            settings=ConditionSettings(),
        ),
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
