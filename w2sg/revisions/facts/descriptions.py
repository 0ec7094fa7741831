"""What a revision's configuration and tokenizer say before its weights are fetched: whether it can be read, and what of it decides numbers.

Read while the DAG is built (local models) and by the audit (Hub), so the standard library only. A configuration that another
version of the library wrote has other keys for the same model; the extraction compares what the library makes of them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from w2sg.revisions.facts.ids import set_template
from w2sg.revisions.folders import is_tokenizer
from w2sg.runtime.contents import content_fault
from w2sg.runtime.files import sha256

TYPES = Path(__file__).with_name("types.tsv")
"""Causal model types of the library, and how each goes through a forward pass here."""

TOKENIZER = "tokenizer.json"
"""The file whose token ids are taken as they stand."""

VOCABULARIES = (
    ("vocab.json", "merges.txt"),
    ("tokenizer.model",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("vocab.txt",),
)
"""What the library can make a tokenizer of where there is no ``tokenizer.json``; any one of these."""

TEMPLATES = ("chat_template.jinja", "tokenizer_config.json")
"""Files in which a chat template may stand."""

WITHOUT_EFFECT = frozenset({
    "_attn_implementation", "_commit_hash", "_name_or_path", "architectures", "auto_map", "bos_token_id",
    "do_sample", "dtype", "eos_token_id", "finetuning_task", "gradient_checkpointing", "id2label",
    "initializer_range", "label2id", "max_length", "min_length", "num_beams", "num_labels", "output_attentions",
    "output_hidden_states", "pad_token_id", "problem_type", "repetition_penalty", "return_dict",
    "task_specific_params", "temperature", "tokenizer_class", "top_k", "top_p", "torch_dtype",
    "transformers_version", "use_cache", "use_return_dict",
})  # fmt: skip
"""Settings that decide no number of a forward pass here: the type is that of ``models``, marks come from the tokenizer."""

_ODD = (TypeError, KeyError, IndexError, AttributeError)
"""What Python says where a JSON holds values of other kinds than it should."""

CONTEXTS = ("max_position_embeddings", "max_seq_len", "n_positions", "n_ctx", "max_sequence_length")
"""Settings that say for how many positions a model was built, in order of preference."""

_ROWS = ("vocab_size", "embedding_size", "padded_vocab_size")
_DEPTHS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the small files of a revision say."""

    fault: str = ""
    """Why the revision cannot be run, in words; empty where nothing speaks against it."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings that decide numbers, by name; empty where they could not be read."""
    writer: str = ""
    """Version of the library that wrote the configuration."""
    tokenizer: str = ""
    """The tokenizer's file names and the hash of what decides token ids; empty without a tokenizer."""
    depth: int | None = None
    """Number of blocks; None where the configuration does not say."""
    context: int | None = None
    """Number of positions that it was built for, tokens; None where the configuration does not say."""
    chat: bool = False
    """Whether there is a chat template."""


def side_files(names: Collection[str]) -> list[str]:
    """Returns which of a revision's files a description is made of: configuration, tokenizer, chat template.

    Raises:
        ValueError: If it has no tokenizer; the message says what was expected.
    """
    wanted = [name for name in ("config.json", *TEMPLATES) if name in names]
    return [*wanted, *_tokenizer_files(names)]


def _tokenizer_files(names: Collection[str]) -> list[str]:
    for needed in ((TOKENIZER,), *VOCABULARIES):
        if all(name in names for name in needed):
            return list(needed)
    raise ValueError(
        f"no tokenizer: expected {TOKENIZER} (or the files of an older one, such as vocab.json and merges.txt); "
        "the key tokenizer of the model may name another place that has one"
    )


def describe_files(files: Mapping[str, bytes]) -> Description:
    """Returns what a revision's small files say, by their names and contents; whatever they hold, it is an answer and no error."""
    try:
        return _describe(files)
    except ValueError as error:
        return Description(fault=str(error))
    except _ODD as error:
        return Description(fault=f"config.json holds a setting of another kind than expected ({error})")


def _describe(files: Mapping[str, bytes]) -> Description:
    config = _object(files, "config.json")
    vocabulary = {name: files[name] for name in _tokenizer_files(files)}
    tokenizer = _read_tokenizer(vocabulary[TOKENIZER]) if TOKENIZER in vocabulary else None
    digest = tokenizer.digest if tokenizer else sha256("".join(map(sha256, vocabulary.values())).encode())
    settings = _object(files, "tokenizer_config.json") if "tokenizer_config.json" in files else {}
    return Description(
        fault=_type_fault(config) or (_row_fault(config, tokenizer) if tokenizer else ""),
        config=deciding_settings(config),
        writer=str(config.get("transformers_version", "")),
        tokenizer=f"{' '.join(vocabulary)} {digest}",
        depth=_first_number(config, _DEPTHS),
        context=_first_number(config, CONTEXTS),
        chat="chat_template.jinja" in files or bool(set_template(settings)),
    )


def describe_folder(folder: Path, *, tokenizer: Path | None = None) -> Description:
    """Returns what the small files of a revision on the disk say; a file that several revisions share is read apart once.

    ``tokenizer``: the folder whose tokenizer it uses instead of its own.
    """
    try:
        places = {path.name: path for path in folder.iterdir() if path.is_file()}
        if tokenizer is not None:
            places = {name: path for name, path in places.items() if not is_tokenizer(name)}
            places |= {path.name: path for path in tokenizer.iterdir() if is_tokenizer(path.name)}
        names = side_files(places)
        found = _described(tuple((name, places[name].read_bytes()) for name in names))
    except (OSError, ValueError) as error:
        return Description(fault=str(error))
    # What else a broken file is (a pointer, a web page, a part) is looked for once one is known to be broken.
    faults = ((name, content_fault(places[name])) for name in names) if found.fault else ()
    return next((Description(fault=f"{name} {fault}") for name, fault in faults if fault), found)


@lru_cache(maxsize=8)
def _described(files: tuple[tuple[str, bytes], ...]) -> Description:
    return describe_files(dict(files))


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    if name not in files:
        raise ValueError(f"no {name}")
    try:
        value = json.loads(
            files[name].decode("utf-8")
        )  # not -sig: the libraries do not read a file that begins with the mark of UTF-8
    except (ValueError, RecursionError) as error:
        shown = files[name][:60]
        raise ValueError(f"{name} is no JSON ({error}); it begins with {shown!r}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} holds no JSON object")
    return value


@dataclass(frozen=True, kw_only=True)
class _Tokenizer:
    digest: str
    largest: int
    token: str


@lru_cache(maxsize=8)
def _read_tokenizer(content: bytes) -> _Tokenizer:
    """Returns the hash of what decides ids, whatever the order of keys and the form of the merges, and the largest id."""
    made = _object({TOKENIZER: content}, TOKENIZER)
    try:
        return _taken_apart(made)
    except _ODD as error:
        raise ValueError(f"{TOKENIZER} is not as the library tokenizers writes it ({error!r})") from None


def _taken_apart(made: Mapping[str, Any]) -> _Tokenizer:
    model = made.get("model")
    if not isinstance(model, dict) or "vocab" not in model:
        raise ValueError(f"{TOKENIZER} holds no vocabulary")
    if fault := dropout_fault(model.get("dropout")):
        raise ValueError(f"{TOKENIZER}: {fault}")
    # Cutting and padding are set again for each call.
    deciding = {key: value for key, value in made.items() if key not in ("version", "truncation", "padding")}
    if isinstance(merges := model.get("merges"), list):
        pairs = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in merges]
        deciding["model"] = model | {"merges": pairs}
    vocabulary = model["vocab"]  # a list of (token, score) where the tokenizer is of the kind Unigram
    ids = vocabulary if isinstance(vocabulary, dict) else {str(row[0]): number for number, row in enumerate(vocabulary)}
    ids = ids | {one["content"]: one["id"] for one in made.get("added_tokens") or []}
    token = max(ids, key=ids.__getitem__, default="")
    if ids and not isinstance(ids[token], int):
        raise TypeError(f"the id of {token!r} is {ids[token]!r}")
    digest = sha256(json.dumps(deciding, sort_keys=True).encode())
    return _Tokenizer(digest=digest, largest=ids.get(token, -1), token=token)


def _inner(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the text model inside of a model that also reads images or sound."""
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def _first_number(config: Mapping[str, Any], names: Sequence[str]) -> int | None:
    return next((value for value in map(_inner(config).get, names) if isinstance(value, int) and value > 0), None)


def _type_fault(config: Mapping[str, Any]) -> str:
    kind = config.get("model_type")
    if not kind or not isinstance(kind, str):
        return "config.json has no model_type"
    if packed := _inner(config).get("quantization_config"):
        method = packed.get("quant_method") if isinstance(packed, dict) else packed
        named = f", by {method}" if method else ""
        return f"config.json: its weights are quantized (quantization_config{named}), expected weights of a float type"
    row = model_types().get(kind)
    if row is None:
        own = " (it brings code of its own, which is never run)" if config.get("auto_map") else ""
        return f"config.json: model type {kind!r} is not one of the library's causal language models{own}"
    return f"config.json: a model of type {kind!r} cannot be swept: {row['why']}" if row["how"] == "refused" else ""


def _row_fault(config: Mapping[str, Any], tokenizer: _Tokenizer) -> str:
    """An id without a row in the embedding ends a forward pass, on a GPU with an error that names nothing."""
    sizes = [value for value in map(_inner(config).get, _ROWS) if isinstance(value, int)]
    return id_fault(tokenizer.largest, tokenizer.token, max(sizes)) if sizes else ""


def id_fault(largest: int, token: str, rows: int) -> str:
    """Returns what is wrong if a tokenizer's largest id has no row in an embedding of ``rows``; else empty text."""
    if largest < rows:
        return ""
    return (
        f"the tokenizer has ids up to {largest} ({token!r}), the embedding has {rows} rows: it is another model's tokenizer, "
        "or tokens were added to it and the embedding was not resized"
    )


def dropout_fault(dropout: float | None) -> str:
    """Returns what is wrong with the dropout of a tokenizer's model; empty text if it has none."""
    return f"model.dropout is {dropout:g}, expected none: token ids would be random" if dropout else ""


def layer_fault(layers: str | Sequence[int], depth: int | None) -> str:
    """Returns which of the wanted layers a model of ``depth`` blocks lacks, in words; empty text if none, or nobody knows."""
    if isinstance(layers, str) or depth is None:
        return ""
    missing = [index for index in layers if not -(depth + 1) <= index <= depth]
    return f"activations.layers: {missing} is not among its layers 0 to {depth}" if missing else ""


def target_fault(students: Mapping[str, Any], kind: str) -> str:
    """Returns which targets of LoRA a model type lacks, in words; empty text if none, or nobody knows, or LoRA is not asked for.

    Args:
        students: Section ``students``.
        kind: The type, as ``model_type`` of a configuration.
    """
    row, targets = model_types().get(kind, {"how": "untried"}), students["lora"]["targets"]
    if "lora" not in students["kinds"] or row["how"] in ("refused", "untried"):
        return ""
    known = row["linear"].split()
    missing = [] if isinstance(targets, str) else [name for name in targets if name not in known]
    if known and not missing:
        return ""
    there = f"linear layers of type {kind} are {', '.join(known)}" if known else f"type {kind} has no linear layers"
    return f"students.lora.targets: {missing or targets} not found; {there}"


def window_note(max_tokens: int, context: int | None) -> str:
    """Returns in words that texts are cut sooner than at ``max_tokens``; empty text if not, or nobody knows."""
    if context is None or max_tokens <= context:
        return ""
    return f"activations.max_tokens is {max_tokens}, the model was built for {context} positions: longer texts are cut to {context} tokens"


@lru_cache(maxsize=1)
def model_types() -> dict[str, dict[str, str]]:
    """Returns the rows of the known causal model types: how each is run, and why so."""
    with TYPES.open(newline="", encoding="utf-8") as file:
        return {row["type"]: row for row in csv.DictReader(file, delimiter="\t")}


def deciding_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a ``config.json`` that decide numbers, under one name each: those of positions have several."""
    kept = {key: value for key, value in config.items() if value is not None and key not in WITHOUT_EFFECT}
    kept = {key: value for key, value in kept.items() if not key.endswith(("dropout", "_pdrop", "dropout_prob"))}
    turns = {**(kept.pop("rope_scaling", None) or {}), **(kept.pop("rope_parameters", None) or {})}
    names = {"rotary_emb_base": "rope_theta", "rotary_pct": "partial_rotary_factor", "type": "rope_type"}
    for old in [*names, "rope_theta", "partial_rotary_factor"]:
        if old in kept and old != "type":
            turns.setdefault(names.get(old, old), kept.pop(old))
    turns = {names.get(key, key): value for key, value in turns.items()}
    if turns.get("rope_type") == "default":
        del turns["rope_type"]
    return kept | ({"rope": turns} if turns else {})
