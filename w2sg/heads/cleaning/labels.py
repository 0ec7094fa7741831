"""From a supervisor's labels to those that a student learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from w2sg.activations.features import WEAK, Features
from w2sg.heads.cleaning.catalogue import ESTIMATES
from w2sg.heads.sides import chosen_probability
from w2sg.study.sections import Heads


def clean(
    difference: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None, heads: Heads, seeds: Sequence[int]
) -> np.ndarray:
    """Returns the labels that are learned, (R, n): as they are, replaced by their estimate, or NaN for pairs that are left out.

    A filter keeps the same number of pairs in each row, those whose labels are nearest to their estimates.

    Args:
        difference: The student's states, chosen minus rejected, (n, d).
        target: The supervisor's P(chosen > rejected), (R, n).
        groups: Group of each pair, (n,), which is held out together; each pair is its own by default.
        heads: Section of the configuration, of which ``cleaning`` says what is done.
        seeds: Seed of each row.

    Raises:
        ValueError: If there are too few pairs for the estimate.
    """
    settings, n = heads.cleaning, target.shape[1]
    if settings is None:
        return target
    groups = np.arange(n) if groups is None else groups
    found = ESTIMATES[settings.by](difference, target, settings=settings, heads=heads, groups=groups, seeds=seeds)
    if settings.action == "relabel":
        return found
    order = np.argsort(np.abs(target - found), axis=1, kind="stable")
    kept = target.copy()
    np.put_along_axis(kept, order[:, settings.kept_of(n) :], np.nan, axis=1)
    return kept


def clean_halves(
    split: Features, target: np.ndarray, halves: np.ndarray, *, heads: Heads, draws: Sequence[int]
) -> np.ndarray:
    """Returns labels of halves of the pairs, (2 D, n), each cleaned by its own half alone.

    Args:
        split: The student's features of all pairs, one layer.
        target: The supervisors' P(chosen > rejected), (2 D, n).
        halves: Rows of both halves of each draw, (D, 2, m); of the others the labels stay.
        heads: Section of the configuration.
        draws: Seeds of the D draws.
    """
    difference, found = split.chosen[0] - split.rejected[0], target.copy()
    for run, rows in enumerate(halves.reshape(-1, halves.shape[2])):
        groups = None if split.clusters is None else split.clusters[rows]
        options = {"groups": groups, "heads": heads, "seeds": [draws[run // 2]]}
        found[run, rows] = clean(difference[rows], target[[run]][:, rows], **options)[0]
    return found


def clean_labels(labels: pd.DataFrame, split: Features, *, heads: Heads) -> pd.DataFrame:
    """Returns LABELS whose weak-supervision pairs have the labels that are learned, NaN for pairs that are left out.

    Labels of half the pairs are cleaned by that half alone.

    Args:
        labels: Schema LABELS.
        split: The student's features of the weak-supervision pairs, final layer.
        heads: Section of the configuration.

    Raises:
        ValueError: If a labelled pair has no features, or there are too few pairs for the estimate.
    """
    if heads.cleaning is None:
        return labels
    own = labels[labels["split"] == WEAK]
    place = pd.Index(split.row_ids).get_indexer(pd.Index(own["row_id"]))
    if (place < 0).any():
        raise ValueError(f"pair {own['row_id'].to_numpy()[place < 0][0]} has a label and no features")
    own = own.assign(place=place, target=chosen_probability(own), pairs=own["seed"].where(own["half"] > 0, -1))
    difference, learned = split.chosen[0] - split.rejected[0], []
    for _, cell in own.groupby(["half", "pairs"]):  # labels of the same pairs
        wide = cell.pivot(index=["protocol", "seed"], columns="place", values="target").dropna(axis=1)
        rows, seeds = wide.columns.to_numpy(), wide.index.get_level_values("seed").tolist()
        groups = None if split.clusters is None else split.clusters[rows]
        found = clean(difference[rows], wide.to_numpy(), groups=groups, heads=heads, seeds=seeds)
        at = wide.index.get_indexer(pd.MultiIndex.from_frame(cell[["protocol", "seed"]]))
        column = wide.columns.get_indexer(pd.Index(cell["place"]))  # -1 for a pair that is left out
        learned.append(pd.Series(np.where(column < 0, np.nan, found[at, column]), index=cell.index))
    target = pd.concat(learned).reindex(own.index)
    shown = target.where(~own["swapped"].astype(bool), 1.0 - target)
    return labels.assign(probability=shown.reindex(labels.index).where(labels["split"] == WEAK, labels["probability"]))
