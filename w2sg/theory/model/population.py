"""Exact population loss, gradient, Hessian and gradient noise for any smooth activation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2sg.theory.model.activations import HE3, Activation
from w2sg.theory.model.checks import require_positive
from w2sg.theory.model.quadrature import hermite_grid, normal_grid

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PairLaw:
    """Second moments of the two pre-activations (a, b) = (<theta,x>, <u,x>), of one student or of many, shape (...)."""

    a: Any
    """A = theta^T Sigma theta."""
    b: Any
    """B = u^T Sigma u, broadcastable to (...)."""
    c: Any
    """c = theta^T Sigma u."""


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """Scalars of gradient and Hessian: grad = G1 Sigma theta - K1 Sigma u, see :func:`hessian`."""

    g1: float
    """E[sigma'(a)^2 + (sigma(a)-sigma(b)) sigma''(a)]."""
    k1: float
    """E[sigma'(a) sigma'(b)]."""
    gaa: float
    """E[3 sigma''(a)^2 + 4 sigma'(a) sigma'''(a) + (sigma(a)-sigma(b)) sigma''''(a)]."""
    gab: float
    """-E[sigma'''(a) sigma'(b)]."""
    gbb: float
    """-E[sigma''(a) sigma''(b)]."""


def covariance(vectors: ArrayLike, spike: Vector, lam: float) -> Vector:
    """Returns Sigma u = u + lam <u,v> v of u (..., k) and v (k,), in orthonormal coordinates whose span holds v."""
    u = np.asarray(vectors, dtype=np.float64)
    return u + lam * (u @ spike)[..., None] * spike


def pair_law(theta: Vector, u: Vector, spike: Vector, lam: float) -> PairLaw:
    """Returns A, B and c of a student and a teacher, both shape (k,). Equation: (P1).

    Raises:
        ValueError: If ``lam`` is not positive.
    """
    require_positive("lam", lam)
    s_theta, s_u = covariance(theta, spike, lam), covariance(u, spike, lam)
    return PairLaw(a=float(theta @ s_theta), b=float(u @ s_u), c=float(theta @ s_u))


class _Pair:
    """Tensor grid of (a, b), with expectations as sums over it."""

    def __init__(self, sigma: Activation, law: PairLaw) -> None:
        root = math.sqrt(law.a)
        slope, rest = law.c / root, math.sqrt(max(law.b - law.c**2 / law.a, 0.0))
        if sigma.code == HE3:  # degree 12 at most: exact
            self.x, self.weight = hermite_grid(12)
        else:
            self.x, self.weight = normal_grid(sigma.sharpness * math.sqrt(max(law.a, law.b)))
        self.sigma, self.rest = sigma, rest
        self.a = root * self.x
        self.b = slope * self.x[:, None] + rest * self.x[None, :] if rest > 0 else slope * self.x[:, None]

    def student(self, order: int) -> Vector:
        return self.sigma.derivative(self.a, order)

    def teacher_mean(self, order: int) -> Vector:
        """E[sigma^(order)(b) | a] on the grid of a: one pass over the plane, then all is one-dimensional."""
        return self.average(self.sigma.derivative(self.b, order))

    def average(self, plane: Vector) -> Vector:
        return plane @ self.weight if self.rest > 0 else plane[:, 0]

    def mean(self, values: Vector) -> float:
        return float(self.weight @ values)


def loss(sigma: Activation, theta: Vector, u: Vector, *, spike: Vector, lam: float) -> float:
    """Returns L_u(theta) = 1/2 E (sigma(<theta,x>) - sigma(<u,x>))^2. Equation: (M5).

    Student theta, of any norm, teacher u (theta* or theta_w) and spike v have shape (k,), here and below.
    """
    pair = _Pair(sigma, pair_law(theta, u, spike, lam))
    gap = pair.student(0)[:, None] - sigma.derivative(pair.b, 0)
    return 0.5 * pair.mean(pair.average(gap**2))


def coefficients(sigma: Activation, law: PairLaw, *, curvature: bool = True) -> Coefficients:
    """Returns G1, K1 and, with ``curvature``, the three Hessian scalars (otherwise nan). Equation: (P2), (P3)."""
    pair = _Pair(sigma, law)
    s0, s1, s2 = (pair.student(k) for k in range(3))
    b0, b1 = pair.teacher_mean(0), pair.teacher_mean(1)
    gaa = gab = gbb = math.nan
    if curvature:
        s3, s4 = pair.student(3), pair.student(4)
        gaa = pair.mean(3 * s2**2 + 4 * s1 * s3 + (s0 - b0) * s4)
        gab, gbb = -pair.mean(s3 * b1), -pair.mean(s2 * pair.teacher_mean(2))
    g1, k1 = pair.mean(s1**2 + (s0 - b0) * s2), pair.mean(s1 * b1)
    return Coefficients(g1=g1, k1=k1, gaa=gaa, gab=gab, gbb=gbb)


def gradient(sigma: Activation, theta: Vector, u: Vector, *, spike: Vector, lam: float) -> Vector:
    """Returns grad L_u(theta) = G1 Sigma theta - K1 Sigma u, shape (k,), in the ambient space. Equation: (P2)."""
    scalars = coefficients(sigma, pair_law(theta, u, spike, lam), curvature=False)
    return scalars.g1 * covariance(theta, spike, lam) - scalars.k1 * covariance(u, spike, lam)


def hessian(sigma: Activation, theta: Vector, u: Vector, *, spike: Vector, lam: float) -> Vector:
    """Returns Hess L_u(theta), shape (k, k), on the coordinates given; outside them its eigenvalue is G1.

    Equation: (11), (P3).
    """
    s = coefficients(sigma, pair_law(theta, u, spike, lam))
    st, su = covariance(theta, spike, lam), covariance(u, spike, lam)
    sigma_matrix = np.eye(len(theta)) + lam * np.outer(spike, spike)
    cross = np.outer(st, su)
    return s.g1 * sigma_matrix + s.gaa * np.outer(st, st) + s.gab * (cross + cross.T) + s.gbb * np.outer(su, su)


def target_hessian(sigma: Activation, target: Vector, *, spike: Vector, lam: float) -> Vector:
    """Returns H* = Hess L at theta*, shape (k, k). Equation: (12), (13)."""
    st = covariance(target, spike, lam)
    s2 = float(target @ st)
    along, across = target_moments(sigma, s2)
    rank_one = np.outer(st, st) / s2
    return along * rank_one + across * (np.eye(len(target)) + lam * np.outer(spike, spike) - rank_one)


def target_moments(sigma: Activation, variance: float) -> tuple[float, float]:
    """Returns (E[z^2 sigma'(z)^2]/s^2, E[sigma'(z)^2]) for z ~ N(0, s^2), s^2 the variance. Equation: (13)."""
    deviation = math.sqrt(variance)
    x, weight = hermite_grid(12) if sigma.code == HE3 else normal_grid(sigma.sharpness * deviation)
    squared = sigma.derivative(deviation * x, 1) ** 2
    return float(weight @ (x**2 * squared)), float(weight @ squared)


def noise_coefficient(sigma: Activation, law: PairLaw) -> float:
    """Returns V = E[h^2], h = (sigma(a)-sigma(b)) sigma'(a): gradient variance per bulk direction. Equation: (P4)."""
    return float(_noise_moments(sigma, law)[0])


def gradient_second_moment(
    sigma: Activation, theta: Vector, u: Vector, *, spike: Vector, lam: float, dimension: int
) -> float:
    """Returns E|g|^2 of the single-sample gradient (4) in dimension d.

    x given (a, b) is its regression S C^-1 (a,b) plus independent noise of covariance Sigma - S C^-1 S^T; the
    regression is written in the orthonormal variables (x, y) behind (a, b), which stays defined at u = theta.

    Equation: (P4).
    """
    law = pair_law(theta, u, spike, lam)
    h2, hx, hxy, hy = _noise_moments(sigma, law)
    st, su = covariance(theta, spike, lam), covariance(u, spike, lam)
    along = st / math.sqrt(law.a)
    rest = law.b - law.c**2 / law.a
    across = (su - law.c / law.a * st) / math.sqrt(rest) if rest > 1e-14 * law.b else np.zeros_like(st)
    excess = (hx - h2) * along @ along + 2 * hxy * along @ across + (hy - h2) * across @ across
    return float(h2 * (dimension + lam) + excess)


def _noise_moments(sigma: Activation, law: PairLaw) -> tuple[float, float, float, float]:
    """E h^2 times 1, x^2, xy and y^2, with a = sqrt(A) x and b = c/sqrt(A) x + rest y."""
    pair = _Pair(sigma, law)
    h2 = ((pair.student(0)[:, None] - sigma.derivative(pair.b, 0)) * pair.student(1)[:, None]) ** 2
    if pair.rest > 0:
        by_x, by_xy, by_y = (h2 @ (pair.weight * pair.x**k) for k in range(3))
    else:
        by_x = by_y = h2[:, 0]
        by_xy = np.zeros_like(by_x)
    x = pair.x
    return pair.mean(by_x), pair.mean(x**2 * by_x), pair.mean(x * by_xy), pair.mean(by_y)
