"""Loading the model of a revision: the only module that knows model classes and dtypes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from w2sg.revisions import RevisionError


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A causal language model without gradients, taken apart as far as extraction needs."""

    decoder: torch.nn.Module
    """The model without its output embedding; maps token ids to final hidden states after the final norm."""
    blocks: tuple[torch.nn.Module, ...]
    """The transformer blocks in order; block i's output is hidden state i + 1, the last one's before the norm."""
    embedding: torch.nn.Module
    """The input embedding; its output is hidden state 0."""
    output: torch.nn.Module
    """The output embedding, which maps final hidden states to logits."""
    tokenizer: Any
    """The fast tokenizer of the revision."""
    context: int
    """Largest number of positions the model was built for, in tokens."""
    device: torch.device
    """Where the weights are."""


def load_model(folder: Path, *, dtype: str, device: str) -> LoadedModel:
    """Returns a revision's model on a device, in evaluation mode, with its tokenizer.

    No remote code is run and no pickle is executed: weights are safetensors, or ``.bin`` files read with
    ``weights_only``.

    Args:
        folder: Hugging Face folder (config, tokenizer, weights).
        dtype: Compute type, ``float32`` or ``bfloat16``.
        device: ``cpu`` or ``cuda``.

    Raises:
        RevisionError: If a weight is missing or left over, or the tokenizer is not a fast one.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    model, report = loaded
    wrong = {key: sorted(report[key]) for key in ("missing_keys", "mismatched_keys") if report.get(key)}
    if wrong:
        raise RevisionError(f"weights in {folder} do not fit {type(model).__name__}: {wrong}")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if not tokenizer.is_fast:
        raise RevisionError(f"{folder}: a fast tokenizer is needed (tokenizer.json), found {type(tokenizer).__name__}")
    model.eval().requires_grad_(False).to(device)
    decoder = model.base_model
    blocks = next((getattr(decoder, key) for key in ("layers", "h", "blocks") if hasattr(decoder, key)), None)
    if blocks is None:
        raise RevisionError(f"{folder}: no list of transformer blocks in {type(decoder).__name__}")
    return LoadedModel(
        decoder=decoder,
        blocks=tuple(blocks),
        embedding=model.get_input_embeddings(),
        output=model.get_output_embeddings(),
        tokenizer=tokenizer,
        context=int(getattr(model.config, "max_position_embeddings", 1 << 30)),
        device=torch.device(device),
    )


def pick_device(wanted: str) -> str:
    """Returns ``cpu`` or ``cuda``; ``auto`` is the GPU where there is one.

    Raises:
        RuntimeError: If ``cuda`` is asked for and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("activations.device is cuda, but PyTorch sees no GPU here; set it to auto or cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
