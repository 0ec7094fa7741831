"""Where the loss is convex around the target: the map and the profiles of figure 3."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from w2sg.theory import closed_forms, constants, region
from w2sg.theory.activations import activation_of, he3, softplus, target_variance
from w2sg.theory.model import SpikedModel, geometry

Array = NDArray[np.float64]


def one_point_map(lam: float, kappa: float, *, size: int = 97) -> tuple[Array, Array]:
    """Returns points (n, 2) and the he3 one-point convexity over c_sig/2 there (n,).

    A point is angle times direction: its radius is the angle to theta* in degrees (up to 96), its first
    coordinate the direction towards v's own part, its second, not negative, the remaining direction.

    Args:
        lam: Spike strength.
        kappa: Alignment.
        size: Points along the horizontal axis.
    """
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-96, 96, size), np.linspace(0, 96, size // 2 + 1)))
    radius = np.hypot(x, y)
    inside = (radius > 0) & (radius <= 96)
    x, y, radius = x[inside], y[inside], radius[inside]
    phi = np.radians(radius)
    states = np.stack([np.cos(phi), np.sin(phi) * x / radius, np.zeros_like(phi), np.sin(phi) * y / radius], axis=-1)
    model = SpikedModel(lam=lam, kappa=kappa)
    where, sigma = geometry(model), he3(model.variance)
    slope = closed_forms.gradient(sigma, states, where.target, where)
    delta = states - np.array([1.0, 0.0, 0.0, 0.0])
    convexity = np.sum(slope * delta, axis=1) / np.sum(delta**2, axis=1)
    return np.stack([x, y], axis=-1), convexity / (closed_forms.nondegeneracy(sigma) / 2)


def empirical_profile(lam: float, kappa: float) -> dict[str, Array]:
    """Returns (angle, value) rows per series: worst-direction curvature over c_sig/2, and softplus's radius.

    Args:
        lam: Spike strength.
        kappa: Alignment.
    """
    degrees = np.concatenate([[0.5], np.arange(3.0, 90.1, 3.0)])
    profiles: dict[str, Array] = {}
    for sigma in (activation_of(lam, kappa), softplus(1.0)):
        level = constants.nondegeneracy(sigma, target_variance(lam, kappa)) / 2
        least = [region.worst_curvature(sigma, float(a), lam=lam, kappa=kappa, directions=9) for a in degrees]
        for k, name in enumerate(("one-point", "Hessian")):
            profiles[f"{sigma.name}, {name}"] = np.array([degrees, np.array(least)[:, k] / level]).T
    radius = constants.region_of(softplus(1.0), lam, kappa).degrees
    profiles["softplus, analytic radius"] = np.array([[radius, math.nan]])
    return profiles
