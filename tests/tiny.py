"""Random tiny models of several architectures, saved as ordinary Hugging Face folders, and tiny preference pairs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    OlmoConfig,
    OlmoForCausalLM,
    PreTrainedTokenizerFast,
)

WORDS = [
    "the", "a", "one", "some", "red", "blue", "old", "new", "cat", "dog",
    "ship", "house", "sees", "likes", "finds", "builds", "near", "above", "under", "with",
]  # fmt: skip
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def sentence(rng: np.random.Generator, *, low: int = 3, high: int = 30) -> str:
    return " ".join(rng.choice(WORDS, size=int(rng.integers(low, high))))


def tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def model(architecture: str, *, seed: int, width: int = 16) -> torch.nn.Module:
    torch.manual_seed(seed)
    sizes = {**SIZES, "hidden_size": width, "vocab_size": 320, "max_position_embeddings": 128}
    if architecture == "gpt_neox":
        return GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, initializer_range=0.2))
    if architecture == "olmo":
        return OlmoForCausalLM(OlmoConfig(**sizes, pad_token_id=0, initializer_range=0.2))
    if architecture == "olmo2":
        return Olmo2ForCausalLM(Olmo2Config(**sizes, num_key_value_heads=1, pad_token_id=0, initializer_range=0.2))
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=1, initializer_range=0.2))
    raise ValueError(architecture)


def save_revisions(
    folder: Path, architecture: str, steps: list[int], *, width: int = 16, weights: str = "safetensors"
) -> None:
    """One folder step<N> per revision, each with other random weights."""
    for step in steps:
        target = folder / f"step{step}"
        made = model(architecture, seed=step, width=width)
        made.config.save_pretrained(target)
        tokenizer().save_pretrained(target)
        save_weights(made.state_dict(), target, kind=weights)


def save_weights(state: dict[str, torch.Tensor], folder: Path, *, kind: str) -> None:
    if kind == "bin":
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def old_olmo_weights(state: dict[str, torch.Tensor], *, layers: int, tied: bool = False) -> dict[str, torch.Tensor]:
    """An OLMo model's weights as the first releases had them: other names, fused matrices."""
    old = {"model.transformer.wte.weight": state["model.embed_tokens.weight"]}
    if not tied:
        old["model.transformer.ff_out.weight"] = state["lm_head.weight"]
    for layer in range(layers):
        start, new = f"model.transformer.blocks.{layer}", f"model.layers.{layer}"
        q, k, v, o = (state[f"{new}.self_attn.{x}_proj.weight"] for x in "qkvo")
        up, gate, down = (state[f"{new}.mlp.{x}_proj.weight"] for x in ("up", "gate", "down"))
        old |= {f"{start}.att_proj.weight": torch.cat([q, k, v]), f"{start}.attn_out.weight": o}
        old |= {f"{start}.ff_proj.weight": torch.cat([up, gate]), f"{start}.ff_out.weight": down}
    return old


def save_old_olmo_config(folder: Path, sizes: dict, **changes: object) -> None:
    config = {
        "model_type": "hf_olmo", "architectures": ["OLMoForCausalLM"], "d_model": sizes["hidden_size"],
        "n_heads": sizes["num_attention_heads"], "n_layers": sizes["num_hidden_layers"], "mlp_ratio": 4,
        "mlp_hidden_size": 2 * sizes["intermediate_size"], "vocab_size": sizes["vocab_size"] - 10,
        "embedding_size": sizes["vocab_size"], "max_sequence_length": sizes["max_position_embeddings"],
        "activation_type": "swiglu", "block_type": "sequential", "rope": True, "alibi": False, "include_bias": False,
        "layer_norm_type": "default", "layer_norm_with_affine": False, "attention_layer_norm": False,
        "multi_query_attention": False, "scale_logits": False, "weight_tying": False, "clip_qkv": None,
        "pad_token_id": 1, "eos_token_id": 0, "auto_map": {"AutoConfig": "configuration_olmo.OLMoConfig"},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | changes))
    described = json.loads((folder / "tokenizer_config.json").read_text())
    described |= {"tokenizer_class": "OLMoTokenizer", "auto_map": {"AutoTokenizer": ["x.Y", "x.Z"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))


def save_pairs(folder: Path, *, pairs: int, seed: int = 0) -> dict[str, Path]:
    """Three JSONL files in which the chosen response has a word the rejected one lacks."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split in ("ground_truth", "weak_supervision", "test"):
        files[split] = folder / f"{split}.jsonl.gz"
        with gzip.open(files[split], "wt", encoding="utf-8") as file:
            for number in range(pairs):
                prompt = f"\n\nHuman: {split} {number} {sentence(rng)}\n\nAssistant:"
                row = {
                    "prompt": prompt,
                    "chosen": f" good {sentence(rng)}",
                    "rejected": f" bad {sentence(rng)}",
                }
                file.write(json.dumps(row) + "\n")
    return files
