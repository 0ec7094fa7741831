"""Worked radii of the effective region."""

from __future__ import annotations

import math
from dataclasses import asdict

import pandas as pd

from w2sg.theory.model import constants
from w2sg.theory.model.activations import (
    Activation,
    projected_leaky,
    projected_tanh,
    softplus,
    target_variance,
)


def worked_radii() -> pd.DataFrame:
    """Returns the table of worked radii: one row per example, with its constants and radii."""
    rows = []
    smooth = softplus(1.0)
    for lam in (1.0, 2.0, 3.0):
        rows.append(_radii_row("smoothed ReLU, c_sig of ReLU", lam, None, smooth, 0.5))
    rows.append(_radii_row("softplus, own c_sig", 1.0, 0.8, smooth, constants.nondegeneracy(smooth, 1.64)))
    for lam, kappa in ((1.0, 0.8), (3.0, 0.9)):
        for name, sigma in (
            ("projected tanh", projected_tanh(target_variance(lam, kappa))),
            ("projected leaky, leak 0.1", projected_leaky(0.1)),
        ):
            c_sig = constants.nondegeneracy(sigma, target_variance(lam, kappa))
            rows.append(_radii_row(name, lam, kappa, sigma, c_sig))
    return pd.DataFrame(rows)


def _radii_row(name: str, lam: float, kappa: float | None, sigma: Activation, c_sig: float) -> dict[str, str | float]:
    bounds = sigma.required_bounds()
    region = constants.effective_region(bounds, lam, c_sig)
    fixed: dict[str, str | float] = {"example": name, "lam": lam, "kappa": math.nan if kappa is None else kappa}
    return fixed | asdict(bounds) | asdict(region) | {"radius": region.radius, "degrees": region.degrees}
