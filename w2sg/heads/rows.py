"""From margins and scores to metric rows with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from w2sg.heads.probes import ProbeResult
from w2sg.measures.bootstrap import draw_counts
from w2sg.measures.estimates import Estimate
from w2sg.measures.metrics import evaluate_margins, evaluate_texts


def head_rows(
    margins: np.ndarray,
    axes: tuple[Sequence[int], Sequence[int], Sequence[str]],
    *,
    keys: Mapping[str, str],
    intervals: Mapping[str, Any],
    weak: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
    extras: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Returns the metric rows of heads on the test pairs.

    Args:
        margins: s(chosen) - s(rejected), (L, S, K, n).
        axes: Layers, seeds and settings: names of the first three axes.
        keys: Columns head and protocol.
        intervals: Section ``metrics`` of the configuration; all heads of a dataset share its resamples, so that their
            differences are paired.
        weak: The supervisor's margins per seed, (S, n); adds agreement and gain.
        ceiling: Margins of the heads trained on true labels, shape of ``margins``; adds PGR.
        extras: Scalars of the training, (L, S, K) each; they have no interval.

    Returns:
        Columns layer, head, protocol, setting, seed, metric, value, low, high, n.
    """
    n = margins.shape[3]
    flat, labels = margins.reshape(-1, n), list(product(*axes))
    estimates = evaluate_margins(
        flat,
        counts=draw_counts(n, resamples=intervals["bootstrap"], seed=intervals["seed"]),
        supervisor=None if weak is None else np.broadcast_to(weak[None, :, None], margins.shape).reshape(-1, n),
        ceiling=None if ceiling is None else ceiling.reshape(-1, n),
        confidence=intervals["confidence"],
    )
    estimates |= {name: Estimate(value=values.ravel(), n=n) for name, values in (extras or {}).items()}
    frames = [_frame(name, estimate, labels) for name, estimate in estimates.items()]
    return pd.concat(frames, ignore_index=True).assign(**keys)


def _frame(metric: str, estimate: Estimate, labels: Sequence[tuple[int, int, str]]) -> pd.DataFrame:
    layer, seed, setting = zip(*labels, strict=True)
    return pd.DataFrame(
        {
            "layer": layer,
            "setting": setting,
            "seed": seed,
            "metric": metric,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "n": estimate.n,
        }
    )


def probe_rows(
    fitted: ProbeResult,
    layers: Sequence[int],
    *,
    seeds: Sequence[int],
    setting: str,
    intervals: Mapping[str, Any],
) -> pd.DataFrame:
    """Returns the metric rows of probes on the texts they were not trained on, resampled by pair.

    Args:
        fitted: Probes of L layers, S seeds and the ways to split.
        layers: Names of the L layers.
        seeds: Names of the S seeds.
        setting: Name of the penalty.
        intervals: Section ``metrics`` of the configuration.

    Returns:
        Columns as in :func:`head_rows`; ``protocol`` is the way to split.
    """
    frames = []
    for s, t in product(range(len(seeds)), range(len(fitted.splits))):
        tested, column = np.unique(fitted.test_pairs[s, t], return_inverse=True)
        estimates = evaluate_texts(
            fitted.test_scores[:, s, t],
            labels=fitted.test_labels[s, t],
            pairs=column,
            counts=draw_counts(len(tested), resamples=intervals["bootstrap"], seed=intervals["seed"]),
            confidence=intervals["confidence"],
        )
        labels = [(layer, seeds[s], setting) for layer in layers]
        frames += [
            _frame(name, estimate, labels).assign(head="probe", protocol=fitted.splits[t])
            for name, estimate in estimates.items()
        ]
    return pd.concat(frames, ignore_index=True)
