"""Which test pairs the student corrects or spoils over pre-training, and how much accuracies differ by the pairs' chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MEAN_SEED = -1
"""Stands for the mean over head seeds where a seed is named."""

Answers = Mapping[tuple[str, str, str, str, int], Mapping[int, np.ndarray]]
"""By family, dataset, protocol, head and seed, then by step: which test pairs are right (1, 0 or one half of a tie), (n,)."""

HEADS = ("weak", "w2s", "ceiling")
"""Heads whose answers are compared, or decide the errors of late levels."""


def collect_answers(parts: Iterable[tuple[str, int, pd.DataFrame]]) -> Answers:
    """Returns the answers of all heads and seeds, and of the mean over seeds (``MEAN_SEED``).

    Args:
        parts: Family, step and rows of PREDICTIONS of one revision on one dataset.

    Raises:
        ValueError: If two revisions of a family were tested on different pairs.
    """
    answers: dict[Any, dict[int, np.ndarray]] = {}
    pairs: dict[Any, np.ndarray] = {}
    for family, step, rows in parts:
        rows = rows[rows["head"].isin(HEADS)]
        for (dataset, protocol, head), found in rows.groupby(["dataset", "protocol", "head"], observed=True):
            margins = found.pivot(index="row_id", columns="seed", values="margin").sort_index()
            known = pairs.setdefault((family, dataset), margins.index.to_numpy())
            if not np.array_equal(known, margins.index.to_numpy()):
                raise ValueError(
                    f"family {family}, step {step}: predictions on {dataset} are of other pairs than before"
                )
            right = 0.5 + 0.5 * np.sign(margins.to_numpy(np.float64))  # (n, S)
            for seed, column in [(MEAN_SEED, right.mean(1)), *zip(margins.columns, right.T, strict=True)]:
                answers.setdefault((family, dataset, protocol, head, int(seed)), {})[step] = column
    return answers


def compare_answers(answers: Answers) -> Iterator[dict[str, Any]]:
    """Yields the rows of AGREEMENT: per revision what the student corrects, spoils and answers as the last one does."""
    for (family, dataset, protocol, head, seed), student in answers.items():
        weak = answers.get((family, dataset, protocol, "weak", seed), {})
        if head != "w2s" or seed == MEAN_SEED:
            continue
        last = student[max(student)]
        for step, right in sorted(student.items()):
            supervisor = weak.get(step, np.full(len(right), np.nan))
            yield {
                "family": family, "dataset": dataset, "protocol": protocol, "seed": seed, "step": step,
                "corrected": float(np.mean((1.0 - supervisor) * right)),
                "spoiled": float(np.mean(supervisor * (1.0 - right))),
                "same_as_last": float(np.mean(right == last)),
                "error_to_last": float(np.std(right - last, ddof=1) / np.sqrt(len(right))),
                "n": len(right),
            }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PairErrors:
    """What the test pairs contribute to the errors of Q accuracies or differences at R revisions, pairs taken for independent."""

    single: np.ndarray
    """Variance of one revision's value, mean over the revisions, (Q,)."""
    mean: np.ndarray
    """Covariance of the means over the revisions, (Q, Q): what the pairs decide at one revision only averages out."""
    noise: np.ndarray
    """Covariance over the revisions that pairs alone would make, (Q, Q)."""
    lasting: np.ndarray
    """``mean`` less what of the noise is left in it, (Q, Q): the part that is the same at all revisions."""


def pair_errors(right: np.ndarray) -> PairErrors:
    """Returns the errors of accuracies or differences by the test pairs.

    The noise is half the mean, over all couples of revisions, of the variance of their difference on the same n pairs: what
    the sample variance of the R values expects if all revisions were equally good.

    Args:
        right: Which pairs each revision has right, or differences of it, (Q, R, n).
    """
    revisions, n = right.shape[1:]
    centred = right - right.mean(axis=2, keepdims=True)
    lasting = centred.mean(axis=1)
    passing = (centred - lasting[:, None]).reshape(len(right), -1)
    couples = n * (n - 1)
    mean, noise = lasting @ lasting.T / couples, passing @ passing.T / (max(revisions - 1, 1) * couples)
    single = (centred**2).sum(axis=(1, 2)) / (revisions * couples)
    return PairErrors(single=single, mean=mean, noise=noise, lasting=semidefinite(mean - noise / revisions))


def semidefinite(matrix: np.ndarray) -> np.ndarray:
    """Returns a symmetric matrix, (Q, Q), without its negative variances: a covariance less another may have some."""
    sizes, axes = np.linalg.eigh(matrix)
    return axes * np.maximum(sizes, 0.0) @ axes.T
