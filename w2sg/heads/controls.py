"""What is measured of the final layer's headline heads besides their metrics: controls, training pairs, margins, transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK, Features, Splits
from w2sg.heads.fits import FITS, REFITS, Trained, true_labels
from w2sg.heads.halves import accuracies, deal_halves, draws_of, training_sd, widen
from w2sg.heads.paper import score_pairs
from w2sg.heads.rows import accuracy_rows, head_rows
from w2sg.heads.sides import chosen_probability, generator
from w2sg.study.sections import Heads, Intervals

Labels = Callable[..., pd.DataFrame]
"""Returns the supervisor's labels, one row for each row id, given protocol, seed, split, row ids and half."""

Clusters = Mapping[str, np.ndarray]
"""Group of each pair of a split; each pair is its own where a split is missing."""


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


def permute(soft: np.ndarray, seeds: list[int]) -> np.ndarray:
    """Returns soft labels, (S, n), each row permuted over the pairs by its head seed: errors that no text explains."""
    return np.stack(
        [row[generator(seed, "permuted").permutation(len(row))] for row, seed in zip(soft, seeds, strict=True)]
    )


def add_permuted(final: Final, labels: Labels, *, heads: Heads, intervals: Intervals) -> tuple[Final, pd.DataFrame]:
    """Returns the heads with students of permuted labels among them, and the metric rows of these at their headline setting."""
    weak, test = final.splits[WEAK], final.splits[TEST]
    trained, margins, rows = dict(final.trained), dict(final.margins), []
    for name, fit in FITS.items():
        soft = np.stack([chosen_probability(labels(name, seed, WEAK, tuple(weak.row_ids))) for seed in heads.seeds])
        made = fit(weak, permute(soft, heads.seeds), heads=heads, loss=heads.loss)
        shown = score_pairs(made.weights[:, :, -1:], test.chosen, test.rejected)  # (1, S, 1, n)
        trained["permuted", name], margins["permuted", name] = made, shown[0, :, 0]
        axes, keys = (test.layers, heads.seeds, made.settings[-1:]), {"head": "permuted", "protocol": name}
        given = {
            "weak": margins["weak", name],
            "extras": {key: values[:, :, -1:] for key, values in made.extras.items()},
        }
        rows.append(head_rows(shown, axes, keys=keys, intervals=intervals, **given))
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
        target: Probability that the chosen text is preferred, (2 D, n).
        halves: From :func:`w2sg.heads.halves.deal_halves`, (D, 2, m).
        like: Heads of all pairs, whose last setting is the headline one.
        protocol: That of the heads.
        heads: Section of the configuration.
        student: Whether the configuration's loss is theirs.
    """
    rows = halves.reshape(-1, halves.shape[2])
    options = {"heads": heads, "draws": draws_of(heads.seeds), "loss": heads.loss if student else "soft"}
    return REFITS[protocol](split, target, rows, like, **options).reshape(*halves.shape[:2], -1)


def deal_both(features: Splits, clusters: Clusters | None, *, heads: Heads) -> list[np.ndarray]:
    """Returns the halves of the ground-truth and of the weak-supervision pairs, (D, 2, m) each; no draws if one has none."""
    known, draws = clusters or {}, draws_of(heads.seeds)
    dealt = [deal_halves(len(features[name].row_ids), draws, clusters=known.get(name)) for name in (TRAIN, WEAK)]
    return dealt if all(len(halves) for halves in dealt) else [halves[:0] for halves in dealt]


def widen_students(
    rows: pd.DataFrame, final: Final, labels: Labels, clusters: Clusters | None, *, heads: Heads, intervals: Intervals
) -> pd.DataFrame:
    """Returns metric rows whose final headline ones cover the training pairs: the supervisor's, and through it its students'."""
    train, weak, test = (final.splits[name] for name in (TRAIN, WEAK, TEST))
    of_train, of_weak = deal_both(final.splits, clusters, heads=heads)
    draws, n = draws_of(heads.seeds)[: len(of_weak)], len(weak.row_ids)
    if not draws:
        return rows
    runs = [(i, draw, half) for i, draw in enumerate(draws) for half in (0, 1)]
    share = of_weak.shape[2] / n
    for name in FITS:
        target = np.full((len(runs), n), 0.5)
        for run, (i, draw, half) in enumerate(runs):
            own = of_weak[i, half]
            target[run, own] = chosen_probability(labels(name, draw, WEAK, tuple(weak.row_ids[own]), half + 1))
        shown = [labels(name, draw, TEST, tuple(test.row_ids), half + 1)["margin"] for _, draw, half in runs]
        supervisor = accuracies(np.stack(shown)).reshape(-1, 2)
        for head, split, known, halves in (
            ("ceiling", train, true_labels(train, len(runs)), of_train),
            ("w2s", weak, target, of_weak),
        ):
            trained, student = final.trained[head, name], head == "w2s"
            weights = refit(split, known, halves, trained, name, heads=heads, student=student)
            right = accuracies(score_pairs(weights[None], test.chosen, test.rejected)[0])  # (D, 2)
            found = {"accuracy": training_sd(right, share=share), "gain": training_sd(right - supervisor, share=share)}
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


def transfer_rows(
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
            rows.append(accuracy_rows(margins, axes, keys=keys | {"tested_on": dataset}, intervals=intervals))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
