"""The format of the first OLMo releases and of DataDecide (package ``hf_olmo``), read as a model of the library's own.

Names and fused matrices follow ``olmo/model.py`` of https://github.com/allenai/OLMo; the correspondence is that of its
conversion script ``scripts/convert_olmo_to_hf_new.py``: query, key and value lie below one another in ``att_proj``, and
``ff_proj`` holds first what is multiplied and then what is gated. Norms without weights make an OLMo; root-mean-square norms
with weights (DataDecide) make a Llama, whose halves of a head are rotated in the same order.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from w2sg.revisions.folders import RevisionError, weight_files

REQUIRED = {
    "activation_type": "swiglu",
    "block_type": "sequential",
    "rope": True,
    "alibi": False,
    "include_bias": False,
    "attention_layer_norm": False,
    "embedding_layer_norm": False,
    "scale_logits": False,
    "scale_emb_init": False,
    "norm_after": False,
}
"""Settings without which a model of the library would compute something else."""

NORMS = {
    "default": {"layer_norm_with_affine": False, "layer_norm_eps": 1e-5},
    "low_precision": {"layer_norm_with_affine": False, "layer_norm_eps": 1e-5},
    "rms": {"layer_norm_with_affine": True, "bias_for_layer_norm": False, "clip_qkv": None},
}
"""The same of each kind of norm (``layer_norm_type``): what OLMo, and for the last one Llama, does not have."""

OPTIONAL = frozenset(
    {"scale_emb_init", "norm_after", "layer_norm_eps", "embedding_layer_norm", "bias_for_layer_norm", "clip_qkv"}
)
"""Those that came later, or follow others, and may be absent or null, then having the required value."""

BLOCK = re.compile(r"blocks\.(\d+)\.(\w+)\.weight")
"""A weight inside a transformer block."""

PREFIX = r"model\.|transformer\."
"""What names of weights begin with, in some files."""

PARTS = {
    "att_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn_out": ("self_attn.o_proj",),
    "ff_proj": ("mlp.up_proj", "mlp.gate_proj"),
    "ff_out": ("mlp.down_proj",),
}
"""Native matrices, by their names inside the block, that one stored matrix holds."""

OUTSIDE = {"wte.weight": "model.embed_tokens.weight", "ff_out.weight": "lm_head.weight"}
"""Weights outside of the blocks."""

NORM_PARTS = {"attn_norm": ("input_layernorm",), "ff_norm": ("post_attention_layernorm",)}
NORM_OUTSIDE = {"ln_f.weight": "model.norm.weight"}
"""The same of the norms, where they have weights."""


def matches(config: Mapping[str, Any]) -> bool:
    """Returns whether a ``config.json`` has the keys of ``hf_olmo``, whatever its model type is called."""
    return "d_model" in config and config.get("model_type") in ("olmo", "hf_olmo")


def is_rms(config: Mapping[str, Any]) -> bool:
    """Returns whether a model of this format has root-mean-square norms, so that it is a Llama."""
    return config.get("layer_norm_type") == "rms"


def native_config(config: Mapping[str, Any]) -> Any:
    """Returns the ``OlmoConfig`` or ``LlamaConfig`` of the same model.

    Raises:
        RevisionError: If the model has a part that the library's lacks; the setting is named.
    """
    from transformers import LlamaConfig, OlmoConfig

    norm = config.get("layer_norm_type", "default")
    if norm not in NORMS:
        raise RevisionError(f"config.json: layer_norm_type is {norm!r}; allowed: {', '.join(NORMS)}")
    library = "LlamaForCausalLM" if is_rms(config) else "OlmoForCausalLM"
    for key, wanted in (REQUIRED | NORMS[norm]).items():
        found = config.get(key)
        if found != wanted and not (found is None and key in OPTIONAL):
            raise RevisionError(f"config.json: {key} is {found!r}; {library} needs {wanted!r}")
    hidden = config.get("mlp_hidden_size") or config["d_model"] * config["mlp_ratio"]
    common = {
        "vocab_size": config.get("embedding_size") or config["vocab_size"],
        "hidden_size": config["d_model"],
        "intermediate_size": hidden // 2,
        "num_hidden_layers": config["n_layers"],
        "num_attention_heads": config["n_heads"],
        "num_key_value_heads": _key_value_heads(config),
        "max_position_embeddings": config["max_sequence_length"],
        "pad_token_id": config.get("pad_token_id"),
        "eos_token_id": config.get("eos_token_id"),
        "tie_word_embeddings": config["weight_tying"],
        "rope_parameters": {"rope_type": "default", "rope_theta": float(config.get("rope_theta", 10_000))},
    }
    if is_rms(config):
        return LlamaConfig(**common, rms_norm_eps=config.get("layer_norm_eps") or 1e-5, bos_token_id=None)
    return OlmoConfig(**common, clip_qkv=config.get("clip_qkv"))


def native_class(config: Mapping[str, Any]) -> Any:
    """Returns the library's class of the same model."""
    from transformers import LlamaForCausalLM, OlmoForCausalLM

    return LlamaForCausalLM if is_rms(config) else OlmoForCausalLM


def _key_value_heads(config: Mapping[str, Any]) -> int:
    return config.get("n_kv_heads") or (1 if config.get("multi_query_attention") else config["n_heads"])


def native_weights(folder: Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Returns a folder's weights under the names of :func:`native_class`.

    They are views of the mapped files: no memory of their own, in the type in which they were stored.

    Raises:
        RevisionError: If a weight has a name that is not part of the format.
    """
    native: dict[str, torch.Tensor] = {}
    parts, outside = (PARTS | NORM_PARTS, OUTSIDE | NORM_OUTSIDE) if is_rms(config) else (PARTS, OUTSIDE)
    width, narrow = config["d_model"], config["d_model"] // config["n_heads"] * _key_value_heads(config)
    for name, weight in _stored(folder):
        short = name.removeprefix("model.").removeprefix("transformer.")
        match = BLOCK.fullmatch(short)
        if short in outside:
            native[outside[short]] = weight
        elif match and match[2] in parts:
            layer, names = match[1], parts[match[2]]
            held = weight.split((width, narrow, narrow)) if len(names) == 3 else weight.chunk(len(names))
            native |= {f"model.layers.{layer}.{key}.weight": part for key, part in zip(names, held, strict=True)}
        else:
            raise RevisionError(f"weights in {folder}: {name} is not part of the hf_olmo format")
    if config["weight_tying"]:
        native.setdefault("lm_head.weight", native["model.embed_tokens.weight"])
    return native


def _stored(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    yield name, file.get_tensor(name)
        else:
            mapped = zipfile.is_zipfile(path)  # what torch wrote before version 1.6 is read whole
            yield from torch.load(path, map_location="cpu", weights_only=True, mmap=mapped).items()
