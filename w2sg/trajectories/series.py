"""Headline trajectories of each layer as arrays: what correlations and transitions are computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from w2sg.trajectories.selection import CASE, MEAN_SEED, own_rows, rows_with, series_cells

_NAMES = [*CASE, "layer"]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """W2SG of one head seed, or of the mean over seeds, over n revisions."""

    seed: int
    """Head seed; ``MEAN_SEED`` for the mean."""
    accuracy: np.ndarray
    """Accuracy, (n,)."""
    accuracy_error: np.ndarray
    """Its standard error, (n,)."""
    gain: np.ndarray
    """Accuracy minus the supervisor's, (n,)."""
    gain_error: np.ndarray
    """Its standard error, (n,)."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What an adaptive sweep chose its revisions from."""

    count: int
    """Number of candidates, each of which might have been tested."""
    late_step: int
    """Step from which revisions count as late."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One layer's headline trajectories under one head protocol, over n revisions by step."""

    family: str
    """Name of the family."""
    dataset: str
    """Name of the dataset."""
    protocol: str
    """``paper`` or ``converged``."""
    layer: int
    """Hidden state that heads and probe read."""
    steps: np.ndarray
    """Optimiser steps, (n,)."""
    tokens: np.ndarray
    """Training tokens in billions, (n,)."""
    probe: np.ndarray
    """Linear-probe accuracy, (n,); NaN where it was not measured."""
    loss: np.ndarray
    """Evaluation loss in nats per token, (n,); NaN where it was not measured."""
    curves: tuple[Curve, ...]
    """W2SG: the mean over head seeds first, then each seed."""
    listed: Listed | None = None
    """What the revisions were chosen from; None where they were chosen before anything was measured."""
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further predictors, each (n,), with NaN where it was not measured: accuracies of the ceiling head (mean over head seeds), of
    probes of the texts' length (``unrelated``) and with default settings (``plain``); and ``subspace``, what the student's
    components explain and the supervisor's do not."""

    @property
    def keys(self) -> dict[str, Any]:
        """Returns the columns that name the series in a table."""
        return {name: getattr(self, name) for name in _NAMES}

    @property
    def doublings(self) -> np.ndarray:
        """Returns log2 of the tokens, (n,); minus infinity before any training."""
        with np.errstate(divide="ignore"):
            return np.log2(self.tokens)


def collect_series(
    metrics: pd.DataFrame, *, confidence: float, listed: Mapping[str, Listed] | None = None
) -> Iterator[Series]:
    """Yields the series of every family, dataset, protocol and layer that has W2SG heads.

    Args:
        metrics: Schema METRICS.
        confidence: Coverage of the table's intervals; standard errors are taken from their width.
        listed: What the revisions of adaptive sweeps were chosen from, by family.
    """
    halves = 2.0 * float(stats.norm.ppf(0.5 + confidence / 2))
    rows = own_rows(pd.concat([rows_with(metrics, **cells) for cells in series_cells()]))
    rows = rows.assign(error=(rows["high"] - rows["low"]) / halves)
    by = [*_NAMES, "step", "tokens", "metric", "seed"]
    means_of = rows_with(rows, head="w2s").groupby(by)[["value", "error"]].mean()
    students = pd.DataFrame(means_of.unstack(["metric", "seed"]))
    places = ["family", "dataset", "layer", "step"]
    losses = rows_with(rows, head="model").groupby(["family", "step"])["value"].mean()
    means = {
        "probe": rows_with(rows, head="probe").groupby(places)["value"].mean(),
        "ceiling": rows_with(rows, head="ceiling").groupby([*_NAMES, "step"])["value"].mean(),
        "unrelated": rows_with(rows, head="probe_length").groupby(places)["value"].mean(),
        "plain": rows_with(rows, head="probe_plain").groupby(places)["value"].mean(),
        "subspace": rows_with(rows, head="subspace").groupby(places)["value"].mean(),
    }
    for key, whole in students.groupby(level=_NAMES, sort=True):
        values = pd.DataFrame(whole["value"]).dropna(
            axis="columns", how="all"
        )  # protocols need not have the same seeds
        table = whole[[column for column in whole.columns if column[1:] in set(values.columns)]].loc[
            values.dropna().index
        ]
        named: dict[str, Any] = dict(zip(_NAMES, key, strict=True))
        steps = table.index.get_level_values("step")
        loss_index = pd.MultiIndex.from_product([[named["family"]], steps])
        found = {name: _at(values, named, steps) for name, values in means.items()}
        yield Series(
            **named,
            probe=found.pop("probe"),
            others=found,
            steps=steps.to_numpy(),
            tokens=table.index.get_level_values("tokens").to_numpy(np.float64),
            loss=losses.reindex(loss_index).to_numpy(np.float64),
            curves=tuple(_curves(table)),
            listed=(listed or {}).get(named["family"]),
        )


def _at(means: pd.Series, named: dict[str, Any], steps: pd.Index) -> np.ndarray:
    """Returns the means of a head at the steps of one series, (n,)."""
    index = pd.MultiIndex.from_product([*([named[str(name)]] for name in means.index.names[:-1]), steps])
    return means.reindex(index).to_numpy(np.float64)


def _curves(table: pd.DataFrame) -> Iterator[Curve]:
    """Yields the mean over seeds and each seed.

    Test pairs are shared by all seeds, so their sampling error does not shrink in the mean; what the seeds differ
    by does, and is added.
    """
    seeds = table[("value", "accuracy")].columns
    numbers, mean = {}, {}
    for metric in ("accuracy", "gain"):
        value, error = (table[kind, metric].to_numpy(np.float64) for kind in ("value", "error"))  # (n, S)
        between = value.var(axis=1, ddof=1) / len(seeds) if len(seeds) > 1 else 0.0
        numbers |= {metric: value, f"{metric}_error": error}
        mean |= {metric: value.mean(1), f"{metric}_error": np.sqrt(error.mean(1) ** 2 + between)}
    yield Curve(seed=MEAN_SEED, **mean)
    for column, seed in enumerate(seeds):
        yield Curve(seed=int(seed), **{name: values[:, column] for name, values in numbers.items()})
