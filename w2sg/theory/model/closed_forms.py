"""Closed forms of the shifted third Hermite activation, vectorised over students, and of the weak-loss sign rule."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2sg.theory.model.activations import HE3, Activation, activation_of
from w2sg.theory.model.checks import require_within
from w2sg.theory.model.law import Geometry, SpikedModel, geometry
from w2sg.theory.model.population import PairLaw
from w2sg.theory.model.quadrature import hermite_grid

Array = NDArray[np.float64]


def laws(states: ArrayLike, teacher: Array, where: Geometry) -> PairLaw:
    """Returns A, B, c of students (t1, t2, t3, r), shape (..., 4), against a teacher of shape (3,). Equation: (P1)."""
    t = np.asarray(states, dtype=np.float64)
    q, uv = t[..., :3] @ where.spike, float(teacher @ where.spike)
    norm2 = np.sum(t**2, axis=-1)
    a, b = norm2 + where.lam * q**2, teacher @ teacher + where.lam * uv**2
    return PairLaw(a=a, b=np.asarray(b), c=t[..., :3] @ teacher + where.lam * q * uv)


def product(sigma: Activation, law: PairLaw) -> Array:
    """Returns E sigma(a) sigma(b) = a^2 (6 c^3 + 9 c (A - s^2)(B - s^2)). Equation: (H1)."""
    scale, s2 = _he3_parameters(sigma)
    return scale**2 * (6 * law.c**3 + 9 * law.c * (law.a - s2) * (law.b - s2))


def loss(sigma: Activation, law: PairLaw) -> Array:
    """Returns L_u(theta), the exact risk (u = theta*) or weak loss (u = theta_w). Equation: (H2)."""
    same, teacher = PairLaw(a=law.a, b=law.a, c=law.a), PairLaw(a=law.b, b=law.b, c=law.b)
    total = product(sigma, same) + product(sigma, teacher) - 2 * product(sigma, law)
    return np.maximum(total / 2, 0.0)  # rounding may leave -1e-17 at theta = u


def gradient_scalars(sigma: Activation, law: PairLaw) -> tuple[Array, Array]:
    """Returns (2 a^2 P, a^2 Q) with grad L_u = 2 a^2 P Sigma theta + a^2 Q Sigma u. Equation: (H3)."""
    scale, s2 = _he3_parameters(sigma)
    x, y = law.a - s2, law.b - s2
    p = 9 * law.a**2 + 4.5 * x**2 + 9 * law.a * x - 9 * law.c * y
    return 2 * scale**2 * p, scale**2 * (-18 * law.c**2 - 9 * x * y)


def gradient(sigma: Activation, states: ArrayLike, teacher: Array, where: Geometry) -> Array:
    """Returns grad L_u at students of shape (..., 4), in the same coordinates, not projected. Equation: (H3)."""
    t = np.asarray(states, dtype=np.float64)
    p, q = gradient_scalars(sigma, laws(t, teacher, where))
    spike, u = np.append(where.spike, 0.0), np.append(teacher, 0.0)
    s_theta = t + where.lam * (t @ spike)[..., None] * spike
    return p[..., None] * s_theta + q[..., None] * (u + where.lam * (u @ spike) * spike)


def hessian(sigma: Activation, state: Array, teacher: Array, where: Geometry) -> Array:
    """Returns Hess L_u at one student, shape (4, 4); outside these coordinates its eigenvalue is 2 a^2 P.

    Equation: (H4).
    """
    scale, s2 = _he3_parameters(sigma)
    law = laws(state, teacher, where)
    p, _ = gradient_scalars(sigma, law)
    spike, u = np.append(where.spike, 0.0), np.append(teacher, 0.0)
    matrix = np.eye(4) + where.lam * np.outer(spike, spike)
    st, su = matrix @ state, matrix @ u
    p_a, p_c, q_c = 27 * law.a + 18 * (law.a - s2), -9 * (law.b - s2), -36 * law.c
    cross = np.outer(st, su)
    bend = 4 * p_a * np.outer(st, st) + 2 * p_c * (cross + cross.T) + q_c * np.outer(su, su)
    return p * matrix + scale**2 * bend


def noise_coefficient(sigma: Activation, law: PairLaw) -> Array:
    """Returns V = E[h^2], h = (sigma(a)-sigma(b)) sigma'(a), exactly (Gauss-Hermite, degree 10). Equation: (P4)."""
    _he3_parameters(sigma)
    nodes, weights = hermite_grid(8)
    root = np.sqrt(law.a)
    slope, rest = law.c / root, np.sqrt(np.maximum(law.b - law.c**2 / law.a, 0.0))
    a = root[..., None, None] * nodes[:, None]
    b = slope[..., None, None] * nodes[:, None] + rest[..., None, None] * nodes
    h = (sigma.derivative(a) - sigma.derivative(b)) * sigma.derivative(a, 1)
    return np.einsum("...ij,i,j->...", h**2, weights, weights)


def sign_margin(sigma: Activation, law: PairLaw) -> Array:
    """Returns L_w(-theta) - L_w(theta) = 2 E sigma(a) sigma(b): the weak-loss sign rule is right where it is positive.

    Meant for theta on the target's side, <theta,theta*> > 0, and odd activations, as he3 is. Equation: (H6).
    """
    return 2 * product(sigma, law)


def nondegeneracy(sigma: Activation) -> float:
    """Returns c_sig = E sigma'(z)^2 = 18 a^2 s^4 (3/s^2 for ``unit``); E[z^2 sigma'^2]/s^2 is five times that.

    Equation: (H5).
    """
    scale, s2 = _he3_parameters(sigma)
    return 18 * scale**2 * s2**2


def rule_is_right(lam: float, kappa: float, c_w: float) -> bool:
    """Returns whether the population rule is right at overlap 1 and <theta_w,v> = c_w kappa.

    2 c_w^2 (1+lam)^2 > 3 lam^2 (1-kappa^2)(1-c_w^2): the rule fails where Var<theta_w,x> < s^2 < Var<theta_0,x>
    makes the linear parts of label and student anticorrelated, and they outweigh the cubic parts.

    Equation: (H7).

    Raises:
        ValueError: If a setting is out of range.
    """
    SpikedModel(lam=lam, kappa=kappa, c_w=c_w)  # refuses what is out of range
    return 2 * c_w**2 * (1 + lam) ** 2 > 3 * lam**2 * (1 - kappa**2) * (1 - c_w**2)


def limit_margin(lam: float, kappa: float, c_w: float, overlap: float) -> float:
    """Returns L_w(-theta_0) - L_w(theta_0) for d -> infinity and the truth-oriented start with a given overlap.

    Equation: (H6).
    """
    require_within("overlap", overlap, 0, 1)
    where = geometry(SpikedModel(lam=lam, kappa=kappa, c_w=c_w))
    start = np.array([*(overlap * where.spike), math.sqrt(max(1 - overlap**2, 0.0))])
    law = laws(start, where.weak, where)
    return float(sign_margin(activation_of(lam, kappa), law))


def _he3_parameters(sigma: Activation) -> tuple[float, float]:
    if sigma.code != HE3:
        raise ValueError(f"activation must be he3 for the closed forms, got {sigma.name!r}; use population instead")
    return sigma.p0, sigma.p1
