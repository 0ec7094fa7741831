"""When the weak-loss sign rule is right, in closed form."""

from __future__ import annotations

import math

import numpy as np

from w2sg.theory import closed_forms
from w2sg.theory.activations import activation_of
from w2sg.theory.checks import require_within
from w2sg.theory.model import SpikedModel, geometry


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
    law = closed_forms.laws(start, where.weak, where)
    return float(closed_forms.sign_margin(activation_of(lam, kappa), law))
