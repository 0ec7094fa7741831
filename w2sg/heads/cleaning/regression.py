"""A pair's label as a logistic probe of other pairs predicts it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from w2sg.heads.crossval import deal_folds, fit_given, standardise
from w2sg.heads.sides import generator, probability
from w2sg.study.labels.cleaning import Cleaning
from w2sg.study.sections import Heads


def held_out_probability(
    difference: np.ndarray,
    target: np.ndarray,
    *,
    settings: Cleaning,
    heads: Heads,
    groups: np.ndarray,
    seeds: Sequence[int],
) -> np.ndarray:
    """Returns the probability that a probe of the other folds gives each pair, (R, n).

    Logistic regression without intercept, so that a pair and its mirror image are one. Arguments as of
    :data:`w2sg.heads.cleaning.catalogue.Estimate`.

    Equation: (L6).
    Reference: EleutherAI/w2s, w2s/probe.py, whose probe also predicts pairs that it was fitted on.

    Raises:
        ValueError: If there are fewer than two groups.
    """
    found, ready = np.empty(target.shape), standardise(difference)
    count = min(heads.converged.folds, len(np.unique(groups)))
    penalty, start = np.full(count, settings.strength), np.zeros((count, difference.shape[1]))
    for row, (labels, seed) in enumerate(zip(target, seeds, strict=True)):
        folds = deal_folds(groups, folds=count, rng=generator(seed, "folds"))
        train = folds != np.arange(count)[:, None]  # (F, n)
        weights = fit_given(ready, np.tile(labels, (count, 1)), train, penalty=penalty, start=start)
        found[row] = probability((weights[folds] * difference).sum(1))
    return found
