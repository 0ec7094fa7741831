"""Numerical checks of the proof's two steps: the expansion of the projection and the one-step recursion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from w2sg.theory.engines import direct
from w2sg.theory.model import constants, population
from w2sg.theory.model.activations import Activation
from w2sg.theory.model.law import SpikedModel

Vector = NDArray[np.float64]


def projection_remainder(
    sigma: Activation, model: SpikedModel, *, eta: float, draws: int, rng: np.random.Generator
) -> Vector:
    """Returns |e_t| of single online steps, shape (draws,): what the second-order expansion of P leaves out.

    theta_{t+1} = theta_t - s grad^S l - (s^2/2) |g|^2 theta_t + e_t with s = eta/d and grad^S l = g - <g,theta> theta;
    all samples x are drawn at one student with correlation 1/2.

    Equation: (27), (33).
    """
    where = direct.draw_directions(model, 1, rng)
    theta = direct.draw_start(where, 0.5, rng)[0]
    x = direct.sample_inputs(where.spike[0], model.lam, draws, rng)
    a, b = x @ theta, x @ where.weak[0]
    h = (sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1)
    g, step = h[:, None] * x, eta / model.dimension  # (draws, d)
    moved = theta - step * g
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    spherical = g - (h * a)[:, None] * theta
    shrink = (step**2 / 2) * np.sum(g**2, axis=1, keepdims=True)
    return np.linalg.norm(moved - (theta - step * spherical - shrink * theta), axis=1)


def remainder_exponent(sigma: Activation, *, lam: float, kappa: float, rng: np.random.Generator) -> float:
    """Returns the slope of log median |e_t| on log d between d = 400 and 10,000; the lemma says -3/2.

    It holds for activations with bounded derivatives. Equation: (33).
    """
    sizes = (400, 2000, 10_000)
    models = [SpikedModel(lam=lam, kappa=kappa, dimension=d) for d in sizes]
    medians = [np.median(projection_remainder(sigma, model, eta=1.0, draws=500, rng=rng)) for model in models]
    return float(np.polyfit(np.log(sizes), np.log(medians), 1)[0])


def recursion_margin(
    sigma: Activation,
    theta: Vector,
    target: Vector,
    weak: Vector,
    *,
    spike: Vector,
    lam: float,
    eta: float,
    eps: float,
    dimension: int,
) -> float:
    """Returns right minus left side of the one-step recursion, in units of eta/d and without its o(1/d).

    E D_{t+1}^2 - D_t^2 = 2 s (<grad L_w, theta*> - <grad L_w, theta> m) + s^2 E|g|^2 m with s = eta/d, m = <theta, theta*>;
    the recursion allows -(eta mu/d) D_t^2 + (eta/d) (2 eps^2/mu + eta C_G). The activation has bounded derivatives, the
    student theta lies inside the effective region, eps is the bias over it, and all vectors have shape (k,).

    Equation: (53).
    """
    slope = population.gradient(sigma, theta, weak, spike=spike, lam=lam)
    moment = population.gradient_second_moment(sigma, theta, weak, spike=spike, lam=lam, dimension=dimension)
    m, s2 = float(theta @ target), float(target @ population.covariance(target, spike, lam))
    mu = constants.nondegeneracy(sigma, s2) / 2
    change = 2 * float(slope @ target - (slope @ theta) * m) + eta / dimension * moment * m
    c_g = constants.gradient_constant(sigma.required_bounds(), lam)
    return -mu * (2 - 2 * m) + 2 * eps**2 / mu + eta * c_g - change
