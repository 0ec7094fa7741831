"""Numerical checks of the effective region: its inequalities, its empirical size, the supervisors it admits (8.8).

Vectors have five coordinates: theta*, towards v, towards theta_w, the student's rest, and a direction that no vector has.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments import recursion
from w2sg.theory.experiments.catalogue import Experiment
from w2sg.theory.experiments.settings import RegionSettings, RunSettings
from w2sg.theory.model import closed_forms, constants, population
from w2sg.theory.model.activations import Activation, activation_of, he3, projected_tanh, softplus, target_variance
from w2sg.theory.model.checks import require_spike
from w2sg.theory.model.law import SpikedModel, geometry

Array = NDArray[np.float64]

LOWER_LIMITS = {"convexity": 1.0, "perturbed": 0.0, "recursion": 0.0}
UPPER_LIMITS = {"hessian": 1.0, "radial": 1.0}
"""What the checks of the region must respect, at every student of it."""

MOMENT_LIMIT = {"moment": 1.0}
"""What the second moment of the gradient over its bound must respect, at every student of the sphere."""


def axes(lam: float, kappa: float) -> tuple[Array, Array]:
    """Returns theta* and v, shape (5,) each."""
    require_spike(lam, kappa)
    return np.array([1.0, 0.0, 0.0, 0.0, 0.0]), np.array([kappa, math.sqrt(1 - kappa**2), 0.0, 0.0, 0.0])


def supervisor(degrees: float) -> Array:
    """Returns a theta_w at an angle to theta*, orthogonal to v's own part (the limit of large d), shape (5,)."""
    angle = math.radians(degrees)
    return np.array([math.cos(angle), 0.0, math.sin(angle), 0.0, 0.0])


def student_at(degrees: float, psi: float) -> Array:
    """Returns the unit vector at an angle to theta* in direction cos(psi) (v's own part) + sin(psi) (the rest)."""
    phi = math.radians(degrees)
    return np.array([math.cos(phi), math.sin(phi) * math.cos(psi), 0.0, math.sin(phi) * math.sin(psi), 0.0])


def draw_student(radius: float, rng: np.random.Generator) -> Array:
    """Returns a random unit student within a Euclidean distance of theta*, shape (5,), its last coordinate 0."""
    away = np.append(0.0, rng.standard_normal(3))
    angle = 2 * math.asin(radius * rng.uniform(0.05, 1.0) / 2)
    student = math.sin(angle) * away / np.linalg.norm(away)
    student[0] = math.cos(angle)
    return np.append(student, 0.0)


def bias(sigma: Activation, weak: Array, radius: float, *, lam: float, kappa: float) -> float:
    """Returns eps, the largest |grad L_w - grad L| over the cap: its centre and directions on its edge.

    The cap is so small that the bias is nearly linear on it; the maximum over 26 edge directions and the centre
    is exact to a fraction radius^2.
    """
    target, spike = axes(lam, kappa)
    angle, students = 2 * math.asin(radius / 2), [target]
    for signs in itertools.product((-1.0, 0.0, 1.0), repeat=3):
        if any(signs):
            away = np.array([0.0, *signs, 0.0])
            students.append(math.cos(angle) * target + math.sin(angle) * away / np.linalg.norm(away))
    slope = partial(population.gradient, sigma, spike=spike, lam=lam)
    return float(max(np.linalg.norm(slope(theta, weak) - slope(theta, target)) for theta in students))


def inequality_checks(sigma: Activation, settings: RegionSettings, rng: np.random.Generator) -> dict[str, float]:
    """Returns the least margin or largest ratio of each inequality over random students of the region; of (9), the sphere.

    Equation: (2), (9), (18), (22), (45), (53).
    """
    lam, kappa = settings.lam, settings.kappa
    region, bounds = constants.region_of(sigma, lam, kappa), sigma.required_bounds()
    target, spike = axes(lam, kappa)
    weak, place = supervisor(settings.supervisor_degrees), {"spike": spike, "lam": lam}
    eps = bias(sigma, weak, region.radius, lam=lam, kappa=kappa)
    centre, rows = population.target_hessian(sigma, target, **place), []
    eta = region.mu / constants.gradient_constant(bounds, lam) * (1 - region.gamma)
    for _ in range(settings.points):
        theta = draw_student(region.radius, rng)
        delta = theta - target
        size = float(np.linalg.norm(delta))
        true = population.gradient(sigma, theta, target, **place)
        biased = population.gradient(sigma, theta, weak, **place)
        bend = population.hessian(sigma, theta, target, **place) - centre
        row = {
            "convexity": float(true @ delta) / (region.mu * size**2),
            "perturbed": float(biased @ delta) / size - region.mu * size + eps,
            "recursion": recursion.recursion_margin(
                sigma, theta, target, weak, **place, eta=eta, eps=eps, dimension=50
            ),
            "hessian": float(np.linalg.norm(bend, 2)) / (region.l1 * size + region.l2 * size**2),
            "radial": abs(float(true @ theta)) / (bounds.c1**2 * (1 + lam) * size),
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    # Inside the region student and supervisor nearly agree and gradients vanish: the moment is drawn over the whole sphere.
    moments = [
        population.gradient_second_moment(sigma, draw_student(2.0, rng), weak, **place, dimension=50)
        for _ in range(settings.points)
    ]
    found = pd.concat([table[[*LOWER_LIMITS]].min(), table[[*UPPER_LIMITS]].max()])
    found["moment"] = max(moments) / constants.gradient_moment(bounds, lam, 50)
    return {str(name): float(value) for name, value in found.items()}


def worst_curvature(
    sigma: Activation, degrees: float, *, lam: float, kappa: float, directions: int = 13
) -> tuple[float, float]:
    """Returns the least one-point convexity and the least Hessian eigenvalue at a positive angle, over all directions.

    By symmetry only their component along v's own part matters: ``directions`` is the number of psi in [0, pi].
    """
    target, spike = axes(lam, kappa)
    points, eigenvalues = [], []
    for psi in np.linspace(0, math.pi, directions):
        theta = student_at(degrees, float(psi))
        delta = theta - target
        slope = population.gradient(sigma, theta, target, spike=spike, lam=lam)
        points.append(float(slope @ delta / (delta @ delta)))
        matrix = population.hessian(sigma, theta, target, spike=spike, lam=lam)
        eigenvalues.append(float(np.linalg.eigvalsh(matrix)[0]))
    return min(points), min(eigenvalues)


def empirical_degrees(sigma: Activation, *, lam: float, kappa: float, grid: Array) -> tuple[float, float]:
    """Returns the angles up to which one-point convexity and the least Hessian eigenvalue exceed c_sig/2.

    They are the last ones of ``grid``, increasing angles in degrees, before the first violation.
    """
    level = constants.nondegeneracy(sigma, target_variance(lam, kappa)) / 2
    reach, alive = np.zeros(2), np.ones(2, dtype=bool)
    for degrees in grid:
        alive &= np.array(worst_curvature(sigma, float(degrees), lam=lam, kappa=kappa)) >= level
        reach[alive] = degrees
        if not alive.any():
            break
    return float(reach[0]), float(reach[1])


def admitted_degrees(sigma: Activation, *, lam: float, kappa: float) -> tuple[float, float]:
    """Returns the largest supervisor angle the bias condition admits, and 2 eps^2/mu^2 over D_w^2 there.

    A ratio above 1 means that bound (3) cannot certify a student better than its supervisor.
    """
    from scipy.optimize import brentq  # figures import this module without needing it

    region = constants.region_of(sigma, lam, kappa)

    def excess(degrees: float) -> float:
        eps = bias(sigma, supervisor(degrees), region.radius, lam=lam, kappa=kappa)
        return eps - constants.largest_bias(region)

    angle = brentq(excess, 1e-4, math.degrees(2 * region.radius), xtol=1e-6)
    weak_distance = 2 * math.sin(math.radians(angle) / 2)
    return float(angle), 2 * (constants.largest_bias(region) / region.mu) ** 2 / weak_distance**2


def simulate_region(experiment: Experiment, asked: RunSettings) -> pd.DataFrame:
    """Returns all checks in the columns of ``tables.theory.REGION``; ``bound`` is what the value must respect."""
    settings: RegionSettings = experiment.settings
    lam, kappa, wide = settings.lam, settings.kappa, settings.empirical_kappa
    keys = [(asked.seed, experiment.number, k) for k in range(2)]
    tasks = [
        partial(_check_proof, sigma, settings, stream(*key), stream(*key, 1))
        for sigma, key in zip((softplus(1.0), projected_tanh(target_variance(lam, kappa))), keys, strict=True)
    ]
    tasks.append(partial(_check_size, activation_of(lam, wide), lam, wide, np.arange(0.5, 60.1, 0.5)))
    found = parallel(lambda task: task(), tasks, threads=asked.threads, watch=asked.watch)
    return pd.DataFrame([row for rows in found for row in rows], columns=["check", "case", "value", "bound"])


def _check_proof(
    sigma: Activation, settings: RegionSettings, rng: np.random.Generator, other: np.random.Generator
) -> list[tuple[str, str, float, float]]:
    lam, kappa = settings.lam, settings.kappa
    # The supervisor must be admissible for each activation's own region.
    admitted, _ = admitted_degrees(sigma, lam=lam, kappa=kappa)
    chosen = replace(settings, supervisor_degrees=min(settings.supervisor_degrees, admitted))
    checks = inequality_checks(sigma, chosen, rng)
    exponent = recursion.remainder_exponent(sigma, lam=lam, kappa=kappa, rng=other)
    return [
        *(
            (name, sigma.name, value, (LOWER_LIMITS | UPPER_LIMITS | MOMENT_LIMIT)[name])
            for name, value in checks.items()
        ),
        ("remainder_exponent", sigma.name, exponent, -1.5),
        ("admitted_degrees", sigma.name, admitted, math.nan),
    ]


def _check_size(sigma: Activation, lam: float, kappa: float, grid: Array) -> list[tuple[str, str, float, float]]:
    point, bend = empirical_degrees(sigma, lam=lam, kappa=kappa, grid=grid)
    return [("one_point_degrees", sigma.name, point, math.nan), ("hessian_degrees", sigma.name, bend, math.nan)]


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
    """Returns (angle, value) rows per series: worst-direction curvature over c_sig/2, and softplus's radius."""
    degrees = np.concatenate([[0.5], np.arange(3.0, 90.1, 3.0)])
    profiles: dict[str, Array] = {}
    for sigma in (activation_of(lam, kappa), softplus(1.0)):
        level = constants.nondegeneracy(sigma, target_variance(lam, kappa)) / 2
        least = [worst_curvature(sigma, float(a), lam=lam, kappa=kappa, directions=9) for a in degrees]
        for k, name in enumerate(("one-point", "Hessian")):
            profiles[f"{sigma.name}, {name}"] = np.array([degrees, np.array(least)[:, k] / level]).T
    radius = constants.region_of(softplus(1.0), lam, kappa).degrees
    profiles["softplus, analytic radius"] = np.array([[radius, math.nan]])
    return profiles
