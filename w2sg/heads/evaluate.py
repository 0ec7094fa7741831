"""The scientific protocol on frozen features: supervisor, probe, ceiling and W2SG heads, and their metrics.

One implementation for every family: nothing here knows where a model came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK, Split, SplitFeatures
from w2sg.heads.converged import ConvergedSettings, fit_converged_heads
from w2sg.heads.paper import PaperHeadSettings, score_pairs, train_paper_heads
from w2sg.heads.probes import ProbeSettings, fit_probes
from w2sg.heads.rows import Resamples, head_rows, probe_rows
from w2sg.heads.sides import WeakLabels, harden, label_weakly
from w2sg.study.protocols import Loss

Stage = Callable[[SplitFeatures], list[pd.DataFrame]]

Labels = Callable[[str, int, str, tuple[str, ...]], pd.DataFrame]
"""Returns the supervisor's labels under a protocol and seed in a split, one row for each of the row ids."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What a weak supervisor leaves behind."""

    labels: pd.DataFrame
    """Schema LABELS."""
    metrics: pd.DataFrame
    """Schema RESULTS without model, revision, commit and dataset."""


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """Heads of one protocol."""

    protocol: str
    """``paper`` or ``converged``."""
    settings: tuple[str, ...]
    """Name of each of the K settings."""
    weights: np.ndarray
    """(L, S, K, d)."""
    extras: Mapping[str, np.ndarray]
    """Scalars of the training itself, (L, S, K) each, such as the progressive loss."""


def supervise(features: SplitFeatures, *, heads: Mapping[str, Any], intervals: Mapping[str, Any]) -> Supervision:
    """Returns the soft labels and the metrics of a supervisor trained on true labels of its final layer.

    Args:
        features: The weak model's features.
        heads: Section ``heads`` of the configuration.
        intervals: Section ``metrics`` of the configuration.
    """
    seeds, layer = heads["seeds"], features.layers[-1]
    train, weak, test = (features[name].layer(-1) for name in (TRAIN, WEAK, TEST))
    bootstrap = Resamples.for_pairs(len(test.row_ids), intervals)
    labels, rows = [], []
    for trained in _train(train, np.ones((len(seeds), len(train.row_ids))), heads=heads):
        margins = {name: _margins(trained, split)[0] for name, split in ((WEAK, weak), (TEST, test))}  # (S, K, n)
        rows.append(_rows(trained, margins[TEST][None], (layer,), head="weak", heads=heads, bootstrap=bootstrap))
        for position, seed in enumerate(seeds):
            for name, split in ((WEAK, weak), (TEST, test)):
                labels.append(_label_frame(margins[name][position, -1], trained.protocol, seed, name, split))
    return Supervision(labels=pd.concat(labels, ignore_index=True), metrics=pd.concat(rows, ignore_index=True))


def _label_frame(margins: np.ndarray, protocol: str, seed: int, name: str, split: Split) -> pd.DataFrame:
    shown = label_weakly(margins, seed=seed)
    return pd.DataFrame(
        {
            "protocol": protocol,
            "seed": seed,
            "split": name,
            "row_id": split.row_ids,
            "swapped": shown.swapped,
            "probability": shown.probability,
            "margin": margins,
        }
    )


def evaluate_revision(
    parts: Sequence[Callable[[], SplitFeatures]],
    weak_labels: pd.DataFrame,
    *,
    heads: Mapping[str, Any],
    probe: Mapping[str, Any],
    intervals: Mapping[str, Any],
    workers: int = 1,
) -> pd.DataFrame:
    """Returns the metric rows of a revision: probe, ceiling and W2SG heads of all layers, seeds and settings.

    The ceiling learns the true labels of the ground-truth split, the W2SG head the supervisor's soft labels of the
    weak-supervision split; both are judged on the test split, whose labels nothing is chosen by.

    Args:
        parts: Functions that return the strong model's features of some layers; one part is in memory for each
            worker.
        weak_labels: Schema LABELS.
        heads: Section ``heads`` of the configuration.
        probe: Section ``probe`` of the configuration.
        intervals: Section ``metrics`` of the configuration.
        workers: Parts at work together, each on one thread; no result depends on it.

    Returns:
        Schema RESULTS without model, revision, commit and dataset.

    Raises:
        ValueError: If the labels' rows are not those of the features.
    """
    # Looked up once for all layers.
    labels = lru_cache(partial(_labelled, weak_labels))

    def probe_of(features: SplitFeatures) -> list[pd.DataFrame]:
        return [_probe_rows(features[TRAIN], features.layers, probe=probe, heads=heads, intervals=intervals)]

    def heads_of(features: SplitFeatures) -> list[pd.DataFrame]:
        return _head_rows(features, labels, heads=heads, intervals=intervals)

    # Two workers share a part that would keep one of them while the other had nothing to do.
    whole = len(parts) - len(parts) % workers
    tasks = [(load, (probe_of, heads_of)) for load in parts[:whole]]
    tasks += [(load, (stage,)) for load in parts[whole:] for stage in (probe_of, heads_of)]

    def evaluate(load: Callable[[], SplitFeatures], stages: Sequence[Stage]) -> list[pd.DataFrame]:
        features = load()
        return [rows for stage in stages for rows in stage(features)]

    with ThreadPoolExecutor(workers) as pool:
        return pd.concat(chain.from_iterable(pool.map(evaluate, *zip(*tasks, strict=True))), ignore_index=True)


def _head_rows(
    features: SplitFeatures, labels: Labels, *, heads: Mapping[str, Any], intervals: Mapping[str, Any]
) -> list[pd.DataFrame]:
    seeds, layers, test = heads["seeds"], features.layers, features[TEST]
    ceilings = list(_train(features[TRAIN], np.ones((len(seeds), len(features[TRAIN].row_ids))), heads=heads))
    students = []
    for ceiling in ceilings:
        soft = np.stack([_soft_labels(labels, ceiling.protocol, seed, features[WEAK]) for seed in seeds])
        students += _train(features[WEAK], soft, heads=heads, only=ceiling.protocol, loss=heads["loss"])
    made = [*ceilings, *students]
    ends = np.cumsum([len(trained.settings) for trained in made])
    together = score_pairs(np.concatenate([trained.weights for trained in made], axis=2), test.chosen, test.rejected)
    margins = np.split(together, ends[:-1], axis=2)  # (L, S, K, n) each
    bootstrap, rows = Resamples.for_pairs(len(test.row_ids), intervals), []
    for ceiling, student, top, own in zip(
        ceilings, students, margins[: len(ceilings)], margins[len(ceilings) :], strict=True
    ):
        supervisor = np.stack([_weak_margins(labels, ceiling.protocol, seed, test) for seed in seeds])  # (S, n)
        common = {"heads": heads, "bootstrap": bootstrap, "weak": supervisor}
        rows.append(_rows(ceiling, top, layers, head="ceiling", **common))
        rows.append(_rows(student, own, layers, head="w2s", ceiling=top, **common))
    return rows


def _train(split: Split, target: np.ndarray, *, heads: Mapping[str, Any], only: str | None = None, loss: Loss = "soft"):
    """Yields the heads of each protocol; the last setting of each is the headline one.

    Only students are given the loss of the configuration: true labels are certain, so that rounding them changes nothing, and
    a supervisor or ceiling must not be drawn to its own predictions.
    """
    seeds = heads["seeds"]
    if only in (None, "paper"):
        section = heads["paper"]
        settings = PaperHeadSettings(
            **{**section, "learning_rates": tuple(section["learning_rates"])},
            loss=loss,
            margin=heads["margin"],
        )
        made = train_paper_heads(split.chosen, split.rejected, target, settings=settings, seeds=seeds)
        rates = np.array(settings.learning_rates)
        chosen = made.selected[:, :, None]
        progressive = np.concatenate(
            [made.progressive_loss, np.take_along_axis(made.progressive_loss, chosen, 2)], axis=2
        )
        yield _Trained(
            protocol="paper",
            settings=(*(f"lr={rate:g}" for rate in rates), "selected"),
            weights=np.concatenate([made.weights, made.best()[:, :, None]], axis=2),
            extras={
                "progressive_loss": progressive,
                "learning_rate": np.concatenate(
                    [np.broadcast_to(rates, made.progressive_loss.shape), rates[chosen]], axis=2
                ),
            },
        )
    if only in (None, "converged"):
        section = heads["converged"]
        settings = ConvergedSettings(penalties=tuple(section["penalties"]), folds=section["folds"])
        # The log-confidence loss mixes in predictions as training goes; a fit to its end has no such course.
        labels = harden(target) if loss == "hard" else target
        if heads["margin"] == "single":
            states = np.concatenate([split.chosen, split.rejected], axis=1)  # (L, 2n, d)
            labels = np.concatenate([labels, 1.0 - labels], axis=1)  # (S, 2n)
            groups = np.tile(np.arange(len(split.row_ids)), 2)
        else:
            states, groups = split.chosen - split.rejected, None
        made = fit_converged_heads(states, labels, settings=settings, seeds=seeds, groups=groups)
        yield _Trained(
            protocol="converged",
            settings=("cv",),
            weights=made.weights[:, :, None],
            extras={
                "penalty": made.penalty[:, :, None],
                "converged": made.converged[:, :, None].astype(float),
            },
        )


def _margins(trained: _Trained, split: Split) -> np.ndarray:
    return score_pairs(trained.weights, split.chosen, split.rejected)


def _rows(
    trained: _Trained,
    margins: np.ndarray,
    layers: Sequence[int],
    *,
    head: str,
    heads: Mapping[str, Any],
    bootstrap: Resamples,
    weak: np.ndarray | None = None,
    ceiling: np.ndarray | None = None,
) -> pd.DataFrame:
    keys = {"head": head, "protocol": trained.protocol}
    axes = (tuple(layers), tuple(heads["seeds"]), trained.settings)
    return head_rows(margins, axes, keys=keys, bootstrap=bootstrap, weak=weak, ceiling=ceiling, extras=trained.extras)


def _labelled(labels: pd.DataFrame, protocol: str, seed: int, name: str, row_ids: tuple[str, ...]) -> pd.DataFrame:
    """Returns the supervisor's labels of the given pairs of a split, in their order."""
    rows = labels[(labels["protocol"] == protocol) & (labels["seed"] == seed) & (labels["split"] == name)]
    indexed = rows.set_index("row_id")
    missing = [row_id for row_id in row_ids if row_id not in indexed.index]
    if missing or len(indexed) != len(row_ids) or not indexed.index.is_unique:
        raise ValueError(
            f"the supervisor labelled {len(indexed)} pairs of split {name}, the student has {len(row_ids)}; "
            f"{len(missing)} of them have no label, such as {missing[:1]}"
        )
    return indexed.loc[list(row_ids)]


def _soft_labels(labels: Labels, protocol: str, seed: int, split: Split) -> np.ndarray:
    rows = labels(protocol, seed, WEAK, split.row_ids)
    shown = WeakLabels(swapped=rows["swapped"].to_numpy(), probability=rows["probability"].to_numpy())
    return shown.chosen_probability()


def _weak_margins(labels: Labels, protocol: str, seed: int, split: Split) -> np.ndarray:
    return labels(protocol, seed, TEST, split.row_ids)["margin"].to_numpy()


def _probe_rows(
    split: Split,
    layers: Sequence[int],
    *,
    probe: Mapping[str, Any],
    heads: Mapping[str, Any],
    intervals: Mapping[str, Any],
) -> pd.DataFrame:
    seeds = heads["seeds"]
    settings = ProbeSettings(
        penalties=(probe["penalty"],), splits=tuple(probe["splits"]), test_fraction=probe["test_fraction"]
    )
    fitted = fit_probes(split.chosen, split.rejected, settings=settings, seeds=seeds)
    return probe_rows(fitted, layers, seeds=seeds, setting=f"l2={probe['penalty']:g}", intervals=intervals)
