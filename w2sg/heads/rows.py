"""From margins and scores to metric rows with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from w2sg.heads.probes import ProbeResult
from w2sg.measures.bootstrap import draw_counts
from w2sg.measures.estimates import Estimate
from w2sg.measures.metrics import bootstrap_mean, evaluate_margins, evaluate_texts
from w2sg.study.sections import Intervals, Probe


def head_rows(
    margins: np.ndarray,
    axes: tuple[Sequence[int], Sequence[int], Sequence[str]],
    *,
    keys: Mapping[str, str],
    intervals: Intervals,
    weak: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
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
        extras: Scalars of the training, (L, S, K) each; they have no interval.

    Returns:
        Columns layer, head, protocol, setting, seed, metric, value, low, high, n.
    """
    n = margins.shape[3]
    estimates = evaluate_margins(
        margins.reshape(-1, n),
        counts=draw_counts(n, resamples=intervals.bootstrap, seed=intervals.seed),
        supervisor=None if weak is None else np.broadcast_to(weak[None, :, None], margins.shape).reshape(-1, n),
        ceiling=None if ceiling is None else ceiling.reshape(-1, n),
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


def probe_rows(
    fitted: ProbeResult, layers: Sequence[int], *, seeds: Sequence[int], settings: Probe, intervals: Intervals
) -> pd.DataFrame:
    """Returns the metric rows of probes on the texts they were not trained on, resampled by pair.

    Args:
        fitted: Probes of L layers, S seeds and the ways to split.
        layers: Names of the L layers.
        seeds: Names of the S seeds.
        settings: The probes' protocol, which names the ways to split.
        intervals: Section ``intervals`` of the configuration.

    Returns:
        Columns as in :func:`head_rows`; ``protocol`` is the way to split.
    """
    frames = []
    for (s, seed), (t, split) in product(enumerate(seeds), enumerate(settings.splits)):
        labelled = fitted.test_labels[s, t] >= 0
        tested, column = np.unique(fitted.test_pairs[s, t][labelled], return_inverse=True)
        estimates = evaluate_texts(
            fitted.test_scores[:, s, t][:, labelled],
            labels=fitted.test_labels[s, t][labelled],
            pairs=column,
            counts=draw_counts(len(tested), resamples=intervals.bootstrap, seed=intervals.seed),
            confidence=intervals.confidence,
        )
        rows = _frame(estimates, product(layers, [seed], [f"l2={settings.penalty:g}"]))
        frames.append(rows.assign(head="probe", protocol=split))
    return pd.concat(frames, ignore_index=True)


def accuracy_rows(
    margins: np.ndarray,
    axes: tuple[Sequence[int], Sequence[int], Sequence[str]],
    *,
    keys: Mapping[str, str],
    intervals: Intervals,
) -> pd.DataFrame:
    """Returns the accuracies of heads on test pairs; arguments and columns are those of :func:`head_rows`."""
    n = margins.shape[3]
    right = 0.5 * (1.0 + np.sign(margins.reshape(-1, n)))
    counts = draw_counts(n, resamples=intervals.bootstrap, seed=intervals.seed)
    found = {"accuracy": bootstrap_mean(right, counts=counts, confidence=intervals.confidence)}
    return _frame(found, product(*axes)).assign(**keys)
