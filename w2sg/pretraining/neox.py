"""Loss and gradient of a small GPT-NeoX, written out by hand: what makes pre-training fast on few cores.

In a model of a million parameters a framework spends half of a training step outside matrix products. Here
every buffer is allocated once, and every gradient is written straight to where the optimiser reads it. The
architecture is that of transformers' ``GPTNeoXForCausalLM`` without change; the unit tests compare the loss
and every gradient with automatic differentiation of that class.

Symbols: n = B T tokens of B sequences of length T; H hidden size; A heads of d = H / A; F feed-forward size;
V vocabulary. Products and attention run in the compute type (bfloat16 or float32); parameters, residual
stream, norms, softmax over the vocabulary and loss run in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from w2sg.pretraining.parameters import ParameterLayout

aten = torch.ops.aten
Lookup = Callable[[str], Tensor]


class _Scratch:
    """What the layers of a shard share: passing buffers, and the constants of attention."""

    def __init__(self, config: Any, sequences: int, length: int, dtype: torch.dtype) -> None:
        self.sequences, self.length, self.dtype = sequences, length, dtype
        self.hidden, self.heads, self.wide = (
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
        )
        self.width, self.n, self.eps = self.hidden // self.heads, sequences * length, config.layer_norm_eps
        tiles = sequences * self.heads
        self.delta, self.d_wide = self.new(self.n, self.hidden), self.new(self.n, self.wide)
        self.d_mixed, self.d_qkv = self.new(self.hidden, self.n), self.new(3 * self.hidden, self.n)
        self.out, self.d_heads = self.new(tiles, self.width, length), self.new(3, tiles, self.width, length)
        self.scores, self.d_probs = self.new(tiles, length, length), self.new(tiles, length, length)
        # The causal mask enters the product as its addend, so that masking costs no pass of its own.
        self.mask = torch.full((length, length), -math.inf).triu(1).to(dtype).expand(tiles, length, length)
        self.scale = self.width**-0.5
        rope = config.rope_parameters
        rotary = int(self.width * rope["partial_rotary_factor"])
        self.half = rotary // 2
        inverse = 1.0 / rope["rope_theta"] ** (torch.arange(0, rotary, 2).float() / rotary)
        angles = (inverse[:, None] * torch.arange(length).float()).repeat(1, sequences)  # (half, n)
        self.cos, self.sin = angles.cos().to(dtype), angles.sin().to(dtype)
        self.swap = self.new(self.heads, 2, self.half, self.n)

    def new(self, *shape: int) -> Tensor:
        """Returns a zero buffer of the compute type."""
        return torch.zeros(shape, dtype=self.dtype)

    def by_head(self, rows: Tensor, parts: int) -> Tensor:
        """Returns rows (A parts d, n) as a view (parts, B, A, d, T): q, k, v of a head lie together."""
        view = rows.view(self.heads, parts, self.width, self.sequences, self.length)
        return view.permute(1, 3, 0, 2, 4)

    def rotate(self, qkv: Tensor, sign: int) -> None:
        """Turns the rotary rows of q and k, in place, by their position's angle; back for ``sign=-1``."""
        pair = qkv.view(self.heads, 3, self.width, self.n)[:, :2]
        first, second = pair[:, :, : self.half], pair[:, :, self.half : 2 * self.half]
        torch.mul(first, self.sin, out=self.swap)
        first.mul_(self.cos).addcmul_(second, self.sin, value=-sign)
        second.mul_(self.cos).add_(self.swap, alpha=sign)


class _Norm:
    """Layer norm of the residual stream, and its gradient."""

    def __init__(self, name: str, master: Lookup, gradient: Lookup, s: _Scratch) -> None:
        self.gain, self.shift, self.eps = master(f"{name}.weight"), master(f"{name}.bias"), s.eps
        self.d_gain, self.d_shift = gradient(f"{name}.weight"), gradient(f"{name}.bias")
        self.y = s.new(s.n, s.hidden)
        self.x = self.mean = self.rstd = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        y, self.mean, self.rstd = torch.native_layer_norm(x, x.shape[1:], self.gain, self.shift, self.eps)
        return self.y.copy_(y)

    def backward(self, d_y: Tensor) -> Tensor:
        d_x, d_gain, d_shift = aten.native_layer_norm_backward(
            d_y.float(),
            self.x,
            self.x.shape[1:],
            self.mean,
            self.rstd,
            self.gain,
            self.shift,
            [True, True, True],
        )
        self.d_gain.copy_(d_gain)
        self.d_shift.copy_(d_shift)
        return d_x


class _Attention:
    """Causal attention with partial rotary positions, feature-major: features in rows, tokens in columns.

    Rotary pairs, heads and biases are then whole rows; token-major, their short inner loops cost as much as
    the products of attention.
    """

    def __init__(self, name: str, weight: Lookup, gradient: Lookup, s: _Scratch) -> None:
        self.s = s
        qkv, dense = f"{name}.query_key_value", f"{name}.dense"
        self.w_qkv, self.w_dense = weight(f"{qkv}.weight"), weight(f"{dense}.weight")
        self.b_qkv = weight(f"{qkv}.bias")[:, None].expand(-1, s.n)
        self.dw_qkv, self.dw_dense = gradient(f"{qkv}.weight"), gradient(f"{dense}.weight")
        self.db_qkv = gradient(f"{qkv}.bias")
        self.qkv, self.mixed = s.new(3 * s.hidden, s.n), s.new(s.hidden, s.n)
        tiles = s.sequences * s.heads
        self.heads = s.new(3, tiles, s.width, s.length)
        self.probs = s.new(tiles, s.length, s.length)

    def forward(self, y: Tensor) -> Tensor:
        s = self.s
        torch.addmm(self.b_qkv, self.w_qkv, y.t(), out=self.qkv)
        s.rotate(self.qkv, 1)
        self.heads.view(3, s.sequences, s.heads, s.width, s.length).copy_(s.by_head(self.qkv, 3))
        q, k, v = self.heads  # each (B A, d, T)
        torch.baddbmm(s.mask, q.transpose(1, 2), k, alpha=s.scale, out=s.scores)
        aten._softmax.out(s.scores, -1, False, out=self.probs)
        torch.bmm(v, self.probs.transpose(1, 2), out=s.out)
        s.by_head(self.mixed, 1)[0].copy_(s.out.view(s.sequences, s.heads, s.width, s.length))
        return self.mixed

    def backward(self, d_x: Tensor, y: Tensor) -> Tensor:
        """Returns the gradient (n, H) of the input ``y``, given that of the output, ``d_x`` (n, H)."""
        s = self.s
        torch.mm(d_x.t(), self.mixed.t(), out=self.dw_dense)
        torch.mm(self.w_dense.t(), d_x.t(), out=s.d_mixed)
        s.out.view(s.sequences, s.heads, s.width, s.length).copy_(s.by_head(s.d_mixed, 1)[0])
        q, k, v = self.heads
        d_q, d_k, d_v = s.d_heads
        torch.bmm(s.out, self.probs, out=d_v)
        torch.bmm(s.out.transpose(1, 2), v, out=s.d_probs)
        aten._softmax_backward_data.out(s.d_probs, self.probs, -1, s.dtype, grad_input=s.scores)
        torch.bmm(k, s.scores.transpose(1, 2), out=d_q)
        torch.bmm(q, s.scores, out=d_k)
        s.d_heads[:2].mul_(s.scale)
        s.by_head(s.d_qkv, 3).copy_(s.d_heads.view(3, s.sequences, s.heads, s.width, s.length))
        s.rotate(s.d_qkv, -1)
        self.db_qkv.copy_(s.d_qkv.sum(1))
        torch.mm(s.d_qkv, y, out=self.dw_qkv)
        return torch.mm(s.d_qkv.t(), self.w_qkv, out=s.delta)


class _Layer:
    """One block, x + attention(norm(x)) + mlp(norm'(x)), and its gradient."""

    def __init__(self, name: str, master: Lookup, weight: Lookup, gradient: Lookup, s: _Scratch) -> None:
        self.s = s
        self.norm_attention = _Norm(f"{name}.input_layernorm", master, gradient, s)
        self.norm_mlp = _Norm(f"{name}.post_attention_layernorm", master, gradient, s)
        self.attention = _Attention(f"{name}.attention", weight, gradient, s)
        up, down, dense = f"{name}.mlp.dense_h_to_4h", f"{name}.mlp.dense_4h_to_h", f"{name}.attention.dense"
        self.w_up, self.b_up, self.w_down = (
            weight(f"{up}.weight"),
            weight(f"{up}.bias"),
            weight(f"{down}.weight"),
        )
        self.b_down, self.b_dense = master(f"{down}.bias"), master(f"{dense}.bias")
        self.dw_up, self.db_up, self.dw_down = (gradient(k) for k in (f"{up}.weight", f"{up}.bias", f"{down}.weight"))
        self.db_down, self.db_dense = gradient(f"{down}.bias"), gradient(f"{dense}.bias")
        self.pre, self.act = s.new(s.n, s.wide), s.new(s.n, s.wide)

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Writes the block's output (n, H) for the residual stream ``x`` (n, H)."""
        s = self.s
        torch.add(x, self.b_dense + self.b_down, out=out)
        mixed = self.attention.forward(self.norm_attention.forward(x))
        _add_product(out, mixed.t(), self.attention.w_dense.t(), s.delta)
        torch.addmm(self.b_up, self.norm_mlp.forward(x), self.w_up.t(), out=self.pre)
        aten.gelu.out(self.pre, out=self.act)
        _add_product(out, self.act, self.w_down.t(), s.delta)

    def backward(self, d_x: Tensor) -> None:
        """Turns the gradient of the block's output, ``d_x`` (n, H), into that of its input, in place."""
        s = self.s
        d_out = d_x.to(s.dtype)
        torch.sum(d_x, 0, out=self.db_down)
        self.db_dense.copy_(self.db_down)
        torch.mm(d_out.t(), self.act, out=self.dw_down)
        torch.mm(d_out, self.w_down, out=s.d_wide)
        aten.gelu_backward.grad_input(s.d_wide, self.pre, grad_input=s.d_wide)
        self.db_up.copy_(s.d_wide.sum(0))
        torch.mm(s.d_wide.t(), self.norm_mlp.y, out=self.dw_up)
        from_mlp = self.norm_mlp.backward(torch.mm(s.d_wide, self.w_up, out=s.delta))
        from_attention = self.norm_attention.backward(self.attention.backward(d_out, self.norm_attention.y))
        d_x.add_(from_mlp).add_(from_attention)


def _add_product(out: Tensor, a: Tensor, b: Tensor, room: Tensor) -> None:
    """Adds ``a @ b`` to the float32 ``out``; a product of a lower type passes through ``room``."""
    if a.dtype == out.dtype:
        out.addmm_(a, b)
    else:
        out.add_(torch.mm(a, b, out=room))


class ShardPass:
    """Loss and gradient of one shard: a fixed share of the sequences of every batch.

    Args:
        config: The model's ``GPTNeoXConfig``.
        layout: Places of its parameters.
        flat: Parameters (size,), float32.
        weights: The same in the compute type (size,); ``flat`` itself for float32.
        sequences: Sequences of the shard.
        length: Tokens of a sequence.
    """

    def __init__(
        self,
        config: Any,
        layout: ParameterLayout,
        flat: Tensor,
        weights: Tensor,
        *,
        sequences: int,
        length: int,
    ) -> None:
        """Allocates every buffer; see the class for the arguments."""
        s = self.s = _Scratch(config, sequences, length, weights.dtype)
        self.matrix_gradient = torch.zeros(layout.decayed, dtype=weights.dtype)
        self.vector_gradient = torch.zeros(layout.size - layout.decayed)

        def master(name: str) -> Tensor:
            return layout.view(flat, name)

        def weight(name: str) -> Tensor:
            return layout.view(weights, name)

        def gradient(name: str) -> Tensor:
            if len(layout.shapes[name]) > 1:
                return layout.view(self.matrix_gradient, name)
            return layout.view(self.vector_gradient, name, start=layout.decayed)

        self.embedding, self.d_embedding = (
            master("gpt_neox.embed_in.weight"),
            gradient("gpt_neox.embed_in.weight"),
        )
        self.head, self.d_head = weight("lm_head.weight"), gradient("lm_head.weight")
        self.norm = _Norm("gpt_neox.final_layer_norm", master, gradient, s)
        names = [f"gpt_neox.layers.{i}" for i in range(config.num_hidden_layers)]
        self.layers = [_Layer(name, master, weight, gradient, s) for name in names]
        self.stream = [torch.zeros(s.n, s.hidden) for _ in range(len(names) + 1)]
        self.logits = s.new(s.n, config.vocab_size)
        self.probs = self.logits if s.dtype == torch.float32 else torch.zeros(s.n, config.vocab_size)
        self.rows, self.targets = torch.arange(s.n), torch.zeros(sequences, length, dtype=torch.int64)

    @torch.no_grad()
    def run(self, ids: Tensor) -> Tensor:
        """Returns the summed next-token loss in nats, and leaves its gradient in the two gradient buffers.

        Args:
            ids: Token ids (B, T), int64. A sequence predicts its own tokens 2 to T: B (T - 1) terms.

        Returns:
            The sum, a scalar. The gradient is that of the sum: the caller divides by the number of terms.
        """
        flat_ids = ids.reshape(-1)
        torch.index_select(self.embedding, 0, flat_ids, out=self.stream[0])
        for layer, x, out in zip(self.layers, self.stream, self.stream[1:], strict=False):
            layer.forward(x, out)
        y = self.norm.forward(self.stream[-1])
        torch.mm(y, self.head.t(), out=self.logits)
        loss = self._differentiate_loss(ids)
        torch.mm(self.logits.t(), y, out=self.d_head)
        d_x = self.norm.backward(torch.mm(self.logits, self.head, out=self.s.delta))
        for layer in reversed(self.layers):
            layer.backward(d_x)
        self.d_embedding.copy_(aten.embedding_dense_backward(d_x, flat_ids, len(self.embedding), -1, False))
        return loss

    def _differentiate_loss(self, ids: Tensor) -> Tensor:
        """Returns the summed loss; replaces the logits by its gradient, softmax minus target indicator."""
        s, probs = self.s, self.probs
        self.targets[:, :-1] = ids[:, 1:]  # the last column is never a prediction; its rows are zeroed below
        targets = self.targets.view(-1)
        if probs is not self.logits:
            probs.copy_(self.logits)
        aten._softmax.out(probs, -1, False, out=probs)
        # Only the report needs the loss itself; it saturates at 87 nats a token, where float32 ends.
        chosen = probs[self.rows, targets].clamp_min_(torch.finfo(torch.float32).tiny)
        losses = chosen.log_().view(s.sequences, s.length)[:, :-1]
        probs[self.rows, targets] -= 1
        probs.view(s.sequences, s.length, -1)[:, -1].zero_()
        if probs is not self.logits:
            self.logits.copy_(probs)
        return -losses.sum()
