"""From margins and scores to metric rows with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from w2sg.activations.features import Features
from w2sg.heads.probes import ProbeResult
from w2sg.measures.bootstrap import draw_counts
from w2sg.measures.estimates import Estimate
from w2sg.measures.metrics import bootstrap_mean, evaluate_margins, evaluate_texts
from w2sg.measures.subspaces import RIDGE, SMALLEST, principal_part, unexplained_norm
from w2sg.study.sections import Intervals, Probe


def head_rows(
    margins: np.ndarray,
    axes: tuple[Sequence[int], Sequence[int], Sequence[str]],
    *,
    keys: Mapping[str, str],
    intervals: Intervals,
    weak: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    extras: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Returns the metric rows of heads on the test pairs.

    Args:
        margins: s(chosen) - s(rejected), (L, S, K, n).
        axes: Layers, seeds and settings: names of the first three axes.
        keys: Columns head and protocol.
        intervals: Section ``intervals`` of the configuration; all heads of a dataset share its resamples, so that their
            differences are paired.
        weak: The supervisor's margins per seed, (S, n); adds agreement and gain.
        ceiling: Margins of the heads trained on true labels, shape of ``margins``; adds PGR.
        clusters: Group of each test pair, (n,), resampled together; without it each pair for itself.
        classes: Classes of labelled texts, (n,), as :attr:`w2sg.activations.features.Features.classes`.
        extras: Scalars of the training, (L, S, K) each; they have no interval.

    Returns:
        Columns layer, head, protocol, setting, seed, metric, value, low, high, n.
    """
    n = margins.shape[3]
    estimates = evaluate_margins(
        margins.reshape(-1, n),
        counts=draw_counts(n, resamples=intervals.bootstrap, seed=intervals.seed, clusters=clusters),
        supervisor=None if weak is None else np.broadcast_to(weak[None, :, None], margins.shape).reshape(-1, n),
        ceiling=None if ceiling is None else ceiling.reshape(-1, n),
        classes=classes,
        confidence=intervals.confidence,
    )
    estimates |= {name: Estimate(value=values.ravel(), n=n) for name, values in extras.items()}
    return _frame(estimates, product(*axes)).assign(**keys)


def _frame(estimates: Mapping[str, Estimate], heads: Iterable[tuple[int, int, str]]) -> pd.DataFrame:
    """Returns the rows of estimates of H heads, given by their layer, seed and setting."""
    labels = pd.DataFrame(heads, columns=["layer", "seed", "setting"])
    frames = [
        labels.assign(metric=name, value=one.value, low=one.low, high=one.high, n=one.n)
        for name, one in estimates.items()
    ]
    return pd.concat(frames, ignore_index=True)


def token_rows(test: Features, train: Features, *, intervals: Intervals) -> pd.DataFrame:
    """Returns the floor of a tokenizer: the accuracy of preferring the text of fewer tokens, equal numbers counting one half.

    Below one half, more tokens are the better guess. A labelled text is taken for one of the positive class if it has fewer
    tokens than the median training text.

    Args:
        test: Features of the test pairs, whose tokens are counted before any cut.
        train: The same of the training pairs.
        intervals: Section ``intervals`` of the configuration.

    Returns:
        One row, columns as in :func:`head_rows`.
    """
    margins = (test.tokens[1] - test.tokens[0]).astype(np.float64)
    if test.classes is not None:
        margins += np.median(train.tokens.sum(0)) * np.where(test.classes == 1, 1, -1)
    keys = {"head": "floor", "protocol": "none"}
    axes = ([-1], [0], ["fewer_tokens"])
    given = {"clusters": test.clusters, "classes": test.classes}
    rows = head_rows(margins[None, None, None], axes, keys=keys, intervals=intervals, extras={}, **given)
    return rows[rows["metric"] == "accuracy"]


def probe_rows(
    fitted: ProbeResult,
    layers: Sequence[int],
    *,
    seeds: Sequence[int],
    settings: Probe,
    intervals: Intervals,
    clusters: np.ndarray | None = None,
) -> pd.DataFrame:
    """Returns the metric rows of probes on the texts they were not trained on, resampled by pair.

    Args:
        fitted: Probes of L layers, S seeds and the ways to split.
        layers: Names of the L layers.
        seeds: Names of the S seeds.
        settings: The probes' protocol, which names the ways to split.
        intervals: Section ``intervals`` of the configuration.
        clusters: Group of each pair whose texts the probes were dealt, (n,), resampled together.

    Returns:
        Columns as in :func:`head_rows`; ``protocol`` is the way to split.
    """
    frames = []
    for (s, seed), (t, split) in product(enumerate(seeds), enumerate(settings.splits)):
        labelled = fitted.test_labels[s, t] >= 0
        tested, column = np.unique(fitted.test_pairs[s, t][labelled], return_inverse=True)
        groups = None if clusters is None else clusters[tested]
        estimates = evaluate_texts(
            fitted.test_scores[:, s, t][:, labelled],
            labels=fitted.test_labels[s, t][labelled],
            pairs=column,
            counts=draw_counts(len(tested), resamples=intervals.bootstrap, seed=intervals.seed, clusters=groups),
            confidence=intervals.confidence,
        )
        rows = _frame(estimates, product(layers, [seed], [f"l2={settings.penalty:g}"]))
        frames.append(rows.assign(head="probe", protocol=split))
    return pd.concat(frames, ignore_index=True)


def plain_rows(fitted: ProbeResult, split: Features, *, intervals: Intervals) -> pd.DataFrame:
    """Returns the accuracy of :func:`w2sg.heads.probes.fit_plain` on these pairs; columns are those of :func:`head_rows`."""
    settings = Probe(splits=["pair"])
    rows = probe_rows(fitted, split.layers, seeds=[0], settings=settings, intervals=intervals, clusters=split.clusters)
    return rows[rows["metric"] == "accuracy"].assign(head="probe_plain", protocol="first", setting="C=1")


def subspace_row(strong: Features, weak: Features) -> pd.DataFrame:
    """Returns :func:`w2sg.measures.subspaces.unexplained_norm` of a student and its supervisor on the same pairs.

    It has no interval; columns are those of :func:`head_rows`.

    Raises:
        ValueError: If the rows are not the same.
    """
    if not np.array_equal(strong.row_ids, weak.row_ids):
        raise ValueError("the supervisor's features and the student's are not of the same rows")
    parts = (principal_part(one.chosen[-1] - one.rejected[-1]) for one in (strong, weak))
    estimate = Estimate(value=unexplained_norm(*parts), n=len(strong.row_ids))
    setting = f"smallest={SMALLEST:g},ridge={RIDGE:g}"
    rows = _frame({"unexplained_norm": estimate}, [(strong.layers[-1], 0, setting)])
    return rows.assign(head="subspace", protocol="none")


def accuracy_rows(
    margins: np.ndarray,
    axes: tuple[Sequence[int], Sequence[int], Sequence[str]],
    *,
    keys: Mapping[str, str],
    intervals: Intervals,
    clusters: np.ndarray | None = None,
    minus: np.ndarray | None = None,
) -> pd.DataFrame:
    """Returns the accuracies of heads on test pairs; arguments and columns are those of :func:`head_rows`.

    With the margins of other heads, ``minus``, (L, S, K, n), they are differences from the accuracies of these.
    """
    n = margins.shape[3]
    right = 0.5 * (1.0 + np.sign(margins))
    right = (right if minus is None else right - 0.5 * (1.0 + np.sign(minus))).reshape(-1, n)
    counts = draw_counts(n, resamples=intervals.bootstrap, seed=intervals.seed, clusters=clusters)
    found = {"accuracy": bootstrap_mean(right, counts=counts, confidence=intervals.confidence)}
    return _frame(found, product(*axes)).assign(**keys)
