"""Forward passes: hidden states of texts at every layer, and the evaluation loss, from one loaded model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from w2sg.activations.alone import own_losses, own_states
from w2sg.activations.attention import last_rows_suffice, packed_attention
from w2sg.activations.batches import run_batches
from w2sg.activations.models import LoadedModel
from w2sg.activations.packing import Packed, put
from w2sg.activations.tokens import encode_counted

LOGIT_ROWS = 1024
"""Rows whose logits exist at the same time: in float32 a vocabulary of 50,000 needs 200 MB for them."""


@dataclass(frozen=True, kw_only=True)
class EvaluationLoss:
    """Mean next-token cross-entropy of a text."""

    nats_per_token: float
    """Mean over predicted tokens, in nats."""
    bits_per_byte: float
    """The same total, in bits, per UTF-8 byte of the predicted tokens: comparable across tokenizers."""
    standard_error: float
    """Standard error of ``nats_per_token`` over windows, in nats."""
    tokens: int
    """Number of predicted tokens."""


def layer_indices(layers: str | Sequence[int], n_blocks: int, *, model: str = "this model") -> tuple[int, ...]:
    """Returns the hidden-state indices to keep, of 0 (embedding) to ``n_blocks`` (after the final norm).

    Args:
        layers: ``all``, ``final``, or indices; negative ones count from the end.
        n_blocks: Number of transformer blocks.
        model: Name of the model, for the message.

    Raises:
        ValueError: If an index is outside the model.
    """
    if layers == "all":
        return tuple(range(n_blocks + 1))
    if layers == "final":
        return (n_blocks,)
    for index in layers:
        if isinstance(index, str) or not -(n_blocks + 1) <= index <= n_blocks:
            raise ValueError(f"activations.layers: {index!r} is not a layer; {model} has 0 to {n_blocks}")
    return tuple(sorted({int(index) % (n_blocks + 1) for index in layers}))


def extract_states(
    model: LoadedModel,
    ids: Sequence[Sequence[int]],
    *,
    layers: Sequence[int],
    batch_tokens: int,
    pool: str = "last",
    on_batch: Callable[[int], None] = lambda tokens: None,
) -> np.ndarray:
    """Returns hidden states of each text, float32, shape (layers, texts, width).

    Texts are packed without padding, and what they have in common at their beginnings is computed once per batch
    (:mod:`w2sg.activations.packing`). The state is read at each text's own last token, or averaged over its own tokens. Other
    batches change the order in which numbers are summed, and nothing else: states then differ by rounding, in float32
    by less than 1e-5 of the largest.

    Args:
        model: The loaded model.
        ids: Token ids of each text, none empty.
        layers: Hidden-state indices to keep, sorted.
        batch_tokens: Rows of a forward pass; halved whenever memory runs out.
        pool: ``last`` or ``mean`` over the real tokens.
        on_batch: Called with the number of tokens of its texts after each batch.

    Raises:
        FloatingPointError: If a state is not finite; the argument is the text's position.
        MemoryError: If not even a single text fits.
        ValueError: If ``pool`` is unknown.
    """
    if pool not in ("last", "mean"):
        raise ValueError(f"pool: got {pool!r}, allowed: last, mean")
    states_of = own_states if model.alone else _packed_states
    out = states_of(model, ids, layers=layers, batch_tokens=batch_tokens, pool=pool, on_batch=on_batch)
    finite = np.isfinite(out).all(axis=(0, 2))
    if not finite.all():
        raise FloatingPointError(int(np.argmin(finite)))
    return out


def _packed_states(
    model: LoadedModel,
    ids: Sequence[Sequence[int]],
    *,
    layers: Sequence[int],
    batch_tokens: int,
    pool: str,
    on_batch: Callable[[int], None],
) -> np.ndarray:
    out: np.ndarray | None = None
    with torch.inference_mode(), _capture(model, layers, pool) as capture:
        for rows, states in run_batches(ids, capture, batch_tokens=batch_tokens, device=model.device):
            if out is None:
                out = np.empty((len(layers), len(ids), states.shape[-1]), dtype=np.float32)
            out[:, rows] = states.float().numpy()  # (layers, batch, width)
            on_batch(sum(len(ids[row]) for row in rows))
    assert out is not None
    return out


@contextlib.contextmanager
def _capture(model: LoadedModel, layers: Sequence[int], pool: str) -> Iterator[Callable[[Packed], torch.Tensor]]:
    """Yields the map from a batch to its pooled rows of the wanted layers, (layers, texts, width).

    Hooks keep nothing else; no full hidden state outlives its block.
    """
    kept: dict[int, torch.Tensor] = {}
    batch: Packed

    def pooled(states: torch.Tensor) -> torch.Tensor:
        """Returns one row for each text, (texts, width), from states (1, T, width); a mean in float32."""
        return states[0].index_select(0, batch.last) if pool == "last" else batch.mean(states[0].float())

    def keep(index: int, module: object, inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        kept[index] = pooled(output[0] if isinstance(output, tuple) else output)

    def narrow(module: object, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0].index_select(1, batch.last), *inputs[1:])

    def widen(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output.new_zeros(1, batch.size, output.shape[-1]).index_copy_(1, batch.last, output)

    def run(given: Packed) -> torch.Tensor:
        nonlocal batch
        batch = given
        try:
            kept[len(model.blocks)] = pooled(model.final_states(batch))
            return torch.stack([kept[index] for index in layers])
        finally:
            kept.clear()

    inner = (model.embedding, *model.blocks[:-1])  # the last state is read after the final norm
    hooks = [module.register_forward_hook(partial(keep, i)) for i, module in enumerate(inner) if i in layers]
    if pool == "last":
        # Nothing but last tokens leaves the last block: what follows its attention need see no other row. The rest
        # of its output is wrong, and never read.
        for module in last_rows_suffice(model.blocks[-1]):
            hooks += [module.register_forward_pre_hook(narrow), module.register_forward_hook(widen)]
    try:
        with packed_attention(model.decoder):
            yield run
    finally:
        for hook in hooks:
            hook.remove()


def _windows(tokenizer: Any, texts: Sequence[str], window: int) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids of non-overlapping windows of two tokens at least, with the number of UTF-8 bytes behind each token."""
    for ids, n_bytes in encode_counted(tokenizer, texts):
        for start in range(0, len(ids), window):
            if len(ids[start : start + window]) > 1:
                yield ids[start : start + window], n_bytes[start : start + window]


def summed_losses(model: LoadedModel, ids: Sequence[Sequence[int]], *, batch_tokens: int) -> np.ndarray:
    """Returns each text's sum of next-token cross-entropies in nats, float64, (texts,).

    Logits are formed in float32 for a few rows at a time.
    """
    if model.alone:
        return own_losses(model, ids, batch_tokens=batch_tokens)
    output = model.output
    assert output is not None

    def forward(batch: Packed) -> torch.Tensor:
        states = model.final_states(batch)
        # A row of the prefix tree has one successor for each text that goes through it.
        before = put(torch.cat([rows[:-1] for rows in batch.rows]), model.device)
        after = batch.tokens[0, put(torch.cat([rows[1:] for rows in batch.rows]), model.device)]
        lengths = put(torch.tensor([len(rows) - 1 for rows in batch.rows]), model.device)
        losses = [
            cross_entropy(output(states[0].index_select(0, part)).float(), following, reduction="none")
            for part, following in zip(before.split(LOGIT_ROWS), after.split(LOGIT_ROWS), strict=True)
        ]
        return torch.segment_reduce(torch.cat(losses).double(), "sum", lengths=lengths)

    totals = np.zeros(len(ids))
    with torch.inference_mode(), packed_attention(model.decoder):
        for rows, losses in run_batches(ids, forward, batch_tokens=batch_tokens, device=model.device):
            totals[rows] = losses.numpy()
    return totals


def evaluation_loss(model: LoadedModel, texts: Sequence[str], *, window: int, batch_tokens: int) -> EvaluationLoss:
    """Returns the mean next-token cross-entropy over texts cut into windows.

    The first token of a window is context only.

    Args:
        model: The loaded model.
        texts: Held-out documents.
        window: Tokens of a window.
        batch_tokens: Rows of a forward pass; halved whenever memory runs out.

    Raises:
        ValueError: If there is nothing to predict, a token has zeros for an embedding, or the loss is not finite.
    """
    windows = list(_windows(model.tokenizer, texts, window))
    if not windows:
        raise ValueError("the evaluation text has no window of two tokens")
    model.check_used(ids for ids, _ in windows)
    totals = summed_losses(model, [ids for ids, _ in windows], batch_tokens=batch_tokens)
    counts = np.array([len(ids) - 1 for ids, _ in windows])
    mean = totals.sum() / counts.sum()
    if not np.isfinite(mean):
        kind = str(model.whole.dtype).removeprefix("torch.")
        raise ValueError(f"the evaluation loss is not finite; the revision is broken, or {kind} is too narrow")
    n_bytes = sum(sum(sizes[1:]) for _, sizes in windows)
    # Ratio estimator over windows: the delta method's standard error.
    spread = float(np.sqrt(np.sum((totals - mean * counts) ** 2)) / counts.sum())
    return EvaluationLoss(
        nats_per_token=float(mean),
        bits_per_byte=float(totals.sum() / np.log(2) / n_bytes),
        standard_error=spread,
        tokens=int(counts.sum()),
    )
