"""The scientific protocol on frozen features: supervisor, probe, ceiling and W2SG heads, and their metrics.

One implementation for every family: nothing here knows where a model came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK, Features, Splits
from w2sg.heads.converged import fit_converged_heads
from w2sg.heads.paper import PaperHeadSettings, score_pairs, train_paper_heads
from w2sg.heads.probes import fit_probes
from w2sg.heads.rows import head_rows, probe_rows
from w2sg.heads.sides import chosen_probability, harden, label_weakly
from w2sg.study.protocols import Loss
from w2sg.study.sections import Heads, Intervals, Probe

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

    settings: tuple[str, ...]
    """Name of each of the K settings; the last is the headline one."""
    weights: np.ndarray
    """(L, S, K, d)."""
    extras: Mapping[str, np.ndarray]
    """Scalars of the training itself, (L, S, K) each, such as the progressive loss."""


def supervise(
    features: Splits, *, heads: Heads, intervals: Intervals, clusters: Mapping[str, np.ndarray] | None = None
) -> Supervision:
    """Returns the soft labels and the metrics of a supervisor trained on true labels of its final layer.

    Pairs that ``clusters`` (:func:`w2sg.measures.sources.split_clusters`) puts into one group are resampled together.
    """
    groups = (clusters or {}).get(TEST)
    seeds = heads.seeds
    train, weak, test = (features[name].layer(-1) for name in (TRAIN, WEAK, TEST))
    labels, rows = [], []
    for protocol, fit in _FITS.items():
        made = fit(train, _true_labels(train, seeds), heads=heads)
        on_weak, on_test = (score_pairs(made.weights, split.chosen, split.rejected)[0] for split in (weak, test))
        axes = (test.layers, seeds, made.settings)
        keys = {"head": "weak", "protocol": protocol}
        given = {"intervals": intervals, "clusters": groups, "extras": made.extras}
        rows.append(head_rows(on_test[None], axes, keys=keys, **given))
        for position, seed in enumerate(seeds):
            for name, split, margins in ((WEAK, weak, on_weak), (TEST, test, on_test)):  # margins: (S, K, n)
                shown = label_weakly(margins[position, -1], seed=seed)
                labels.append(shown.assign(row_id=split.row_ids, protocol=protocol, seed=seed, split=name))
    return Supervision(labels=pd.concat(labels, ignore_index=True), metrics=pd.concat(rows, ignore_index=True))


def evaluate_revision(
    parts: Sequence[Callable[[], Splits]],
    weak_labels: pd.DataFrame,
    *,
    heads: Heads,
    probe: Probe,
    intervals: Intervals,
    clusters: Mapping[str, np.ndarray] | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Returns the metric rows of a revision: probe, ceiling and W2SG heads of all layers, seeds and settings.

    The ceiling learns the true labels of the ground-truth split, the W2SG head the supervisor's soft labels of the
    weak-supervision split; both are judged on the test split, whose labels nothing is chosen by.

    Args:
        parts: Functions that return the strong model's features of some layers; one part is in memory for each
            worker.
        weak_labels: Schema LABELS.
        heads: Section of the configuration, as the two that follow.
        probe: Of the linear probe.
        intervals: Of all metrics.
        clusters: Group of each pair of a split, as :func:`w2sg.measures.sources.split_clusters`; resampled together.
        workers: Tasks at work together, each on one thread; no result depends on it.

    Returns:
        Schema RESULTS without model, revision, commit and dataset.

    Raises:
        ValueError: If the labels' rows are not those of the features.
    """
    labels = lru_cache(partial(_labelled, weak_labels))  # looked up once for all layers
    known = clusters or {}
    stages = (
        partial(_probe_rows, probe=probe, heads=heads, intervals=intervals, clusters=known.get(TRAIN)),
        partial(_head_rows, labels=labels, heads=heads, intervals=intervals, clusters=known.get(TEST)),
    )
    tasks = [(load, stage) for load in parts for stage in stages]  # short: no worker ends long before the others
    with ThreadPoolExecutor(workers) as pool:
        return pd.concat(pool.map(lambda task: task[1](task[0]()), tasks), ignore_index=True)


def _head_rows(
    features: Splits, *, labels: Labels, heads: Heads, intervals: Intervals, clusters: np.ndarray | None
) -> pd.DataFrame:
    """Returns the rows of the ceiling and W2SG heads of all protocols."""
    seeds, train, weak, test = heads.seeds, features[TRAIN], features[WEAK], features[TEST]
    made = {("ceiling", name): fit(train, _true_labels(train, seeds), heads=heads) for name, fit in _FITS.items()}
    for name, fit in _FITS.items():
        soft = np.stack([chosen_probability(labels(name, seed, WEAK, tuple(weak.row_ids))) for seed in seeds])
        made["w2s", name] = fit(weak, soft, heads=heads, loss=heads.loss)
    ends = np.cumsum([len(trained.settings) for trained in made.values()])
    together = np.concatenate([trained.weights for trained in made.values()], axis=2)  # (L, S, K, d)
    scored = np.split(score_pairs(together, test.chosen, test.rejected), ends[:-1], axis=2)
    margins = dict(zip(made, scored, strict=True))  # (L, S, K, n) each
    rows = []
    for name in _FITS:
        supervisor = np.stack([labels(name, seed, TEST, tuple(test.row_ids))["margin"] for seed in seeds])  # (S, n)
        for head, ceiling in (("ceiling", None), ("w2s", margins["ceiling", name])):
            trained, keys = made[head, name], {"head": head, "protocol": name}
            axes = (test.layers, seeds, trained.settings)
            given = {"weak": supervisor, "ceiling": ceiling, "clusters": clusters, "extras": trained.extras}
            rows.append(head_rows(margins[head, name], axes, keys=keys, intervals=intervals, **given))
    return pd.concat(rows, ignore_index=True)


def _probe_rows(
    features: Splits, *, probe: Probe, heads: Heads, intervals: Intervals, clusters: np.ndarray | None
) -> pd.DataFrame:
    """Returns the rows of the probes of all layers, seeds and ways to split."""
    split, seeds = features[TRAIN], heads.seeds
    fitted = fit_probes(split.chosen, split.rejected, settings=probe, seeds=seeds)
    return probe_rows(fitted, split.layers, seeds=seeds, settings=probe, intervals=intervals, clusters=clusters)


def _fit_paper(split: Features, target: np.ndarray, *, heads: Heads, loss: Loss = "soft") -> _Trained:
    """Returns heads at each learning rate and at the selected one.

    Only students are given the loss of the configuration: true labels are certain, so that rounding them changes nothing, and
    a supervisor or ceiling must not be drawn to its own predictions.
    """
    settings = PaperHeadSettings(**heads.paper.model_dump(), loss=loss, margin=heads.margin)
    made = train_paper_heads(split.chosen, split.rejected, target, settings=settings, seeds=heads.seeds)
    rates = np.array(settings.learning_rates)

    def with_selected(values: np.ndarray) -> np.ndarray:  # (L, S, K, ...) to (L, S, K + 1, ...)
        chosen = np.expand_dims(made.selected, tuple(range(2, values.ndim)))
        return np.concatenate([values, np.take_along_axis(values, chosen, axis=2)], axis=2)

    return _Trained(
        settings=(*(f"lr={rate:g}" for rate in rates), "selected"),
        weights=with_selected(made.weights),
        extras={
            "progressive_loss": with_selected(made.progressive_loss),
            "learning_rate": with_selected(np.broadcast_to(rates, made.progressive_loss.shape)),
        },
    )


def _fit_converged(split: Features, target: np.ndarray, *, heads: Heads, loss: Loss = "soft") -> _Trained:
    """Returns heads at the cross-validated penalty.

    The log-confidence loss mixes in predictions as training goes; a fit to its end has no such course and takes soft labels.
    """
    labels, groups = harden(target) if loss == "hard" else target, np.arange(len(split.row_ids))
    if heads.margin == "single":
        states = np.concatenate([split.chosen, split.rejected], axis=1)  # (L, 2n, d)
        labels, groups = np.concatenate([labels, 1.0 - labels], axis=1), np.tile(groups, 2)  # (S, 2n)
    else:
        states = split.chosen - split.rejected
    made = fit_converged_heads(states, labels, settings=heads.converged, seeds=heads.seeds, groups=groups)
    extras = {"penalty": made.penalty[:, :, None], "converged": made.converged[:, :, None].astype(float)}
    return _Trained(settings=("cv",), weights=made.weights[:, :, None], extras=extras)


_FITS = {"paper": _fit_paper, "converged": _fit_converged}


def _true_labels(split: Features, seeds: Sequence[int]) -> np.ndarray:
    """Returns certainty that the chosen text is preferred, (S, n)."""
    return np.ones((len(seeds), len(split.row_ids)))


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
