"""Leading directions of a feature matrix, in which logistic regressions on it are easy to solve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import pad

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


BLOCK = 256
"""Rows of a matrix held in double precision at a time."""

ALIGNED = 16
"""Padded rows have a multiple of this many numbers."""

ALIASED = 512
"""Rows of a multiple of this many numbers all fall on the same lines of a cache, which doubles the time of a pass."""


@dataclass(frozen=True)
class Plain:
    """A matrix as it lies."""

    matrix: torch.Tensor
    """(n, d)."""

    @property
    def dtype(self) -> torch.dtype:
        """Type in which products are computed."""
        return self.matrix.dtype

    def logits(self, u: torch.Tensor) -> torch.Tensor:
        """Returns u x', as double, (C, n), of coefficients (C, d)."""
        return (u.to(self.matrix) @ self.matrix.T).double()

    def gather(self, r: torch.Tensor) -> torch.Tensor:
        """Returns r x, as double, (C, d), of residuals (C, n)."""
        return (r.to(self.matrix) @ self.matrix).double()


@dataclass(frozen=True)
class Short:
    """A matrix in a shorter type, once by rows and once by columns: both products then read along the rows."""

    rows: torch.Tensor
    """(n, d) and zeros on the right."""
    columns: torch.Tensor
    """(d, n) and zeros on the right."""

    @classmethod
    def of(cls, matrix: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> Short:
        """Returns the short form of a matrix, (n, d)."""
        short = matrix.to(dtype)
        return cls(rows=_padded(short), columns=_padded(short.T))

    @property
    def dtype(self) -> torch.dtype:
        """Type in which products are computed."""
        return self.rows.dtype

    def logits(self, u: torch.Tensor) -> torch.Tensor:
        """Returns u x', as double, (C, n), of coefficients (C, d)."""
        return _times(self.rows, u)

    def gather(self, r: torch.Tensor) -> torch.Tensor:
        """Returns r x, as double, (C, d), of residuals (C, n)."""
        return _times(self.columns, r)


def _padded(matrix: torch.Tensor) -> torch.Tensor:
    length = -(-matrix.shape[1] // ALIGNED) * ALIGNED
    if length % ALIASED == 0:
        length += ALIGNED
    made = matrix.new_zeros(len(matrix), length)
    made[:, : matrix.shape[1]] = matrix
    return made


def _times(matrix: torch.Tensor, few: torch.Tensor) -> torch.Tensor:
    found = matrix @ pad(few.to(matrix), (0, matrix.shape[1] - few.shape[1])).T
    return found.T.to(torch.float64, memory_format=torch.contiguous_format)


def all_finite(values: np.ndarray) -> bool:
    """Returns whether every value is finite; a sum tells that in one pass unless it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())
