"""Feature files: the hidden states of a dataset's pairs with their row ids, as safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from w2sg.measures.sources import pair_clusters
from w2sg.runtime.files import atomic_path
from w2sg.study.protocols import SPLITS
from w2sg.tables.files import TableError

ID_BYTES = 32
"""Longest row id, in ASCII characters."""

REMAKE = "delete it and run snakemake again to remake it"
"""What to do with a file that is not the one expected."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Hidden states of both texts of each pair; of a labelled text, which is a pair with one side, the other's are zero.

    Once split (:func:`split_features`), those of labelled texts are differences from the mean of the training texts, so that
    chosen minus rejected is a text's own state, with the sign of its class: heads for pairs then are heads for texts.
    """

    chosen: np.ndarray
    """States of prompt + chosen, float32, (layers, pairs, width)."""
    rejected: np.ndarray
    """States of prompt + rejected, float32, (layers, pairs, width)."""
    row_ids: np.ndarray
    """Row id of each pair, str, (pairs,)."""
    tokens: np.ndarray
    """Tokens of prompt + chosen and prompt + rejected before any cut, int32, (2, pairs); 0 where there is no such side."""
    layers: tuple[int, ...]
    """Hidden-state index of each layer."""
    metadata: dict[str, Any]
    """Model, revision, commit, dataset, and the origin."""
    clusters: np.ndarray | None = None
    """Group of each pair, (pairs,), of those of one split: pairs of a group are resampled together; None: each for itself."""

    @property
    def classes(self) -> np.ndarray | None:
        """Class of each labelled text, 1 for the positive one and 0 for others, int64, (n,); None for pairs."""
        held = self.tokens > 0
        return held[0].astype(np.int64) if (held.sum(0) == 1).all() else None

    @property
    def text_labels(self) -> np.ndarray | None:
        """Class of each side of labelled texts, chosen ones first, int64, (2 n,), -1 for no text; None for pairs."""
        classes = self.classes
        return (
            None if classes is None else np.concatenate([np.where(classes == 1, 1, -1), np.where(classes == 0, 0, -1)])
        )

    def layer(self, position: int) -> Features:
        """Returns the features of one layer, given by position; the layer axis stays."""
        chosen, rejected = self.chosen[[position]], self.rejected[[position]]
        return replace(self, chosen=chosen, rejected=rejected, layers=(self.layers[position],))

    def rows(self, row_ids: Sequence[str]) -> Features:
        """Returns the features of the named rows, in that order.

        Raises:
            ValueError: If a row id has no features; the first such id is named.
        """
        index = pd.Index(self.row_ids).get_indexer(pd.Index(row_ids))  # -1 for none
        if (index < 0).any():
            first = row_ids[int(np.argmin(index))]
            raise ValueError(f"{(index < 0).sum()} pairs have no features, such as row {first}")
        if len(index) and (np.diff(index) == 1).all():  # a view spares a copy of the states
            index = slice(index[0], index[-1] + 1)
        states = {"chosen": self.chosen[:, index], "rejected": self.rejected[:, index]}
        return replace(self, **states, row_ids=self.row_ids[index], tokens=self.tokens[:, index])


def place_sides(states: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns states, (layers, texts, width), with zeros where a pair has no such side, (layers, sides, width).

    Args:
        states: Of the texts there are, all chosen sides first.
        lengths: Tokens of each side, (2, n), or of those of one kind, (n,); 0 where there is none.
    """
    held = lengths.reshape(-1) > 0
    if states.shape[1] == len(held):
        return states
    placed = np.zeros((len(states), len(held), states.shape[2]), dtype=states.dtype)
    placed[:, held] = states
    return placed


def write_features(path: str | os.PathLike[str], features: Features, *, dtype: str) -> None:
    """Writes features atomically; ``dtype`` is the forward pass's own, so that nothing is lost.

    Raises:
        ValueError: If shapes disagree or a row id is too long.
    """
    n = len(features.row_ids)
    shape, layers, kind = features.chosen.shape, len(features.layers), getattr(torch, dtype)
    if features.rejected.shape != shape or shape[:2] != (layers, n) or features.tokens.shape != (2, n):
        raise ValueError(f"features {shape} and tokens {features.tokens.shape} do not fit {layers} layers of {n} pairs")
    if any(len(row_id) > ID_BYTES for row_id in features.row_ids):
        raise ValueError(f"a row id is longer than {ID_BYTES} characters")
    ids = np.char.encode(features.row_ids, "ascii").astype(f"S{ID_BYTES}")
    sides = {"chosen": features.chosen, "rejected": features.rejected}
    if features.classes is not None:  # of labelled texts only the sides there are
        sides = {side: states[:, own > 0] for (side, states), own in zip(sides.items(), features.tokens, strict=True)}
    tensors = {
        **{side: torch.from_numpy(states).to(kind).contiguous() for side, states in sides.items()},
        "tokens": torch.from_numpy(features.tokens.astype(np.int32)),
        "layers": torch.tensor(features.layers, dtype=torch.int64),
        "row_ids": torch.from_numpy(ids.view(np.uint8).reshape(n, ID_BYTES)),
    }
    with atomic_path(path) as temporary:
        # One entry: safetensors writes several in random order, and equal content must give equal bytes.
        save_file(tensors, temporary, metadata={"w2sg": json.dumps(features.metadata, sort_keys=True)})


@dataclass(frozen=True, kw_only=True)
class FeatureFile:
    """A feature file whose layers are read as they are needed: all of a large model's do not fit into memory."""

    path: Path
    """Its path."""
    row_ids: np.ndarray
    """Row id of each pair, str, (pairs,)."""
    tokens: np.ndarray
    """As in :class:`Features`."""
    layers: tuple[int, ...]
    """Hidden-state index of each layer."""
    width: int
    """Numbers in a state."""
    metadata: dict[str, Any]
    """Model, revision, commit, dataset, and the origin."""

    def read(self, part: slice = slice(None)) -> Features:
        """Returns the features of some layers, given by position, as float32."""
        with _reading(self.path), safe_open(self.path, framework="pt") as file:
            states = {key: file.get_slice(key)[part].float().numpy() for key in ("chosen", "rejected")}
        states = {key: place_sides(found, own) for (key, found), own in zip(states.items(), self.tokens, strict=True)}
        own = {"row_ids": self.row_ids, "tokens": self.tokens, "metadata": self.metadata}
        return Features(**states, **own, layers=self.layers[part])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns the errors of reading a damaged file into one that says what to do."""
    try:
        yield
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise TableError(f"{path}: not a whole feature file ({error}); {REMAKE}") from error


def open_features(path: str | os.PathLike[str], *, expect: Mapping[str, str] | None = None) -> FeatureFile:
    """Returns a feature file whose origin has been checked.

    Args:
        path: File written by :func:`write_features`.
        expect: Metadata the file must carry, such as model and revision: a foreign file is refused.

    Raises:
        TableError: If the file is cut, foreign, or belongs to something else.
    """
    path = Path(path)
    with _reading(path), safe_open(path, framework="pt") as file:
        metadata = json.loads((file.metadata() or {}).get("w2sg", "{}"))
        layers, ids, tokens = (file.get_tensor(key) for key in ("layers", "row_ids", "tokens"))
        width = file.get_slice("chosen").get_shape()[-1]
    for key, value in (expect or {}).items():
        if metadata.get(key) != value:
            raise TableError(f"{path}: {key} is {metadata.get(key)!r}, expected {value!r}; {REMAKE}")
    return FeatureFile(
        path=path,
        row_ids=np.char.decode(ids.numpy().view(f"S{ID_BYTES}").reshape(-1), "ascii"),
        tokens=tokens.numpy(),
        layers=tuple(layers.tolist()),
        width=width,
        metadata=metadata,
    )


TRAIN, WEAK, TEST = SPLITS


def open_others(
    paths: Sequence[str], pairs: Sequence[pd.DataFrame], *, keys: Mapping[str, str], split: str = TEST
) -> dict[str, Callable[[], Features]]:
    """Returns, by dataset, functions that read a revision's features of the pairs of one split, final layer.

    Args:
        paths: Feature file of each dataset.
        pairs: Columns dataset, split, row_id and sources of each.
        keys: Model and revision that the files must carry.
        split: Name of the split.
    """

    def load(path: str, frame: pd.DataFrame) -> Features:
        file = open_features(path, expect={**keys, "dataset": frame["dataset"].iloc[0]})
        return split_features(file.read(slice(len(file.layers) - 1, None)), frame)[split]

    both = zip(paths, pairs, strict=True)
    return {frame["dataset"].iloc[0]: partial(load, path, frame) for path, frame in both}


PART = 2**29
"""Bytes of states that are read together: one layer of a 7B model, or a whole small one."""

Splits = dict[str, Features]
"""A revision's features of one dataset, by split."""


def split_features(features: Features, pairs: pd.DataFrame) -> Splits:
    """Returns features dealt to splits, each row matched by its id; those of labelled texts without the training texts' mean.

    Classes are balanced, so that the mean of the training texts lies between them: heads need no intercept.

    Args:
        features: Features of all pairs of a dataset.
        pairs: Columns split, row_id and the sources of both texts.

    Raises:
        ValueError: If a pair has no features, or a split has no pairs.
    """
    splits = {}
    for name in SPLITS:
        rows = pairs[pairs["split"] == name]
        row_ids = rows["row_id"].tolist()
        if not row_ids:
            raise ValueError(f"the dataset has no pairs in split {name}")
        splits[name] = replace(features.rows(row_ids), clusters=pair_clusters(rows))
    if features.classes is None:
        return splits
    train = splits[TRAIN]
    mean = (
        (train.chosen + train.rejected).mean(1, keepdims=True, dtype=np.float64).astype(np.float32)
    )  # one side is zero
    return {name: _centred(split, mean) for name, split in splits.items()}


def _centred(split: Features, mean: np.ndarray) -> Features:
    """Returns features of labelled texts as differences from a mean, (L, 1, d); the missing sides stay zero."""
    own = split.tokens[:, None, :, None] > 0  # (2, 1, n, 1)
    sides = zip(("chosen", "rejected"), own, strict=True)
    return replace(split, **{side: np.where(held, getattr(split, side) - mean, np.float32(0)) for side, held in sides})


def split_layers(file: FeatureFile, pairs: pd.DataFrame) -> list[Callable[[], Splits]]:
    """Returns functions that read up to :data:`PART` of neighbouring layers each, and split them as :func:`split_features`.

    Args:
        file: Features of all pairs of a dataset.
        pairs: Columns split and row_id.
    """

    def load(low: int) -> Splits:
        return split_features(file.read(slice(low, low + step)), pairs)

    step = max(1, PART // (8 * file.width * len(file.row_ids)))
    return [partial(load, low) for low in range(0, len(file.layers), step)]
