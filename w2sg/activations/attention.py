"""Causal attention over packed texts, inside Hugging Face models.

Two ways lead into a model. For the classes this project sweeps, the attention module's forward pass is replaced while
texts are extracted: projections, rotary positions and output on packed rows, with as few passes over memory as possible.
Every other model with rotary positions calls :func:`attend` through the library's attention interface, if all else in
it works on single rows; :mod:`w2sg.activations.check` finds out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from w2sg.activations.packing import Packed

NAME = "w2sg_packed"
"""Name under which :func:`attend` is registered."""


def mix(
    packed: Packed,
    fields: Sequence[torch.Tensor],
    heads: Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]],
    *,
    scaling: float,
) -> torch.Tensor:
    """Returns what each row attends to, (T, heads times head width).

    A bucket's texts are padded at their ends, where causal attention cannot look from a real token.

    Args:
        packed: The batch.
        fields: Tensors that hold queries, keys and values of each row, (T, ...).
        heads: Takes the same tensors of a bucket, (texts, longest, ...), and returns queries, keys and values as
            views (texts, longest, heads, head width).
        scaling: Factor of the scores.
    """
    buckets = zip(*(packed.split(field.index_select(0, packed.gather)) for field in fields), strict=True)
    mixed = []
    for bucket in buckets:
        q, k, v = (states.transpose(1, 2) for states in heads(bucket))  # (texts, heads, longest, head width)
        grouped = k.shape[1] != q.shape[1]
        out = scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped)
        mixed.append(out.transpose(1, 2).flatten(2).flatten(0, 1))  # (texts longest, heads width)
    return torch.cat(mixed).index_select(0, packed.scatter)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packed: Packed,
    scaling: float,
    **unused: Any,
) -> tuple[torch.Tensor, None]:
    """Returns the attention output of each row, (1, T, heads times head width), and no weights.

    The interface gives queries, (1, heads, T, head width), keys and values, (1, key heads, T, head width), and the
    factor of the scores. Module and mask do not matter: what a row sees follows from the prefix tree.

    Raises:
        ValueError: If an option would change what a row attends to.
    """
    window, longest = unused.get("sliding_window"), max(longest for _, longest in packed.shapes)
    if window is not None and window < longest:
        raise ValueError(f"attention to {window} tokens only is not possible in a batch with a text of {longest}")
    for option in ("softcap", "s_aux"):
        if unused.get(option) is not None:
            raise ValueError(f"attention with {option} is not possible in packed texts")
    rows = [states[0].transpose(0, 1) for states in (query, key, value)]  # (T, heads, head width)
    return mix(packed, rows, tuple, scaling=scaling)[None], None


AttentionInterface.register(NAME, attend)


def _rotate(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Turns queries or keys, (T, heads, width), by their positions, in place; only the leading part is turned."""
    half = cos.shape[-1] // 2
    cos, sin = cos[0, :, None, :half], sin[0, :, None, :half]  # both halves are the same
    left, right = states[..., :half], states[..., half : 2 * half]
    turned = (left * cos).addcmul_(right, sin, value=-1)
    right.mul_(cos).addcmul_(left, sin)
    left.copy_(turned)


def _attend_neox(
    module: Any, hidden_states: torch.Tensor, *, packed: Packed, position_embeddings: tuple, **unused: Any
) -> tuple[torch.Tensor, None]:
    """Forward pass of ``GPTNeoXAttention``: one projection, in which each head's query, key and value lie together."""
    width = module.head_size
    together = module.query_key_value(hidden_states)[0].unflatten(-1, (-1, 3, width))  # (T, heads, 3, width)
    for part in (0, 1):
        _rotate(together[:, :, part], *position_embeddings)
    out = mix(packed, [together], lambda fields: fields[0].unbind(3), scaling=module.scaling)
    return module.dense(out[None]), None


def _attend_llama(
    module: Any, hidden_states: torch.Tensor, *, packed: Packed, position_embeddings: tuple, **unused: Any
) -> tuple[torch.Tensor, None]:
    """Forward pass of the attention of Llama, OLMo and OLMo-2."""
    q, k, v = (project(hidden_states) for project in (module.q_proj, module.k_proj, module.v_proj))
    clip = getattr(module.config, "clip_qkv", None)
    if clip is not None:
        q, k, v = (states.clamp_(-clip, clip) for states in (q, k, v))
    if hasattr(module, "q_norm"):
        q, k = module.q_norm(q), module.k_norm(k)
    fields = [states[0].unflatten(-1, (-1, module.head_dim)) for states in (q, k, v)]  # (T, heads, width)
    for part in fields[:2]:
        _rotate(part, *position_embeddings)
    return module.o_proj(mix(packed, fields, tuple, scaling=module.scaling)[None]), None


def last_rows_suffice(block: torch.nn.Module) -> tuple[torch.nn.Module, ...]:
    """Returns modules of a last block, each a function of single rows, that only last tokens need pass through.

    They are the attention's output projection and the feed-forward layer, where they have their usual names.
    """
    paths = ("attention.dense", "self_attn.o_proj", "mlp")
    return tuple(module for name, module in block.named_modules() if name in paths)


FORWARDS = {
    "GPTNeoXAttention": _attend_neox,
    "LlamaAttention": _attend_llama,
    "OlmoAttention": _attend_llama,
    "Olmo2Attention": _attend_llama,
}
"""Replaced forward passes by class."""


@contextlib.contextmanager
def packed_attention(decoder: Any, *, own: bool = True) -> Iterator[None]:
    """Lets a Hugging Face decoder attend within packed texts, given to its forward pass as ``packed=``.

    Args:
        decoder: A ``PreTrainedModel`` with rotary positions.
        own: Whether the classes of :data:`FORWARDS` take their replaced forward pass, which works in place and so has no
            gradients.
    """
    before = decoder.config._attn_implementation
    decoder.config._attn_implementation = NAME
    kinds = FORWARDS if own else {}
    replaced = [(m, kinds[type(m).__name__]) for m in decoder.modules() if type(m).__name__ in kinds]
    for module, forward in replaced:
        module.forward = partial(forward, module)
    try:
        yield
    finally:
        decoder.config._attn_implementation = before
        for module, _ in replaced:
            del module.forward
