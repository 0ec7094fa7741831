"""Forward passes: hidden states of texts at every layer, and the evaluation loss, from one loaded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from w2sg.models import LoadedModel


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


def layer_indices(layers: str | Sequence[int], n_blocks: int) -> tuple[int, ...]:
    """Returns the hidden-state indices to keep, of 0 (embedding) to ``n_blocks`` (after the final norm).

    Args:
        layers: ``all``, ``final``, or indices; negative ones count from the end.
        n_blocks: Number of transformer blocks.

    Raises:
        ValueError: If an index is outside the model.
    """
    if layers == "all":
        return tuple(range(n_blocks + 1))
    if layers == "final":
        return (n_blocks,)
    chosen = []
    for index in layers:
        if isinstance(index, str) or not -(n_blocks + 1) <= index <= n_blocks:
            raise ValueError(f"activations.layers: {index!r} is not a layer; this model has 0 to {n_blocks}")
        chosen.append(index % (n_blocks + 1))
    return tuple(sorted(set(chosen)))


def encode(tokenizer: object, texts: Sequence[str], *, max_tokens: int) -> list[list[int]]:
    """Returns the token ids of each text; texts longer than ``max_tokens`` keep their end.

    Special tokens that the tokenizer puts in front (a start-of-text mark) are kept when text is cut.

    Raises:
        ValueError: If a text has no tokens; the message gives its position.
    """
    tokenizer.truncation_side = "left"  # type: ignore[attr-defined]
    ids = tokenizer(list(texts), truncation=True, max_length=max_tokens, verbose=False)["input_ids"]  # type: ignore[operator]
    for position, row in enumerate(ids):
        if not row:
            raise ValueError(f"text {position} has no tokens: {texts[position][:80]!r}")
    return ids


def plan_batches(lengths: Sequence[int], *, batch_tokens: int) -> list[np.ndarray]:
    """Returns batches of text positions, sorted by length, whose padded size stays within a budget.

    Args:
        lengths: Tokens of each text.
        batch_tokens: Largest number of texts times longest text; a single longer text is a batch of its own.
    """
    order = np.argsort(np.asarray(lengths), kind="stable")[::-1]
    batches, start = [], 0
    while start < len(order):
        size = max(1, batch_tokens // lengths[order[start]])
        batches.append(order[start : start + size])
        start += size
    return batches


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

    Sequences are padded on the right. Attention is causal, so the padding cannot reach a real token and no mask is
    needed; the state is read at each text's own last token (or averaged over its own tokens).

    Args:
        model: The loaded model.
        ids: Token ids of each text, none empty.
        layers: Hidden-state indices to keep, sorted.
        batch_tokens: Padded tokens per forward pass.
        pool: ``last`` or ``mean`` over the real tokens.
        on_batch: Called with the number of real tokens after each batch.

    Raises:
        FloatingPointError: If a state is not finite; the argument is the text's position.
        ValueError: If ``pool`` is unknown.
    """
    if pool not in ("last", "mean"):
        raise ValueError(f"pool: got {pool!r}, allowed: last, mean")
    lengths = [len(row) for row in ids]
    out: np.ndarray | None = None
    with _captured(model, layers, pool) as capture:
        for rows in plan_batches(lengths, batch_tokens=batch_tokens):
            states = capture([ids[row] for row in rows])  # (layers, batch, width)
            if out is None:
                out = np.empty((len(layers), len(ids), states.shape[-1]), dtype=np.float32)
            out[:, rows] = states
            on_batch(sum(lengths[row] for row in rows))
    assert out is not None
    finite = np.isfinite(out).all(axis=(0, 2))
    if not finite.all():
        raise FloatingPointError(int(np.argmin(finite)))
    return out


class _captured:
    """Hooks that keep only the pooled rows of the wanted layers; no full hidden state outlives its block."""

    def __init__(self, model: LoadedModel, layers: Sequence[int], pool: str) -> None:
        self.model, self.layers, self.pool = model, tuple(layers), pool
        self.kept: dict[int, torch.Tensor] = {}
        self.lengths = torch.empty(0)

    def __enter__(self) -> Callable[[list[Sequence[int]]], np.ndarray]:
        modules = {0: self.model.embedding} | {i + 1: block for i, block in enumerate(self.model.blocks)}
        # The last hidden state is read from the decoder's output, after the final norm.
        wanted = [index for index in self.layers if index < len(self.model.blocks)]
        self.handles = [modules[index].register_forward_hook(self._hook(index)) for index in wanted]
        # Nothing but the last token's row leaves the last block, so its feed-forward layer need see no other: its output
        # of one row is broadcast over the residual stream, where the other rows are then wrong and never read.
        feed_forward = getattr(self.model.blocks[-1], "mlp", None)
        if self.pool == "last" and isinstance(feed_forward, torch.nn.Module):
            self.handles.append(feed_forward.register_forward_pre_hook(self._keep_last_rows))
        return self._run

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _hook(self, index: int) -> Callable[..., None]:
        def keep(module: torch.nn.Module, inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            self.kept[index] = self._pool(output[0] if isinstance(output, tuple) else output)

        return keep

    def _keep_last_rows(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        states = inputs[0]
        rows = states[torch.arange(len(states), device=states.device), self.lengths - 1]
        return (rows[:, None], *inputs[1:])

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        if self.pool == "last":
            return states[torch.arange(len(states), device=states.device), self.lengths - 1].float()
        inside = torch.arange(states.shape[1], device=states.device)[None, :] < self.lengths[:, None]
        return (states.float() * inside[:, :, None]).sum(1) / self.lengths[:, None]

    @torch.inference_mode()
    def _run(self, rows: list[Sequence[int]]) -> np.ndarray:
        batch, lengths = pad(rows)
        self.lengths = lengths.to(self.model.device)
        final = self.model.decoder(input_ids=batch.to(self.model.device), use_cache=False)[0]
        self.kept[len(self.model.blocks)] = self._pool(final)
        stacked = torch.stack([self.kept[index] for index in self.layers])
        self.kept.clear()
        return stacked.cpu().numpy()


def pad(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns token ids padded on the right with zeros, (batch, longest), and the lengths, (batch,)."""
    lengths = torch.tensor([len(row) for row in rows])
    batch = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for position, row in enumerate(rows):
        batch[position, : len(row)] = torch.as_tensor(row)
    return batch, lengths


def _windows(tokenizer: object, texts: Sequence[str], window: int) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids of non-overlapping windows, with the number of UTF-8 bytes behind each token."""
    encoded = tokenizer(list(texts), return_offsets_mapping=True, verbose=False)  # type: ignore[operator]
    for text, ids, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        n_bytes = [len(text[start:end].encode()) for start, end in offsets]
        for start in range(0, len(ids), window):
            if len(ids[start : start + window]) > 1:
                yield ids[start : start + window], n_bytes[start : start + window]


@torch.inference_mode()
def evaluation_loss(model: LoadedModel, texts: Sequence[str], *, window: int, batch_tokens: int) -> EvaluationLoss:
    """Returns the mean next-token cross-entropy over texts cut into windows.

    The first token of a window is context only. Logits are formed for one batch at a time, in float32.

    Args:
        model: The loaded model.
        texts: Held-out documents.
        window: Tokens of a window.
        batch_tokens: Padded tokens per forward pass.

    Raises:
        ValueError: If there is nothing to predict, or the loss is not finite.
    """
    windows = list(_windows(model.tokenizer, texts, window))
    if not windows:
        raise ValueError("the evaluation text has no window of two tokens")
    totals = np.zeros(len(windows))
    for rows in plan_batches([len(ids) for ids, _ in windows], batch_tokens=batch_tokens):
        batch, lengths = pad([windows[row][0] for row in rows])
        states = model.decoder(input_ids=batch.to(model.device), use_cache=False)[0]
        logits = model.output(states[:, :-1]).float()
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch[:, 1:].flatten().to(model.device), reduction="none"
        ).view(len(rows), -1)  # (batch, longest - 1)
        inside = torch.arange(losses.shape[1])[None, :] < (lengths - 1)[:, None]
        totals[rows] = (losses.cpu().double() * inside).sum(1).numpy()
    counts = np.array([len(ids) - 1 for ids, _ in windows])
    mean = totals.sum() / counts.sum()
    if not np.isfinite(mean):
        raise ValueError("the evaluation loss is not finite")
    n_bytes = sum(sum(sizes[1:]) for _, sizes in windows)
    # Ratio estimator over windows: the delta method's standard error.
    spread = float(np.sqrt(np.sum((totals - mean * counts) ** 2)) / counts.sum())
    return EvaluationLoss(
        nats_per_token=float(mean),
        bits_per_byte=float(totals.sum() / np.log(2) / n_bytes),
        standard_error=spread,
        tokens=int(counts.sum()),
    )
