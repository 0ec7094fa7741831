"""Accuracies that need no language model: what a head has to beat before it says anything about one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from w2sg.measures.bootstrap import draw_counts
from w2sg.measures.estimates import Estimate
from w2sg.measures.metrics import bootstrap_mean, evaluate_margins
from w2sg.measures.sources import pair_clusters
from w2sg.study.protocols import SPLITS
from w2sg.study.sections import Intervals

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Candidates for scikit-learn's inverse penalty C of the TF-IDF head."""

FOLDS = 5
"""Folds of the training pairs that choose among them."""

ENDING = re.compile(r"(\w+|[^\w\s])\s*$")
"""The last word or punctuation mark of a text."""


def measure_floors(pairs: pd.DataFrame, *, intervals: Intervals) -> pd.DataFrame:
    """Returns the floors of a dataset on its test split: columns floor, metric, value, low, high, n.

    - longer_response: the response of more characters is preferred; below one half, the shorter is the
      better guess. Metrics accuracy, auroc and tie_rate.
    - tfidf: logistic regression on differences of TF-IDF vectors (single words), trained on the ground-truth
      split. Same metrics.
    - same_ending: only tie_rate, the share of pairs whose responses end in the same word or punctuation mark;
      there a head on the last token's embedding can hardly tell them apart.

    tie_rate is the share of pairs with a margin of exactly zero, which count one half in accuracy. An answer
    that ignores the pair has accuracy one half, over both orders of showing it, whatever the dataset.

    Of labelled texts longer_response takes a text for one of the positive class if it has more characters than the median
    training text, tfidf is a regression on the texts themselves, and instead of same_ending there is majority, only accuracy:
    the class that most training texts have is the answer to all. As classes are balanced, it is that of chance, one half.

    Args:
        pairs: Columns split, chosen, rejected and the source of both; a labelled text has one of the two sides.
        intervals: Section ``intervals`` of the configuration.

    Raises:
        ValueError: If the ground-truth or the test split has no pairs.
    """
    train, test = (_rows(pairs, split) for split in (SPLITS[0], SPLITS[-1]))
    drawn: Any = {"resamples": intervals.bootstrap, "seed": intervals.seed, "clusters": pair_clusters(test)}
    counts = draw_counts(len(test), **drawn)
    resampling: Any = {"counts": counts, "confidence": intervals.confidence}
    margins = {"longer_response": measure_lengths(test, train), "tfidf": score_words(train, test, seed=intervals.seed)}
    classes = text_classes(test)
    found = {}
    for floor, margin in margins.items():
        metrics = evaluate_margins(margin[None], classes=classes, **resampling)
        found |= {(floor, name): metrics[name] for name in ("accuracy", "auroc")}
        found[floor, "tie_rate"] = bootstrap_mean((margin == 0)[None], **resampling)
    if classes is not None:
        most = float(np.mean(text_classes(train) == 1) >= 0.5)
        found["majority", "accuracy"] = bootstrap_mean((classes == most)[None], **resampling)
        return _frame(found)
    same = [ENDING.findall(a) == ENDING.findall(b) for a, b in zip(test["chosen"], test["rejected"], strict=True)]
    found["same_ending", "tie_rate"] = bootstrap_mean(np.array(same)[None], **resampling)
    return _frame(found)


def _frame(found: Mapping[tuple[str, str], Estimate]) -> pd.DataFrame:
    rows = [(*key, one.value[0], one.low[0], one.high[0], one.n) for key, one in found.items()]
    return pd.DataFrame(rows, columns=["floor", "metric", "value", "low", "high", "n"])


def text_classes(pairs: pd.DataFrame) -> np.ndarray | None:
    """Returns the class of each labelled text, 1 for the positive one and 0 for others, int64, (n,); None for pairs."""
    empty = np.stack([pairs[side].eq("").to_numpy() for side in ("chosen", "rejected")])
    return empty[1].astype(np.int64) if (empty.sum(0) == 1).all() else None


def measure_lengths(test: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """Returns how many characters the chosen response is longer than the rejected one, float64, (n,).

    Of labelled texts: how many more a text has than the median training text, with the sign of its class.
    """
    longer = (test["chosen"].map(len) - test["rejected"].map(len)).to_numpy(np.float64)
    classes = text_classes(test)
    if classes is None:
        return longer
    return longer - np.median((train["chosen"] + train["rejected"]).map(len)) * np.where(classes == 1, 1, -1)


def score_words(train: pd.DataFrame, test: pd.DataFrame, *, seed: int) -> np.ndarray:
    """Returns margins, (n,), of test pairs by a logistic regression on differences of TF-IDF vectors.

    The penalty is chosen by cross-validated log loss among the training pairs. If no word occurs in two of
    their texts, all margins are zero.

    Args:
        train: Training pairs, columns chosen and rejected; the vocabulary is theirs, words of a single text left out.
        test: Pairs to score, likewise.
        seed: Seed of the folds.
    """
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
    try:
        vectorizer.fit([text for side in ("chosen", "rejected") for text in train[side] if text])
    except ValueError:  # no word occurs in two texts
        return np.zeros(len(test))
    known, asked = (_subtract(vectorizer, pairs) for pairs in (train, test))
    fold = np.random.Generator(np.random.PCG64(seed)).permutation(len(train)) % FOLDS
    losses = []
    for strength in STRENGTHS:
        held = [_held_margins(known, fold == part, strength) for part in np.unique(fold)]
        losses.append(np.logaddexp(0.0, -np.concatenate(held)).mean())
    return asked @ _fit(known, STRENGTHS[int(np.argmin(losses))])


def _rows(pairs: pd.DataFrame, split: str) -> pd.DataFrame:
    rows = pairs.loc[pairs["split"] == split]
    if rows.empty:
        raise ValueError(f"split {split} has no pairs; the floors need both {SPLITS[0]} and {SPLITS[-1]}")
    return rows


def _subtract(vectorizer: Any, pairs: pd.DataFrame) -> csr_matrix:
    """Returns chosen minus rejected vectors, sparse, (n, words); those of labelled texts have a column for the intercept."""
    difference = csr_matrix(vectorizer.transform(pairs["chosen"]) - vectorizer.transform(pairs["rejected"]))
    classes = text_classes(pairs)
    if classes is None:
        return difference
    constant = csr_matrix(np.where(classes == 1, 1.0, -1.0)[:, None])
    return csr_matrix(hstack((difference, constant)))


def _held_margins(difference: csr_matrix, held: np.ndarray, strength: float) -> np.ndarray:
    """Returns margins of the rows marked in ``held`` by a fit of the others; zero if there are none."""
    if held.all():
        return np.zeros(len(held))
    return difference[held] @ _fit(csr_matrix(difference[~held]), strength)


def _fit(difference: csr_matrix, strength: float) -> np.ndarray:
    """Returns coefficients without intercept, (words,), from differences shown in both orders."""
    shown = vstack((difference, -difference))
    labels = np.repeat((1, 0), difference.get_shape()[0])
    # Twice the rows with half the strength: the sum of losses weighs as it does with one order.
    model = LogisticRegression(C=strength / 2, fit_intercept=False, tol=1e-6, max_iter=2000)
    return model.fit(shown, labels).coef_[0]
