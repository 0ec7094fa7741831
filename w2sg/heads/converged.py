"""Reward heads of the converged protocol: what the activations allow, whatever one epoch makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2sg.heads.crossval import deal_folds, fit_selected
from w2sg.heads.sides import generator


@dataclass(frozen=True, kw_only=True)
class ConvergedSettings:
    """L2-regularised logistic regression with a cross-validated penalty."""

    penalties: tuple[float, ...]
    """Candidates: each adds penalty / 2 times the squared norm on scaled features to the mean loss."""
    folds: int = 5
    """Parts of the training pairs, each held out once."""
    tolerance: float = 1e-6
    """Largest norm of the final gradient, relative to that at zero weights."""
    patience: int = 2
    """The search goes from strong to weak and ends after this many penalties in a row without gain."""
    max_iterations: int = 1000
    """Steps after which a final fit is given up."""


@dataclass(frozen=True, kw_only=True)
class ConvergedHeads:
    """Heads of L layers and S seeds."""

    weights: np.ndarray
    """Weights in the units of the activations, float64, (L, S, d)."""
    penalty: np.ndarray
    """Chosen penalty, (L, S)."""
    cv_loss: np.ndarray
    """Held-out log loss, nats per pair, (L, S, P); NaN for penalties beyond the end of the search, or if there is
    only one."""
    converged: np.ndarray
    """Whether the gradient fell to the tolerance, (L, S)."""


def fit_converged_heads(
    difference: np.ndarray,
    target: np.ndarray,
    *,
    settings: ConvergedSettings,
    seeds: Sequence[int],
    groups: np.ndarray | None = None,
) -> ConvergedHeads:
    """Returns one head for each layer and seed, by logistic regression on differences without intercept.

    Equation: (D2), plus the penalty.

    Args:
        difference: h(first) - h(second), (L, n, d).
        target: Probability that ``first`` is preferred, one row for each seed, (S, n).
        settings: The protocol.
        seeds: S seeds; a seed deals the folds and does nothing else.
        groups: Group of each row, (n,): rows of a group are held out together. Each row is its own by
            default.

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
    fits = [
        fit_selected(
            layer,
            target,
            folds,
            penalties=settings.penalties,
            tolerance=settings.tolerance,
            patience=settings.patience,
            max_iterations=settings.max_iterations,
        )
        for layer in difference
    ]
    return ConvergedHeads(
        **{
            name: np.stack([getattr(fit, name) for fit in fits])
            for name in ("weights", "penalty", "cv_loss", "converged")
        }
    )
