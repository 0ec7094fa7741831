"""From documents to batches: what pre-training may read, its token stream, and the order of its chunks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from w2sg.runtime.files import atomic_path, sha256


def write_tokens(ids: np.ndarray, path: str | os.PathLike[str], *, origin: Mapping[str, Any] | None = None) -> None:
    """Writes a token stream (n,) uint16 and its origin as safetensors, atomically; equal streams give equal bytes."""
    if ids.ndim != 1 or ids.dtype != np.uint16:
        raise ValueError(f"ids: got shape {ids.shape} and type {ids.dtype}, allowed: one dimension of uint16")
    with atomic_path(path) as temporary:
        facts = {"w2sg": json.dumps(origin or {}, sort_keys=True)}
        temporary.write_bytes(save_tensors({"ids": np.ascontiguousarray(ids)}, metadata=facts))


def read_tokens(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns a token stream, (n,) uint16.

    Raises:
        ValueError: If the file is not a whole token stream.
    """
    try:
        return load_tensors(Path(path).read_bytes())["ids"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(
            f"{path}: not a token stream ({error}); delete it and run snakemake again to remake it"
        ) from error


class Batches:
    """The batches of a training, by step: chunks of the stream in one shuffled order, repeated if it ends.

    Args:
        ids: Token stream (n,); a rest shorter than a chunk is left out.
        length: Tokens of a chunk.
        batch_size: Chunks of a batch.
        seed: Seed of the order.

    Raises:
        ValueError: If the stream is shorter than one batch.
    """

    def __init__(self, ids: np.ndarray, *, length: int, batch_size: int, seed: int) -> None:
        """Cuts and shuffles; see the class for the arguments."""
        count = len(ids) // length
        if count < batch_size:
            raise ValueError(f"ids: got {len(ids)} tokens, allowed: at least one batch of {batch_size} x {length}")
        self._chunks = ids[: count * length].reshape(count, length)
        self._order = np.random.default_rng(seed).permutation(count)
        self._size = batch_size

    def batch(self, step: int) -> np.ndarray:
        """Returns the token ids (batch_size, length), int64, of an update, counted from 1."""
        positions = np.arange((step - 1) * self._size, step * self._size) % len(self._order)
        return self._chunks[self._order[positions]].astype(np.int64)

    def fingerprint(self) -> str:
        """Returns a hash of tokens and order: another text, seed or generator gives another one."""
        return sha256(self._chunks.astype("<u2").tobytes(), self._order.astype("<i8").tobytes())
