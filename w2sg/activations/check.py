"""How a loaded model's texts are run, found out before the long run: three packed texts against the library's pass of each alone.

What a model does outside of attention must work on single rows, and its attention must go through
:mod:`w2sg.activations.attention`. Nothing says so of an architecture but its own code, so it is tried: other models would mix
texts, or give other losses, without an error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

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


def check_model(model: LoadedModel, *, fault: str = "") -> LoadedModel:
    """Returns a loaded model with the way in which its texts are run: packed, or through the library's own forward pass.

    Packed where that gives the states and losses that the library gives for each text alone; else each length by itself,
    slower, and a line on standard output says why. Costs about ten passes of at most 11 tokens. States that are not finite
    are left to the extraction, which names their text.

    Args:
        model: The loaded model, in float32 or bfloat16.
        fault: Why packed rows do not fit it, as far as its configuration says (:func:`w2sg.activations.models.packing_fault`).

    Raises:
        UnsupportedModel: If a token's state depends on later tokens, states are not shown for every block, or are the same for all texts.
        MemoryError: If not even a short text fits.
    """
    kind = model.whole.config.model_type
    vocabulary = int(model.embedding.weight.shape[0])
    # Some embeddings have rows behind those of the vocabulary, which no text has and no logit predicts.
    ids = _short_texts(min(vocabulary, getattr(model.whole.config.get_text_config(), "vocab_size", None) or vocabulary))
    states, losses = _alone(model, ids)
    finite = np.isfinite(states).all() and np.isfinite(losses).all()
    if finite and (states[-1] == states[-1, 0]).all():
        raise UnsupportedModel(kind, "its final states are the same for every text; were its weights copied whole")
    reason = fault or model.alone
    if finite and not reason:
        try:
            _compare(model, ids, states, losses)
        except UnsupportedModel as error:
            reason = error.reason
    if reason:
        model = replace(model, alone=reason)
        if finite:
            _check_causal(model, ids, states)
            model = replace(model, shares_lengths=_lengths_fit(model, ids))
        texts = "texts of one length" if model.shares_lengths else "each text"
        sys.stdout.write(
            f"model type {kind}: {texts} through transformers' own forward pass, which is slower ({reason})\n"
        )
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
    return model


def _check_causal(model: LoadedModel, ids: Sequence[Sequence[int]], states: np.ndarray) -> None:
    """Raises unless the beginning of a text has the states, at every layer, that it has alone: see :func:`_short_texts`."""
    long, short = torch.tensor([ids[0]], device=model.device), len(ids[2])
    with torch.inference_mode():
        hidden = model.whole(input_ids=long, output_hidden_states=True, use_cache=False).hidden_states
    found = np.stack([state[0, short - 1].float().cpu().numpy() for state in hidden])
    layer, difference = _first_difference(found[:, None], states[:, 2:3], model.whole.dtype)
    if layer is not None:
        reason = f"hidden state {layer} of a token depends on later tokens: it differs by {difference:.2g} of its norm"
        raise UnsupportedModel(model.whole.config.model_type, reason)


def _lengths_fit(model: LoadedModel, ids: Sequence[Sequence[int]]) -> bool:
    """Whether three texts of one length have in one pass the states and losses of each alone."""
    texts = [ids[0][:4], ids[0][4:], ids[1][2:]]
    states, losses = _alone(model, texts)
    together = replace(model, shares_lengths=True)
    found = extract_states(together, texts, layers=range(model.depth + 1), batch_tokens=12)
    lost = summed_losses(together, texts, batch_tokens=12)
    near = np.abs(lost - losses).max() <= TOLERANCE[model.whole.dtype] * max(np.abs(losses).max(), 1.0)
    return bool(near) and _first_difference(found, states, model.whole.dtype)[0] is None


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
    kind = model.whole.config.model_type
    with torch.inference_mode():
        for row in ids:
            tokens = torch.tensor([row], device=model.device)
            try:
                out = model.whole(input_ids=tokens, output_hidden_states=True, use_cache=False)
            except (torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:
                reason = f"its own forward pass does not take a text alone ({type(error).__name__}: {error})"
                raise UnsupportedModel(kind, reason) from error
            found = out.hidden_states or ()
            if len(found) != model.depth + 1:
                reason = (
                    f"it shows {len(found)} hidden states, not one before and one after each of {model.depth} blocks"
                )
                raise UnsupportedModel(kind, reason)
            shapes = list(dict.fromkeys(tuple(state.shape) for state in found))
            if len(shapes) > 1 or shapes[0][:-1] != tokens.shape:
                shown = " and ".join(map(str, shapes))
                raise UnsupportedModel(
                    kind, f"its hidden states have the shapes {shown}, expected one of (1, tokens, width)"
                )
            states.append(np.stack([state[0, -1].float().cpu().numpy() for state in found]))
            logits = out.logits[0, :-1].float()
            losses.append(float(cross_entropy(logits, tokens[0, 1:].to(logits.device), reduction="sum")))
    return np.stack(states, axis=1), np.array(losses)


def _compare(model: LoadedModel, ids: Sequence[Sequence[int]], states: np.ndarray, losses: np.ndarray) -> None:
    kind, size = model.whole.config.model_type, sum(map(len, ids))
    try:
        found = extract_states(model, ids, layers=range(model.depth + 1), batch_tokens=size)
        lost = summed_losses(model, ids, batch_tokens=size)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        reason = f"packed texts do not go through its forward pass ({type(error).__name__}: {error})"
        raise UnsupportedModel(kind, reason) from error
    if found.shape != states.shape:
        raise UnsupportedModel(kind, f"its packed states have the shape {found.shape}, not {states.shape}")
    layer, difference = _first_difference(found, states, model.whole.dtype)
    if layer is not None:
        raise UnsupportedModel(
            kind,
            f"hidden state {layer} of texts that share a pass is not that of each text alone: it differs by "
            f"{difference:.2g} of its norm",
        )
    tolerance = TOLERANCE[model.whole.dtype]
    difference = np.abs(lost - losses).max() / max(np.abs(losses).max(), 1.0)
    if difference > tolerance:
        raise UnsupportedModel(
            kind,
            f"the loss of packed texts is not that of each text alone: it differs by {difference:.2g} of it, "
            f"rounding by less than {tolerance:.2g}",
        )


def _first_difference(found: np.ndarray, states: np.ndarray, dtype: torch.dtype) -> tuple[int | None, float]:
    """Returns the first layer whose states, (layers, texts, width), differ by more than rounding, and by which part of the norm."""
    norms = np.maximum(np.linalg.norm(states, axis=-1), np.finfo(np.float32).tiny)
    differences = (np.linalg.norm(found - states, axis=-1) / norms).max(axis=1)  # (layers,)
    allowed = TOLERANCE[dtype] * (1 + np.arange(len(differences)) / DEPTH)
    if not (differences > allowed).any():
        return None, 0.0
    layer = int(np.argmax(differences > allowed))
    return layer, float(differences[layer])
