"""What is measured of the final layer's headline heads besides their metrics: controls, training pairs, margins, transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK, Features, Splits
from w2sg.heads.crossval import Standardised
from w2sg.heads.fits import FITS, REFITS, Trained, fit_alike, labelled_rows, true_labels
from w2sg.heads.halves import deal_halves, draws_of, rightness, training_sd, widen
from w2sg.heads.paper import score_pairs
from w2sg.heads.probes import fit_probes
from w2sg.heads.rows import accuracy_rows, head_rows, probe_rows
from w2sg.heads.sides import chosen_probability, generator
from w2sg.study.sections import Heads, Intervals, Probe

Labels = Callable[..., pd.DataFrame]
"""Returns the supervisor's labels, one row for each row id, given protocol, seed, split, row ids and half."""


_NONE = -1

TOLERANCE = 1e-2
"""As :data:`w2sg.heads.probes.TOLERANCE`, of probes of unrelated labels: random ones take long to fit to the last digit."""


@dataclass(frozen=True, kw_only=True)
class Final:
    """Heads of the final layer."""

    splits: Splits
    """Features of the layer."""
    trained: Mapping[tuple[str, str], Trained]
    """Heads of the layer, L = 1, by head and protocol."""
    margins: Mapping[tuple[str, str], np.ndarray]
    """Headline margins on the test pairs, by head and protocol, (S, n), the supervisor's among them."""

    def headline(self, head: str, protocol: str) -> np.ndarray:
        """Returns the headline weights, (S, d)."""
        return self.trained[head, protocol].weights[0, :, -1]


def soft_labels(labels: Labels, weak: Features, protocol: str, *, seeds: Sequence[int]) -> np.ndarray:
    """Returns the supervisor's P(chosen > rejected) of the pairs of the weak-supervision split, (S, n)."""
    return np.stack([chosen_probability(labels(protocol, seed, WEAK, tuple(weak.row_ids))) for seed in seeds])


def permute(soft: np.ndarray, seeds: list[int]) -> np.ndarray:
    """Returns soft labels, (S, n), each row permuted over the pairs by its head seed: errors that no text explains.

    Pairs without a label, NaN, keep none.
    """
    drawn = soft.copy()
    for row, seed in zip(drawn, seeds, strict=True):
        held = row[~np.isnan(row)]
        row[~np.isnan(row)] = held[generator(seed, "permuted").permutation(len(held))]
    return drawn


def add_permuted(final: Final, labels: Labels, *, heads: Heads, intervals: Intervals) -> tuple[Final, pd.DataFrame]:
    """Returns the heads with students of permuted labels among them, and the metric rows of these at their headline setting.

    Among the metrics is ``systematic_cost``, their accuracy minus that of the students of the labels as they are.
    """
    weak, test = final.splits[WEAK], final.splits[TEST]
    trained, margins, rows = dict(final.trained), dict(final.margins), []
    for name in FITS:
        soft = soft_labels(labels, weak, name, seeds=heads.seeds)
        made = fit_alike(weak, permute(soft, heads.seeds), name, heads=heads)
        shown = score_pairs(made.weights, test.chosen, test.rejected)  # (1, S, 1, n)
        trained["permuted", name], margins["permuted", name] = made, shown[0, :, 0]
        axes, keys = (test.layers, heads.seeds, made.settings), {"head": "permuted", "protocol": name}
        given = {"weak": margins["weak", name], "clusters": test.clusters, "classes": test.classes}
        given |= {"extras": made.extras}
        rows.append(head_rows(shown, axes, keys=keys, intervals=intervals, **given))
        given = {"minus": margins["w2s", name][None, :, None], "clusters": test.clusters}
        cost = accuracy_rows(shown, axes, keys=keys, intervals=intervals, **given)
        rows.append(cost.assign(metric="systematic_cost"))
    return replace(final, trained=trained, margins=margins), pd.concat(rows, ignore_index=True)


def refit(
    split: Features,
    target: np.ndarray,
    halves: np.ndarray,
    like: Trained,
    protocol: str,
    *,
    heads: Heads,
    student: bool,
) -> np.ndarray:
    """Returns heads of each half of the pairs, tuned like those of all pairs, (D, 2, d).

    Args:
        split: Features of one layer.
        target: Probability that the chosen text is preferred, (2 D, n); NaN for pairs of a half that are not learned.
        halves: From :func:`w2sg.heads.halves.deal_halves`, (D, 2, m).
        like: Heads of all pairs, whose last setting is the headline one.
        protocol: That of the heads.
        heads: Section of the configuration.
        student: Whether the configuration's loss is theirs.
    """
    rows = halves.reshape(-1, halves.shape[2])
    rows = np.take_along_axis(rows, labelled_rows(np.take_along_axis(target, rows, axis=1)), axis=1)
    options = {"heads": heads, "draws": draws_of(heads.seeds), "loss": heads.loss if student else "soft"}
    return REFITS[protocol](split, target, rows, like, **options).reshape(*halves.shape[:2], -1)


def deal_both(features: Splits, *, heads: Heads) -> list[np.ndarray]:
    """Returns the halves of the ground-truth and of the weak-supervision pairs, (D, 2, m) each; no draws if one has none."""
    draws, splits = draws_of(heads.seeds), (features[TRAIN], features[WEAK])
    dealt = [deal_halves(len(one.row_ids), draws, clusters=one.clusters) for one in splits]
    return dealt if all(len(halves) for halves in dealt) else [halves[:0] for halves in dealt]


def half_labels(labels: Labels, weak: Features, halves: np.ndarray, protocol: str, *, heads: Heads) -> np.ndarray:
    """Returns the P(chosen > rejected) by supervisors of halves of their own pairs in each half, (2 D, n), one half elsewhere.

    Args:
        labels: Of the supervisor.
        weak: Features of the weak-supervision pairs.
        halves: From :func:`w2sg.heads.halves.deal_halves`, (D, 2, m).
        protocol: That of the supervisor.
        heads: Section of the configuration, whose seeds are the draws.
    """
    target = np.full((2 * len(halves), len(weak.row_ids)), 0.5)
    for run, rows in enumerate(halves.reshape(-1, halves.shape[2])):
        draw, half = draws_of(heads.seeds)[run // 2], run % 2 + 1
        target[run, rows] = chosen_probability(labels(protocol, draw, WEAK, tuple(weak.row_ids[rows]), half))
    return target


def widen_students(
    rows: pd.DataFrame, final: Final, labels: Labels, *, heads: Heads, intervals: Intervals
) -> pd.DataFrame:
    """Returns metric rows whose final headline ones cover the training pairs: the supervisor's, and through it its students'."""
    train, weak, test = (final.splits[name] for name in (TRAIN, WEAK, TEST))
    of_train, of_weak = deal_both(final.splits, heads=heads)
    draws = draws_of(heads.seeds)[: len(of_weak)]
    if not draws:
        return rows
    runs = [(i, draw, half) for i, draw in enumerate(draws) for half in (0, 1)]
    sd = partial(training_sd, share=of_weak.shape[2] / len(weak.row_ids), clusters=test.clusters)
    for name in FITS:
        target = half_labels(labels, weak, of_weak, name, heads=heads)
        shown = [labels(name, draw, TEST, tuple(test.row_ids), half + 1)["margin"] for _, draw, half in runs]
        supervisor = rightness(np.stack(shown)).reshape(len(draws), 2, -1)
        for head, split, known, halves in (
            ("ceiling", train, true_labels(train, len(runs)), of_train),
            ("w2s", weak, target, of_weak),
        ):
            trained, student = final.trained[head, name], head == "w2s"
            weights = refit(split, known, halves, trained, name, heads=heads, student=student)
            right = rightness(score_pairs(weights[None], test.chosen, test.rejected)[0])  # (D, 2, n)
            found = {"accuracy": sd(right), "gain": sd(right - supervisor)}
            own = (rows["head"] == head) & (rows["protocol"] == name) & (rows["setting"] == trained.settings[-1])
            own &= rows["layer"] == test.layers[0]
            rows = pd.concat([rows[~own], widen(rows[own], found, confidence=intervals.confidence)], ignore_index=True)
    return rows


def predictions(final: Final, *, heads: Heads) -> pd.DataFrame:
    """Returns the headline margins on the test pairs: PREDICTIONS without model, revision, commit and dataset."""
    ids = final.splits[TEST].row_ids
    frames = [
        pd.DataFrame({"protocol": protocol, "head": head, "seed": seed, "row_id": ids, "margin": values})
        for (head, protocol), margins in final.margins.items()
        for seed, values in zip(heads.seeds, margins, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def score_elsewhere(
    weights: Mapping[tuple[str, str], np.ndarray],
    others: Mapping[str, Callable[[], Features]],
    settings: Mapping[str, str],
    *,
    heads: Heads,
    intervals: Intervals,
) -> pd.DataFrame:
    """Returns the accuracies of headline heads on the test pairs of other datasets.

    Args:
        weights: Headline weights by head and protocol, (S, d).
        others: Functions that return the same revision's features of another dataset's test pairs, one layer, by its name.
        settings: Headline setting of each protocol.
        heads: Section of the configuration, as the one that follows.
        intervals: Of all metrics.

    Returns:
        Columns as in :func:`w2sg.heads.rows.head_rows`, and tested_on.
    """
    rows = []
    for dataset, load in others.items():
        test = load()
        for (head, protocol), w in weights.items():
            margins = score_pairs(w[None, :, None], test.chosen, test.rejected)  # (1, S, 1, n)
            axes, keys = (test.layers, heads.seeds, [settings[protocol]]), {"head": head, "protocol": protocol}
            given = {"keys": keys | {"tested_on": dataset}, "clusters": test.clusters}
            rows.append(accuracy_rows(margins, axes, intervals=intervals, **given))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def unrelated_labels(pairs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Returns labels of the texts of n pairs, chosen ones first, by the name of their probe, (2 n,), -1 for no label or no text.

    ``probe_length``: whether a text, with its prompt, has more characters than the median of its own side.
    ``probe_group``, of chosen texts only: to which of two sets its class belongs, if there are several; the classes in
    order are cut where the sets are most alike in size.

    Args:
        pairs: Columns prompt, chosen, rejected and, for the second, chosen_label.
    """
    n = len(pairs)
    sides = [pairs[side] for side in ("chosen", "rejected")]
    length = np.stack(
        [(pairs["prompt"] + side).str.len().where(side != "") for side in sides]
    )  # (2, n), NaN for no text
    longer = np.where(np.isnan(length), _NONE, length > np.nanmedian(length, axis=1, keepdims=True))
    labels = {"probe_length": longer.astype(np.int64).ravel()}
    known = pairs["chosen_label"].to_numpy(str) if "chosen_label" in pairs else np.full(n, "")
    classes, sizes = np.unique(known[known != ""], return_counts=True)
    if len(classes) > 1:
        cut = int(np.argmin(np.abs(np.cumsum(sizes)[:-1] - sizes.sum() / 2)))
        group = np.where(known == "", _NONE, known > classes[cut])
        labels["probe_group"] = np.concatenate([group, np.full(n, _NONE)])
    return labels


def unrelated_rows(
    split: Features,
    given: Mapping[str, np.ndarray],
    ready: Standardised,
    *,
    probe: Probe,
    seeds: Sequence[int],
    intervals: Intervals,
) -> pd.DataFrame:
    """Returns the accuracies of probes of the given labels and of a coin for each text, on unseen pairs.

    Args:
        split: Features of the pairs at one layer.
        given: :func:`unrelated_labels` of the same pairs, in their order.
        ready: From :func:`w2sg.heads.probes.standardise_texts` of the same features.
        probe: The protocol; pairs are dealt whole, whatever it says.
        seeds: Head seeds, which deal the pairs and toss the coins.
        intervals: Section ``intervals`` of the configuration.
    """
    size = 2 * len(split.row_ids)
    coins = np.stack([generator(seed, "unrelated").random(size) < 0.5 for seed in seeds]).astype(np.int64)
    if split.text_labels is not None:
        coins = np.where(split.text_labels < 0, _NONE, coins)
    kinds = {name: np.tile(labels, (len(seeds), 1)) for name, labels in given.items()} | {"probe_random": coins}
    settings, runs = probe.model_copy(update={"splits": ["pair"]}), len(kinds) * len(seeds)
    labels = np.concatenate(list(kinds.values()))  # (runs, 2 n)
    options: Any = {"settings": settings, "seeds": [*seeds] * len(kinds), "labels": labels, "tolerance": TOLERANCE}
    fitted = fit_probes(split.chosen, split.rejected, ready=[ready], **options)
    resampling: Any = {"settings": settings, "intervals": intervals, "clusters": split.clusters}
    rows = probe_rows(fitted, split.layers, seeds=range(runs), **resampling)
    rows = rows[rows["metric"] == "accuracy"]
    kind, seed = np.divmod(rows["seed"].to_numpy(), len(seeds))
    return rows.assign(head=np.array(list(kinds))[kind], seed=np.array(seeds)[seed])
