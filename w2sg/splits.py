"""A dataset's features by split: ground truth, weak supervision and test, each row found by its id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from w2sg.features import FeatureFile, Features
from w2sg.pair_specs import SPLITS

TRAIN, WEAK, TEST = SPLITS
PART = 2**29
"""Bytes of states that are read together: one layer of a 7B model, or a whole small one."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split of a dataset as features."""

    chosen: np.ndarray
    """States of the chosen texts, float32, (L, n, d)."""
    rejected: np.ndarray
    """States of the rejected texts, float32, (L, n, d)."""
    row_ids: tuple[str, ...]
    """Row id of each pair."""

    def layer(self, index: int) -> Split:
        """Returns the split with one layer only; the layer axis stays."""
        keep = [index]
        return Split(chosen=self.chosen[keep], rejected=self.rejected[keep], row_ids=self.row_ids)


@dataclass(frozen=True, kw_only=True)
class SplitFeatures:
    """A revision's features of one dataset, by split."""

    layers: tuple[int, ...]
    """Hidden-state index of each layer."""
    splits: Mapping[str, Split]
    """Ground truth, weak supervision, test."""

    def __getitem__(self, name: str) -> Split:
        return self.splits[name]


def split_features(features: Features, pairs: pd.DataFrame) -> SplitFeatures:
    """Returns features dealt to splits, each row matched by its id.

    Args:
        features: Features of all pairs of a dataset.
        pairs: Columns split and row_id.

    Raises:
        ValueError: If a pair has no features, or a split has no pairs.
    """
    splits = {}
    for name in SPLITS:
        row_ids = tuple(pairs.loc[pairs["split"] == name, "row_id"])
        if not row_ids:
            raise ValueError(f"the dataset has no pairs in split {name}")
        chosen, rejected = features.rows(row_ids)
        splits[name] = Split(chosen=chosen, rejected=rejected, row_ids=row_ids)
    return SplitFeatures(layers=features.layers, splits=splits)


def split_layers(file: FeatureFile, pairs: pd.DataFrame) -> list[Callable[[], SplitFeatures]]:
    """Returns functions that read some layers each and deal them to splits, as :func:`split_features` does.

    Args:
        file: Features of all pairs of a dataset.
        pairs: Columns split and row_id.
    """

    def load(part: slice) -> SplitFeatures:
        return split_features(file.read(part), pairs)

    return [partial(load, part) for part in file.parts(PART)]
