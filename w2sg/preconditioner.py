"""Leading directions of a feature matrix, in which logistic regressions on it are easy to solve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

DENSE_LIMIT = 768
"""Longest short side of a matrix whose second moments are decomposed whole."""
RANK = 256
"""Leading directions found for larger matrices."""
ROWS = 8
"""Rows for each of them that suffice to find them."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """Leading eigenvectors of the second moments x'x / n."""

    vectors: torch.Tensor
    """Orthonormal rows, (r, d)."""
    values: torch.Tensor
    """Eigenvalues, (r,)."""
    rest: float
    """Eigenvalue assumed for every other direction."""

    def divide(self, q: torch.Tensor, penalty: torch.Tensor, curvature: torch.Tensor) -> torch.Tensor:
        """Returns q, (C, d), times the inverse of ``penalty + curvature * x'x / n``; the two are (C, 1)."""
        other = penalty + curvature * self.rest
        inside = 1.0 / (penalty + curvature * self.values) - 1.0 / other  # (C, r)
        return q / other + (inside * (q @ self.vectors.T)) @ self.vectors


def find_basis(
    features: torch.Tensor, *, intercept: bool = False, dtype: torch.dtype = torch.float32, rank: int | None = None
) -> Basis:
    """Returns eigenvectors of the features' second moments: all if one side is short, else the leading ones.

    The basis only preconditions, so some of the rows, a short type and one step of subspace iteration from a
    fixed pseudo-random start will do for the leading ones.

    Args:
        features: Rows, (n, d).
        intercept: Whether the last feature is a constant, which is left out: it is preconditioned alone.
        dtype: Type of the products by which the leading ones are found.
        rank: How many leading ones are found; :data:`RANK` by default.
    """
    if intercept:
        basis = find_basis(features[:, :-1], dtype=dtype, rank=rank)
        return replace(basis, vectors=torch.nn.functional.pad(basis.vectors, (0, 1)))
    n, d = features.shape
    if min(n, d) <= DENSE_LIMIT:
        gram = features.T @ features if d <= n else features @ features.T
        values, vectors = torch.linalg.eigh(gram.double())
        keep = values > values[-1] * 1e-6
        values, vectors = values[keep], vectors[:, keep].T.to(features)
        if d > n:  # from eigenvectors of x x' to those of x'x
            vectors = (vectors @ features) / values.sqrt().to(features)[:, None]
        return Basis(vectors=vectors, values=(values / n).to(features), rest=0.0)
    rank = rank or RANK
    features = features[:: -(-n // (ROWS * rank))].to(dtype)
    n = len(features)
    probe = torch.randn(rank, n, generator=torch.Generator().manual_seed(0)).to(features)
    for _ in range(2):
        subspace = torch.linalg.qr((probe @ features).float().T)[0].T  # (r, d)
        probe = subspace.to(dtype) @ features.T  # (r, n)
    probe = probe.float()
    values, rotation = torch.linalg.eigh((probe @ probe.T).double())
    values = (values / n).clamp_min(0).float()
    return Basis(vectors=rotation.T.float() @ subspace, values=values, rest=float(values[0]))
