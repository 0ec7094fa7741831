"""Spectral law and exact sampler: against eigenvectors of real data, the limit law, and the sign rule's formula."""

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from w2sg.theory.engines.direct import sample_inputs
from w2sg.theory.experiments import landscape
from w2sg.theory.model import closed_forms, spectral
from w2sg.theory.model.activations import activation_of
from w2sg.theory.model.closed_forms import limit_margin, rule_is_right
from w2sg.theory.model.law import SpikedModel, geometry


def data_overlap(lam, d, n, rng):
    spike = np.zeros(d)
    spike[0] = 1.0
    x = sample_inputs(spike, lam, n, rng)
    values, vectors = np.linalg.eigh(x.T @ x / n)
    return abs(vectors[0, -1]), values[-1]


@pytest.mark.parametrize(("lam", "d", "n"), [(2.0, 30, 90), (0.3, 25, 50), (3.0, 40, 15), (1.0, 20, 20), (1.0, 5, 2)])
def test_sampler_has_the_law_of_real_data(lam, d, n):
    rng = np.random.default_rng(3)
    real = np.array([data_overlap(lam, d, n, rng) for _ in range(400)])
    drawn = np.array([spectral.sample_overlap(lam, d, n, rng) for _ in range(400)])
    for k in range(2):
        assert ks_2samp(real[:, k], drawn[:, k]).pvalue > 1e-3
    wrong = np.array([spectral.sample_overlap(lam + 1.5, d, n, rng) for _ in range(400)])
    assert ks_2samp(real[:, 1], wrong[:, 1]).pvalue < 1e-3


@pytest.mark.parametrize("lam", [0.2, 0.7, 1.0, 3.0])
def test_limit_law(lam):
    rng = np.random.default_rng(4)
    d, aspect = 20_000, 0.25
    overlap, value = np.mean([spectral.sample_overlap(lam, d, round(d / aspect), rng) for _ in range(4)], axis=0)
    assert value == pytest.approx(spectral.limit_top_eigenvalue(lam, aspect), rel=0.01)
    assert overlap == pytest.approx(spectral.limit_overlap(lam, aspect), abs=0.03)


def test_limits_of_the_law():
    assert spectral.limit_overlap(0.5, 0.25) == 0.0
    assert spectral.limit_overlap(1e6, 0.25) == pytest.approx(1, abs=1e-6)
    assert spectral.limit_overlap(1.0, 1e-9) == pytest.approx(1, abs=1e-8)
    edge = (1 + math.sqrt(0.25)) ** 2
    assert spectral.limit_top_eigenvalue(0.5, 0.25) == pytest.approx(edge)
    assert spectral.limit_top_eigenvalue(0.5 + 1e-9, 0.25) == pytest.approx(edge, rel=1e-6)


def test_power_iteration_reaches_the_top_eigenvector():
    rng = np.random.default_rng(5)
    spike = np.eye(20)[3]
    covariance = landscape.empirical_covariance(spike, 4.0, 200, rng)
    path = spectral.power_iteration(covariance, rng.standard_normal(20), 200)
    top = np.linalg.eigh(covariance)[1][:, -1]
    assert abs(path[-1] @ top) == pytest.approx(1, abs=1e-10)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, rtol=1e-12)


def test_bartlett_covariance_has_the_law_of_real_data():
    rng = np.random.default_rng(6)
    spike = np.eye(12)[0]
    drawn = [np.linalg.eigvalsh(landscape.empirical_covariance(spike, 2.0, 40, rng))[[0, -1]] for _ in range(300)]
    real = []
    for _ in range(300):
        x = sample_inputs(spike, 2.0, 40, rng)
        real.append(np.linalg.eigvalsh(x.T @ x / 40)[[0, -1]])
    for k in range(2):
        assert ks_2samp(np.array(drawn)[:, k], np.array(real)[:, k]).pvalue > 1e-3
    with pytest.raises(ValueError, match="samples"):
        landscape.empirical_covariance(spike, 2.0, 5, rng)


@pytest.mark.parametrize("lam", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("kappa", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("c_w", [0.2, 0.6, 0.9])
def test_sign_rule_formula_is_the_sign_of_the_margin(lam, kappa, c_w):
    margin = limit_margin(lam, kappa, c_w, 1.0)
    assert (margin > 0) == rule_is_right(lam, kappa, c_w)
    where = geometry(SpikedModel(lam=lam, kappa=kappa, c_w=c_w))
    start = np.append(where.spike, 0.0)
    sigma = activation_of(lam, kappa)
    losses = [closed_forms.loss(sigma, closed_forms.laws(s * start, where.weak, where)) for s in (1, -1)]
    assert (losses[0] < losses[1]) == (margin > 0)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: spectral.limit_overlap(-1.0, 0.2), "lam"),
        (lambda: spectral.limit_overlap(1.0, 0.0), "aspect"),
        (lambda: spectral.sample_overlap(1.0, 10, 1, np.random.default_rng(0)), "samples"),
        (lambda: spectral.sample_overlap(1.0, 1, 10, np.random.default_rng(0)), "dimension"),
        (lambda: spectral.power_iteration(np.eye(2), np.ones(2), 0), "steps"),
    ],
)
def test_bad_settings_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
