"""Random tiny models of every causal type of the installed transformers, and how each goes through a forward pass here.

``python -m tests.model_types`` writes ``w2sg/revisions/facts/types.tsv`` again and ends with 1 if a type gives wrong numbers;
with names of types behind it, it tries those and writes nothing.
"""

from __future__ import annotations

import contextlib
import csv
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, logging
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from w2sg.activations import forward
from w2sg.activations.check import check_model
from w2sg.activations.models import UnsupportedModel, packing_fault, take_apart
from w2sg.revisions.facts.descriptions import TYPES

VOCABULARY = 320
MOST = 250_000_000
"""Parameters of a model that is still tiny: some have parts for images or sound that no usual setting makes small."""

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "d_model": 32, "n_embd": 32, "dim": 32, "embedding_size": 32,
    "num_hidden_layers": 4, "n_layer": 4, "n_layers": 4, "num_layers": 4, "decoder_layers": 4, "encoder_layers": 4,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "decoder_attention_heads": 4,
    "encoder_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "attention_head_dim": 8, "kv_channels": 8,
    "intermediate_size": 64, "ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_ffn_dim": 64, "n_inner": 64, "dff": 64,
    "dim_ff": 64, "word_embed_proj_dim": 32, "attention_hidden_size": 32, "max_position_embeddings": 128,
    "n_positions": 128, "n_ctx": 128, "max_seq_len": 128, "rotary_dim": 4, "state_size": 4, "time_step_rank": 4,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4, "num_experts_per_tok": 2,
    "n_group": 1, "topk_group": 1, "n_shared_experts": 1, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
    "shared_intermediate_size": 32, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
    "v_head_dim": 8, "mamba_d_state": 4, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_num_heads": 4, "mamba_head_dim": 16,
    "mamba_d_ssm": 64, "n_groups": 1, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "conv_kernel": 4, "lru_width": 32, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "is_decoder": True, "sliding_window": 64,
}  # fmt: skip
"""Small values of settings by their usual names."""

_ROPE = {"rope_type": "default", "rope_theta": 1e4}
_INDEXER = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 64,
    "indexer_compress_ratio": 4,
}
_LINEAR = {
    "qk_head_dim": 16,
    "num_experts_per_token": 2,
    "num_expert_group": 1,
    "linear_head_dim": 8,
    "linear_num_heads": 4,
    "num_key_value_heads": 4,
}
_PART = {"hidden_size_global": 32, "num_key_value_heads": 4, "head_dim": 8, "cross_attn_k": 1}
OWN: dict[str, dict[str, Any]] = {
    "bailing_hybrid": _LINEAR,
    "blt": {
        "encoder_config": _PART, "decoder_config": _PART, "global_config": _PART, "cross_attn_k": 1,
        "patcher_config": {"num_key_value_heads": 4, "head_dim": 8}, "encoder_hash_byte_group_vocab": 64,
    },
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 32},
    },
    "deepseek_v2": {"num_experts_per_tok": 2, "head_dim": 8, "num_key_value_heads": 4},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note_text": {"num_key_value_heads": 4},
    "ernie4_5_moe": {"moe_k": 2, "moe_layer_end_index": 3},
    "gemma3n_text": {
        "num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"] * 2,
        "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "kimi_linear": _LINEAR,
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "longcat_flash": {"zero_expert_num": 2, "moe_topk": 2, "expert_ffn_hidden_size": 32, "ffn_hidden_size": 64, "num_key_value_heads": 4},
    "mamba2": {"num_heads": 8, "head_dim": 8, "expand": 2},
    "ministral": {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 4},
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "reformer": {"axial_pos_embds": False, "feed_forward_size": 64, "attention_head_size": 8},
    "xlm": {"emb_dim": 32, "n_words": VOCABULARY, "causal": True},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 10, "attention_hidden_size": 64, "attention_head_dim": 16},
    "zamba2": {"attention_hidden_size": 64, "attention_head_dim": 16, "layer_types": ["mamba", "hybrid"] * 2, "hybrid_layer_ids": [1, 3]},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip
"""Other values of single types, whose settings have to agree with one another."""

SHORT: dict[str, Any] = {
    "sliding_window": 16, "sliding_window_size": 16, "attention_window_size": 16, "attention_chunk_size": 16,
    "window_size": 16, "local_attention": 16, "index_topk": 8, "block_size": 16, "use_sliding_window": True,
    "max_window_layers": 0,
}  # fmt: skip
"""Settings that keep a token of a longer text from seeing all before it; a model that has one is tried with it as well."""

LENGTH = 40
"""Tokens of the longest text: less than :data:`SIZES` lets every token see, more than :data:`SHORT` does."""

ROUNDING = 1e-4
"""Largest difference of a state of a tiny model in float32, as a part of the largest one of its layer."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a type went."""

    how: str
    """packed, alone, refused, untried, or wrong."""
    why: str = ""
    """The reason for any but packed."""


_DRAFTS = Outcome(how="refused", why="drafts for another model, whose keys and values it takes")
_NOT_MADE = Outcome(how="refused", why="transformers makes no causal language model of its configuration")
KNOWN = {
    "dots3_note": Outcome(how="untried", why="no tiny model: some settings are of single layers; its text part is dots3_note_text"),
    "gemma3n": Outcome(how="untried", why="needs the package timm; its text part is gemma3n_text"),
    "gemma4_assistant": _DRAFTS,
    "gemma4_unified_assistant": _DRAFTS,
    "musicgen": _NOT_MADE,
    "musicgen_melody": _NOT_MADE,
}  # fmt: skip
"""What is known of types that cannot be tried."""

VARIANTS: tuple[tuple[str, ...], ...] = (
    (),
    ("head_dim",),
    ("head_dim", "qk_rope_head_dim", "v_head_dim"),
    ("num_key_value_heads",),
)
"""Settings that are left at the library's own value, tried one after the other until a model runs."""


def tiny_config(kind: str, sizes: Mapping[str, Any]) -> Any:
    """A configuration of a type with small values wherever it has a setting of such a name."""
    known = CONFIG_MAPPING[kind]().to_dict()
    small = {name: value for name, value in sizes.items() if known.get(name) is not None}
    parts = {name: value for name, value in known.items() if isinstance(value, dict) and "model_type" in value}
    for name, part in parts.items():
        small[name] = {key: sizes[key] for key in part if key in sizes and part[key] is not None}
        small[name]["model_type"] = part["model_type"]
    for name, value in OWN.get(kind, {}).items():
        small[name] = small.get(name, {}) | value if isinstance(value, dict) else value
    return AutoConfig.for_model(kind, **small)


def has_short(kind: str) -> bool:
    """Whether a type has a setting of :data:`SHORT`."""
    known = CONFIG_MAPPING[kind]().to_dict()
    return any(name in part for part in (known, *known.values()) if isinstance(part, dict) for name in SHORT)


def tiny_model(kind: str, sizes: Mapping[str, Any]) -> Any:
    """A random model of a type; ValueError if it cannot be made small."""
    config = tiny_config(kind, sizes)
    with torch.device("meta"):
        count = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
    if count > MOST:
        raise ValueError(f"{count:,} parameters at the usual small settings")
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():  # so that attention is far from even
        for name, weight in made.named_parameters():
            if weight.ndim > 1 and "embed" not in name:
                weight.mul_(4)
    return made


def texts() -> list[list[int]]:
    """Texts of several lengths, down to one token, some of which share their beginning; ids without marks."""
    ids = np.random.default_rng(1).integers(8, VOCABULARY, size=(4, LENGTH)).tolist()
    return [ids[0], ids[0][:20] + ids[1][:20], ids[2][:13], ids[3][:13], ids[3][:2], ids[3][:1]]


def try_type(kind: str) -> Outcome:
    """Runs a type as an extraction does, and compares every hidden state with the library's call of each text alone."""
    if kind in KNOWN:
        return KNOWN[kind]
    outcomes = []
    for without in VARIANTS:
        sizes = {name: value for name, value in SIZES.items() if name not in without}
        outcomes.append(_try(kind, sizes))
        if outcomes[-1].how == "untried":
            continue
        if outcomes[-1].how in ("packed", "alone") and has_short(kind):
            short = _try(kind, sizes | SHORT)
            if short.how == "wrong":
                return Outcome(how="wrong", why=f"with a short window: {short.why}")
        return outcomes[-1]
    return outcomes[0]


def _try(kind: str, sizes: Mapping[str, Any]) -> Outcome:
    try:
        made = tiny_model(kind, sizes)
    except Exception as error:
        return Outcome(how="untried", why=f"no tiny model: {_brief(error)}")
    try:
        model = check_model(take_apart(made, None), fault=packing_fault(made.config, longest=LENGTH))
    except UnsupportedModel as error:
        runs = "its own forward pass" not in error.reason  # else nothing is known but of these settings
        return Outcome(how="refused" if runs else "untried", why=" ".join(error.reason.split())[:140])
    except Exception as error:
        return Outcome(how="wrong", why=f"an error without a name: {_brief(error)}")
    ids = texts()
    with torch.no_grad():
        outs = [made(torch.tensor([row]), output_hidden_states=True, use_cache=False) for row in ids]
    expected = {
        "last": np.stack([[state[0, -1].numpy() for state in out.hidden_states] for out in outs], axis=1),
        "mean": np.stack([[state[0].mean(0).numpy() for state in out.hidden_states] for out in outs], axis=1),
    }
    logs = [out.logits[0, :-1].log_softmax(-1) for out in outs]
    after = [torch.tensor(row[1:], dtype=torch.long)[:, None] for row in ids]
    losses = [-float(log.gather(1, following).sum()) for log, following in zip(logs, after, strict=True)]
    try:
        for pool, wanted in expected.items():
            got = forward.extract_states(model, ids, layers=range(model.depth + 1), batch_tokens=100, pool=pool)
            largest = np.maximum(np.abs(wanted).max(axis=(1, 2)), np.finfo(np.float32).tiny)
            differences = np.abs(got - wanted).max(axis=(1, 2)) / largest  # (layers,)
            if not (differences < ROUNDING).all():
                return Outcome(how="wrong", why=f"pool {pool}: layers differ by {differences.round(5).tolist()}")
        lost = forward.summed_losses(model, ids, batch_tokens=100)
    except Exception as error:
        return Outcome(how="wrong", why=f"an error without a name: {_brief(error)}")
    if not np.allclose(lost, losses, rtol=1e-3, atol=1e-3):
        return Outcome(how="wrong", why=f"losses are {lost.tolist()}, not {losses}")
    return Outcome(how="alone", why=" ".join(model.alone.split())[:140]) if model.alone else Outcome(how="packed")


def _brief(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:100]


def linear_layers(kind: str) -> list[str]:
    """Returns the last parts of the names of a type's linear layers, with and without what some settings leave out; no weights."""
    found = set[str]()
    for without in VARIANTS:
        sizes = {name: value for name, value in SIZES.items() if name not in without}
        for changed in ({}, {"q_lora_rank": None}):
            with contextlib.suppress(Exception):  # there is no such model
                config = tiny_config(kind, sizes)
                for name, value in changed.items():
                    setattr(config, name, value)
                with torch.device("meta"):
                    decoder = take_apart(AutoModelForCausalLM.from_config(config), None).decoder
                linear = (name for name, module in decoder.named_modules() if isinstance(module, torch.nn.Linear))
                found |= {name.rsplit(".", 1)[-1] for name in linear}
        if found:
            break
    return sorted(found)


def causal_types() -> list[str]:
    """Every type for which the library has a causal language model."""
    return sorted({*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES})


def try_all(kinds: Sequence[str]) -> dict[str, Outcome]:
    """Returns how types of the installed library went."""
    logging.set_verbosity_error()
    outcomes = {}
    for kind in kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcomes[kind] = try_type(kind)
        sys.stderr.write(f"{kind}: {outcomes[kind].how} {outcomes[kind].why}\n")
    return outcomes


if __name__ == "__main__":
    found = try_all(sys.argv[1:] or causal_types())
    if sys.argv[1:]:
        sys.exit()
    old = Outcome(how="packed", why="package hf_olmo, read as olmo or llama")
    with TYPES.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("type", "how", "why", "linear"))
        linear = {kind: linear_layers(kind) for kind in found}
        linear["hf_olmo"] = sorted({*linear["olmo"], *linear["llama"]})
        rows = sorted([*found.items(), ("hf_olmo", old)])
        writer.writerows((kind, one.how, one.why, " ".join(linear[kind])) for kind, one in rows)
    sys.exit(any(one.how == "wrong" for one in found.values()))
