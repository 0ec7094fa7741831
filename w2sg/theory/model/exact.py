"""Exact population quantities at the engines' states, for any activation: closed forms of he3, else quadrature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2sg.theory.model import closed_forms, population
from w2sg.theory.model.activations import HE3, Activation
from w2sg.theory.model.law import Geometry

Array = NDArray[np.float64]


def loss(sigma: Activation, states: ArrayLike, teacher: Array, where: Geometry) -> Array:
    """Returns L_u at students of shape (..., 4) against a teacher of shape (3,), shape (...). Equation: (M5)."""
    if sigma.code == HE3:
        return closed_forms.loss(sigma, closed_forms.laws(states, teacher, where))
    return _each(states, teacher, where, partial(population.loss, sigma))


def gradient(sigma: Activation, states: ArrayLike, teacher: Array, where: Geometry) -> Array:
    """Returns grad L_u at students of shape (..., 4), in the same coordinates, not projected. Equation: (P2)."""
    if sigma.code == HE3:
        return closed_forms.gradient(sigma, states, teacher, where)
    return _each(states, teacher, where, partial(population.gradient, sigma))


def noise_coefficient(sigma: Activation, states: ArrayLike, teacher: Array, where: Geometry) -> Array:
    """Returns V = E[h^2] at students of shape (..., 4), shape (...). Equation: (P4)."""
    if sigma.code == HE3:
        return closed_forms.noise_coefficient(sigma, closed_forms.laws(states, teacher, where))
    return _each(
        states, teacher, where, lambda *u, **law: population.noise_coefficient(sigma, population.pair_law(*u, **law))
    )


def _each(states: ArrayLike, teacher: Array, where: Geometry, function: Callable[..., float | Array]) -> Array:
    """Returns ``function(student, teacher, spike=, lam=)`` of every student, all in its four coordinates."""
    t, u, spike = np.asarray(states, dtype=np.float64), np.append(teacher, 0.0), np.append(where.spike, 0.0)
    found = np.array([function(row, u, spike=spike, lam=where.lam) for row in t.reshape(-1, 4)])
    return found.reshape(t.shape[:-1] + found.shape[1:])
