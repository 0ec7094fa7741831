"""Constants of the theorem: curvature, effective region, gradient moment, its four conditions and bound (3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2sg.theory.model import population
from w2sg.theory.model.activations import Activation, DerivativeBounds, target_variance
from w2sg.theory.model.checks import require_count, require_positive, require_spike, require_within


@dataclass(frozen=True, kw_only=True)
class EffectiveRegion:
    """The cap around theta* on which the loss is shown to be strongly convex."""

    c_sig: float
    """Non-degeneracy constant."""
    l1: float
    """First Hessian-deviation constant."""
    l2: float
    """Second Hessian-deviation constant."""
    r_conv: float
    """Radius up to which the Hessian deviation stays below mu."""
    r_drift: float
    """Radius up to which radial drift and bias stay within the budget mu R / 2."""

    @property
    def mu(self) -> float:
        """Strong-convexity constant c_sig / 2."""
        return self.c_sig / 2

    @property
    def radius(self) -> float:
        """R = min(R_conv, R_drift), in Euclidean distance from theta*. Equation: (26)."""
        return min(self.r_conv, self.r_drift)

    @property
    def gamma(self) -> float:
        """Correlation threshold 1 - R^2/2. Equation: (17)."""
        return 1 - self.radius**2 / 2

    @property
    def degrees(self) -> float:
        """Half angle of the cap, 2 arcsin(R/2), in degrees."""
        return math.degrees(2 * math.asin(self.radius / 2))


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Margins of the theorem's four conditions: a condition holds where its margin is positive (or zero for eta)."""

    detectable: float
    """lam minus the least detectable strength."""
    aligned: float
    """kappa * overlap - gamma - tau."""
    informative: float
    """mu sqrt(1-gamma) - eps."""
    stable: float
    """Largest admissible eta minus eta."""

    @property
    def hold(self) -> bool:
        """Whether all four hold."""
        return min(self.detectable, self.aligned, self.informative) > 0 and self.stable >= 0


def nondegeneracy(sigma: Activation, variance: float) -> float:
    """Returns c_sig = min(E sigma'(z)^2, E[z^2 sigma'(z)^2]/s^2), z ~ N(0, variance). Equation: (14)-(15)."""
    return min(population.target_moments(sigma, variance))


def hessian_deviation(bounds: DerivativeBounds, lam: float) -> tuple[float, float]:
    """Returns (L1, L2) with |H(theta) - H*| <= L1 |delta| + L2 |delta|^2. Equation: (19)-(24).

    From E[|delta.x| (u.x)^2] <= sqrt 3 (1+lam)^{3/2} |delta| and E[(delta.x)^2 (u.x)^2] <= 3 (1+lam)^2 |delta|^2.

    Raises:
        ValueError: If ``lam`` is not positive, here and below.
    """
    require_positive("lam", lam)
    l1 = 3 * math.sqrt(3) * bounds.c1 * bounds.c2 * (1 + lam) ** 1.5
    return l1, 1.5 * bounds.c1 * bounds.c3 * (1 + lam) ** 2


def convexity_radius(l1: float, l2: float, mu: float) -> float:
    """Returns the positive root of L2 r^2 + L1 r = mu; mu/L1 as L2 -> 0 and sqrt(mu/L2) as L1 -> 0. Equation: (25).

    Raises:
        ValueError: On negative constants, a mu that is not positive, or L1 = L2 = 0 (no finite root).
    """
    if min(l1, l2) < 0 or max(l1, l2) == 0:
        raise ValueError(f"l1 and l2 must not be negative nor both zero, got l1={l1!r}, l2={l2!r}")
    if not mu > 0:
        raise ValueError(f"mu must be positive (a non-degenerate activation), got {mu!r}")
    return 2 * mu / (l1 + math.sqrt(l1**2 + 4 * l2 * mu))


def drift_radius(c1: float, lam: float, mu: float) -> float:
    """Returns mu / (2 C1^2 (1+lam) + sqrt 2 mu): the root of (C1^2 (1+lam) + mu/sqrt 2) R = mu/2. Equation: (26), (48)."""
    require_positive("lam", lam)
    return mu / (2 * c1**2 * (1 + lam) + math.sqrt(2) * mu)


def effective_region(bounds: DerivativeBounds, lam: float, c_sig: float) -> EffectiveRegion:
    """Returns mu, L1, L2 and the radii of the effective region, for a positive c_sig. Equation: (16), (17), (23)-(26).

    :meth:`Activation.required_bounds` refuses he3, which has no derivative bounds.
    """
    mu, (l1, l2) = c_sig / 2, hessian_deviation(bounds, lam)
    r_conv, r_drift = convexity_radius(l1, l2, mu), drift_radius(bounds.c1, lam, mu)
    return EffectiveRegion(c_sig=c_sig, l1=l1, l2=l2, r_conv=r_conv, r_drift=r_drift)


def region_of(sigma: Activation, lam: float, kappa: float) -> EffectiveRegion:
    """Returns the effective region of an activation at a spike strength and an alignment."""
    return effective_region(sigma.required_bounds(), lam, nondegeneracy(sigma, target_variance(lam, kappa)))


def gradient_constant(bounds: DerivativeBounds, lam: float) -> float:
    """Returns C_G = 12 C1^4 (1+lam)^2 with E|g|^2 <= C_G d for every d >= 1. Equation: (5)-(10)."""
    require_positive("lam", lam)
    return 12 * bounds.c1**4 * (1 + lam) ** 2


def gradient_moment(bounds: DerivativeBounds, lam: float, dimension: int) -> float:
    """Returns the sharper bound E|g|^2 <= 4 C1^4 (1+lam) (d + 3 lam + 2). Equation: (5), (9)."""
    require_count("dimension", dimension, 1)
    require_positive("lam", lam)
    return 4 * bounds.c1**4 * (1 + lam) * (dimension + 3 * lam + 2)


def least_detectable(aspect: float, gamma: float) -> float:
    """Returns the spike strength above which the spectral overlap exceeds gamma (condition 1). Equation: (C1).

    [c g^2 + sqrt(c^2 g^4 + 4 c (1-g^2))] / (2 (1-g^2)): sqrt c at gamma = 0, divergent as gamma -> 1.

    Args:
        aspect: c = d/N, positive.
        gamma: Correlation threshold in [0, 1).
    """
    require_positive("aspect (d/N)", aspect)
    if not 0 <= gamma < 1:
        raise ValueError(f"gamma must lie in [0, 1), got {gamma!r}")
    rest = 1 - gamma**2
    return (aspect * gamma**2 + math.sqrt(aspect**2 * gamma**4 + 4 * aspect * rest)) / (2 * rest)


def largest_bias(region: EffectiveRegion) -> float:
    """Returns mu sqrt(1-gamma) = mu R / sqrt 2: the bias condition is eps below it (condition 3). Equation: (C3)."""
    return region.mu * math.sqrt(1 - region.gamma)


def largest_step(region: EffectiveRegion, c_g: float, eps: float, buffer: float = 0.0) -> float:
    """Returns (mu/C_G) (2(1-gamma) - 2 eps^2/mu^2 - buffer), the largest admissible eta (condition 4). Equation: (C4).

    Raises:
        ValueError: If no positive step is admissible, or the slack ``buffer`` is negative.
    """
    room = 2 * (1 - region.gamma) - 2 * eps**2 / region.mu**2
    if not 0 <= buffer < room:
        raise ValueError(f"buffer must lie in [0, {room:.6g}) for eps={eps!r}, got {buffer!r}")
    return region.mu / c_g * (room - buffer)


def conditions(
    region: EffectiveRegion,
    *,
    lam: float,
    kappa: float,
    aspect: float,
    overlap: float,
    eps: float,
    eta: float,
    c_g: float,
    tau: float = 0.0,
) -> Conditions:
    """Returns the margins of the four conditions of the main theorem. Equation: (C1)-(C4).

    aspect is c = d/N, overlap the limit of <v, theta_0>, eps the supervisor's bias over the region, eta the learning
    rate of the online algorithm, c_g the gradient constant C_G and tau the slack of condition 2.

    Raises:
        ValueError: If lam, kappa or the overlap is out of range, or eps, eta or tau negative.
    """
    require_spike(lam, kappa)
    require_within("overlap", overlap, 0, 1)
    for name, value in (("eps", eps), ("eta", eta), ("tau", tau)):
        require_within(name, value, 0, math.inf)
    room = 2 * (1 - region.gamma) - 2 * eps**2 / region.mu**2
    return Conditions(
        detectable=lam - least_detectable(aspect, region.gamma),
        aligned=kappa * overlap - region.gamma - tau,
        informative=largest_bias(region) - eps,
        stable=region.mu / c_g * room - eta,
    )


def squared_error_bound(
    time: ArrayLike, *, region: EffectiveRegion, eps: float, eta: float, c_g: float, dimension: int | None = None
) -> NDArray[np.float64]:
    """Returns the bound on E D^2 after ``time`` alpha = T/d, without its O(polylog d / sqrt d) residual.

    With a dimension d from the finite product (1 - eta mu/d)^T, else from its limit exp(-alpha eta mu); time may have
    any shape. Equation: (3), (59).

    Raises:
        ValueError: If eta mu reaches d, where the product has no meaning.
    """
    if dimension is not None and eta * region.mu >= dimension:
        raise ValueError(f"dimension must exceed eta mu = {eta * region.mu:.6g}, got {dimension!r}")
    alpha = np.asarray(time, dtype=np.float64)
    rate = -eta * region.mu if dimension is None else dimension * math.log1p(-eta * region.mu / dimension)
    left = np.exp(rate * alpha)
    floor = 2 * eps**2 / region.mu**2 + eta * c_g / region.mu
    return left * 2 * (1 - region.gamma) + (1 - left) * floor
