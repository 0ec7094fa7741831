"""The reduced engine: exact in law, at a cost that does not grow with the dimension."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from w2sg.theory.engines import kernels
from w2sg.theory.model.activations import Activation
from w2sg.theory.model.checks import require_count
from w2sg.theory.model.law import FineTuning, Geometry, Path, record_steps


def fine_tune(
    start: NDArray[np.float64],
    where: Geometry,
    schedule: FineTuning,
    sigma: Activation,
    rng: np.random.Generator,
    *,
    points: int = 1,
) -> Path:
    """Returns the path of one run; the joint law of all overlaps is that of the d-dimensional algorithm.

    Write theta = (t1, t2, t3, r): three coordinates in span(theta*, v, theta_w) and the norm of the rest. The
    gradient of a sample needs its three coordinates there and the one along the rest; the other d-4 coordinates
    of a batch sum are independent normals of variance sum h^2, so only their norm, a chi variable, matters.

    The start theta_0 is such a state (4,), of unit norm; ``points`` is the number of evenly spread records after it.

    Equation: (1), (E1), (E2).

    Raises:
        ValueError: If the start is not a unit state.
    """
    _require_state(start)
    record = record_steps(schedule.steps, points)
    path, state = np.empty((len(record), 4)), np.ascontiguousarray(start, dtype=np.float64)
    law = (where.teacher(schedule.labels), where.spike, where.lam, sigma.code, sigma.p0, sigma.p1)
    size = (schedule.step(where.dimension), schedule.batch, where.dimension)
    kernels.fine_tune(rng, state, *law, *size, record, path)
    return Path(steps=record, states=path)


def orient_by_truth(start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns theta_0 or -theta_0, a state (4,), with positive correlation with theta*: the experiments' convention."""
    _require_state(start)
    return start if start[0] >= 0 else flip(start)


def orient_by_loss(
    start: NDArray[np.float64],
    where: Geometry,
    sigma: Activation,
    rng: np.random.Generator,
    *,
    samples: int = 20000,
) -> NDArray[np.float64]:
    """Returns theta_0 or -theta_0, a state (4,), whichever has the smaller weak-label loss on fresh samples.

    Regime: the rule can be wrong with probability near 1, see ``closed_forms.sign_margin``.
    """
    _require_state(start)
    require_count("samples", samples, 1)
    parameters = (where.lam, sigma.code, sigma.p0, sigma.p1)
    margin = kernels.sampled_sign_margin(rng, start, where.weak, where.spike, *parameters, samples)
    return start if margin >= 0 else flip(start)


def flip(state: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns -theta; its rest norm r is unchanged, as the direction of the rest is uniform and never named."""
    return state * np.array([-1.0, -1.0, -1.0, 1.0])


def _require_state(state: NDArray[np.float64]) -> None:
    norm = float(np.linalg.norm(state))
    if np.shape(state) != (4,) or not math.isclose(norm, 1.0, rel_tol=1e-9) or state[3] < 0:
        raise ValueError(
            f"start must be a unit state (t1, t2, t3, r) with r >= 0, got shape {np.shape(state)}, norm {norm:.6g}"
        )
