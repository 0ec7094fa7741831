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


DATADECIDE = {"d_model": 24, "n_heads": 2, "n_layers": 2, "embedding_size": 330, "max_sequence_length": 128}
"""Sizes of a model in DataDecide's format; heads of 12 features, as odd as those of its 90M."""


def save_datadecide(
    folder: Path, *, seed: int, kind: str = "safetensors", tied: bool = False
) -> dict[str, torch.Tensor]:
    """A random model in the format of DataDecide (``hf_olmo`` with RMS norms); returns its weights by short name."""
    generator = torch.Generator().manual_seed(seed)
    width, rows = DATADECIDE["d_model"], DATADECIDE["embedding_size"]
    shapes = {"wte": (rows, width), "ln_f": (width,)} | ({} if tied else {"ff_out": (rows, width)})
    for layer in range(DATADECIDE["n_layers"]):
        inside = {
            "att_proj": (3 * width, width),
            "attn_out": (width, width),
            "attn_norm": (width,),
            "ff_norm": (width,),
        }
        inside |= {"ff_proj": (8 * width, width), "ff_out": (width, 4 * width)}
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in inside.items()}
    made = {name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()}
    made = {name: value + 1 if value.ndim == 1 else value for name, value in made.items()}  # norms scale by about 1
    folder.mkdir(parents=True)
    tokenizer().save_pretrained(folder)
    sizes = {"hidden_size": width, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 4 * width}
    sizes |= {"vocab_size": rows, "max_position_embeddings": 128}
    rms = {
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "layer_norm_eps": 1e-6,
        "bias_for_layer_norm": False,
    }
    save_old_olmo_config(folder, sizes, **rms, mlp_ratio=8, mlp_hidden_size=None, weight_tying=tied)
    save_weights({f"model.transformer.{name}.weight": value for name, value in made.items()}, folder, kind=kind)
    return made


def datadecide_states(
    weights: dict[str, torch.Tensor], ids: list[int], *, tied: bool
) -> tuple[list[np.ndarray], np.ndarray]:
    """Hidden states of a text, embedding first and after the final norm last, and logits: ``hf_olmo``'s arithmetic in float64."""
    w = {name: value.double().numpy() for name, value in weights.items()}
    heads, n, width = DATADECIDE["n_heads"], len(ids), DATADECIDE["d_model"]
    size = width // heads
    angle = np.outer(np.arange(n), 10_000.0 ** (-np.arange(0, size, 2) / size))

    def norm(x, weight):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * weight

    def turned(x):
        first, second = x[..., : size // 2], x[..., size // 2 :]
        cos, sin = np.cos(angle), np.sin(angle)
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    x = w["wte"][ids]
    states = [x]
    for layer in range(DATADECIDE["n_layers"]):
        block = {name.split(".")[2]: value for name, value in w.items() if name.startswith(f"blocks.{layer}.")}
        q, k, v = np.split(norm(x, block["attn_norm"]) @ block["att_proj"].T, 3, axis=-1)
        q, k, v = (part.reshape(n, heads, size).swapaxes(0, 1) for part in (q, k, v))
        scores = turned(q) @ turned(k).swapaxes(1, 2) / np.sqrt(size)
        scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (share / share.sum(-1, keepdims=True)) @ v
        x = x + mixed.swapaxes(0, 1).reshape(n, width) @ block["attn_out"].T
        up, gate = np.split(norm(x, block["ff_norm"]) @ block["ff_proj"].T, 2, axis=-1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ block["ff_out"].T
        states.append(x)
    states[-1] = norm(x, w["ln_f"])
    return states, states[-1] @ (w["wte"] if tied else w["ff_out"]).T


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
