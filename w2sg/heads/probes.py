"""The paper's linear probe: can a logistic regression tell chosen from rejected texts, each seen alone?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2sg.heads.crossval import fit_selected
from w2sg.heads.sides import generator

PROBE_SPLITS = ("pair", "text")
"""Ways to deal texts to the training and test parts."""


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """Logistic regression with intercept on single texts, chosen = 1 and rejected = 0."""

    penalty: float = 1e-2
    """L2 penalty on features of unit deviation (see :mod:`w2sg.heads.logistic`)."""
    splits: tuple[str, ...] = PROBE_SPLITS
    """``pair`` keeps both texts of a pair on one side; ``text`` deals each text alone, as the paper did."""
    test_fraction: float = 0.2
    """Share of the texts that are tested."""
    tolerance: float = 1e-4
    """Largest norm of the gradient, relative to that at zero coefficients. scikit-learn's defaults end at 1e-3 on features
    4,096 wide."""
    max_iterations: int = 1000
    """Steps after which a fit is given up."""

    def __post_init__(self) -> None:
        if not self.splits or not set(self.splits) <= set(PROBE_SPLITS):
            raise ValueError(f"splits is {self.splits!r}; allowed: one or more of {', '.join(PROBE_SPLITS)}")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction is {self.test_fraction!r}; allowed: between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """Probes of L layers, S seeds and T ways to split; text i is chosen i if i < n, else rejected i - n."""

    splits: tuple[str, ...]
    """Ways to split, in the order of the axis T."""
    weights: np.ndarray
    """Coefficients in the units of the activations, float64, (L, S, T, d)."""
    intercept: np.ndarray
    """Intercepts, (L, S, T)."""
    test_texts: np.ndarray
    """Tested texts in ascending order, (S, T, m)."""
    test_labels: np.ndarray
    """1 for a chosen text, 0 for a rejected one, (S, T, m)."""
    test_pairs: np.ndarray
    """Pair of each tested text, 0 to n - 1, (S, T, m)."""
    test_scores: np.ndarray
    """Logits of the tested texts, float64, (L, S, T, m)."""
    converged: np.ndarray
    """Whether the gradient fell to the tolerance, (L, S, T)."""


def fit_probes(
    chosen: np.ndarray,
    rejected: np.ndarray,
    *,
    settings: ProbeSettings,
    seeds: Sequence[int],
) -> ProbeResult:
    """Returns a probe for each layer, seed and way to split, with its logits on texts it was not trained on.

    Args:
        chosen: States of the chosen texts, (L, n, d).
        rejected: States of the rejected texts, (L, n, d).
        settings: The protocol.
        seeds: S seeds, which deal the texts.

    Raises:
        ValueError: If shapes disagree, a state is not finite, or a part would be empty.
    """
    if chosen.ndim != 3 or chosen.shape != rejected.shape:
        raise ValueError(f"chosen {chosen.shape} and rejected {rejected.shape} disagree; allowed: two of (L, n, d)")
    n, sets = chosen.shape[1], (len(seeds), len(settings.splits))
    tests, folds = _deal(n, settings, seeds)
    target = np.broadcast_to(np.arange(2 * n) < n, folds.shape).astype(np.float64)
    fits, scores = [], []
    for a, b in zip(chosen, rejected, strict=True):
        texts = np.concatenate((a, b))  # (2 n, d)
        fit = fit_selected(
            texts,
            target,
            folds,
            penalties=(settings.penalty,),
            intercept=True,
            tolerance=settings.tolerance,
            max_iterations=settings.max_iterations,
        )
        fits.append(fit)
        scores.append(
            [
                texts[held].astype(np.float64) @ w + offset
                for held, w, offset in zip(tests, fit.weights, fit.intercept, strict=True)
            ]
        )
    shaped = {
        name: np.stack([getattr(fit, name).reshape(*sets, *getattr(fit, name).shape[1:]) for fit in fits])
        for name in ("weights", "intercept", "converged")
    }
    tests = tests.reshape(*sets, -1)
    return ProbeResult(
        splits=settings.splits,
        test_texts=tests,
        test_labels=(tests < n).astype(np.int64),
        test_pairs=tests % n,
        test_scores=np.stack(scores).reshape(len(chosen), *tests.shape),
        **shaped,
    )


def _deal(n: int, settings: ProbeSettings, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns test texts, (S T, m), and the fold of each text, (S T, 2 n), -1 where it is tested."""
    pairs = round(n * settings.test_fraction)
    if not 0 < pairs < n:
        raise ValueError(f"test_fraction {settings.test_fraction} of {n} pairs leaves a part empty; give more pairs")
    tests, folds = [], []
    for seed in seeds:
        for split in settings.splits:
            rng = generator(seed, "probe")
            if split == "pair":
                held = np.sort(rng.permutation(n)[:pairs])
                held = np.concatenate((held, held + n))
            else:
                held = np.sort(rng.permutation(2 * n)[: 2 * pairs])
            fold = np.zeros(2 * n, dtype=np.int64)
            fold[held] = -1
            tests.append(held)
            folds.append(fold)
    return np.stack(tests), np.stack(folds)
