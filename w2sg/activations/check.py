"""A check of a loaded model, before the long run: three packed texts against the library's forward pass of each alone.

What a model does outside of attention must work on single rows, and its attention must go through
:mod:`w2sg.activations.attention`. Nothing says so of an architecture but its own code, so it is tried: other models would mix
texts, or give other losses, without an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from w2sg.activations.forward import extract_states, summed_losses
from w2sg.activations.models import LoadedModel, UnsupportedModel

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.06}
"""Largest difference by compute type, as a part of the norm of the state, or of the loss.

Rounding grows with depth: hidden state i may differ by ``1 + i / 8`` of it. Random models of 32 layers reach a
hundredth of that in float32 and at most two thirds in bfloat16; models that mix texts differ by a sixth in the first layer.
"""

DEPTH = 8
"""Blocks over which the tolerance grows by itself."""


def check_model(model: LoadedModel) -> None:
    """Raises unless packed texts give the states and losses that the library gives for each text alone.

    Costs five passes of at most 11 tokens. Nothing of the model is changed. States that are not finite are left to the
    extraction, which names their text.

    Args:
        model: The loaded model, in float32 or bfloat16.

    Raises:
        UnsupportedModel: Naming the type of the model and what differs, or what its forward pass says.
        MemoryError: If not even a short text fits.
    """
    ids = _short_texts(int(model.whole.get_input_embeddings().weight.shape[0]))
    states, losses = _alone(model, ids)
    if np.isfinite(states).all() and np.isfinite(losses).all():
        _compare(model, ids, states, losses)
    if model.device.type == "cuda":
        torch.cuda.empty_cache()


def _short_texts(vocabulary: int) -> list[list[int]]:
    """Texts of 8, 6 and 4 tokens: one leaves the first after 3 tokens, one is its beginning.

    Ids are of the middle of the vocabulary; marks, which some models treat differently, lie at its ends.
    """
    drawn = np.random.default_rng(0).integers(vocabulary // 4, max(3 * vocabulary // 4, 1), size=11).tolist()
    first, other = drawn[:8], drawn[8:]
    return [first, first[:3] + other, first[:4]]


def _alone(model: LoadedModel, ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the library's last-token states, (layers, texts, width), and summed losses, (texts,), text by text."""
    states, losses = [], []
    with torch.inference_mode():
        for row in ids:
            tokens = torch.tensor([row], device=model.device)
            out = model.whole(input_ids=tokens, output_hidden_states=True, use_cache=False)
            found, blocks = out.hidden_states or (), len(model.blocks)
            if len(found) != blocks + 1:
                reason = f"it shows {len(found)} hidden states, not one before and one after each of {blocks} blocks"
                raise UnsupportedModel(model.whole.config.model_type, reason)
            states.append(np.stack([state[0, -1].float().cpu().numpy() for state in found]))
            logits = out.logits[0, :-1].float()
            losses.append(float(cross_entropy(logits, tokens[0, 1:].to(logits.device), reduction="sum")))
    return np.stack(states, axis=1), np.array(losses)


def _compare(model: LoadedModel, ids: Sequence[Sequence[int]], states: np.ndarray, losses: np.ndarray) -> None:
    kind, size = model.whole.config.model_type, sum(map(len, ids))
    try:
        found = extract_states(model, ids, layers=range(len(model.blocks) + 1), batch_tokens=size)
        lost = summed_losses(model, ids, batch_tokens=size)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        reason = f"packed texts do not go through its forward pass ({type(error).__name__}: {error})"
        raise UnsupportedModel(kind, reason) from error
    if found.shape != states.shape:
        raise UnsupportedModel(kind, f"its packed states have the shape {found.shape}, not {states.shape}")
    tolerance = TOLERANCE[model.whole.dtype]
    norms = np.maximum(np.linalg.norm(states, axis=-1), np.finfo(np.float32).tiny)
    differences = (np.linalg.norm(found - states, axis=-1) / norms).max(axis=1)  # (layers,)
    allowed = tolerance * (1 + np.arange(len(differences)) / DEPTH)
    if (differences > allowed).any():
        layer = int(np.argmax(differences > allowed))
        raise UnsupportedModel(
            kind,
            f"hidden state {layer} of texts that share a pass is not that of each text alone: it differs by "
            f"{differences[layer]:.2g} of its norm, rounding by less than {allowed[layer]:.2g}",
        )
    difference = np.abs(lost - losses).max() / max(np.abs(losses).max(), 1.0)
    if difference > tolerance:
        raise UnsupportedModel(
            kind,
            f"the loss of packed texts is not that of each text alone: it differs by {difference:.2g} of it, "
            f"rounding by less than {tolerance:.2g}",
        )
