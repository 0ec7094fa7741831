"""Activations of the single-index model with their derivatives and derivative bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2sg.theory.model.checks import require_positive, require_spike
from w2sg.theory.model.quadrature import normal_grid

HE3, SOFTPLUS, PROJECTED_TANH, PROJECTED_LEAKY, TANH_CUBED = range(5)
"""Codes by which compiled kernels know the activations."""

AMPLITUDE_NAMES = ("unit", "raw")


@dataclass(frozen=True, kw_only=True)
class DerivativeBounds:
    """Suprema of |sigma'|, |sigma''| and |sigma'''| over the real line."""

    c1: float
    c2: float
    c3: float


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A smooth activation: evaluate it with :meth:`derivative`; kernels read ``code``, ``p0`` and ``p1``."""

    name: str
    """Family name, such as ``he3``."""
    code: int
    """Number of the family in compiled kernels."""
    p0: float = 0.0
    """First parameter: amplitude a (he3), beta (softplus, projected leaky), c (projected tanh)."""
    p1: float = 0.0
    """Second parameter: s^2 (he3), leak b (projected leaky)."""
    bounds: DerivativeBounds | None = None
    """Derivative bounds, or None where a derivative is unbounded."""

    @property
    def sharpness(self) -> float:
        """Poles of sigma lie at least pi/(2 sharpness) off the real axis: 1 for tanh, beta/2 for softplus."""
        return self.p0 / 2 if self.code in (SOFTPLUS, PROJECTED_LEAKY) else 1.0

    def derivative(self, z: ArrayLike, order: int = 0) -> NDArray[np.float64]:
        """Returns the derivative of the given order (0: the value) at pre-activations of any shape, elementwise.

        Raises:
            ValueError: If ``order`` is not one of 0, ..., 4.
        """
        if order not in range(5):
            raise ValueError(f"order must be 0, 1, 2, 3 or 4, got {order!r}")
        return _DERIVATIVES[self.code](np.asarray(z, dtype=np.float64), order, self.p0, self.p1)

    def required_bounds(self) -> DerivativeBounds:
        """Returns the derivative bounds.

        Raises:
            ValueError: If the activation has an unbounded derivative, as every polynomial has.
        """
        if self.bounds is None:
            raise ValueError(
                f"activation must have bounded derivatives (softplus, projected_tanh, projected_leaky or "
                f"tanh_cubed), got {self.name!r}: its analytic radius and gradient bound do not exist"
            )
        return self.bounds


def target_variance(lam: float, kappa: float) -> float:
    """Returns s^2 = 1 + lam kappa^2, the variance of the target's pre-activation. Equation: (M4).

    Raises:
        ValueError: If ``lam`` is not positive or ``kappa`` outside [0, 1].
    """
    require_spike(lam, kappa)
    return 1.0 + lam * kappa**2


def he3(variance: float, amplitude: str = "unit") -> Activation:
    """Returns a (z^3 - 3 s^2 z), the third Hermite polynomial shifted to the spiked marginal.

    E sigma'(z) = E sigma''(z) = 0 for z ~ N(0, s^2): information exponent 3. A run with amplitude a and step eta
    equals a run with amplitude 1 and step a^2 eta. The variance is s^2 = 1 + lam kappa^2, the amplitude ``raw``
    (a = 1) or ``unit`` (a = s^-3 / sqrt 6, so that E sigma(z)^2 = 1).

    Equation: (A1).

    Raises:
        ValueError: On a variance below 1 or an unknown amplitude.
    """
    _require_variance(variance)
    if amplitude not in AMPLITUDE_NAMES:
        raise ValueError(f"amplitude must be one of {AMPLITUDE_NAMES}, got {amplitude!r}")
    scale = 1.0 if amplitude == "raw" else variance**-1.5 / math.sqrt(6.0)
    return Activation(name="he3", code=HE3, p0=scale, p1=variance)


@lru_cache(maxsize=1024)
def activation_of(lam: float, kappa: float) -> Activation:
    """Returns the default activation, he3 ``unit``, of a setting."""
    return he3(target_variance(lam, kappa))


def softplus(beta: float = 1.0) -> Activation:
    """Returns log(1 + exp(beta z)) / beta, the smoothed ReLU, its limit for large (positive) beta. Equation: (A2)."""
    require_positive("beta", beta)
    bounds = DerivativeBounds(c1=1.0, c2=beta / 4, c3=beta**2 / (6 * math.sqrt(3)))
    return Activation(name="softplus", code=SOFTPLUS, p0=beta, bounds=bounds)


def projected_tanh(variance: float) -> Activation:
    """Returns tanh(z) - c z with c = E sech^2(z), z ~ N(0, s^2): odd, information exponent 3. Equation: (A3)."""
    _require_variance(variance)
    nodes, weights = normal_grid(math.sqrt(variance))
    c = float(weights @ (1.0 - np.tanh(math.sqrt(variance) * nodes) ** 2))
    bounds = DerivativeBounds(c1=max(c, 1 - c), c2=4 / (3 * math.sqrt(3)), c3=2.0)
    return Activation(name="projected_tanh", code=PROJECTED_TANH, p0=c, bounds=bounds)


def projected_leaky(leak: float = 0.1, beta: float = 1.0) -> Activation:
    """Returns b z + (1-b) softplus_beta(z) - c z with E sigma' = 0; by symmetry c = (1+b)/2 for every variance.

    The leak b lies in [0, 1), the sharpness beta is positive. Equation: (A4).
    """
    require_positive("beta", beta)
    if not 0 <= leak < 1:
        raise ValueError(f"leak must lie in [0, 1), got {leak!r}")
    rest = 1.0 - leak
    bounds = DerivativeBounds(c1=rest / 2, c2=rest * beta / 4, c3=rest * beta**2 / (6 * math.sqrt(3)))
    return Activation(name="projected_leaky", code=PROJECTED_LEAKY, p0=beta, p1=leak, bounds=bounds)


def tanh_cubed() -> Activation:
    """Returns tanh(z)^3: bounded, with zero value, slope and curvature at 0. Equation: (A5)."""
    # sigma'' = 6 t - 18 t^3 + 12 t^5 with t = tanh z; its derivative in t vanishes at t^2 = (27 - sqrt 369)/60.
    t = math.sqrt((27 - math.sqrt(369)) / 60)
    bounds = DerivativeBounds(c1=0.75, c2=6 * t - 18 * t**3 + 12 * t**5, c3=6.0)
    return Activation(name="tanh_cubed", code=TANH_CUBED, bounds=bounds)


def _require_variance(variance: float) -> None:
    if not (math.isfinite(variance) and variance >= 1):
        raise ValueError(f"variance must be at least 1 and finite (it is 1 + lam kappa^2), got {variance!r}")


def _he3(z: NDArray, order: int, a: float, s2: float) -> NDArray:
    if order == 0:
        return a * (z * z - 3 * s2) * z
    if order == 1:
        return 3 * a * (z * z - s2)
    return 6 * a * z if order == 2 else np.full_like(z, 6 * a if order == 3 else 0.0)


def _logistic(z: NDArray) -> NDArray:
    small = np.exp(-np.abs(z))  # never overflows
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def _softplus(z: NDArray, order: int, beta: float, _: float) -> NDArray:
    if order == 0:
        return np.logaddexp(0.0, beta * z) / beta
    p = _logistic(beta * z)
    if order == 1:
        return p
    bell = p * _logistic(-beta * z)
    if order == 2:
        return beta * bell
    return beta**2 * bell * (1 - 2 * p) if order == 3 else beta**3 * bell * (1 - 6 * bell)


def _tanh(z: NDArray, order: int, c: float, _: float) -> NDArray:
    t = np.tanh(z)
    if order == 0:
        return t - c * z
    u = 1 - t * t
    if order == 1:
        return u - c
    if order == 2:
        return -2 * t * u
    return u * (6 * t * t - 2) if order == 3 else u * t * (16 - 24 * t * t)


def _leaky(z: NDArray, order: int, beta: float, leak: float) -> NDArray:
    if order == 0:
        return (1 - leak) * (_softplus(z, 0, beta, 0.0) - z / 2)
    slope = (1 - leak) * _softplus(z, order, beta, 0.0)
    return slope - (1 - leak) / 2 if order == 1 else slope


def _tanh_cubed(z: NDArray, order: int, _: float, __: float) -> NDArray:
    t = np.tanh(z)
    if order == 0:
        return t * t * t  # a power would cost ten times as much
    x = t * t
    u = 1 - x
    if order == 1:
        return 3 * x * u
    if order == 2:
        return u * t * (6 - 12 * x)
    return u * (6 - 54 * x + 60 * x * x) if order == 3 else u * t * (-120 + 456 * x - 360 * x * x)


_DERIVATIVES = {
    HE3: _he3,
    SOFTPLUS: _softplus,
    PROJECTED_TANH: _tanh,
    PROJECTED_LEAKY: _leaky,
    TANH_CUBED: _tanh_cubed,
}
