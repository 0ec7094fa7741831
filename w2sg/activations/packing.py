"""Packing texts without padding: every distinct prefix of a batch is one row of the forward pass.

In a causal model a token's states depend on the tokens before it and on nothing else. Texts that begin alike, such as
the two texts of a preference pair, therefore share the rows of their common beginning: a batch is the prefix tree of
its texts, one row for each node. Everything but attention works on single rows. Attention gathers the rows of each
text, in buckets of similar length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

BUCKET = 0.8
"""Shortest text of a bucket over its longest: attention is the only place where texts are padded."""


def put(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns a tensor on a device, without waiting for what a GPU is still doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A batch of texts as the rows of their prefix tree."""

    tokens: torch.Tensor
    """Token id of each row, int64, (1, T)."""
    positions: torch.Tensor
    """Position of each row in its text, from 0, int64, (1, T)."""
    last: torch.Tensor
    """Row of each text's last token, int64, (texts,)."""
    gather: torch.Tensor
    """Row of each token of each text, bucket after bucket, int64, (G,); a shorter text repeats its last row."""
    scatter: torch.Tensor
    """Where in ``gather`` each row first occurs, int64, (T,)."""
    shapes: tuple[tuple[int, int], ...]
    """Texts and longest length of each bucket; their products sum to G."""
    rows: tuple[torch.Tensor, ...]
    """Row of each token of each text, int64, (tokens,) each; in the host's memory."""

    @property
    def size(self) -> int:
        """Number of rows T."""
        return self.tokens.shape[1]

    def split(self, gathered: torch.Tensor) -> list[torch.Tensor]:
        """Returns gathered rows, (G, ...), as one view per bucket, (texts, longest, ...)."""
        sizes = [texts * longest for texts, longest in self.shapes]
        return [part.unflatten(0, shape) for part, shape in zip(gathered.split(sizes), self.shapes, strict=True)]

    def mean(self, states: torch.Tensor) -> torch.Tensor:
        """Returns the mean over each text's tokens, (texts, width), of one state per row, (T, width)."""
        lengths = put(torch.tensor([len(rows) for rows in self.rows]), states.device)
        rows = put(torch.cat(self.rows), states.device)
        return torch.segment_reduce(states.index_select(0, rows), "mean", lengths=lengths)


def _sort(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, list[int]]:
    """Returns texts in lexicographic order of their token ids, in which each shares most with the one before.

    Returns:
        Positions of the texts, int64, (n,), and how many tokens each has in common with the one before it, 0 for the first.
    """
    texts = sorted(range(len(ids)), key=lambda position: (ids[position], position))
    shared = [_common_prefix(ids[before], ids[text]) for before, text in pairwise(texts)]
    return np.array(texts, dtype=np.int64), [0, *shared]


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    differing = (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(differing, min(len(first), len(second)))


def plan_batches(ids: Sequence[Sequence[int]], *, batch_tokens: int) -> list[np.ndarray]:
    """Returns batches of text positions whose prefix trees have at most ``batch_tokens`` rows each.

    Args:
        ids: Token ids of each text, none empty.
        batch_tokens: Largest number of rows; a single longer text is a batch of its own.
    """
    if not ids:
        return []
    texts, shared = _sort(ids)
    batches: list[np.ndarray] = []
    start = rows = 0
    for rank, text in enumerate(texts):
        added = len(ids[text]) - shared[rank]
        if rank > start and rows + added > batch_tokens:
            batches.append(texts[start:rank])
            start, rows, added = rank, 0, len(ids[text])
        rows += added
    return [*batches, texts[start:]]


def pack(ids: Sequence[Sequence[int]], device: torch.device) -> Packed:
    """Returns the prefix tree of a batch of texts.

    Args:
        ids: Token ids of each text, none empty.
        device: Where the tensors are put.
    """
    rows: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(ids)
    tokens, positions, size = [], [], 0
    before = np.empty(0, dtype=np.int64)
    for text, shared in zip(*_sort(ids), strict=True):
        fresh = len(ids[text]) - shared
        before = rows[text] = np.concatenate((before[:shared], np.arange(size, size + fresh)))
        tokens.append(np.asarray(ids[text][shared:], dtype=np.int64))
        positions.append(np.arange(shared, shared + fresh))
        size += fresh
    buckets = _deal([len(row) for row in rows])
    shapes = tuple((len(texts), len(rows[texts[0]])) for texts in buckets)
    gather = np.concatenate(
        [
            np.pad(rows[text], (0, longest - len(rows[text])), mode="edge")
            for texts, (_, longest) in zip(buckets, shapes, strict=True)
            for text in texts
        ]
    )
    # The first occurrence of a row is never padding, which follows the token it repeats.
    scatter = np.unique(gather, return_index=True)[1]
    return Packed(
        tokens=put(torch.from_numpy(np.concatenate(tokens))[None], device),
        positions=put(torch.from_numpy(np.concatenate(positions))[None], device),
        last=put(torch.tensor([row[-1] for row in rows]), device),
        gather=put(torch.from_numpy(gather), device),
        scatter=put(torch.from_numpy(scatter), device),
        shapes=shapes,
        rows=tuple(torch.from_numpy(row) for row in rows),
    )


def _deal(lengths: Sequence[int]) -> list[np.ndarray]:
    """Returns the texts of each bucket, longest first."""
    order = np.argsort(np.asarray(lengths), kind="stable")[::-1]
    buckets, start = [], 0
    for rank, text in enumerate(order):
        if lengths[text] < BUCKET * lengths[order[start]]:
            buckets.append(order[start:rank])
            start = rank
    return [*buckets, order[start:]]
