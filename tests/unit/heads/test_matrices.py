"""The basis against a dense inverse and a whole decomposition."""

from __future__ import annotations

import pytest
import torch

from w2sg.heads import matrices
from w2sg.heads.matrices import find_basis


def matrix(n: int, d: int) -> torch.Tensor:
    """Features whose spread falls by a factor of a thousand from the first to the last."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -3, d)


@pytest.mark.parametrize("shape", [(300, 20), (20, 300), (64, 64)])
def test_dividing_is_the_inverse_where_the_basis_is_whole(shape):
    x = matrix(*shape)
    q = torch.randn(2, shape[1], generator=torch.Generator().manual_seed(1)) @ x.T @ x  # where the features are
    penalty, curvature = torch.tensor([[1e-2], [1.0]]), torch.tensor([[0.2], [0.1]])
    found = find_basis(x).divide(q, penalty, curvature)
    second = x.T.double() @ x.double() / len(x)
    for c in range(2):
        whole = penalty[c].double() * torch.eye(shape[1]) + curvature[c].double() * second
        assert torch.linalg.norm(whole @ found[c].double() - q[c]) < 1e-3 * q[c].norm()


def test_leading_directions_are_found_and_orthonormal(monkeypatch):
    monkeypatch.setattr(matrices, "RANK", 10)
    x = matrix(400, 200)
    basis = find_basis(x)
    assert basis.vectors.shape == (10, 200) and (basis.values.diff() >= 0).all()
    torch.testing.assert_close(basis.vectors @ basis.vectors.T, torch.eye(10), atol=1e-5, rtol=0)
    exact = torch.linalg.eigvalsh(x.T.double() @ x.double() / 400)[-10:].float()
    torch.testing.assert_close(basis.values[5:], exact[5:], rtol=0.1, atol=0)
    # The control: directions at random hold far less.
    random = torch.linalg.qr(torch.randn(200, 10, generator=torch.Generator().manual_seed(2)))[0].T
    assert (x @ random.T).square().sum() / 400 < 0.3 * basis.values.sum()


def test_the_constant_is_left_out():
    x = torch.cat((matrix(100, 8), torch.ones(100, 1)), dim=1)
    assert (find_basis(x, intercept=True).vectors[:, -1] == 0).all()
    assert (find_basis(x).vectors[:, -1] != 0).any()
