"""Parameters of the experiments that are not grids of fine-tuning runs. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings:
    """Probe of the landscape along power iteration (8.7)."""

    kappa: float = 0.5
    """Alignment."""
    c_w: float = 0.5
    """Weak correlation."""
    dimension: int = 500
    """d."""
    ratio: float = 10.0
    """N/d."""
    steps: int = 30
    """Power iterations."""
    cases: tuple[tuple[str, float], ...] = (("A", 1.0), ("B", 3.0), ("C", 10.0))
    """Case name and spike strength."""


@dataclass(frozen=True, kw_only=True)
class SignSettings:
    """Weak-loss sign rule (8.8) on a grid of spike strength and alignment."""

    lams: tuple[float, ...] = (0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.5, 5.0, 7.0, 10.0)
    """Spike strengths."""
    kappas: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    """Alignments."""
    c_w: float = 0.6
    """Weak correlation."""
    dimension: int = 1000
    """d."""
    ratio: float = 4.0
    """N/d."""
    samples: int = 20000
    """Fresh samples of the rule."""


@dataclass(frozen=True, kw_only=True)
class AgreementSettings:
    """Reduced against direct engine (8.9), both from their own spectral start."""

    lam: float = 2.0
    """Spike strength."""
    kappa: float = 0.7
    """Alignment."""
    c_w: float = 0.6
    """Weak correlation."""
    ratio: float = 4.0
    """N/d."""
    dimension: int = 60
    """d."""
    settings: tuple[tuple[int, float, int], ...] = ((1, 0.002, 6000), (20, 0.002, 100))
    """(B, eta, T); the step is eta/d for B = 1 and eta otherwise."""
    amplitude_seeds: int = 8
    """Runs of the raw against the unit amplitude with equal random numbers."""


@dataclass(frozen=True, kw_only=True)
class RegionSettings:
    """Checks of the effective region (8.8)."""

    lam: float = 1.0
    """Spike strength."""
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
    """Spike strength."""
    kappa: float = 0.8
    """Alignment."""
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
class PhaseSettings:
    """Success probability on a plane of two settings."""

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
    """N/d."""
    eta: float = 0.003
    """Step."""
    steps: int = 50
    """T."""
    noise: float = 0.02
    """nu = eta d/B fixes the batch B."""
    samples: int = 20000
    """Fresh samples of the weak-loss sign rule."""
