"""What a model's configuration says about whether packed texts can be run through it: before its weights are read."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from w2sg.activations import olmo, weight_errors
from w2sg.activations.packing import Packed
from w2sg.activations.tokens import check_ids, load_tokenizer
from w2sg.revisions.facts.descriptions import CONTEXTS
from w2sg.revisions.folders import RevisionError, check_side_files, weight_files
from w2sg.runtime.contents import content_fault

WINDOWS = ("sliding_window", "attention_chunk_size")
"""Settings that keep a token from seeing all before it."""

CAPS = ("attn_logit_softcapping", "final_logit_softcapping", "logits_soft_cap")
"""Settings that bend scores or logits; neither is applied to packed texts."""

SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier")
"""Settings that scale logits outside the output embedding."""

SEED = 0
"""Seed of weights that are drawn."""


class UnsupportedModel(RevisionError):
    """A model that cannot be swept with the right numbers."""

    def __init__(self, kind: str, reason: str) -> None:
        """Makes the message from the model type and the reason."""
        super().__init__(f"a model of type {kind!r} cannot be swept: {reason}")
        self.reason = reason


def packing_fault(config: Any, *, longest: int) -> str:
    """Returns why packed rows do not fit a model, as far as its configuration says; empty text if nothing speaks against it.

    A short check run could not notice it: a window is longer than that, caps and scales do little to small logits.

    Args:
        config: The model's configuration.
        longest: Most tokens of a text or window.

    Raises:
        UnsupportedModel: If texts of that length cannot be run at all, since a state would depend on other texts, or on chance.
    """
    text = config.get_text_config()
    if "lsh" in (getattr(text, "attn_layers", None) or ()):
        raise UnsupportedModel(
            config.model_type, "its attention (lsh) draws at random, so that a text has no states of its own"
        )
    kinds = getattr(text, "layer_types", None) or ["sliding_attention", "chunked_attention"]
    limited = any(kind != "full_attention" for kind in kinds)
    for name in WINDOWS:
        window = getattr(text, name, None)
        if limited and window is not None and window < longest:
            return (
                f"{name} is {window}, less than {longest} tokens; activations.max_tokens of at most {window} avoids it"
            )
    for name in (*CAPS, *SCALES):
        if getattr(text, name, None) not in ((None,) if name in CAPS else (None, 1)):
            return f"{name} is {getattr(text, name)}"
    return _position_fault(config.model_type, text, longest)


def _position_fault(kind: str, text: Any, longest: int) -> str:
    """Positions whose turns depend on the length of a text."""
    given = getattr(text, "rope_parameters", None) or {}
    for rope in (given, *(value for value in given.values() if isinstance(value, dict))):
        bound = rope.get("original_max_position_embeddings") or getattr(text, "max_position_embeddings", longest)
        if longest <= bound or rope.get("rope_type") not in ("dynamic", "longrope"):
            continue
        reason = f"its positions change with texts of more than {bound} tokens; activations.max_tokens of at most {bound} avoids it"
        if rope["rope_type"] == "dynamic":  # the library keeps those of the longest text so far
            raise UnsupportedModel(kind, reason)
        return reason
    return ""


def context_of(config: Any) -> int:
    """Returns the largest number of positions that a model was built for, in tokens; 2^30 where nothing limits it."""
    text = config.get_text_config()
    found = (getattr(text, name, None) for name in CONTEXTS)
    return next((value for value in found if isinstance(value, int) and value > 0), 1 << 30)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A causal language model without gradients, taken apart as far as extraction needs."""

    decoder: torch.nn.Module
    """The model without its output embedding; maps token ids to final hidden states after the final norm."""
    blocks: tuple[torch.nn.Module, ...]
    """The transformer blocks in order; block i's output is hidden state i + 1, the last one's before the norm. None if not found."""
    embedding: torch.nn.Embedding
    """The input embedding; its output is hidden state 0."""
    output: torch.nn.Module | None
    """The output embedding, which maps final hidden states to logits; None if not found."""
    tokenizer: Any
    """The fast tokenizer of the revision."""
    context: int
    """Largest number of positions the model was built for, in tokens."""
    device: torch.device
    """Where the weights are."""
    whole: Any
    """The causal language model as the library has it, of which all of these are parts."""
    alone: str = ""
    """Why texts go through the library's own forward pass instead of packed; empty where packed rows fit."""
    shares_lengths: bool = False
    """Whether texts of one length may share a pass of that kind."""
    empty: frozenset[int] = frozenset()
    """Ids of tokens for which an embedding holds zeros, but for special ones; no text may have them."""

    @property
    def depth(self) -> int:
        """Number of blocks, which is the number of the last hidden state."""
        return len(self.blocks) or int(self.whole.config.get_text_config().num_hidden_layers)

    def check_used(self, texts: Iterable[Sequence[int]]) -> None:
        """Raises ValueError if a token of a text, given as ids, has zeros for an embedding."""
        if used := sorted(self.empty.intersection(set().union(*texts))) if self.empty else []:
            first = f"{self.tokenizer.convert_ids_to_tokens(used[0])!r}, id {used[0]}"
            text = f"its embeddings hold zeros for {len(used)} tokens of the texts (first {first})"
            raise ValueError(f"{text}: {weight_errors.NOT_WHOLE}")

    def final_states(self, batch: Packed) -> torch.Tensor:
        """Returns the states of a packed batch's rows after the final norm, (1, T, width)."""
        return self.decoder(input_ids=batch.tokens, position_ids=batch.positions, use_cache=False, packed=batch)[0]


def load_model(folder: Path, *, dtype: str, device: str, drawn: bool = False) -> LoadedModel:
    """Returns a revision's model on a device, in evaluation mode, with its tokenizer.

    No remote code is run and no pickle is executed: weights are safetensors, or ``.bin`` files read with
    ``weights_only``. Each tensor goes from its file to the device in the compute type, so that the model exists once.

    Args:
        folder: Hugging Face folder (config, tokenizer, weights), also in the format of ``hf_olmo``.
        dtype: Compute type, ``float32`` or ``bfloat16``.
        device: ``cpu``, or a GPU by its number as ``cuda:0``.
        drawn: Whether the weights are drawn by the library's own initialisation instead of read: the same on every device.

    Raises:
        RevisionError: If a weight is missing, left over, there twice, of another shape, no float, or zeros of an unfinished copy; the
            configuration is not of a known model; or the tokenizer is missing, not a fast one, or has ids that the embedding lacks.
    """
    check_side_files(folder)
    model = (_draw_weights if drawn else _load_weights)(folder, dtype=getattr(torch, dtype), device=device)
    loaded = take_apart(model, load_tokenizer(folder))
    check_ids(loaded.tokenizer, loaded.embedding.weight.shape[0], place=folder)
    ids, output = len(loaded.tokenizer), getattr(loaded.output, "weight", None)
    empty = weight_errors.empty_rows(loaded.embedding.weight[:ids], None if output is None else output[:ids])
    padding = {loaded.embedding.padding_idx, *loaded.tokenizer.all_special_ids}
    empty -= padding
    if len(empty) > weight_errors.EMPTY_ROWS * ids:
        text = f"{len(empty)} of {ids} rows of its embeddings that the tokenizer has ids of hold zeros"
        raise RevisionError(f"{folder}: {text}: {weight_errors.NOT_WHOLE}")
    return replace(loaded, empty=empty)


def take_apart(model: Any, tokenizer: Any) -> LoadedModel:
    """Returns the parts of a causal language model, in evaluation mode and without gradients.

    Args:
        model: A ``PreTrainedModel`` on its device.
        tokenizer: Its fast tokenizer.

    Raises:
        UnsupportedModel: If its input embedding or its number of blocks is not found.
    """
    model.eval().requires_grad_(False)
    decoder = model.base_model
    blocks = next((getattr(decoder, key) for key in ("layers", "h", "blocks") if hasattr(decoder, key)), ())
    embedding, output = _embeddings(model)
    if embedding is None:
        raise UnsupportedModel(model.config.model_type, f"no input embedding is found in {type(model).__name__}")
    fault = "" if blocks else f"no list of transformer blocks in {type(decoder).__name__}"
    if fault and not hasattr(model.config.get_text_config(), "num_hidden_layers"):
        raise UnsupportedModel(model.config.model_type, f"{fault}, and their number is not in its configuration")
    return LoadedModel(
        decoder=decoder,
        blocks=tuple(blocks),
        embedding=embedding,
        output=output,
        tokenizer=tokenizer,
        context=context_of(model.config),
        device=model.device,
        whole=model,
        alone=fault or ("" if output is not None else f"no output embedding in {type(model).__name__}"),
    )


def _embeddings(model: Any) -> tuple[Any, Any]:
    found = []
    for get in (model.get_input_embeddings, model.get_output_embeddings):
        try:
            found.append(get())
        except (AttributeError, NotImplementedError):
            found.append(None)
    return found[0], found[1]


def read_model_config(folder: Path) -> Any:
    """Returns a revision's configuration, without its weights; of the format of ``hf_olmo`` the native one.

    Raises:
        RevisionError: If it cannot be read, or is not of a model that the library knows.
    """
    from transformers import AutoConfig

    raw = _read_config(folder)
    try:
        if olmo.matches(raw):
            return olmo.native_config(raw)
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except RevisionError as error:
        raise RevisionError(f"{folder}: {error}") from None
    except Exception as error:  # classes of the library check their settings with errors of several kinds
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise RevisionError(f"{folder / 'config.json'}: {said}") from None


def count_parameters(config: Any) -> int:
    """Returns the number of weights of a causal language model, without making any."""
    return sum(parameter.numel() for parameter in _empty_model(config).parameters())


def _empty_model(config: Any) -> Any:
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    fault = content_fault(path)
    found = None if fault else json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(found, dict):
        raise RevisionError(f"{path} {fault or 'is no JSON object'}; a model configuration was expected")
    return found


def check_fit(folder: Path, *, drawn: bool) -> None:
    """Raises :class:`RevisionError` unless the library makes a model of a revision's configuration, and its weights are that model's.

    Reads names and shapes of weights, no numbers. Of a ``.bin`` file from before torch 1.6, which is only read whole, nothing.

    Args:
        folder: Hugging Face folder, as :func:`load_model` takes it.
        drawn: Whether the weights are to be drawn, so that those in the folder do not count.
    """
    config = read_model_config(folder)
    try:
        _empty_model(config)
    except Exception as error:  # as in read_model_config
        raise RevisionError(
            f"{folder / 'config.json'}: no model can be made of it ({type(error).__name__}: {error})"
        ) from None
    if not drawn and all(path.suffix == ".safetensors" or zipfile.is_zipfile(path) for path in weight_files(folder)):
        _load_weights(folder, dtype=torch.float32, device="meta")


def _draw_weights(folder: Path, *, dtype: torch.dtype, device: str) -> Any:
    """Returns the causal language model with random weights, drawn with a fixed seed on the CPU."""
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(read_model_config(folder), dtype=dtype, trust_remote_code=False)
    return model.to(device)


def _load_weights(folder: Path, *, dtype: torch.dtype, device: str) -> Any:
    """Returns the causal language model, once every weight has been found to fit; on ``meta`` without numbers, which are not read."""
    from transformers import AutoModelForCausalLM

    options = {"dtype": dtype, "device_map": device, "output_loading_info": True}
    options["ignore_mismatched_sizes"] = True  # they are in the report, which is refused below, by name
    raw = _read_config(folder)
    safe = weight_files(folder)[0].suffix == ".safetensors"
    old = olmo.matches(raw)
    with weight_errors.reading_weights(folder, indexed=not old):
        if old:
            given: Any = {"config": olmo.native_config(raw), "state_dict": olmo.native_weights(folder, raw)}
            loaded: Any = olmo.native_class(raw).from_pretrained(None, **given, **options)
        elif device == "meta":
            config = read_model_config(folder)
            empty = {one.name: torch.empty(one.shape, device=device) for one in weight_errors.stored(folder)}
            loaded = type(_empty_model(config)).from_pretrained(None, config=config, state_dict=empty, **options)
        else:
            options |= {"trust_remote_code": False, "local_files_only": True, "weights_only": True}
            loaded = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=safe, **options)
    model, report = loaded
    weight_errors.check_report(folder, report, type(model).__name__)
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    prefix = f"{model.base_model_prefix}."  # which the library adds where a file lacks it, and takes away where it has it twice
    known = {form for name in names for form in (name, name.removeprefix(prefix), prefix + name)}
    tensors = list(weight_errors.stored(folder))
    weight_errors.check_names(folder, tensors, olmo.PREFIX if old else re.escape(prefix))
    weight_errors.check_types(folder, tensors, None if old else known)
    if device != "meta":
        weight_errors.check_numbers(folder, model)
    return model
