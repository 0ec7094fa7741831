"""Refused settings name parameter, value and range; exact quantities agree across routes; the proof's two steps hold."""

import math

import numpy as np
import pytest

from w2sg.theory.engines import flows
from w2sg.theory.experiments import recursion, region
from w2sg.theory.model import closed_forms, constants, exact, population, spectral
from w2sg.theory.model.activations import activation_of, he3, projected_tanh, softplus, tanh_cubed, target_variance
from w2sg.theory.model.checks import require_count
from w2sg.theory.model.closed_forms import limit_margin, rule_is_right
from w2sg.theory.model.law import FineTuning, SpikedModel, geometry, random_start, record_steps, warm_start
from w2sg.theory.model.quadrature import hermite_grid

SETTING = SpikedModel(lam=1.5, kappa=0.6, c_w=0.5, dimension=30)
WHERE = geometry(SETTING, 0.4)
STATES = np.array([[0.5, 0.3, -0.2, 0.0], [0.1, 0.0, 0.2, 0.0]])
STATES[:, 3] = np.sqrt(1 - np.sum(STATES**2, axis=1))
CAP = constants.region_of(softplus(1.0), 1.0, 0.8)
FIXED = dict(region=CAP, lam=1.0, kappa=0.8, aspect=0.1, overlap=0.9, eps=0.0, eta=1e-6, c_g=48.0)


@pytest.mark.parametrize(
    ("call", "name", "value", "allowed"),
    [
        (lambda: target_variance(0.0, 0.5), "lam", "0.0", "positive"),
        (lambda: target_variance(math.nan, 0.5), "lam", "nan", "positive"),
        (lambda: activation_of(1.0, 1.2), "kappa", "1.2", "[0, 1]"),
        (lambda: constants.region_of(softplus(1.0), 1.0, -0.1), "kappa", "-0.1", "[0, 1]"),
        (lambda: constants.region_of(he3(2.0), 1.0, 1.0), "activation", "he3", "bounded derivatives"),
        (lambda: constants.gradient_moment(softplus(1.0).bounds, 1.0, 0), "dimension", "0", "at least 1"),
        (lambda: constants.conditions(**(FIXED | {"overlap": 1.1})), "overlap", "1.1", "[0, 1]"),
        (lambda: constants.conditions(**(FIXED | {"eps": -1.0})), "eps", "-1.0", "[0, inf]"),
        (lambda: constants.conditions(**(FIXED | {"kappa": 3.0})), "kappa", "3.0", "[0, 1]"),
        (
            lambda: constants.squared_error_bound(1.0, region=CAP, eps=0.0, eta=100.0, c_g=48.0, dimension=1),
            "dimension",
            "1",
            "exceed eta mu",
        ),
        (lambda: spectral.sample_overlap(1.0, 10, 1, np.random.default_rng(0)), "samples (N)", "1", "at least 2"),
        (lambda: spectral.limit_overlap(1.0, -0.1), "aspect (d/N)", "-0.1", "positive"),
        (lambda: geometry(SETTING, 1.5), "cosine", "1.5", "[-1, 1]"),
        (lambda: random_start(3, np.random.default_rng(0)), "dimension", "3", "at least 5"),
        (lambda: warm_start(0.5, 4, np.random.default_rng(0)), "dimension", "4", "at least 5"),
        (lambda: record_steps(10, 0), "points", "0", "at least 1"),
        (lambda: rule_is_right(1.0, 0.5, 1.5), "c_w", "1.5", "[-1, 1]"),
        (lambda: limit_margin(1.0, 0.5, 0.5, 2.0), "overlap", "2.0", "[0, 1]"),
        (lambda: population.pair_law(STATES[0], STATES[0], STATES[0], -1.0), "lam", "-1.0", "positive"),
        (lambda: region.axes(1.0, 2.0), "kappa", "2.0", "[0, 1]"),
        (
            lambda: flows.limit_flow(STATES[0], WHERE, he3(2.0), horizon=1.0, noise=-0.1),
            "noise (nu)",
            "-0.1",
            "not be negative",
        ),
        (lambda: require_count("steps", True, 0), "steps", "True", "integer"),
        (lambda: require_count("steps", 2.0, 0), "steps", "2.0", "integer"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_refusals_name_parameter_value_and_range(call, name, value, allowed):
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert name in text and value in text and allowed in text, text


def test_exact_quantities_of_many_students_agree_with_the_ambient_ones():
    u, spike = np.append(WHERE.weak, 0.0), np.append(WHERE.spike, 0.0)
    setting = {"spike": spike, "lam": WHERE.lam}
    for sigma in (he3(SETTING.variance), projected_tanh(SETTING.variance)):
        for k, state in enumerate(STATES):
            law = population.pair_law(state, u, spike, WHERE.lam)
            found = exact.loss(sigma, STATES, WHERE.weak, WHERE)
            assert found.shape == (2,)
            assert found[k] == pytest.approx(population.loss(sigma, state, u, **setting), rel=1e-10)
            slope = exact.gradient(sigma, STATES, WHERE.weak, WHERE)[k]
            np.testing.assert_allclose(slope, population.gradient(sigma, state, u, **setting), rtol=1e-9, atol=1e-11)
            noise = exact.noise_coefficient(sigma, STATES, WHERE.weak, WHERE)[k]
            assert noise == pytest.approx(population.noise_coefficient(sigma, law), rel=1e-10)


@pytest.mark.parametrize("labels", ["weak", "true"])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_compiled_limit_equation_equals_the_general_one(labels, noise):
    sigma, teacher = he3(SETTING.variance), WHERE.teacher(labels)
    fast = flows.limit_flow(STATES, WHERE, sigma, horizon=0.2, noise=noise, labels=labels, points=400)
    slow = flows.integrate(STATES, WHERE, sigma, teacher, horizon=0.2, noise=noise, points=400)
    assert fast.shape == (401, 2, 4)
    np.testing.assert_allclose(fast, slow, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(fast, axis=-1), 1, rtol=1e-12)


def test_deterministic_engines_take_any_activation():
    sigma = tanh_cubed()
    fine = flows.descend(STATES[0], WHERE, FineTuning(eta=0.002, steps=100), sigma).states[-1]
    flow = flows.limit_flow(STATES[0], WHERE, sigma, horizon=0.2, noise=0.0, points=10)[-1]
    np.testing.assert_allclose(flow, fine, atol=2e-4)
    assert np.abs(fine - STATES[0]).max() > 0.01


def test_hermite_closed_forms_agree_with_monte_carlo():
    """Product, loss and gradient from d-dimensional samples, within four standard errors."""
    sigma, n, rng = he3(SETTING.variance), 400_000, np.random.default_rng(11)
    u, spike, theta = (np.append(x, np.zeros(6 - len(x))) for x in (WHERE.weak, WHERE.spike, STATES[0]))
    z = rng.standard_normal((n, 6))
    x = z + (math.sqrt(1 + WHERE.lam) - 1) * np.outer(z @ spike, spike)
    a, b = x @ theta, x @ u
    law = closed_forms.laws(STATES[0], WHERE.weak, WHERE)
    gap = sigma.derivative(a) - sigma.derivative(b)
    slope = closed_forms.gradient(sigma, STATES[0], WHERE.weak, WHERE)
    samples = [sigma.derivative(a) * sigma.derivative(b), gap**2 / 2]
    samples += list(gap * sigma.derivative(a, 1) * x[:, :4].T)
    expected = [float(closed_forms.product(sigma, law)), float(closed_forms.loss(sigma, law)), *slope]
    errors = [v.std() / math.sqrt(n) for v in samples]
    for values, value, error in zip(samples, expected, errors, strict=True):
        assert abs(values.mean() - value) < 4 * error
    assert abs(samples[1].mean() - 1.2 * expected[1]) > 4 * errors[1]  # a mistake of a fifth would be seen


def test_projection_remainder_has_its_power_and_its_size():
    """At the power -3/2; without the second-order term the remainder would be of order |s g|^2 = 1/d, far larger."""
    sigma = softplus(1.0)
    assert recursion.remainder_exponent(sigma, lam=1.0, kappa=0.8, rng=np.random.default_rng(3)) == pytest.approx(
        -1.5, abs=0.2
    )
    big = SpikedModel(lam=1.0, kappa=0.8, dimension=10_000)
    found = recursion.projection_remainder(sigma, big, eta=1.0, draws=50, rng=np.random.default_rng(4))
    assert np.median(found) < 1e-5


def test_recursion_margin_is_the_room_of_real_steps():
    """The expected change of D^2 from many simulated online steps, d = 8."""
    lam, d, eta, n = 1.0, 8, 0.02, 400_000
    target, spike = region.axes(lam, 0.8)
    weak = region.supervisor(20.0)
    theta = region.student_at(25.0, 1.0)
    theta, target, spike, weak = (np.append(x, np.zeros(d - len(x))) for x in (theta, target, spike, weak))
    sigma, rng = softplus(1.0), np.random.default_rng(5)
    z = rng.standard_normal((n, d))
    x = z + (math.sqrt(1 + lam) - 1) * np.outer(z @ spike, spike)
    a, b = x @ theta, x @ weak
    moved = theta - eta / d * ((sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1))[:, None] * x
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    change = (2 - 2 * moved @ target) - (2 - 2 * theta @ target)
    setting = {"spike": spike, "lam": lam, "eta": eta, "eps": 0.3, "dimension": d}
    margin = recursion.recursion_margin(sigma, theta, target, weak, **setting)
    mu = constants.nondegeneracy(sigma, target_variance(lam, 0.8)) / 2
    allowed = -mu * (2 - 2 * theta @ target) + 2 * 0.3**2 / mu + eta * constants.gradient_constant(sigma.bounds, lam)
    error = 4 * d / eta * change.std() / math.sqrt(n)
    assert abs(d / eta * change.mean() - (allowed - margin)) < error + 2e-3
    assert error < 0.02


def test_recursion_margin_counts_the_length_of_steps():
    """Its slope in eta is C_G - E|g|^2 m / d, with the moment from samples."""
    lam, d, n = 1.0, 8, 200_000
    target, spike = region.axes(lam, 0.8)
    theta, weak = region.student_at(25.0, 1.0), region.supervisor(20.0)
    fixed = {"spike": spike, "lam": lam, "eps": 0.3, "dimension": d}
    sigma, rng = softplus(1.0), np.random.default_rng(6)
    low, high = (recursion.recursion_margin(sigma, theta, target, weak, eta=eta, **fixed) for eta in (0.01, 1.01))
    z = rng.standard_normal((n, d))
    spike, theta_d, weak_d = (np.append(x, np.zeros(d - len(x))) for x in (spike, theta, weak))
    x = z + (math.sqrt(1 + lam) - 1) * np.outer(z @ spike, spike)
    a, b = x @ theta_d, x @ weak_d
    squares = ((sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1)) ** 2 * np.sum(x**2, axis=1)
    moment, error = squares.mean(), squares.std() / math.sqrt(n)
    m = float(theta @ target)
    expected = constants.gradient_constant(sigma.bounds, lam) - moment * m / d
    assert abs(high - low - expected) < 4 * error / d
    assert 20 * error < moment


def test_hermite_grid_is_exact_for_its_degree():
    nodes, weights = hermite_grid(8)
    assert weights @ nodes**14 == pytest.approx(135135, rel=1e-10)
    assert abs(weights @ nodes**16 / 2027025 - 1) > 1e-3
