"""Hidden states and losses through the library's own forward pass, for models that packed rows do not fit.

Texts of one length share a pass, without padding, and only if that gives the states of each text alone; lengths follow one
another from the shortest on, since some positions depend on the longest text that a model has seen.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from w2sg.activations.batches import is_out_of_memory
from w2sg.activations.models import LoadedModel

_log = logging.getLogger(__name__)


def own_states(
    model: LoadedModel,
    ids: Sequence[Sequence[int]],
    *,
    layers: Sequence[int],
    batch_tokens: int,
    pool: str,
    on_batch: Callable[[int], None],
) -> np.ndarray:
    """Returns hidden states of each text, float32, (layers, texts, width), as :func:`w2sg.activations.forward.extract_states`."""
    few = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.whole.forward).parameters else {}

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        hidden = model.whole(input_ids=tokens, output_hidden_states=True, use_cache=False, **few).hidden_states
        kept = [hidden[layer] for layer in layers]
        return torch.stack([state[:, -1] if pool == "last" else state.float().mean(1) for state in kept]).float().cpu()

    out: np.ndarray | None = None
    for rows, states in _by_length(model, ids, forward, batch_tokens=batch_tokens):
        if out is None:
            out = np.empty((len(layers), len(ids), states.shape[-1]), dtype=np.float32)
        out[:, rows] = states.numpy()
        on_batch(sum(len(ids[row]) for row in rows))
    assert out is not None
    return out


def own_losses(model: LoadedModel, ids: Sequence[Sequence[int]], *, batch_tokens: int) -> np.ndarray:
    """Returns each text's sum of next-token cross-entropies in nats, float64, (texts,)."""

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        logits = model.whole(input_ids=tokens, use_cache=False).logits[:, :-1]
        # Text by text: in float32 the logits of one are as many numbers as a batch's in half precision.
        pairs = zip(logits, tokens[:, 1:], strict=True)
        return torch.stack(
            [cross_entropy(row.float(), after, reduction="none").double().sum() for row, after in pairs]
        ).cpu()

    totals = np.zeros(len(ids))
    for rows, losses in _by_length(model, ids, forward, batch_tokens=batch_tokens):
        totals[rows] = losses.numpy()
    return totals


def _by_length(
    model: LoadedModel,
    ids: Sequence[Sequence[int]],
    forward: Callable[[torch.Tensor], torch.Tensor],
    *,
    batch_tokens: int,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yields positions of texts of one length, and what ``forward`` makes of their tokens, (texts, length).

    Raises:
        MemoryError: If not even a single text fits.
    """
    lengths = np.array([len(row) for row in ids])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        size = max(1, batch_tokens // int(length)) if model.shares_lengths else 1
        left = [rows[start : start + size] for start in range(0, len(rows), size)][::-1]
        while left:
            part = left.pop()
            found = _try(forward, torch.tensor([list(ids[row]) for row in part], device=model.device))
            if found is not None:
                yield part, found
            elif len(part) == 1:
                raise MemoryError(f"a text of {length} tokens does not fit in the memory of {model.device}")
            else:
                half = len(part) // 2
                left += [part[half:], part[:half]]
                batch_tokens = max(1, batch_tokens // 2)
                _log.warning("out of memory: going on with %d texts of %d tokens", half, length)


def _try(forward: Callable[[torch.Tensor], torch.Tensor], tokens: torch.Tensor) -> Any:
    """Returns the result of a pass, None if memory ran out; the failed pass's tensors are gone by then."""
    try:
        with torch.inference_mode():
            return forward(tokens)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    if tokens.device.type == "cuda":
        torch.cuda.empty_cache()
    return None
