"""Products with one large matrix from either side, at the speed at which a processor reads it.

Many logistic regressions on one feature matrix x need ``u x'`` and ``r x`` for a few rows u and r in each step: one
pass over the matrix, and hardly any arithmetic. How long a pass takes depends on the layout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

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
