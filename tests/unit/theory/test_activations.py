"""Activations: derivatives against finite differences, bounds against a search, Hermite properties by quadrature."""

import math

import numpy as np
import pytest

from w2sg.theory.engines import kernels
from w2sg.theory.model import activations
from w2sg.theory.model.activations import he3, projected_leaky, projected_tanh, softplus, tanh_cubed
from w2sg.theory.model.quadrature import hermite_grid, normal_grid

VARIANCE = 1.64
ALL = [
    he3(VARIANCE),
    he3(VARIANCE, "raw"),
    softplus(1.0),
    softplus(4.0),
    projected_tanh(VARIANCE),
    projected_leaky(0.2, 3.0),
    tanh_cubed(),
]


@pytest.mark.parametrize("sigma", ALL, ids=lambda s: f"{s.name}-{s.p0:.3g}")
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_are_differences_of_the_order_below(sigma, order):
    z = np.linspace(-3, 3, 41)
    h = 1e-3
    value = [sigma.derivative(z + k * h, order - 1) for k in (-2, -1, 1, 2)]
    numeric = (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * h)
    np.testing.assert_allclose(sigma.derivative(z, order), numeric, atol=2e-8, rtol=1e-7)


@pytest.mark.parametrize("sigma", [s for s in ALL if s.bounds], ids=lambda s: f"{s.name}-{s.p0:.3g}")
def test_bounds_are_the_suprema(sigma):
    z = np.linspace(-30, 30, 600_001)
    found = [np.abs(sigma.derivative(z, k)).max() for k in (1, 2, 3)]
    stated = [sigma.bounds.c1, sigma.bounds.c2, sigma.bounds.c3]
    np.testing.assert_allclose(found, stated, rtol=1e-6)


@pytest.mark.parametrize("sigma", ALL, ids=lambda s: f"{s.name}-{s.p0:.3g}")
def test_kernel_agrees_with_the_array_version(sigma):
    for z in (-40.0, -2.0, -0.3, 0.0, 0.7, 3.0, 40.0):
        value, slope = kernels.activation(sigma.code, sigma.p0, sigma.p1, z)
        assert value == pytest.approx(float(sigma.derivative(z)), rel=1e-13, abs=1e-15)
        assert slope == pytest.approx(float(sigma.derivative(z, 1)), rel=1e-13, abs=1e-15)


def test_he3_has_information_exponent_three_and_unit_norm():
    nodes, weights = hermite_grid(12)
    z = math.sqrt(VARIANCE) * nodes
    sigma = he3(VARIANCE)
    assert weights @ sigma.derivative(z) ** 2 == pytest.approx(1, rel=1e-13)
    for k in (1, 2):
        assert weights @ sigma.derivative(z, k) == pytest.approx(0, abs=1e-13)
    assert weights @ sigma.derivative(z, 3) == pytest.approx(math.sqrt(6) * VARIANCE**-1.5, rel=1e-13)
    # He3 scaled to unit variance of the wrong marginal, N(0, 1), keeps a linear part.
    assert abs(weights @ he3(1.0).derivative(z, 1)) > 0.5


def test_projections_remove_the_linear_part():
    nodes, weights = normal_grid(math.sqrt(VARIANCE))
    z = math.sqrt(VARIANCE) * nodes
    for sigma in (projected_tanh(VARIANCE), projected_leaky(0.1, 2.0)):
        assert weights @ sigma.derivative(z, 1) == pytest.approx(0, abs=1e-13)
    assert projected_tanh(1.64).p0 == pytest.approx(0.5155, abs=5e-5)
    assert projected_tanh(3.43).p0 == pytest.approx(0.3888, abs=5e-5)
    assert weights @ tanh_cubed().derivative(z, 1) > 0.1  # not projected: exponent 1


def test_quadrature_follows_the_spread():
    for spread, sigma in ((3.3, tanh_cubed()), (3.3, softplus(4.0)), (8.0, projected_tanh(2.0))):
        nodes, weights = normal_grid(sigma.sharpness * spread)
        fine, fine_weights = np.arange(-9.6, 9.6, 0.002), None
        fine_weights = np.exp(-(fine**2) / 2) / np.exp(-(fine**2) / 2).sum()
        for k in range(5):
            exact = fine_weights @ sigma.derivative(spread * fine + 0.4, k) ** 2
            assert weights @ sigma.derivative(spread * nodes + 0.4, k) ** 2 == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: he3(0.5), "variance"),
        (lambda: he3(2.0, "big"), "amplitude"),
        (lambda: softplus(0.0), "beta"),
        (lambda: projected_leaky(1.0), "leak"),
        (lambda: he3(2.0).derivative(0.0, 5), "order"),
        (lambda: he3(2.0).required_bounds(), "he3"),
        (lambda: normal_grid(-1.0), "spread"),
    ],
)
def test_bad_settings_are_named(build, named):
    with pytest.raises(ValueError, match=named):
        build()


def test_module_does_not_need_torch():
    assert not hasattr(activations, "torch")
