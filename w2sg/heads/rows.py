"""From margins and scores to metric rows with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from w2sg.heads.probes import ProbeResult
from w2sg.measures.bootstrap import draw_counts
from w2sg.measures.estimates import Estimate
from w2sg.measures.metrics import evaluate_margins, evaluate_texts

BLOCK = 256
"""Heads evaluated together; bounds memory, changes no result."""


@dataclass(frozen=True, kw_only=True)
class Resamples:
    """The bootstrap resamples that all heads of a dataset share, so that their differences are paired."""

    counts: np.ndarray
    """How often each resample holds each pair, float32, (B, n)."""
    confidence: float
    """Coverage of the intervals."""

    @classmethod
    def for_pairs(cls, n: int, section: Mapping[str, Any]) -> Resamples:
        """Returns the resamples of n pairs that section ``metrics`` of the configuration asks for."""
        counts = _draw(n, section["bootstrap"], section["seed"])
        return cls(counts=counts, confidence=section["confidence"])


@lru_cache(maxsize=16)
def _draw(n: int, resamples: int, seed: int) -> np.ndarray:
    """Returns the resamples, drawn once for all layers that follow each other."""
    counts = draw_counts(n, resamples=resamples, seed=seed)
    counts.setflags(write=False)
    return counts


def head_rows(
    margins: np.ndarray,
    axes: tuple[Sequence[int], Sequence[int], Sequence[str]],
    *,
    keys: Mapping[str, str],
    bootstrap: Resamples,
    weak: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
    extras: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Returns the metric rows of heads on the test pairs.

    Args:
        margins: s(chosen) - s(rejected), (L, S, K, n).
        axes: Layers, seeds and settings: names of the first three axes.
        keys: Columns head and protocol.
        bootstrap: The dataset's resamples.
        weak: The supervisor's margins per seed, (S, n); adds agreement and gain.
        ceiling: Margins of the heads trained on true labels, shape of ``margins``; adds PGR.
        extras: Scalars of the training, (L, S, K) each; they have no interval.

    Returns:
        Columns layer, head, protocol, setting, seed, metric, value, low, high, n.
    """
    n = margins.shape[3]
    flat = margins.reshape(-1, n)
    others = {}
    if weak is not None:
        others["supervisor"] = np.broadcast_to(weak[None, :, None], margins.shape).reshape(-1, n)
    if ceiling is not None:
        others["ceiling"] = ceiling.reshape(-1, n)
    frames = []
    labels = list(product(*axes))
    for low in range(0, len(flat), BLOCK):
        part = slice(low, low + BLOCK)
        estimates = evaluate_margins(
            flat[part],
            counts=bootstrap.counts,
            confidence=bootstrap.confidence,
            **{name: values[part] for name, values in others.items()},
        )
        frames += [_frame(name, estimate, labels[part]) for name, estimate in estimates.items()]
    for name, values in (extras or {}).items():
        frames.append(_frame(name, Estimate(value=values.ravel(), n=n), labels))
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
        bootstrap = Resamples.for_pairs(len(tested), intervals)
        estimates = evaluate_texts(
            fitted.test_scores[:, s, t],
            labels=fitted.test_labels[s, t],
            pairs=column,
            counts=bootstrap.counts,
            confidence=bootstrap.confidence,
        )
        labels = [(layer, seeds[s], setting) for layer in layers]
        frames += [
            _frame(name, estimate, labels).assign(head="probe", protocol=fitted.splits[t])
            for name, estimate in estimates.items()
        ]
    return pd.concat(frames, ignore_index=True)
