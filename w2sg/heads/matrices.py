"""Leading directions of a feature matrix, in which logistic regressions on it are easy to solve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

BLOCK = 256
"""Rows of a matrix held in double precision at a time."""

RANK = 256
"""Leading directions found."""

ROWS = 2048
"""Rows that suffice to find them."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """Leading eigenvectors of the second moments x'x / n."""

    vectors: torch.Tensor
    """Orthonormal rows, (r, d)."""
    values: torch.Tensor
    """Eigenvalues, ascending, (r,)."""

    def divide(self, q: torch.Tensor, penalty: torch.Tensor, curvature: torch.Tensor) -> torch.Tensor:
        """Returns q, (C, d), times the inverse of ``penalty + curvature * x'x / n``; the two are (C, 1).

        Directions outside of the basis count as if they had its smallest eigenvalue.
        """
        other = penalty + curvature * self.values[:1]
        inside = 1.0 / (penalty + curvature * self.values) - 1.0 / other  # (C, r)
        return q / other + (inside * (q @ self.vectors.T)) @ self.vectors


def find_basis(features: torch.Tensor, *, intercept: bool = False) -> Basis:
    """Returns the :data:`RANK` leading eigenvectors of the features' second moments, or all if there are fewer.

    The basis only preconditions, so some of the rows and one step of subspace iteration from a fixed pseudo-random
    start will do.

    Args:
        features: Rows, float32, (n, d).
        intercept: Whether the last feature is a constant, which is left out: it is preconditioned alone.
    """
    x = features[:: -(-len(features) // ROWS), : features.shape[1] - intercept]
    n, rank = len(x), min(RANK, *x.shape)
    probe = torch.randn(rank, n, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        subspace = torch.linalg.qr((probe @ x).T)[0].T  # (r, d)
        probe = subspace @ x.T  # (r, n)
    values, rotation = torch.linalg.eigh((probe @ probe.T).double())
    vectors = pad(rotation.T.float() @ subspace, (0, int(intercept)))
    return Basis(vectors=vectors, values=(values / n).clamp_min(0).float())
