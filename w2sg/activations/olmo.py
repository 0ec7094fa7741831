"""The format of the first OLMo releases (package ``hf_olmo``), read as the library's own OLMo model.

Names and fused matrices follow ``olmo/model.py`` of https://github.com/allenai/OLMo; the correspondence is that of its
conversion script ``scripts/convert_olmo_to_hf_new.py``: query, key and value lie below one another in ``att_proj``, and
``ff_proj`` holds first what is multiplied and then what is gated.
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
    "layer_norm_with_affine": False,
    "attention_layer_norm": False,
    "embedding_layer_norm": False,
    "scale_logits": False,
    "scale_emb_init": False,
    "norm_after": False,
    "layer_norm_eps": 1e-5,
}
"""Settings without which the library's OLMo model would compute something else."""

OPTIONAL = frozenset({"scale_emb_init", "norm_after", "layer_norm_eps", "embedding_layer_norm"})
"""Those that came later and may be absent, then having the required value."""

BLOCK = re.compile(r"blocks\.(\d+)\.(att_proj|attn_out|ff_proj|ff_out)\.weight")
"""A weight inside a transformer block."""

PARTS = {
    "att_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn_out": ("self_attn.o_proj",),
    "ff_proj": ("mlp.up_proj", "mlp.gate_proj"),
    "ff_out": ("mlp.down_proj",),
}
"""Native matrices, by their names inside the block, that one stored matrix holds."""

OUTSIDE = {"wte.weight": "model.embed_tokens.weight", "ff_out.weight": "lm_head.weight"}
"""Weights outside of the blocks."""


def matches(config: Mapping[str, Any]) -> bool:
    """Returns whether a ``config.json`` has the keys of ``hf_olmo``, whatever its model type is called."""
    return "d_model" in config and config.get("model_type") in ("olmo", "hf_olmo")


def native_config(config: Mapping[str, Any]) -> Any:
    """Returns the ``OlmoConfig`` of the same model.

    Raises:
        RevisionError: If the model has a part that ``OlmoForCausalLM`` lacks; the setting is named.
    """
    from transformers import OlmoConfig

    for key, wanted in REQUIRED.items():
        found = config.get(key, wanted if key in OPTIONAL else None)
        if found != wanted:
            raise RevisionError(f"config.json: {key} is {found!r}; OlmoForCausalLM needs {wanted!r}")
    if config.get("layer_norm_type", "default") not in ("default", "low_precision"):
        raise RevisionError(f"config.json: layer_norm_type is {config['layer_norm_type']!r}; allowed: default")
    hidden = config.get("mlp_hidden_size") or config["d_model"] * config["mlp_ratio"]
    return OlmoConfig(
        vocab_size=config.get("embedding_size") or config["vocab_size"],
        hidden_size=config["d_model"],
        intermediate_size=hidden // 2,
        num_hidden_layers=config["n_layers"],
        num_attention_heads=config["n_heads"],
        num_key_value_heads=_key_value_heads(config),
        max_position_embeddings=config["max_sequence_length"],
        pad_token_id=config.get("pad_token_id"),
        eos_token_id=config.get("eos_token_id"),
        tie_word_embeddings=config["weight_tying"],
        rope_parameters={"rope_type": "default", "rope_theta": float(config.get("rope_theta", 10_000))},
        clip_qkv=config.get("clip_qkv"),
    )


def _key_value_heads(config: Mapping[str, Any]) -> int:
    return config.get("n_kv_heads") or (1 if config.get("multi_query_attention") else config["n_heads"])


def native_weights(folder: Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Returns a folder's weights under the names of ``OlmoForCausalLM``.

    They are views of the mapped files: no memory of their own, in the type in which they were stored.

    Raises:
        RevisionError: If a weight has a name that is not part of the format.
    """
    native: dict[str, torch.Tensor] = {}
    width, narrow = config["d_model"], config["d_model"] // config["n_heads"] * _key_value_heads(config)
    for name, weight in _stored(folder):
        short = name.removeprefix("model.").removeprefix("transformer.")
        if short in OUTSIDE:
            native[OUTSIDE[short]] = weight
        elif match := BLOCK.fullmatch(short):
            layer, names = match[1], PARTS[match[2]]
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
