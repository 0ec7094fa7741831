"""What a student can learn and its supervisor cannot, by the principal components of their states: no label enters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

SMALLEST = 0.01
"""Smallest share of the total variance that a principal component has; there are 100 at most."""

RIDGE = 0.1
"""Regularisation, as a share of the total variance."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Principal components of the states of n rows."""

    scores: np.ndarray
    """Left singular vectors, of length one, (n, k)."""
    shares: np.ndarray
    """Share of the total variance of each, (k,)."""


def principal_part(states: np.ndarray) -> Principal:
    """Returns the principal components of at least ``SMALLEST`` of the variance of n states about zero.

    Args:
        states: Differences chosen minus rejected, or states of labelled texts about their mean, (n, d). The sign of a row
            does not change what is made of the components.

    Raises:
        ValueError: If a state is not finite, or all are zero.
    """
    x = states.astype(np.float64)
    total = float(np.square(x).sum())
    if not 0.0 < total < np.inf:
        raise ValueError(f"the states' sum of squares is {total}; a positive finite number is expected")
    values, vectors = eigh(x.T @ x / total, subset_by_value=(SMALLEST, np.inf), overwrite_a=True)
    return Principal(scores=x @ vectors / np.sqrt(total * values), shares=values)


def unexplained_norm(strong: Principal, weak: Principal) -> float:
    """Returns the largest part of any labels that the strong model's components explain and the weak model's do not, 0 to 1.

    Equation: ‖P_s (I - P_w)‖ with P = U diag(λ / (λ + RIDGE)) Uᵀ, of scores U and shares λ (Xue, Li and Mirzasoleiman 2025,
    arXiv 2502.00620).
    """
    own, theirs = (one.shares / (one.shares + RIDGE) for one in (strong, weak))
    overlap = strong.scores.T @ weak.scores  # (k_s, k_w)
    # (I - P_w)² = I - U_w diag(2 a - a²) U_wᵀ, so that only k_s x k_s numbers are left of P_s (I - P_w)² P_s.
    left = np.eye(len(own)) - (overlap * (2.0 * theirs - theirs**2)) @ overlap.T
    largest = np.linalg.eigvalsh(own[:, None] * left * own)[-1] if len(own) else 0.0
    return float(np.sqrt(max(largest, 0.0)))
