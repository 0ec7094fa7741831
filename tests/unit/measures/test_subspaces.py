"""The norm of what a student's components explain and its supervisor's do not, against the matrices written out."""

from __future__ import annotations

import numpy as np
import pytest

from w2sg.measures.subspaces import RIDGE, SMALLEST, principal_part, unexplained_norm


def states(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) * 0.7 ** np.arange(d)


def smoother(x: np.ndarray) -> np.ndarray:
    """P of all n rows, from the eigenvectors of their Gram matrix."""
    gram = x @ x.T / np.square(x).sum()
    values, vectors = np.linalg.eigh(gram)
    kept = values >= SMALLEST
    return (vectors[:, kept] * (values[kept] / (values[kept] + RIDGE))) @ vectors[:, kept].T


def norm(strong: np.ndarray, weak: np.ndarray) -> float:
    return unexplained_norm(principal_part(strong), principal_part(weak))


@pytest.mark.parametrize(("n", "strong", "weak"), [(80, 30, 8), (40, 60, 50)])
def test_it_is_the_norm_of_the_matrices(n, strong, weak):
    x, y = states(n, strong, 1), states(n, weak, 2)
    expected = np.linalg.norm(smoother(x) @ (np.eye(n) - smoother(y)), 2)
    assert norm(x, y) == pytest.approx(expected, abs=1e-9)


def test_no_label_enters():
    x, y = states(80, 30, 1), states(80, 8, 2)
    side = np.random.default_rng(0).choice([-1.0, 1.0], 80)[:, None]
    assert norm(x * side, y * side) == pytest.approx(norm(x, y), abs=1e-9)


def test_what_the_supervisor_has_too_is_explained():
    x = states(80, 30, 1)
    assert norm(x, x) <= 0.25 < norm(x, states(80, 30, 3))  # p (1 - p) is at most 1/4
    assert norm(x, states(80, 30, 3)) <= principal_part(x).shares.max() / (principal_part(x).shares.max() + RIDGE)


def test_an_even_spread_has_no_component():
    assert norm(np.eye(200), states(200, 8, 1)) == 0.0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_states_that_tell_nothing_are_refused(value):
    with pytest.raises(ValueError, match="positive finite number"):
        principal_part(np.full((4, 3), value))
