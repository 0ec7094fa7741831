"""Parameters of a run, of a grid of fine-tuning runs, and of the other experiments. No array library.

Where nothing else is said, ``lam`` is the spike strength, ``kappa`` the alignment of spike and target, ``c_w`` the weak
correlation, ``dimension`` d, ``ratio`` N/d of the spectral start, ``eta`` the learning rate and ``steps`` T.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from w2sg.study.sections import Phase


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """With what an experiment is run; its table depends on the first three only, not on threads or machine load."""

    seeds: int
    """Requested seeds; an experiment may run more (``Experiment.runs``)."""
    seed: int
    """Study seed."""
    phase: Phase = Phase()
    """Size of the phase diagrams."""
    threads: int = 1
    """Threads."""
    watch: Callable[[int], Callable[[int], None]] = lambda total: lambda done: None
    """Called with the number of units of work; gives a function that is called with the number of finished ones."""


class Cell(NamedTuple):
    """One setting of a grid; every seed runs all cells."""

    dimension: int
    lam: float
    kappa: float
    c_w: float
    m0: float | None
    """Alignment of a warm start; None for the spectral start; 0 for a uniformly random start."""
    eta: float


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A product of settings, all run in the same way."""

    variant: str = "batch"
    """Name within the experiment."""
    lams: tuple[float, ...]
    kappas: tuple[float, ...]
    c_ws: tuple[float, ...] = (0.6,)
    etas: tuple[float, ...]
    starts: tuple[float | None, ...] = (None,)
    """Warm starts m0; None is the spectral start."""
    dimensions: tuple[int, ...] = (1000,)
    ratio: float = 4.0
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
        """Returns the cells in a fixed order, d slowest and eta fastest."""
        product = itertools.product(self.dimensions, self.lams, self.kappas, self.c_ws, self.starts, self.etas)
        return itertools.starmap(Cell, product)


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings:
    """Probe of the landscape along power iteration (8.7)."""

    kappa: float = 0.5
    c_w: float = 0.5
    dimension: int = 500
    ratio: float = 10.0
    steps: int = 30
    """Power iterations."""
    cases: tuple[tuple[str, float], ...] = (("A", 1.0), ("B", 3.0), ("C", 10.0))
    """Case name and spike strength."""


@dataclass(frozen=True, kw_only=True)
class SignSettings:
    """Weak-loss sign rule (8.8) on a grid of spike strength and alignment."""

    lams: tuple[float, ...] = (0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.5, 5.0, 7.0, 10.0)
    kappas: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    c_w: float = 0.6
    dimension: int = 1000
    ratio: float = 4.0
    samples: int = 20000
    """Fresh samples of the rule."""


@dataclass(frozen=True, kw_only=True)
class AgreementSettings:
    """Reduced against direct engine (8.9), both from their own spectral start."""

    lam: float = 2.0
    kappa: float = 0.7
    c_w: float = 0.6
    ratio: float = 4.0
    dimension: int = 60
    settings: tuple[tuple[int, float, int], ...] = ((1, 0.002, 6000), (20, 0.002, 100))
    """(B, eta, T); the step is eta/d for B = 1 and eta otherwise."""


@dataclass(frozen=True, kw_only=True)
class RegionSettings:
    """Checks of the effective region (8.8)."""

    lam: float = 1.0
    kappa: float = 0.8
    """Alignment of the analytic checks."""
    empirical_kappa: float = 0.5
    """Alignment of the empirical he3 region."""
    supervisor_degrees: float = 0.3
    """Angle of the supervisor of the perturbed-convexity check."""
    points: int = 40
    """Random students per check."""


@dataclass(frozen=True, kw_only=True)
class BoundSettings:
    """Bound (3) beside measured trajectories inside the provable region of softplus."""

    lam: float = 1.0
    kappa: float = 0.8
    supervisor_degrees: float = 0.25
    """Angle of theta_w; the bias condition admits 0.75 degrees at most."""
    dimension: int = 6
    """d of the measured runs; C_G holds for every d."""
    fraction: float = 0.5
    """eta over the largest admissible one."""
    horizon: float = 3.0
    """Final alpha eta mu."""
    measured: float = 1.2
    """Final alpha eta mu of the measured runs, which settle sooner than the bound."""
    steps: int = 1600
    """Batch steps of a measured run; B follows from nu = eta, the noise of the online algorithm."""
    points: int = 100
    """Records."""


@dataclass(frozen=True, kw_only=True)
class ConditionSettings:
    """The four conditions beside measured success, projected tanh; the supervisor is orthogonal to v's own part."""

    lams: tuple[float, ...] = (0.001, 0.01, 0.1, 0.3, 1.0)
    spike_degrees: tuple[float, ...] = (0.1, 0.3, 1.0, 5.0, 20.0, 60.0)
    """Angles of v to theta*: kappa is their cosine."""
    weak_degrees: tuple[float, ...] = (0.05, 0.2, 1.0, 5.0, 20.0, 60.0)
    """Angles of theta_w to theta*: c_w is their cosine."""
    etas: tuple[float, ...] = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    noisy: float = 0.1
    """Learning rate from which on the noise is simulated; below, the exact gradient is followed."""
    ratio: float = 1e6
    """N/d of the spectral start, which has its limiting overlap."""
    dimension: int = 200
    horizon: float = 3.0
    """Final alpha eta mu."""
    steps: int = 60
    """Batch steps of a run; B follows from nu = eta, the noise of the online algorithm."""
    slices: tuple[float, float, float, float] = (0.3, 0.1, 0.2, 1e-6)
    """Spike strength, angle of v, angle of theta_w and eta of the figure's slices."""


@dataclass(frozen=True, kw_only=True)
class PhaseSettings:
    """Success probability on a plane of two settings."""

    axes: tuple[str, str]
    """Settings on the horizontal and on the vertical axis."""
    lam: float = 2.0
    """Spike strength of the (kappa, c_w) diagram."""
    c_w: float = 0.6
    """Weak correlation of the (lam, kappa) diagram."""
    lam_range: tuple[float, float] = (0.2, 10.0)
    """Spike strengths of the (lam, kappa) diagram, geometric."""
    kappa_range: tuple[float, float] = (0.3, 0.98)
    """Alignments, even."""
    c_w_range: tuple[float, float] = (0.05, 0.95)
    """Weak correlations, even."""
    ratio: float = 4.0
    eta: float = 0.003
    steps: int = 50
    noise: float = 0.02
    """nu = eta d/B fixes the batch B."""
    samples: int = 20000
    """Fresh samples of the weak-loss sign rule."""
