"""Products of one matrix from both sides, against plain ones in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from w2sg.heads.matrices import ALIASED, ALIGNED, Plain, Short, all_finite


@pytest.mark.parametrize("shape", [(3, 5), (40, ALIASED), (ALIASED, 33), (16, 16)])
@pytest.mark.parametrize("form", [Plain, Short.of])
def test_both_sides(form, shape):
    rng = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=rng)
    u, r = torch.randn(4, shape[1], generator=rng), torch.randn(4, shape[0], generator=rng)
    made = form(matrix)
    near = 1e-5 if made.dtype == torch.float32 else 2e-2
    for found, exact in (
        (made.logits(u), u.double() @ matrix.double().T),
        (made.gather(r), r.double() @ matrix.double()),
    ):
        assert found.dtype == torch.float64 and found.shape == exact.shape and found.is_contiguous()
        assert (found - exact).norm() < near * exact.norm()


@pytest.mark.parametrize("shape", [(40, ALIASED), (ALIASED, 33), (2 * ALIASED - 1, ALIASED - ALIGNED)])
def test_no_row_falls_on_the_cache_lines_of_the_next(shape):
    made = Short.of(torch.ones(shape))
    for kept, length in ((made.rows, shape[1]), (made.columns, shape[0])):
        assert kept.is_contiguous() and kept.shape[1] % ALIGNED == 0 and kept.shape[1] % ALIASED
        assert length <= kept.shape[1] < length + 2 * ALIGNED
        assert (kept[:, :length] == 1).all() and (kept[:, length:] == 0).all()


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ([1.0, 2.0], True),
        ([1.0, np.nan], False),
        ([np.inf, 1.0], False),
        ([np.inf, -np.inf], False),
        ([3e38, 3e38], True),
    ],
)
def test_all_finite(values, finite):
    assert all_finite(np.array(values, dtype=np.float32)) is finite
