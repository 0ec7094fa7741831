"""The scientific protocol on frozen features: supervisor, probe, ceiling and W2SG heads, controls, and their metrics.

One implementation for every family: nothing here knows where a model came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK, Features, Splits
from w2sg.heads import controls
from w2sg.heads.cleaning.labels import clean_labels
from w2sg.heads.controls import Final, Labels, unrelated_rows
from w2sg.heads.crossval import Standardised
from w2sg.heads.fits import FITS, Trained, true_labels
from w2sg.heads.paper import score_pairs
from w2sg.heads.probes import fit_plain, fit_probes, standardise_texts
from w2sg.heads.rows import head_rows, plain_rows, probe_rows, subspace_row
from w2sg.heads.supervision.tables import look_up
from w2sg.heads.supervision.trained import Others
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.study.sections import Heads, Intervals, Probe


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is measured of a revision."""

    metrics: pd.DataFrame
    """Schema RESULTS without model, revision, commit, dataset and tested_on."""
    transfer: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The same of other datasets, with tested_on; empty without them."""
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Schema PREDICTIONS without model, revision, commit and dataset."""


def evaluate_revision(
    parts: Sequence[Callable[[], Splits]],
    weak_labels: pd.DataFrame,
    *,
    heads: Heads,
    probe: Probe,
    intervals: Intervals,
    unrelated: Mapping[str, np.ndarray] | None = None,
    others: Others | None = None,
    supervisor: Callable[[], Features] | None = None,
    workers: int = 1,
) -> Measured:
    """Returns what is measured of a revision: probe, ceiling and W2SG heads of all layers, seeds and settings, and controls.

    The ceiling learns the true labels of the ground-truth split, the W2SG head the supervisor's soft labels of the
    weak-supervision split, cleaned if asked for; both are judged on the test split, whose labels nothing is chosen by. Of the final
    layer there are also students of permuted labels, probes of unrelated concepts, other predictors, the part of training pairs in the
    intervals, the margins, and transfer.

    Args:
        parts: Functions that return the strong model's features of some layers, the final one last; one part is in memory for
            each worker.
        weak_labels: Schema LABELS.
        heads: Section of the configuration, as the two that follow.
        probe: Of the linear probe.
        intervals: Of all metrics.
        unrelated: From :func:`w2sg.heads.controls.unrelated_labels`, of the ground-truth pairs in their order.
        others: Other datasets that the heads are tested on.
        supervisor: Function that returns the supervisor's features of the weak-supervision pairs, final layer.
        workers: Tasks at work together, each on one thread; no result depends on it.

    Raises:
        ValueError: If the labels' rows are not those of the features.
    """
    if heads.cleaning is not None:
        weak_labels = clean_labels(weak_labels, parts[-1]()[WEAK].layer(-1), heads=heads)
    labels = look_up(weak_labels)
    asked = {"heads": heads, "intervals": intervals}
    probes, trained = partial(_probe_rows, probe=probe, **asked), partial(_head_rows, labels=labels, **asked)
    final = partial(_final_heads, labels=labels, others=others or {}, **asked)
    last = partial(_last_probe_rows, unrelated=unrelated or {}, probe=probe, **asked)
    tasks = [(load, stage) for load in parts[:-1] for stage in (probes, trained)]
    subspace = partial(_subspace_rows, supervisor=supervisor)
    tasks += [(parts[-1], stage) for stage in (final, last, subspace)]
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(lambda task: task[1](task[0]()), tasks))
    metrics = pd.concat([one.metrics for one in done], ignore_index=True)
    ended = done[2 * (len(parts) - 1)]
    return Measured(metrics=metrics, transfer=ended.transfer, predictions=ended.predictions)


def _final_heads(features: Splits, *, labels: Labels, heads: Heads, intervals: Intervals, others: Others) -> Measured:
    """Returns the rows of the layers with the final one among them, and all that is measured of its headline heads."""
    rows, trained, margins = _train(features, labels=labels, heads=heads, intervals=intervals)
    final = Final(
        splits={name: split.layer(-1) for name, split in features.items()},
        trained={
            key: Trained(
                settings=one.settings,
                weights=one.weights[-1:],
                extras={name: values[-1:] for name, values in one.extras.items()},
            )
            for key, one in trained.items()
        },
        margins={key: values[-1] if values.ndim == 3 else values for key, values in margins.items()},
    )
    rows = controls.widen_students(rows, final, labels, heads=heads, intervals=intervals)
    final, permuted = controls.add_permuted(final, labels, heads=heads, intervals=intervals)
    weights = {(head, name): final.headline(head, name) for head in ("ceiling", "w2s") for name in FITS}
    return Measured(
        metrics=pd.concat([rows, permuted], ignore_index=True),
        transfer=controls.score_elsewhere(weights, others, HEADLINE_SETTINGS, heads=heads, intervals=intervals),
        predictions=controls.predictions(final, heads=heads),
    )


def _head_rows(features: Splits, *, labels: Labels, heads: Heads, intervals: Intervals) -> Measured:
    """Returns the rows of the ceiling and W2SG heads of all protocols."""
    return Measured(metrics=_train(features, labels=labels, heads=heads, intervals=intervals)[0])


def _train(
    features: Splits, *, labels: Labels, heads: Heads, intervals: Intervals
) -> tuple[pd.DataFrame, dict[tuple[str, str], Trained], dict[tuple[str, str], np.ndarray]]:
    """Returns the rows of the ceiling and W2SG heads of all protocols, the heads, and their headline margins, (L, S, n).

    The supervisor's margins, (S, n), are among them.
    """
    seeds, train, weak, test = heads.seeds, features[TRAIN], features[WEAK], features[TEST]
    made = {("ceiling", name): fit(train, true_labels(train, len(seeds)), heads=heads) for name, fit in FITS.items()}
    for name, fit in FITS.items():
        soft = controls.soft_labels(labels, weak, name, seeds=seeds)
        made["w2s", name] = fit(weak, soft, heads=heads, loss=heads.loss)
    ends = np.cumsum([len(trained.settings) for trained in made.values()])
    together = np.concatenate([trained.weights for trained in made.values()], axis=2)  # (L, S, K, d)
    scored = np.split(score_pairs(together, test.chosen, test.rejected), ends[:-1], axis=2)
    margins = dict(zip(made, scored, strict=True))  # (L, S, K, n) each
    rows, headline = [], {key: values[:, :, -1] for key, values in margins.items()}
    for name in FITS:
        supervisor = np.stack([labels(name, seed, TEST, tuple(test.row_ids))["margin"] for seed in seeds])  # (S, n)
        headline["weak", name] = supervisor
        for head, ceiling in (("ceiling", None), ("w2s", margins["ceiling", name])):
            trained, keys = made[head, name], {"head": head, "protocol": name}
            axes = (test.layers, seeds, trained.settings)
            given = {"weak": supervisor, "ceiling": ceiling, "clusters": test.clusters, "classes": test.classes}
            given |= {"extras": trained.extras}
            rows.append(head_rows(margins[head, name], axes, keys=keys, intervals=intervals, **given))
    return pd.concat(rows, ignore_index=True), made, headline


def _probe_rows(
    features: Splits,
    *,
    probe: Probe,
    heads: Heads,
    intervals: Intervals,
    ready: Sequence[Standardised] | None = None,
) -> Measured:
    """Returns the rows of the probes of all layers, seeds and ways to split."""
    split, seeds = features[TRAIN], heads.seeds
    labels = None if split.text_labels is None else np.tile(split.text_labels, (len(seeds), 1))
    fitted = fit_probes(split.chosen, split.rejected, settings=probe, seeds=seeds, labels=labels, ready=ready)
    given = {"settings": probe, "intervals": intervals, "clusters": split.clusters}
    return Measured(metrics=probe_rows(fitted, split.layers, seeds=seeds, **given))


def _last_probe_rows(
    features: Splits, *, unrelated: Mapping[str, np.ndarray], probe: Probe, heads: Heads, intervals: Intervals
) -> Measured:
    """Returns the rows of the probes of all layers, and of the final layer's other ones: of unrelated concepts, at default settings."""
    split = features[TRAIN]
    ready = list(standardise_texts(split.chosen, split.rejected))
    found = _probe_rows(features, probe=probe, heads=heads, intervals=intervals, ready=ready)
    options: Any = {"probe": probe, "seeds": heads.seeds, "intervals": intervals}
    last = split.layer(-1)
    plain = fit_plain(last.chosen, last.rejected, labels=last.text_labels, ready=ready[-1])
    rows = [unrelated_rows(last, unrelated, ready[-1], **options), plain_rows(plain, last, intervals=intervals)]
    return Measured(metrics=pd.concat([found.metrics, *rows], ignore_index=True))


def _subspace_rows(features: Splits, *, supervisor: Callable[[], Features] | None) -> Measured:
    """Returns the row of the norm that predicts without labels; none without the supervisor's features."""
    found = pd.DataFrame() if supervisor is None else subspace_row(features[WEAK].layer(-1), supervisor())
    return Measured(metrics=found)
