"""Tensions and inconsistencies that docs/theory.md reports (section 12): each is shown here by a number."""

import math
from dataclasses import replace

import numpy as np
import pytest

from w2sg.theory.experiments import landscape, region
from w2sg.theory.experiments.catalogue import EXPERIMENTS
from w2sg.theory.experiments.settings import RunSettings
from w2sg.theory.model import population
from w2sg.theory.model.activations import he3, projected_leaky, projected_tanh, softplus, tanh_cubed
from w2sg.theory.model.law import SpikedModel, geometry
from w2sg.theory.model.quadrature import normal_grid

VARIANCE = 1.64


def moment(sigma, order, variance=VARIANCE):
    """E sigma^(order)(z), z ~ N(0, variance): zero below the information exponent."""
    nodes, weights = normal_grid(math.sqrt(variance))
    return float(weights @ sigma.derivative(math.sqrt(variance) * nodes, order))


def test_information_exponents_of_the_worked_examples():
    assert moment(softplus(1.0), 1) == pytest.approx(0.5, abs=1e-10)  # exponent 1
    leaky = projected_leaky(0.1)
    assert moment(leaky, 1) == pytest.approx(0, abs=1e-12) and moment(leaky, 2) > 0.1  # exponent 2
    z = np.linspace(0, 6, 50)
    np.testing.assert_allclose(leaky.derivative(z), leaky.derivative(-z), atol=1e-12)  # even: no sign to learn
    np.testing.assert_allclose(
        projected_leaky(0.4).derivative(z) / 0.6, leaky.derivative(z) / 0.9, atol=1e-12
    )  # the leak only rescales
    tanh = projected_tanh(VARIANCE)
    assert moment(tanh, 1) == pytest.approx(0, abs=1e-12) and moment(tanh, 2) == pytest.approx(0, abs=1e-12)
    assert moment(tanh, 3) < -0.1  # exponent 3
    assert moment(tanh_cubed(), 1) > 0.1  # the activation of figure 9 has exponent 1


def test_weak_labels_have_information_exponent_one():
    lam, kappa, c_w = 1.0, 0.5, 0.6
    where = geometry(SpikedModel(lam=lam, kappa=kappa, c_w=c_w))
    weak_variance = 1 + lam * float(where.weak @ where.spike) ** 2
    target_variance = 1 + lam * kappa**2
    assert weak_variance == pytest.approx(1 + lam * (c_w * kappa) ** 2)
    assert abs(moment(he3(target_variance), 1, weak_variance)) > 0.1
    assert moment(he3(target_variance), 1, target_variance) == pytest.approx(0, abs=1e-12)


def test_least_hessian_eigenvalue_is_negative_where_one_point_convexity_is_positive():
    """Cases B and C of figure 9 at their final directions, overlap nearly one."""
    for lam in (3.0, 10.0):
        target, spike = region.axes(lam, 0.5)
        theta, setting = spike, {"spike": spike, "lam": lam}
        slope = population.gradient(tanh_cubed(), theta, target, **setting)
        delta = theta - target
        assert slope @ delta / (delta @ delta) > 0.05
        assert np.linalg.eigvalsh(population.hessian(tanh_cubed(), theta, target, **setting))[0] < 0


def test_locked_by_step_four_holds_for_the_strongest_spike_only():
    three = replace(EXPERIMENTS["landscape"], least_seeds=3)
    table = landscape.simulate_landscape(three, RunSettings(seeds=2, seed=0))
    drift = {}
    for case, rows in table.groupby("case"):
        mean = rows.groupby("step")[["mu", "eps", "pull", "angle"]].mean().to_numpy()
        drift[case] = np.abs(mean / mean[-1] - 1).max(axis=1)
    assert drift["C"][4] < 0.001
    assert drift["B"][4] > 0.04 and drift["B"][6] < 0.03
    assert drift["A"][4] > 0.1 and drift["A"][20] < 0.03


@pytest.mark.parametrize("sigma", [softplus(1.0), projected_tanh(VARIANCE)], ids=lambda sigma: sigma.name)
def test_the_bound_cannot_certify_at_the_admitted_limit(sigma):
    angle, ratio = region.admitted_degrees(sigma, lam=1.0, kappa=0.8)
    assert ratio == pytest.approx(8.0, abs=0.05)
    if sigma.name == "softplus":
        assert angle == pytest.approx(0.745, abs=0.001)
