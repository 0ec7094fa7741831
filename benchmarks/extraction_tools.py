"""The other contestants of ``benchmarks/extraction.py``: each takes token ids and returns final states of last tokens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

Work = Callable[[list[list[int]]], np.ndarray]


def pad(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns ids padded on the right, their mask, and each text's last position."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    mask = (torch.arange(longest, device=device) < lengths[:, None]).long()
    return ids, mask, lengths - 1


def by_length(ids: Sequence[Sequence[int]], *, tokens: int | None = None, texts: int = 32) -> Iterator[np.ndarray]:
    """Yields batches of similar length, longest first: of so many padded tokens, or of so many texts."""
    order = np.argsort([len(row) for row in ids], kind="stable")[::-1]
    start = 0
    while start < len(order):
        size = max(1, tokens // len(ids[order[start]])) if tokens else texts
        yield order[start : start + size]
        start += size


def collect(ids: list[list[int]], batches: Iterator[np.ndarray], last_layer: Callable) -> np.ndarray:
    """Returns final states, (texts, width), from a function of a batch that gives all layers, (layers, batch, width)."""
    out: list[np.ndarray] = [np.empty(0)] * len(ids)
    for batch in batches:
        layers = last_layer([ids[row] for row in batch]).float().cpu().numpy()
        for row, state in zip(batch, layers[-1], strict=True):
            out[row] = state
    return np.stack(out)


def run_naive(model: Any) -> Work:
    """Returns the loop that people write first."""

    def forward(rows: list[list[int]]) -> torch.Tensor:
        ids, mask, last = pad(rows, model.device)
        out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return torch.stack([states[torch.arange(len(rows)), last] for states in out.hidden_states])

    def work(ids: list[list[int]]) -> np.ndarray:
        return collect(ids, (np.arange(s, min(s + 16, len(ids))) for s in range(0, len(ids), 16)), forward)

    return work


def run_careful(model: Any, tokens: int) -> Work:
    """Returns a good loop: sorted, budgeted, no logits, only last tokens kept by hooks; padding needs no mask."""
    decoder = model.base_model

    def forward(rows: list[list[int]]) -> torch.Tensor:
        ids, _, last = pad(rows, model.device)
        here, kept = torch.arange(len(rows)), []
        modules = [model.get_input_embeddings(), *decoder.layers[:-1]]
        handles = [m.register_forward_hook(lambda _m, _i, out: kept.append(out[here, last])) for m in modules]
        kept.append(decoder(input_ids=ids, use_cache=False)[0][here, last])
        for handle in handles:
            handle.remove()
        return torch.stack(kept)

    return lambda ids: collect(ids, by_length(ids, tokens=tokens), forward)


def run_transformer_lens(model: Any) -> Work:
    """Returns extraction by TransformerLens: the residual stream after every block, kept at last tokens."""
    from transformer_lens.model_bridge import TransformerBridge  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as folder:
        _save(model, folder)
        bridge = TransformerBridge.boot_transformers(folder, device=str(model.device), dtype=model.dtype)
    names = [f"blocks.{i}.hook_out" for i in range(len(model.base_model.layers))]

    def forward(rows: list[list[int]]) -> torch.Tensor:
        ids, mask, last = pad(rows, model.device)
        here, kept = torch.arange(len(rows)), []

        def keep(value: Any, hook: Any) -> None:
            kept.append(value[here, last])

        final = [(f"blocks.{len(names) - 1}.hook_out", keep)]
        hooks = [("embed.hook_out", keep), *[(name, keep) for name in names[:-1]], *final]
        bridge.run_with_hooks(ids, attention_mask=mask, return_type=None, fwd_hooks=hooks)
        kept[-1] = model.base_model.final_layer_norm(kept[-1])
        return torch.stack(kept)

    return lambda ids: collect(ids, by_length(ids), forward)


def run_nnsight(model: Any) -> Work:
    """Returns extraction by nnsight: last tokens saved inside a trace of the decoder, which makes no logits."""
    from nnsight import NNsight, save  # pyright: ignore[reportMissingImports]

    traced = NNsight(model.base_model)

    def forward(rows: list[list[int]]) -> torch.Tensor:
        ids, mask, last = pad(rows, model.device)
        here = torch.arange(len(rows))
        with traced.trace(input_ids=ids, attention_mask=mask, use_cache=False):
            kept = save([])
            kept.append(traced.embed_in.output[here, last])
            for layer in traced.layers[:-1]:
                kept.append(layer.output[here, last])
            kept.append(traced.final_layer_norm.output[here, last])
        return torch.stack(list(kept))

    return lambda ids: collect(ids, by_length(ids), forward)


def run_sentence_transformers(model: Any) -> Work:
    """Returns last-token pooling by sentence-transformers, which gives the final layer only."""
    from sentence_transformers.base.modules import Transformer  # pyright: ignore[reportMissingImports]
    from sentence_transformers.sentence_transformer.modules import Pooling  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as folder:
        _save(model, folder)
        encoder = Transformer(folder, model_kwargs={"dtype": model.dtype}).to(model.device)
    pooling = Pooling(model.config.hidden_size, pooling_mode="lasttoken")

    def forward(rows: list[list[int]]) -> torch.Tensor:
        ids, mask, _ = pad(rows, model.device)
        return pooling(encoder({"input_ids": ids, "attention_mask": mask}))["sentence_embedding"][None]

    return lambda ids: collect(ids, by_length(ids), forward)


def _save(model: Any, folder: str) -> None:
    """Saves a model beside a tokenizer in which every token is a word, which some tools insist on."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"t{number}": number for number in range(model.config.vocab_size)}
    inner = Tokenizer(models.WordLevel(words, unk_token="t0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"eos_token": "t0", "bos_token": "t0", "pad_token": "t0", "unk_token": "t0"}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)
    model.save_pretrained(folder)


TOOLS: dict[str, Callable[[Any], Work]] = {
    "transformer_lens": run_transformer_lens,
    "nnsight": run_nnsight,
    "sentence_transformers": run_sentence_transformers,
}
"""Tools by the name of their package."""
