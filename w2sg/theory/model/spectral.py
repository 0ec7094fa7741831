"""Spectral law of the pre-training step and an exact finite-size sampler of its overlap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from w2sg.theory.model.checks import require_count, require_positive


def limit_overlap(lam: float, aspect: float) -> float:
    """Returns |<v, theta_0>| for d, N -> infinity: sqrt((1 - c/lam^2)/(1 + c/lam)), 0 below lam = sqrt c.

    Equation: (34).

    Raises:
        ValueError: If lam or the aspect c = d/N is not positive.
    """
    _require_law(lam, aspect)
    if lam <= math.sqrt(aspect):
        return 0.0
    return math.sqrt((1 - aspect / lam**2) / (1 + aspect / lam))


def limit_top_eigenvalue(lam: float, aspect: float) -> float:
    """Returns the limit of the top eigenvalue of the empirical covariance. Equation: (S1).

    (1+lam)(1+c/lam) above the threshold lam = sqrt c, the bulk edge (1+sqrt c)^2 below it.
    """
    _require_law(lam, aspect)
    if lam <= math.sqrt(aspect):
        return (1 + math.sqrt(aspect)) ** 2
    return (1 + lam) * (1 + aspect / lam)


def bidiagonal(lam: float, dimension: int, samples: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Returns diagonal (min(N, d),) and superdiagonal (min(N, d-1),) of bidiagonal N x d data, exactly in law.

    Alternate Householder reflections of a Gaussian matrix whose first column has variance 1+lam: a reflection
    of rows turns the first column into sqrt(1+lam) chi_N; one of columns 2..d, which leaves the spike coordinate
    alone, turns the rest of the first row into chi_{d-1}; and so on with independent entries. As no column
    reflection touches coordinate 1, the first coordinate of a right-singular vector keeps its meaning <v, .>.

    Equation: (S2).
    """
    rows = min(samples, dimension)
    diagonal = np.sqrt(rng.chisquare(samples - np.arange(rows)))
    diagonal[0] *= math.sqrt(1 + lam)
    above = np.sqrt(rng.chisquare(dimension - 1 - np.arange(min(samples, dimension - 1))))
    return diagonal, above


def sample_overlap(lam: float, dimension: int, samples: int, rng: np.random.Generator) -> tuple[float, float]:
    """Returns (|<v, theta_0>|, top eigenvalue) of the empirical covariance of N samples, exactly in law.

    Costs O(min(N, d)) instead of the O(N d) of the data matrix. Equation: (S2).

    Raises:
        ValueError: If lam is not positive, or d or N below 2.
    """
    require_positive("lam", lam)
    require_count("dimension", dimension, 2)
    require_count("samples (N)", samples, 2)
    from scipy.linalg import eigh_tridiagonal  # figures import this module without needing it

    diagonal, above = bidiagonal(lam, dimension, samples, rng)
    size = max(len(diagonal), len(above) + 1)
    squares = np.zeros(size)
    squares[: len(diagonal)] = diagonal**2
    squares[1 : len(above) + 1] += above**2
    beside = diagonal[: size - 1] * above
    value, vector = eigh_tridiagonal(squares, beside, select="i", select_range=(size - 1, size - 1))
    return min(abs(float(vector[0, 0])), 1.0), float(value[0]) / samples


def power_iteration(covariance: NDArray[np.float64], start: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Returns the iterates of power iteration with a symmetric (d, d) matrix, shape (steps + 1, d), unit rows.

    The start (d,) must not be zero; there is at least one step.
    """
    require_count("steps", steps, 1)
    path = np.empty((steps + 1, len(start)))
    path[0] = start / np.linalg.norm(start)
    for k in range(steps):
        image = covariance @ path[k]
        path[k + 1] = image / np.linalg.norm(image)
    return path


def _require_law(lam: float, aspect: float) -> None:
    require_positive("lam", lam)
    require_positive("aspect (d/N)", aspect)
