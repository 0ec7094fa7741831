"""Settings of the spiked-Gaussian model and of fine-tuning, checked once, and the coordinates all engines share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2sg.theory.model import activations
from w2sg.theory.model.checks import require_count, require_spike, require_within

MODE_NAMES = ("batch", "online")
LABEL_NAMES = ("weak", "true")


@dataclass(frozen=True, kw_only=True)
class SpikedModel:
    """Inputs N(0, I + lam v v^T), target theta*, weak supervisor theta_w."""

    lam: float
    """Spike strength, positive."""
    kappa: float
    """Alignment <v, theta*> of spike and target, in [0, 1]."""
    c_w: float = 0.6
    """Correlation <theta_w, theta*> of the weak supervisor, in [-1, 1]."""
    dimension: int = 1000
    """Input dimension d, at least 5 (three named directions, the student's own, and one more)."""

    def __post_init__(self) -> None:
        require_spike(self.lam, self.kappa)
        require_within("c_w", self.c_w, -1, 1)
        require_count("dimension", self.dimension, 5)

    @property
    def variance(self) -> float:
        """s^2 = 1 + lam kappa^2, the variance of <theta*, x>."""
        return activations.target_variance(self.lam, self.kappa)

    @property
    def weak_distance(self) -> float:
        """D_w = |theta_w - theta*| = sqrt(2 - 2 c_w)."""
        return math.sqrt(2 - 2 * self.c_w)


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Spherical projected gradient descent (1), with fresh samples at every step."""

    eta: float
    """Learning rate; the step is eta in batch mode and eta/d in online mode. Not negative."""
    steps: int
    """Number of steps T, at least 1."""
    batch: int = 2000
    """Samples per step B (batch mode; online mode has one)."""
    mode: str = "batch"
    """``batch`` (B samples, step eta) or ``online`` (one sample, step eta/d)."""
    labels: str = "weak"
    """``weak``: labels of theta_w (the strong student); ``true``: labels of theta* (the strong ceiling)."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eta) and self.eta >= 0):
            raise ValueError(f"eta must be finite and not negative, got {self.eta!r}")
        require_count("steps", self.steps, 1)
        require_count("batch", self.batch, 1)
        if self.mode not in MODE_NAMES:
            raise ValueError(f"mode must be one of {MODE_NAMES}, got {self.mode!r}")
        if self.labels not in LABEL_NAMES:
            raise ValueError(f"labels must be one of {LABEL_NAMES}, got {self.labels!r}")
        if self.mode == "online" and self.batch != 1:
            raise ValueError(f"batch must be 1 in online mode, got {self.batch!r}")

    def step(self, dimension: int) -> float:
        """Returns the step length of one update in dimension d."""
        return self.eta / dimension if self.mode == "online" else self.eta

    def noise(self, dimension: int) -> float:
        """Returns nu = step d / B: runs with equal nu and equal steps * step agree in law up to O(step)."""
        return self.step(dimension) * dimension / self.batch


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The named directions in the basis e1 = theta*, e2 (towards v), e3 (towards theta_w)."""

    lam: float
    """Spike strength."""
    spike: NDArray[np.float64]
    """v, shape (3,)."""
    weak: NDArray[np.float64]
    """theta_w, shape (3,)."""
    dimension: int
    """Input dimension d."""

    @property
    def target(self) -> NDArray[np.float64]:
        """theta*, shape (3,)."""
        return np.array([1.0, 0.0, 0.0])

    def teacher(self, labels: str) -> NDArray[np.float64]:
        """Returns the vector whose labels are learned, shape (3,)."""
        return self.weak if labels == "weak" else self.target

    def overlaps(self, states: ArrayLike) -> NDArray[np.float64]:
        """Returns (m, q, w) = (<theta,theta*>, <theta,v>, <theta,theta_w>), (..., 3), of unit students (..., 4)."""
        t = np.asarray(states, dtype=np.float64)[..., :3]
        return np.stack([t[..., 0], t @ self.spike, t @ self.weak], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Path:
    """A run at its recorded steps."""

    steps: NDArray[np.int64]
    """Step numbers t, shape (R,), starting at 0."""
    states: NDArray[np.float64]
    """Students (t1, t2, t3, r), shape (R, 4), unit rows."""


def record_steps(steps: int, points: int) -> NDArray[np.int64]:
    """Returns ``points + 1`` step numbers from 0 to ``steps``, evenly spread, without repetition."""
    require_count("points", points, 1)
    return np.unique(np.linspace(0, steps, points + 1).round().astype(np.int64))


def geometry(model: SpikedModel, cosine: float = 0.0) -> Geometry:
    """Returns the named directions for a cosine in [-1, 1] between the random parts of v and theta_w. Equation: (M2).

    Its limit for large d is 0, where <theta_w, v> = c_w kappa.
    """
    require_within("cosine", cosine, -1, 1)
    across, weak_rest = math.sqrt(1 - model.kappa**2), math.sqrt(1 - model.c_w**2)
    return Geometry(
        lam=model.lam,
        spike=np.array([model.kappa, across, 0.0]),
        weak=np.array([model.c_w, weak_rest * cosine, weak_rest * math.sqrt(max(1 - cosine**2, 0.0))]),
        dimension=model.dimension,
    )


def draw_geometry(model: SpikedModel, rng: np.random.Generator) -> Geometry:
    """Returns the named directions with u_v, u_w independent and uniform orthogonal to theta*, exactly in law.

    Equation: (M2). The cosine of two uniform vectors in d-1 dimensions is g / sqrt(g^2 + chi^2_{d-2}).
    """
    g = rng.standard_normal()
    return geometry(model, g / math.sqrt(g * g + rng.chisquare(model.dimension - 2)))


def warm_start(alignment: float, dimension: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns m0 theta* + sqrt(1-m0^2) u with u uniform orthogonal to theta*, as a state (4,); m0 is the alignment.

    Raises:
        ValueError: If m0 is outside [-1, 1].
    """
    require_within("alignment (m0)", alignment, -1, 1)
    require_count("dimension", dimension, 5)
    g2, g3 = rng.standard_normal(2)
    rest = np.array([g2, g3, math.sqrt(rng.chisquare(dimension - 3))])
    rest *= math.sqrt(1 - alignment**2) / np.linalg.norm(rest)
    return np.array([alignment, *rest])


def random_start(dimension: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns a uniform unit vector as a state (4,): no pre-training at all."""
    require_count("dimension", dimension, 5)
    state = np.array([*rng.standard_normal(3), math.sqrt(rng.chisquare(dimension - 3))])
    return state / np.linalg.norm(state)


def spectral_start(overlap: float, where: Geometry, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns overlap v + sqrt(1-overlap^2) n with n uniform orthogonal to v, as a state (4,), before the sign.

    The overlap |<v, theta_0>| comes from the exact sampler or the spectral law; the part of theta_0 inside the span of
    the named directions is exact in law.

    Raises:
        ValueError: If the overlap is outside [0, 1].
    """
    require_within("overlap", overlap, 0, 1)
    g1, g2 = rng.standard_normal(2)
    rest = np.array([g1, g2, math.sqrt(rng.chisquare(where.dimension - 3))])
    rest *= math.sqrt(1 - overlap**2) / np.linalg.norm(rest)
    spike = where.spike
    across = np.array([spike[1], -spike[0], 0.0])
    inside = overlap * spike + rest[0] * across
    return np.array([inside[0], inside[1], rest[1], rest[2]])


def limit_start(overlap: float, where: Geometry) -> NDArray[np.float64]:
    """Returns the spectral start for d to infinity, overlap v + sqrt(1-overlap^2) (the rest), as a state (4,).

    Raises:
        ValueError: If the overlap is outside [0, 1].
    """
    require_within("overlap", overlap, 0, 1)
    return np.array([*(overlap * where.spike), math.sqrt(1 - overlap**2)])


def distance(alignment: ArrayLike) -> NDArray[np.float64]:
    """Returns D = sqrt(2 - 2 <theta, theta*>); sqrt 2 is the uninformative level. Equation: (M6)."""
    return np.sqrt(np.maximum(2 - 2 * np.asarray(alignment, dtype=np.float64), 0.0))
