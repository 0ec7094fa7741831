"""A supervisor that scores with a model: its heads, their labels, and its own student."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK, Features, Splits
from w2sg.heads import controls
from w2sg.heads.cleaning.labels import clean, clean_halves, clean_labels
from w2sg.heads.controls import Labels
from w2sg.heads.fits import FITS, Trained, true_labels
from w2sg.heads.halves import draws_of, rightness, training_sd, widen
from w2sg.heads.paper import score_pairs
from w2sg.heads.rows import head_rows
from w2sg.heads.sides import label_weakly, probability
from w2sg.heads.supervision.tables import look_up
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.study.sections import Heads, Intervals

Others = Mapping[str, Callable[[], Features]]
"""Functions that return a revision's features of another dataset's test pairs, final layer, by the dataset's name."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What a weak supervisor leaves behind."""

    labels: pd.DataFrame
    """Schema LABELS."""
    metrics: pd.DataFrame
    """Schema RESULTS without model, revision, commit, dataset and tested_on."""
    transfer: pd.DataFrame
    """The same of other datasets, with tested_on; empty without them."""


def supervise(
    features: Splits,
    *,
    heads: Heads,
    intervals: Intervals,
    others: Others | None = None,
    taught: pd.DataFrame | None = None,
) -> Supervision:
    """Returns the labels and the metrics of a supervisor trained on true labels of its final layer, and of its own student.

    In a chain it is itself a student: it learns the labels of a weaker supervisor, and labels the same pairs.

    The student learns the supervisor's soft labels from the supervisor's features: what is gained without a stronger model.
    Labels are also those of supervisors trained on halves of the pairs, for students of halves.

    Args:
        features: The supervisor's features.
        heads: Section of the configuration, as the one that follows.
        intervals: Of all metrics.
        others: Other datasets that the supervisor is tested on.
        taught: Labels of the supervisor before it in a chain, schema LABELS.
    """
    seeds = heads.seeds
    train, weak, test = (features[name].layer(-1) for name in (TRAIN, WEAK, TEST))
    splits = {TRAIN: train, WEAK: weak, TEST: test}
    known = None if taught is None else look_up(clean_labels(taught, weak, heads=heads))
    labels, rows, weights, shared = [], [], {}, {"heads": heads, "seeds": seeds}
    for protocol, fit in FITS.items():
        if known is None:
            made = fit(train, true_labels(train, len(seeds)), heads=heads)
        else:
            made = fit(weak, controls.soft_labels(known, weak, protocol, seeds=seeds), heads=heads, loss=heads.loss)
        on_weak, on_test = (score_pairs(made.weights, split.chosen, split.rejected)[0] for split in (weak, test))
        weights["weak", protocol] = made.weights[0, :, -1]
        for position, seed in enumerate(seeds):
            for name, split, margins in ((WEAK, weak, on_weak), (TEST, test, on_test)):  # margins: (S, K, n)
                shown = label_weakly(margins[position, -1], seed=seed)
                labels.append(shown.assign(row_id=split.row_ids, protocol=protocol, seed=seed, half=0, split=name))
        soft = clean(weak.chosen[0] - weak.rejected[0], probability(on_weak[:, -1]), groups=weak.clusters, **shared)
        student = fit(weak, soft, heads=heads, loss=heads.loss)
        own = score_pairs(student.weights, test.chosen, test.rejected)[0]
        more, found = _half_supervisors(splits, made, student, protocol, heads=heads, known=known)
        labels += more
        for head, trained, margins, teacher in (
            ("weak", made, on_test, None),
            ("weak_on_weak", student, own, on_test[:, -1]),
        ):
            axes, keys = (test.layers, seeds, trained.settings), {"head": head, "protocol": protocol}
            given = {"weak": teacher, "clusters": test.clusters, "classes": test.classes, "extras": trained.extras}
            got = head_rows(margins[None], axes, keys=keys, intervals=intervals, **given)
            headline = got["setting"] == trained.settings[-1]
            rows += [got[~headline], widen(got[headline], found.get(head, {}), confidence=intervals.confidence)]
    transfer = controls.score_elsewhere(weights, others or {}, HEADLINE_SETTINGS, heads=heads, intervals=intervals)
    return Supervision(
        labels=pd.concat(labels, ignore_index=True), metrics=pd.concat(rows, ignore_index=True), transfer=transfer
    )


def _half_supervisors(
    splits: Splits, made: Trained, student: Trained, protocol: str, *, heads: Heads, known: Labels | None
) -> tuple[list[pd.DataFrame], dict[str, dict[str, float]]]:
    """Returns the labels of supervisors trained on halves, and how much training pairs move supervisor and own student."""
    train, weak, test = (splits[name] for name in (TRAIN, WEAK, TEST))
    of_train, of_weak = controls.deal_both(splits, heads=heads)
    if not len(of_train):
        return [], {}
    runs = 2 * len(of_train)
    if known is None:
        trained = controls.refit(train, true_labels(train, runs), of_train, made, protocol, heads=heads, student=False)
    else:
        target = controls.half_labels(known, weak, of_weak, protocol, heads=heads)
        trained = controls.refit(weak, target, of_weak, made, protocol, heads=heads, student=True)
    on_weak, on_test = (
        score_pairs(trained[None], split.chosen, split.rejected)[0] for split in (weak, test)
    )  # (D, 2, n)
    soft = probability(on_weak).reshape(runs, -1)
    soft = clean_halves(weak, soft, of_weak, heads=heads, draws=draws_of(heads.seeds))
    learned = controls.refit(weak, soft, of_weak, student, protocol, heads=heads, student=True)
    right, own = rightness(on_test), rightness(score_pairs(learned[None], test.chosen, test.rejected)[0])
    share, labels = of_weak.shape[2] / len(weak.row_ids), []
    for i, draw in enumerate(draws_of(heads.seeds)):
        for half in (0, 1):
            for name, split, margins, rows in (
                (WEAK, weak, on_weak, of_weak[i, half]),
                (TEST, test, on_test, slice(None)),
            ):
                shown = label_weakly(margins[i, half], seed=draw).assign(row_id=split.row_ids).iloc[rows]
                labels.append(shown.assign(protocol=protocol, seed=draw, half=half + 1, split=name))
    sd = partial(training_sd, share=share, clusters=test.clusters)
    return labels, {"weak": {"accuracy": sd(right)}, "weak_on_weak": {"accuracy": sd(own), "gain": sd(own - right)}}
