"""Reward heads of the converged protocol: what the activations allow, whatever one epoch makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from w2sg.heads.crossval import Fit, deal_folds, fit_selected, standardise
from w2sg.heads.sides import generator
from w2sg.study.sections import ConvergedProtocol


def fit_converged_heads(
    difference: np.ndarray,
    target: np.ndarray,
    *,
    settings: ConvergedProtocol,
    seeds: Sequence[int],
    groups: np.ndarray | None = None,
    tolerance: float = 1e-6,
    **options: Any,
) -> Fit:
    """Returns one head for each layer and seed, by logistic regression on differences without intercept, (L, S, ...).

    Equation: (D2), plus the penalty.

    Args:
        difference: h(first) - h(second), (L, n, d).
        target: Probability that ``first`` is preferred, one row for each seed, (S, n); NaN for a row that takes no part.
        settings: The protocol.
        seeds: S seeds; a seed deals the folds and does nothing else.
        groups: Group of each row, (n,): rows of a group are held out together. Each row is its own by
            default.
        tolerance: As in :func:`fit_selected`.
        options: Of :func:`fit_selected`, which says what they are: search, patience, shared.

    Raises:
        ValueError: If shapes disagree, a difference is not finite or a target is not a probability.
    """
    if difference.ndim != 3 or target.shape != (len(seeds), difference.shape[1]):
        raise ValueError(
            f"difference {difference.shape} and target {target.shape} for {len(seeds)} seeds disagree; "
            "allowed are (L, n, d) and (S, n)"
        )
    groups = np.arange(target.shape[1]) if groups is None else groups
    folds = np.stack([deal_folds(groups, folds=settings.folds, rng=generator(seed, "folds")) for seed in seeds])
    folds[np.isnan(target)] = -1
    target = np.nan_to_num(target, nan=0.5)
    options |= {"penalties": settings.penalties, "tolerance": tolerance}
    return Fit.stack([fit_selected(standardise(layer), target, folds, **options) for layer in difference])
