"""How pairs are shown: sides exchanged by a seeded coin, for students, supervisors and their labels alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STREAMS = {"coin": 1, "init": 2, "folds": 3, "probe": 4}
"""Random streams of a seed besides the batch order, which is the seed's own."""


@dataclass(frozen=True, kw_only=True)
class WeakLabels:
    """A supervisor's labels of n pairs in the order in which they are shown."""

    swapped: np.ndarray
    """Whether (rejected, chosen) is shown, bool, (n,)."""
    probability: np.ndarray
    """P(text shown first is preferred), (n,)."""

    def chosen_probability(self) -> np.ndarray:
        """Returns P(chosen > rejected), (n,)."""
        return np.where(self.swapped, 1.0 - self.probability, self.probability)


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
    """Returns probabilities rounded to 0 or 1; one half stays, so that a pair and its mirror image agree."""
    return np.where(target == 0.5, 0.5, (target > 0.5).astype(np.float64))


def label_weakly(margins: np.ndarray, *, seed: int) -> WeakLabels:
    """Returns a supervisor's soft labels, sides exchanged by the seed's coin.

    Args:
        margins: s(chosen) - s(rejected), (n,).
        seed: Seed of the coin.
    """
    swapped = toss(len(margins), seed)
    shown = np.where(swapped, -margins, margins).astype(np.float64)
    return WeakLabels(swapped=swapped, probability=0.5 * (1.0 + np.tanh(0.5 * shown)))
