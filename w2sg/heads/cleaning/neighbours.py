"""A pair's label as its nearest neighbours have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from w2sg.study.labels.cleaning import Cleaning
from w2sg.study.sections import Heads

ROWS = 1024
"""Pairs whose distances to all others are in memory at once."""


def neighbour_mean(
    difference: np.ndarray,
    target: np.ndarray,
    *,
    settings: Cleaning,
    heads: Heads,
    groups: np.ndarray,
    seeds: Sequence[int],
) -> np.ndarray:
    """Returns the mean label of each pair's nearest other pairs, (R, n).

    A pair counts in the order in which it lies nearer, so that a pair and its mirror image have the same neighbours.
    Arguments as of :data:`w2sg.heads.cleaning.catalogue.Estimate`.

    Equation: (L5).
    Reference: EleutherAI/w2s, w2s/knn.py, for single texts.

    Raises:
        ValueError: If there are not more pairs than neighbours.
    """
    states = torch.as_tensor(difference, dtype=torch.float32)
    labels = torch.tensor(target, dtype=torch.float64)
    square, n, nearest = states.square().sum(1), len(states), settings.nearest
    if nearest >= n:
        raise ValueError(
            f"heads.cleaning.neighbours is {nearest}, allowed: at most {n - 1}; a student learns {n} pairs"
        )
    found = torch.empty_like(labels)
    for low in range(0, n, ROWS):
        own = torch.arange(low, min(low + ROWS, n))
        product = states[own] @ states.T  # (rows, n)
        distance = square - 2 * product.abs()  # squared, less the pair's own square
        distance[torch.arange(len(own)), own] = torch.inf
        near = distance.topk(nearest, largest=False).indices  # (rows, k)
        sign = product.gather(1, near).sign().double()
        found[:, own] = 0.5 + (sign * (labels[:, near] - 0.5)).mean(-1)
    return found.numpy()
