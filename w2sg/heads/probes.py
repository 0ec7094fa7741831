"""The paper's linear probe: can a logistic regression tell chosen from rejected texts, each seen alone?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from w2sg.heads.crossval import Fit, Standardised, fit_selected, standardise
from w2sg.heads.matrices import BLOCK
from w2sg.heads.sides import generator
from w2sg.study.sections import Probe

TOLERANCE = 1e-4
"""Largest norm of the gradient, relative to that at zero coefficients. scikit-learn's defaults end at 1e-3 on features
4,096 wide."""


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """Probes of L layers, S seeds and T ways to split; text i is chosen i if i < n, else rejected i - n."""

    weights: np.ndarray
    """Coefficients in the units of the activations, float64, (L, S, T, d)."""
    intercept: np.ndarray
    """Intercepts, (L, S, T)."""
    test_texts: np.ndarray
    """Tested texts in ascending order, (S, T, m)."""
    test_labels: np.ndarray
    """1 for a chosen text, 0 for a rejected one, (S, T, m), or the labels given, -1 where there is none."""
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
    settings: Probe,
    seeds: Sequence[int],
    labels: np.ndarray | None = None,
    ready: Iterable[Standardised] | None = None,
    tolerance: float = TOLERANCE,
) -> ProbeResult:
    """Returns logistic regressions with intercept on single texts, chosen = 1 and rejected = 0, with logits of unseen texts.

    Args:
        chosen: States of the chosen texts, (L, n, d).
        rejected: States of the rejected texts, (L, n, d).
        settings: The protocol.
        seeds: S seeds, which deal the texts.
        labels: Other labels of the texts, (S, 2 n), 1 or 0, -1 for a text that takes no part.
        ready: From :func:`standardise_texts` of the same states, where other probes are fitted too.
        tolerance: As :data:`TOLERANCE`.

    Raises:
        ValueError: If shapes disagree, a state is not finite, or a part would be empty.
    """
    if chosen.ndim != 3 or chosen.shape != rejected.shape:
        raise ValueError(f"chosen {chosen.shape} and rejected {rejected.shape} disagree; allowed: two of (L, n, d)")
    n = chosen.shape[1]
    tests, folds = _deal(n, settings, seeds)
    given = np.tile(np.arange(2 * n) < n, (len(seeds), 1)).astype(np.int64) if labels is None else labels
    given = np.repeat(given, len(settings.splits), axis=0)  # (S T, 2 n)
    folds = np.where(given < 0, -1, folds)
    target = np.maximum(given, 0).astype(np.float64)
    fits, scores = [], []
    for a, b, texts in zip(chosen, rejected, ready or standardise_texts(chosen, rejected), strict=True):
        fit = fit_selected(texts, target, folds, penalties=(settings.penalty,), tolerance=tolerance)
        fits.append(fit)
        scores.append(np.take_along_axis(_score(fit, a, b), tests, axis=1))
    fit, sets = Fit.stack(fits), (len(seeds), len(settings.splits))
    tests = tests.reshape(*sets, -1)
    return ProbeResult(
        weights=fit.weights.reshape(len(chosen), *sets, -1),
        intercept=fit.intercept.reshape(-1, *sets),
        test_texts=tests,
        test_labels=np.take_along_axis(given, tests.reshape(len(given), -1), axis=1).reshape(tests.shape),
        test_pairs=tests % n,
        test_scores=np.stack(scores).reshape(len(chosen), *tests.shape),
        converged=fit.converged.reshape(-1, *sets),
    )


def fit_plain(
    chosen: np.ndarray,
    rejected: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    ready: Standardised | None = None,
) -> ProbeResult:
    """Returns the probe of Qian et al. (2024, ChnQ/TracingLLM): scikit-learn's default logistic regression.

    Features are standardised over all texts, the first four fifths are learned from, the rest is tested; C = 1 on a sum is
    1 / texts on a mean. Of each pair both texts are on the same side. Statistics of tested texts enter the scaling, as there.

    Args:
        chosen: States of the chosen texts at one layer, (1, n, d).
        rejected: States of the rejected texts, (1, n, d).
        labels: Other labels of the texts, (2 n,), as for :func:`fit_probes`.
        ready: As for :func:`fit_probes`, where all texts have labels.

    Raises:
        ValueError: If fewer than two pairs are given.
    """
    n = chosen.shape[1]
    first = n * 4 // 5
    if not 0 < first < n:
        raise ValueError(f"{n} pairs; at least 2 are needed")
    given = np.arange(2 * n) < n if labels is None else labels
    held = np.flatnonzero(given >= 0)
    learned = held % n < first
    texts, target = np.concatenate((chosen[0], rejected[0]))[held], given[held].astype(np.int64)
    options = {"penalties": (1.0 / learned.sum(),), "tolerance": TOLERANCE, "same_scale": True}
    known = ready if ready is not None and len(held) == 2 * n else standardise(texts, intercept=True)
    fit = fit_selected(known, target[None].astype(np.float64), np.where(learned, 0, -1)[None], **options)
    tests = held[~learned]
    return ProbeResult(
        weights=fit.weights[None, :, None],
        intercept=fit.intercept[None, :, None],
        test_texts=tests[None, None],
        test_labels=target[~learned][None, None],
        test_pairs=tests[None, None] % n,
        test_scores=(texts[~learned].astype(np.float64) @ fit.weights[0] + fit.intercept[0])[None, None, None],
        converged=fit.converged[None, :, None],
    )


def standardise_texts(chosen: np.ndarray, rejected: np.ndarray) -> Iterator[Standardised]:
    """Returns the texts of each layer, chosen ones first, ready for probes; arguments as in :func:`fit_probes`."""
    return (standardise(np.concatenate(sides), intercept=True) for sides in zip(chosen, rejected, strict=True))


def _score(fit: Fit, *sides: np.ndarray) -> np.ndarray:
    """Returns logits of the texts of both sides, (n, d) each, by each fit, float64, (S T, 2 n)."""
    parts = [side[low : low + BLOCK] for side in sides for low in range(0, len(side), BLOCK)]
    return np.concatenate([part.astype(np.float64) @ fit.weights.T + fit.intercept for part in parts]).T


def _deal(n: int, settings: Probe, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns test texts, (S T, m), and the fold of each text, (S T, 2 n), -1 where it is tested."""
    pairs = round(n * settings.test_fraction)
    if not 0 < pairs < n:
        raise ValueError(f"test_fraction {settings.test_fraction} of {n} pairs leaves a part empty; give more pairs")
    tests = []
    for seed in seeds:
        for split in settings.splits:
            rng = generator(seed, "probe")
            if split == "pair":
                held = np.sort(rng.permutation(n)[:pairs])
                tests.append(np.concatenate((held, held + n)))
            else:
                tests.append(np.sort(rng.permutation(2 * n)[: 2 * pairs]))
    folds = np.zeros((len(tests), 2 * n), dtype=np.int64)
    np.put_along_axis(folds, np.stack(tests), -1, axis=1)
    return np.stack(tests), folds
