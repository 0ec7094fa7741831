"""How pairs are shown: sides exchanged by a seeded coin, for students, supervisors and their labels alike."""

from __future__ import annotations

import numpy as np
import pandas as pd

STREAMS = {"coin": 1, "init": 2, "folds": 3, "probe": 4, "permuted": 5, "halves": 6, "unrelated": 7}
"""Random streams of a seed besides the batch order, which is the seed's own."""


def generator(seed: int, stream: str | None = None) -> np.random.Generator:
    """Returns the random stream of a seed; without a name that of the batch order.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; allowed are integers from 0")
    return np.random.Generator(np.random.PCG64(seed if stream is None else [seed, STREAMS[stream]]))


def toss(n: int, seed: int) -> np.ndarray:
    """Returns which of n pairs are shown turned round, bool, (n,): a fair coin for each."""
    return generator(seed, "coin").random(n) < 0.5


def harden(target: np.ndarray) -> np.ndarray:
    """Returns probabilities rounded to 0 or 1; one half stays, so that a pair and its mirror image agree, and so does NaN."""
    return np.where((target == 0.5) | np.isnan(target), target, (target > 0.5).astype(np.float64))


def probability(margins: np.ndarray) -> np.ndarray:
    """Returns the probability that margins, of any shape, stand for."""
    return 0.5 * (1.0 + np.tanh(0.5 * margins))


def label_weakly(margins: np.ndarray, *, seed: int) -> pd.DataFrame:
    """Returns a supervisor's soft labels of n pairs, with sides exchanged by the seed's coin.

    Columns: swapped, whether (rejected, chosen) is shown; probability that the text shown first is preferred; and
    margin, s(chosen) - s(rejected), which is given as (n,).
    """
    swapped = toss(len(margins), seed)
    shown = np.where(swapped, -margins, margins).astype(np.float64)
    return pd.DataFrame({"swapped": swapped, "probability": probability(shown), "margin": margins})


LEFT_OUT = -1.0
"""Probability of pairs that no student learns, in tables."""


def chosen_probability(labels: pd.DataFrame) -> np.ndarray:
    """Returns P(chosen > rejected), (n,), of labels as :func:`label_weakly` gives them; NaN for pairs that are left out."""
    shown = labels["probability"].where(labels["probability"] != LEFT_OUT)
    return np.where(labels["swapped"], 1.0 - shown, shown)


def check_inputs(target: np.ndarray, **states: np.ndarray) -> None:
    """Raises ValueError, naming the argument, unless states are finite and targets are probabilities."""
    for name, values in states.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds values that are not finite; allowed are finite numbers")
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError("target holds values outside of [0, 1] or NaN; allowed are probabilities")
