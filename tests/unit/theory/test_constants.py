"""Constants and bounds: worked values, the inequalities they come from, limits, refused input."""

import math

import numpy as np
import pytest

from w2sg.theory.experiments import region
from w2sg.theory.model import constants
from w2sg.theory.model.activations import DerivativeBounds, he3, projected_leaky, projected_tanh, softplus
from w2sg.theory.model.law import SpikedModel
from w2sg.theory.model.radii import worked_radii
from w2sg.theory.model.spectral import limit_overlap

SMOOTH = softplus(1.0).bounds


@pytest.mark.parametrize(
    ("lam", "kappa", "sigma", "c_sig", "expected"),
    [
        (1.0, None, softplus(1.0), 0.5, (3.674, 0.5774, 0.0673, 0.0574, 3.29)),
        (2.0, None, softplus(1.0), 0.5, (6.750, 1.299, 0.0368, 0.0393, 2.11)),
        (3.0, None, softplus(1.0), 0.5, (10.39, 2.309, 0.0239, 0.0299, 1.37)),
        (1.0, 0.8, projected_tanh(1.64), 0.1146, (5.833, 6.187, 0.0097, 0.0501, 0.557)),
        (3.0, 0.9, projected_tanh(3.43), 0.1203, (19.56, 29.34, 0.0031, 0.0196, 0.176)),
        (1.0, 0.8, projected_leaky(0.1), 0.0491, (1.488, 0.2338, 0.0164, 0.0291, 0.943)),
        (3.0, 0.9, projected_leaky(0.1), 0.0742, (4.209, 0.9353, 0.0088, 0.0222, 0.504)),
    ],
)
def test_worked_radii(lam, kappa, sigma, c_sig, expected):
    if kappa is not None:
        assert constants.nondegeneracy(sigma, 1 + lam * kappa**2) == pytest.approx(c_sig, abs=6e-5)
        c_sig = constants.nondegeneracy(sigma, 1 + lam * kappa**2)
    found = constants.effective_region(sigma.bounds, lam, c_sig)
    values = (found.l1, found.l2, found.r_conv, found.r_drift, found.degrees)
    for value, reference in zip(values, expected, strict=True):
        assert value == pytest.approx(reference, abs=max(6e-5, 4e-3 * reference))
    assert len(worked_radii()) == 8


def test_relu_constants_are_one_half_for_every_variance():
    sharp = softplus(400.0)
    for variance in (1.0, 1.64, 5.0):
        assert constants.nondegeneracy(sharp, variance) == pytest.approx(0.5, abs=2e-3)
    assert constants.nondegeneracy(softplus(1.0), 1.64) == pytest.approx(0.3106, abs=5e-5)


def test_nondegeneracy_of_he3_is_the_closed_form():
    assert constants.nondegeneracy(he3(1.64), 1.64) == pytest.approx(3 / 1.64, rel=1e-12)


@pytest.mark.parametrize("lam", [0.5, 1.0, 4.0])
def test_hessian_constants_against_their_gaussian_moments(lam):
    """L1 = 3 C1 C2 sup E[|d.x| (u.x)^2]/|d| and L2 = (3/2) C1 C3 sup/3 ...: the worst case is d = u = v.

    E|z|^3 = 2 sqrt(2/pi) = 1.596 is what Cauchy-Schwarz bounds by sqrt 3; E z^4 = 3 is attained.
    """
    bounds = DerivativeBounds(c1=0.7, c2=0.4, c3=1.3)
    l1, l2 = constants.hessian_deviation(bounds, lam)
    third, fourth = 2 * math.sqrt(2 / math.pi) * (1 + lam) ** 1.5, 3 * (1 + lam) ** 2
    assert 1.0 < l1 / (3 * bounds.c1 * bounds.c2 * third) < 1.1
    assert l2 == pytest.approx(bounds.c1 * bounds.c3 / 2 * fourth, rel=1e-12)


def test_convexity_radius_is_the_root_and_has_its_limits():
    root = constants.convexity_radius(3.0, 2.0, 0.4)
    assert 2 * root**2 + 3 * root == pytest.approx(0.4, rel=1e-13)
    assert constants.convexity_radius(3.0, 0.0, 0.4) == pytest.approx(0.4 / 3, rel=1e-13)
    assert constants.convexity_radius(0.0, 2.0, 0.4) == pytest.approx(math.sqrt(0.2), rel=1e-13)
    assert constants.convexity_radius(1.0, 1e-18, 1e-9) == pytest.approx(1e-9, rel=1e-12)  # no cancellation


def test_drift_radius_solves_its_budget():
    mu, c1, lam = 0.2, 0.9, 1.5
    radius = constants.drift_radius(c1, lam, mu)
    assert (c1**2 * (1 + lam) + mu / math.sqrt(2)) * radius == pytest.approx(mu / 2, rel=1e-13)


def test_region_geometry():
    found = constants.region_of(softplus(1.0), 1.0, 0.8)
    assert found.radius == pytest.approx(0.0368, abs=5e-5)
    chord = math.sqrt(2 - 2 * math.cos(math.radians(found.degrees)))
    assert chord == pytest.approx(found.radius, rel=1e-9)
    assert found.gamma == pytest.approx(math.cos(math.radians(found.degrees)), rel=1e-12)
    assert constants.largest_bias(found) == pytest.approx(found.mu * found.radius / math.sqrt(2), rel=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("aspect", [0.1, 0.25, 2.0])
def test_least_detectable_strength_gives_overlap_gamma(gamma, aspect):
    lam = constants.least_detectable(aspect, gamma)
    if gamma == 0:
        assert lam == pytest.approx(math.sqrt(aspect), rel=1e-12)
    else:
        assert limit_overlap(lam, aspect) == pytest.approx(gamma, rel=1e-9)
        assert limit_overlap(0.99 * lam, aspect) < gamma


def test_gradient_bounds():
    for lam in (0.2, 1.0, 7.0):
        for d in (1, 3, 50, 10_000):
            assert constants.gradient_moment(SMOOTH, lam, d) <= constants.gradient_constant(SMOOTH, lam) * d * (
                1 + 1e-12
            )
    # Isserlis: with a linear activation E|g|^2 = delta' S delta tr S + 2 |S delta|^2, here delta = 2 v.
    lam, d = 1.5, 6
    exact = 4 * ((1 + lam) * (d + lam) + 2 * (1 + lam) ** 2)
    assert constants.gradient_moment(DerivativeBounds(c1=1, c2=1, c3=1), lam, d) == pytest.approx(exact, rel=1e-12)


def test_bound_has_its_ends_and_its_finite_product():
    cap = constants.region_of(softplus(1.0), 1.0, 0.8)
    c_g, eps = constants.gradient_constant(SMOOTH, 1.0), 0.001
    eta = constants.largest_step(cap, c_g, eps)
    start, late = constants.squared_error_bound([0.0, 1e12], region=cap, eps=eps, eta=eta, c_g=c_g)
    assert start == pytest.approx(cap.radius**2, rel=1e-9)
    assert late == pytest.approx(2 * (1 - cap.gamma), rel=1e-9)  # at the largest step the floor is the start
    finite = constants.squared_error_bound([1e6], region=cap, eps=eps, eta=eta / 2, c_g=c_g, dimension=10)
    weight = (1 - eta / 2 * cap.mu / 10) ** 1e7
    floor = 2 * eps**2 / cap.mu**2 + eta / 2 * c_g / cap.mu
    assert finite[0] == pytest.approx(weight * cap.radius**2 + (1 - weight) * floor, rel=1e-6)


def test_conditions_change_sign_at_their_limits():
    cap = constants.region_of(softplus(1.0), 1.0, 0.8)
    c_g = constants.gradient_constant(SMOOTH, 1.0)
    eta = constants.largest_step(cap, c_g, 0.0)
    fixed = dict(region=cap, kappa=1.0, aspect=1e-4, c_g=c_g)
    good = constants.conditions(lam=1.0, overlap=1.0, eps=0.0, eta=eta / 2, **fixed)
    assert good.hold
    assert not constants.conditions(lam=1.0, overlap=1.0, eps=0.0, eta=eta * 1.01, **fixed).hold
    assert not constants.conditions(lam=1.0, overlap=0.99, eps=0.0, eta=eta / 2, **fixed).hold
    assert not constants.conditions(lam=1.0, overlap=1.0, eps=cap.mu, eta=eta / 2, **fixed).hold
    assert not constants.conditions(lam=0.01, overlap=1.0, eps=0.0, eta=eta / 2, **fixed).hold


def test_every_term_of_the_conditions_counts():
    """Written out by hand, with no factor one and no term zero."""
    cap, aspect, c_g = constants.region_of(softplus(1.0), 1.0, 0.8), 0.25, 40.0
    found = constants.conditions(
        cap, lam=1.3, kappa=0.9, aspect=aspect, overlap=0.95, eps=1e-3, eta=1e-5, c_g=c_g, tau=0.02
    )
    cap_width = cap.radius**2  # 2 (1 - gamma)
    assert found.detectable == pytest.approx(1.3 - constants.least_detectable(aspect, cap.gamma), rel=1e-12)
    assert found.aligned == pytest.approx(0.9 * 0.95 - (1 - cap_width / 2) - 0.02, rel=1e-9)
    assert found.informative == pytest.approx(cap.mu * cap.radius / math.sqrt(2) - 1e-3, rel=1e-9)
    assert found.stable == pytest.approx(cap.mu / c_g * (cap_width - 2 * 1e-6 / cap.mu**2) - 1e-5, rel=1e-9)


def test_two_conditions_imply_the_other_two():
    """A start inside the region has a detectable spike; a step is admissible only beside an informative supervisor."""
    cap, rng = constants.region_of(softplus(1.0), 1.0, 0.8), np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        lam, aspect, kappa = 10 ** rng.uniform(-2, 0), 10 ** rng.uniform(-6, -3), 1 - 10 ** rng.uniform(-6, -2)
        eps, eta = cap.mu * cap.radius * 10 ** rng.uniform(-2, 1), 10 ** rng.uniform(-9, -4)
        overlap = limit_overlap(lam, aspect)
        found = constants.conditions(
            cap, lam=lam, kappa=kappa, aspect=aspect, overlap=overlap, eps=eps, eta=eta, c_g=48.0
        )
        assert found.detectable > 0 or found.aligned <= 0
        assert found.informative > 0 or found.stable < 0
        seen.add((found.detectable > 0, found.aligned > 0, found.informative > 0, found.stable >= 0))
    assert len(seen) == 9  # every combination that this leaves


def test_gradient_constant_is_the_moment_of_one_dimension():
    for lam in (0.2, 1.0, 7.0):
        moment = constants.gradient_moment(SMOOTH, lam, 1)
        assert constants.gradient_constant(SMOOTH, lam) == pytest.approx(moment, rel=1e-12)


def test_bias_over_the_region_is_near_its_value_at_the_centre():
    sigma, weak = softplus(1.0), region.supervisor(0.5)
    target, spike = region.axes(1.0, 0.8)
    from w2sg.theory.model import population

    at_centre = np.linalg.norm(population.gradient(sigma, target, weak, spike=spike, lam=1.0))
    over = region.bias(sigma, weak, 0.0368, lam=1.0, kappa=0.8)
    assert 1.001 * at_centre < over < 1.1 * at_centre


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: constants.hessian_deviation(SMOOTH, -1.0), "lam"),
        (lambda: constants.convexity_radius(1.0, 1.0, 0.0), "mu"),
        (lambda: constants.convexity_radius(0.0, 0.0, 1.0), "l1"),
        (lambda: constants.least_detectable(0.25, 1.0), "gamma"),
        (lambda: constants.least_detectable(0.0, 0.5), "aspect"),
        (lambda: constants.region_of(he3(2.0), 1.0, 1.0), "he3"),
        (lambda: constants.largest_step(constants.region_of(softplus(1.0), 1.0, 0.8), 48.0, 1.0), "buffer"),
        (lambda: SpikedModel(lam=0.0, kappa=0.5), "lam"),
        (lambda: SpikedModel(lam=1.0, kappa=1.5), "kappa"),
        (lambda: SpikedModel(lam=1.0, kappa=0.5, c_w=2.0), "c_w"),
        (lambda: SpikedModel(lam=1.0, kappa=0.5, dimension=3), "dimension"),
    ],
)
def test_bad_settings_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
