"""Population quantities: quadrature and closed forms against autograd, Monte Carlo and each other."""

import math

import numpy as np
import pytest

from w2sg.theory.model import closed_forms, population
from w2sg.theory.model.activations import he3, projected_leaky, projected_tanh, softplus, tanh_cubed
from w2sg.theory.model.law import SpikedModel, geometry

torch = pytest.importorskip("torch")

LAM, KAPPA = 1.7, 0.7
MODEL = SpikedModel(lam=LAM, kappa=KAPPA, c_w=0.5, dimension=40)
WHERE = geometry(MODEL, 0.3)
SPIKE = np.append(WHERE.spike, 0.0)
TARGET, WEAK = np.append(WHERE.target, 0.0), np.append(WHERE.weak, 0.0)
THETA = np.array([0.55, 0.3, -0.4, 0.6])
THETA /= np.linalg.norm(THETA)
ACTIVATIONS = [he3(MODEL.variance), softplus(1.0), projected_tanh(MODEL.variance), projected_leaky(0.1), tanh_cubed()]


def torch_sigma(sigma, z):
    if sigma.name == "he3":
        return sigma.p0 * (z**3 - 3 * sigma.p1 * z)
    if sigma.name == "softplus":
        return torch.nn.functional.softplus(z)
    if sigma.name == "projected_tanh":
        return torch.tanh(z) - sigma.p0 * z
    if sigma.name == "projected_leaky":
        return sigma.p1 * z + (1 - sigma.p1) * torch.nn.functional.softplus(z) - (1 + sigma.p1) / 2 * z
    return torch.tanh(z) ** 3


def torch_loss(sigma, theta, u, step=0.1):
    """The loss as a function of a free vector, by a fixed trapezoid rule of its own: no derivative is coded."""
    x = torch.arange(-9, 9 + step / 2, step, dtype=torch.float64)
    weight = torch.exp(-(x**2) / 2)
    weight = weight / weight.sum()
    matrix = torch.eye(4, dtype=torch.float64) + LAM * torch.outer(torch.tensor(SPIKE), torch.tensor(SPIKE))
    a, c, b = theta @ matrix @ theta, theta @ matrix @ u, u @ matrix @ u
    root = torch.sqrt(a)
    first = root * x[:, None]
    second = c / root * x[:, None] + torch.sqrt(b - c**2 / a) * x[None, :]
    gap = torch_sigma(sigma, first) - torch_sigma(sigma, second)
    return 0.5 * (weight[:, None] * weight[None, :] * gap**2).sum()


@pytest.mark.parametrize("sigma", ACTIVATIONS, ids=lambda s: s.name)
@pytest.mark.parametrize("u", [TARGET, WEAK], ids=["target", "weak"])
def test_loss_gradient_and_hessian_agree_with_autograd(sigma, u):
    theta, teacher = torch.tensor(THETA, requires_grad=True), torch.tensor(u)

    def function(t):
        return torch_loss(sigma, t, teacher)

    value = function(theta)
    slope = torch.autograd.grad(value, theta)[0].numpy()
    bend = torch.autograd.functional.hessian(function, theta).numpy()
    setting = {"spike": SPIKE, "lam": LAM}
    assert population.loss(sigma, THETA, u, **setting) == pytest.approx(value.item(), rel=1e-10)
    np.testing.assert_allclose(population.gradient(sigma, THETA, u, **setting), slope, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(population.hessian(sigma, THETA, u, **setting), bend, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sigma", ACTIVATIONS, ids=lambda s: s.name)
def test_target_hessian_is_the_hessian_at_the_target(sigma):
    setting = {"spike": SPIKE, "lam": LAM}
    direct = population.hessian(sigma, TARGET, TARGET, **setting)
    np.testing.assert_allclose(population.target_hessian(sigma, TARGET, **setting), direct, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("u", [WHERE.target, WHERE.weak], ids=["target", "weak"])
@pytest.mark.parametrize("amplitude", ["unit", "raw"])
def test_closed_forms_agree_with_quadrature(u, amplitude):
    sigma = he3(MODEL.variance, amplitude)
    rng = np.random.default_rng(0)
    for _ in range(5):
        state = rng.standard_normal(4)
        state /= np.linalg.norm(state)
        u4 = np.append(u, 0.0)
        law = closed_forms.laws(state, u, WHERE)
        setting = {"spike": SPIKE, "lam": LAM}
        assert closed_forms.loss(sigma, law) == pytest.approx(population.loss(sigma, state, u4, **setting), rel=1e-10)
        slope = population.gradient(sigma, state, u4, **setting)
        np.testing.assert_allclose(closed_forms.gradient(sigma, state, u, WHERE), slope, rtol=1e-10, atol=1e-11)
        bend = population.hessian(sigma, state, u4, **setting)
        np.testing.assert_allclose(closed_forms.hessian(sigma, state, u, WHERE), bend, rtol=1e-10, atol=1e-9)
        noise = population.noise_coefficient(sigma, population.pair_law(state, u4, SPIKE, LAM))
        assert closed_forms.noise_coefficient(sigma, law) == pytest.approx(noise, rel=1e-10)


def test_closed_forms_at_special_points():
    sigma = he3(MODEL.variance)
    own = closed_forms.laws(TARGET, WHERE.target, WHERE)
    assert closed_forms.loss(sigma, own) == pytest.approx(0, abs=1e-14)
    assert closed_forms.product(sigma, own) == pytest.approx(1, rel=1e-13)  # 6 a^2 c^3 with c = s^2
    law = closed_forms.laws(THETA, WHERE.target, WHERE)
    assert closed_forms.product(sigma, law) == pytest.approx(6 * sigma.p0**2 * law.c**3, rel=1e-12)
    along, across = population.target_moments(sigma, MODEL.variance)
    assert closed_forms.nondegeneracy(sigma) == pytest.approx(across, rel=1e-12)
    assert across == pytest.approx(3 / MODEL.variance, rel=1e-12)
    assert along == pytest.approx(5 * across, rel=1e-12)
    with pytest.raises(ValueError, match="he3"):
        closed_forms.product(softplus(1.0), law)


def test_sign_margin_is_the_difference_of_weak_losses():
    sigma = he3(MODEL.variance)
    plus, minus = (closed_forms.laws(sign * THETA, WHERE.weak, WHERE) for sign in (1, -1))
    margin = closed_forms.loss(sigma, minus) - closed_forms.loss(sigma, plus)
    assert closed_forms.sign_margin(sigma, plus) == pytest.approx(margin, rel=1e-10)


@pytest.mark.parametrize("sigma", [softplus(1.0), projected_tanh(MODEL.variance)], ids=lambda s: s.name)
def test_gradient_and_second_moment_against_monte_carlo(sigma):
    """One pass over d-dimensional samples gives the mean of g and of |g|^2 with their standard errors."""
    d, n = 12, 400_000
    rng = np.random.default_rng(1)
    theta, u, spike = (np.append(x, np.zeros(d - 4)) for x in (THETA, WEAK, SPIKE))
    z = rng.standard_normal((n, d))
    x = z + (math.sqrt(1 + LAM) - 1) * np.outer(z @ spike, spike)
    a, b = x @ theta, x @ u
    g = ((sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1))[:, None] * x
    exact = population.gradient(sigma, theta, u, spike=spike, lam=LAM)
    assert np.all(np.abs(g.mean(0) - exact) < 4.5 * g.std(0) / math.sqrt(n))
    size = np.sum(g**2, axis=1)
    moment = population.gradient_second_moment(sigma, theta, u, spike=spike, lam=LAM, dimension=d)
    error = size.std() / math.sqrt(n)
    assert abs(size.mean() - moment) < 4 * error
    assert abs(size.mean() - 1.05 * moment) > 4 * error  # the test would see a mistake of five per cent


def test_second_moment_is_defined_at_the_teacher():
    moment = population.gradient_second_moment(softplus(1.0), WEAK, WEAK, spike=SPIKE, lam=LAM, dimension=10)
    assert moment == pytest.approx(0, abs=1e-20)


def test_quantities_do_not_depend_on_the_coordinates():
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0]
    sigma = tanh_cubed()
    plain = population.hessian(sigma, THETA, WEAK, spike=SPIKE, lam=LAM)
    turned = population.hessian(sigma, rotation @ THETA, rotation @ WEAK, spike=rotation @ SPIKE, lam=LAM)
    np.testing.assert_allclose(turned, rotation @ plain @ rotation.T, atol=1e-12)


def test_without_a_spike_the_hermite_gradient_vanishes_at_the_orthogonal_level():
    """Information exponent 3: with theta orthogonal to theta* the gradient has no component along theta*."""
    where = geometry(SpikedModel(lam=1e-9, kappa=0.5, dimension=40))
    slope = closed_forms.gradient(he3(1.0 + 2.5e-10), np.array([0.0, 0.0, 0.0, 1.0]), where.target, where)
    assert slope[0] == pytest.approx(0, abs=1e-7)
    assert abs(slope[3]) > 1
