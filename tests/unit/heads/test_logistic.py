"""The quasi-Newton solver against autograd, a general optimiser, and its own promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn.functional import softplus

from w2sg.heads import matrices
from w2sg.heads.logistic import SINGLE_TOLERANCE, Problems, minimise
from w2sg.heads.matrices import Basis, find_basis

SHAPES = [(200, 12), (30, 80), (64, 64)]


def problems(n: int, d: int, *, penalties=(1e-3, 1e-1, 10.0), hard=False, intercept=False, seed=0) -> Problems:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * np.linspace(0.3, 3, d)  # unequal spread: the basis has something to do
    chance = 1 / (1 + np.exp(-x @ rng.standard_normal(d) / d**0.5))
    target = np.tile((rng.random(n) < chance) if hard else chance, (len(penalties), 1)).astype(float)
    weight = rng.uniform(0.5, 1, (len(penalties), n)) * (rng.random((len(penalties), n)) < 0.8)
    ratio = rng.uniform(0.8, 1.2, (len(penalties), d))
    if intercept:
        x, ratio = np.c_[x - x.mean(0), np.ones(n)], np.c_[ratio, np.zeros(len(penalties))]
    return Problems(
        features=torch.tensor(x, dtype=torch.float32),
        target=torch.tensor(target),
        weight=torch.tensor(weight / weight.sum(1, keepdims=True)),
        ratio=torch.tensor(ratio),
        penalty=torch.tensor(penalties, dtype=torch.float64),
        intercept=intercept,
    )


def objective(posed: Problems, u: torch.Tensor) -> torch.Tensor:
    """Returns the objective as the module's docstring states it, (C,)."""
    z = u @ posed.features.double().T
    loss = (posed.weight * (softplus(z) - posed.target * z)).sum(1)
    return loss + posed.penalty / 2 * (posed.ratio * u).square().sum(1)


def gradient(posed: Problems, u: torch.Tensor) -> torch.Tensor:
    u = u.clone().requires_grad_()
    objective(posed, u).sum().backward()
    assert u.grad is not None
    return u.grad


def solve(posed: Problems, **options):
    settings = {"tolerance": 1e-9, "max_iterations": 500, **options}
    return minimise(posed, find_basis(posed.features, intercept=posed.intercept), **settings)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_vanishes(shape, hard, intercept):
    posed = problems(*shape, hard=hard, intercept=intercept)
    found = solve(posed)
    assert found.converged.all()
    zero = gradient(posed, torch.zeros_like(found.coefficients)).norm(dim=1)
    relative = gradient(posed, found.coefficients).norm(dim=1) / zero
    assert (relative < 2e-9).all()
    np.testing.assert_allclose(found.gradient, relative, rtol=0.1, atol=1e-12)
    np.testing.assert_allclose(found.logits, found.coefficients @ posed.features.double().T, atol=1e-12)


def test_gradient_notices_a_nearby_point():
    posed = problems(*SHAPES[0])
    found = solve(posed, tolerance=1e-2)
    zero = gradient(posed, torch.zeros_like(found.coefficients)).norm(dim=1)
    assert (gradient(posed, found.coefficients).norm(dim=1) / zero > 1e-7).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_a_general_optimiser(shape):
    posed = problems(*shape, hard=True, penalties=(1e-2, 1.0))
    found = solve(posed)
    for c in range(2):
        one = posed.pick(torch.tensor([c]), penalty=posed.penalty[c])

        def both(u, one=one):
            u = torch.tensor(u)[None]
            return objective(one, u).item(), gradient(one, u)[0].numpy()

        best = minimize(both, np.zeros(shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
        np.testing.assert_allclose(found.coefficients[c], best.x, atol=1e-6 * np.abs(best.x).max())


@pytest.mark.parametrize("shape", [(200, 40), (40, 200)])
def test_leading_directions_are_enough(shape, monkeypatch):
    posed = problems(*shape, intercept=True)
    whole = solve(posed)
    monkeypatch.setattr(matrices, "RANK", 10)
    few = solve(posed)
    assert find_basis(posed.features).values.shape == (10,)
    assert few.converged.all()
    np.testing.assert_allclose(few.coefficients, whole.coefficients, atol=1e-6)


def test_the_basis_saves_steps():
    posed = problems(300, 100, penalties=(1e-3,))
    found = solve(posed)
    largest = find_basis(posed.features).values[-1:]
    none = Basis(vectors=torch.zeros(1, 100), values=largest)
    plain = minimise(posed, none, tolerance=1e-9, max_iterations=500)
    assert found.iterations.max() < 0.5 * plain.iterations.max()


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, SINGLE_TOLERANCE])
@pytest.mark.parametrize("shape", [(300, 200), (4000, 20)])
def test_single_precision_claims_no_more_than_is_true(shape, tolerance):
    posed = problems(*shape, intercept=True)
    found = solve(posed, tolerance=tolerance)
    zero = gradient(posed, torch.zeros_like(found.coefficients)).norm(dim=1)
    true = gradient(posed, found.coefficients).norm(dim=1) / zero
    assert found.converged.all() and (true < 1.1 * tolerance).all()
    np.testing.assert_allclose(found.logits, found.coefficients @ posed.features.double().T, atol=1e-4)


def test_problems_do_not_see_each_other():
    posed = problems(80, 20)
    together = solve(posed)
    for c, penalty in enumerate(posed.penalty):
        alone = solve(posed.pick(torch.tensor([c]), penalty=penalty))
        np.testing.assert_allclose(alone.coefficients[0], together.coefficients[c], atol=2e-8)


def test_rows_without_weight_have_no_influence():
    posed = problems(80, 20)
    held = torch.arange(80) < 10
    weight = torch.where(held, 0.0, posed.weight + 1e-3)
    weight = weight / weight.sum(1, keepdim=True)
    spoilt_features, spoilt_target = posed.features.clone(), posed.target.clone()
    spoilt_features[held] *= -5
    spoilt_target[:, held] = 1 - spoilt_target[:, held]
    clean, spoiled = (
        solve(Problems(features=x, target=t, weight=weight, ratio=posed.ratio, penalty=posed.penalty))
        for x, t in ((posed.features, posed.target), (spoilt_features, spoilt_target))
    )
    np.testing.assert_allclose(spoiled.coefficients, clean.coefficients, atol=1e-7)


def test_a_start_at_the_solution_takes_no_step():
    posed = problems(80, 20)
    first = solve(posed)
    again = solve(posed, start=first.coefficients, tolerance=1e-8)
    assert (again.iterations == 0).all() and again.converged.all()


def test_separable_labels_with_a_tiny_penalty():
    posed = problems(40, 60, penalties=(1e-8,), hard=True)
    found = solve(posed, tolerance=1e-6)
    assert found.converged.all()
    assert (((found.logits > 0) == (posed.target > 0.5)) | (posed.weight == 0)).all()


def test_nothing_to_learn():
    posed = problems(50, 10)
    level = Problems(
        features=posed.features,
        target=torch.full_like(posed.target, 0.5),
        weight=posed.weight,
        ratio=posed.ratio,
        penalty=posed.penalty,
    )
    empty = Problems(
        features=torch.zeros_like(posed.features),
        target=posed.target,
        weight=posed.weight,
        ratio=posed.ratio,
        penalty=posed.penalty,
    )
    for posed in (level, empty):
        found = solve(posed)
        assert (found.coefficients == 0).all() and found.converged.all()


def test_giving_up_is_reported():
    found = solve(problems(100, 30, penalties=(1e-6,), hard=True), max_iterations=2)
    assert not found.converged.any() and (found.iterations == 2).all()
