"""From a text to the token ids that a model reads: those of the revision's own ``tokenizer.json``, as it stands; their bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from w2sg.revisions.facts.chat import write_chat
from w2sg.revisions.facts.descriptions import TOKENIZER, dropout_fault, id_fault, side_files
from w2sg.revisions.facts.ids import (
    ENDS,
    MARK_NAMES,
    chat_template,
    cut_text,
    marks_around,
    named_marks,
    wanted_marks,
)
from w2sg.revisions.folders import RevisionError
from w2sg.runtime.files import sha256
from w2sg.study.texts.templates import form_text, shorten

PROBE = "\n\nHuman: DON'T shout, in 2023; 650841823 naïve  spaces\t語\n\n\nAssistant: x = 1;\n  they'RE near "
"""What another reading of a tokenizer is likely to cut otherwise: capitals after an apostrophe, digits, line ends, spaces."""

_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}
"""What each character of a byte-level vocabulary stands for."""


def load_tokenizer(folder: Path) -> Any:
    """Returns the fast tokenizer of a revision, whose ids are those of the library ``tokenizers`` on its ``tokenizer.json``.

    What the folder's other files say (a class that splits text otherwise, a mark in front) changes no id; where
    transformers' own way of loading it would, a line on standard output says so. Only a revision without that file is
    loaded that way, from an older format.

    Raises:
        RevisionError: If there is no tokenizer, or it cannot be read.
    """
    path = folder / TOKENIZER
    try:
        side_files([item.name for item in folder.iterdir()])
        other = _automatic(folder)
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path)) if path.is_file() else other
    except Exception as error:  # the library's parsers raise errors of their own kinds
        place = path if path.is_file() else folder
        raise RevisionError(f"{place}: the tokenizer cannot be read ({error})") from None
    if tokenizer is None:
        raise RevisionError(
            f"{folder}: no {TOKENIZER}, and transformers cannot make a fast tokenizer of its other files"
        )
    if fault := dropout_fault(getattr(tokenizer.backend_tokenizer.model, "dropout", None)):
        raise RevisionError(f"{path}: {fault}")
    if other is not None:
        added = sorted({*other.get_added_vocab(), *tokenizer.get_added_vocab()})
        if any(other(text)["input_ids"] != tokenizer(text)["input_ids"] for text in (PROBE, " ".join(added))):
            alone = [token for token in added if token not in tokenizer.get_vocab()]
            besides = f" ({', '.join(alone)} are tokens for it)" if alone else ""
            text = "transformers' AutoTokenizer would make other ids of a probe text"
            sys.stdout.write(f"{path}: {text}{besides}; those of the file are used\n")
    _name_marks(tokenizer, folder)
    return tokenizer


def _name_marks(tokenizer: Any, folder: Path) -> None:
    """Tells a tokenizer what its folder calls marks, and its chat template; neither changes how a text is split."""
    found = named_marks(folder, tokenizer.get_vocab())
    tokenizer.bos_token, tokenizer.eos_token = found.get("bos"), found.get("eos")
    tokenizer.chat_template = chat_template(folder)


def _automatic(folder: Path) -> Any:
    """Returns the tokenizer as transformers loads it; None where it cannot, or makes a slow one."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception:  # a class that is unknown or is code of the repository, or files that do not fit it
        return None
    return tokenizer if tokenizer.is_fast else None


def check_ids(tokenizer: Any, rows: int, *, place: object) -> None:
    """Raises :class:`RevisionError` if the tokenizer has an id beyond the ``rows`` of an embedding; ``place``: for the message."""
    vocabulary = tokenizer.get_vocab()
    token = max(vocabulary, key=vocabulary.__getitem__)
    if fault := id_fault(vocabulary[token], token, rows):
        raise RevisionError(f"{place}: {fault}")


@dataclass(frozen=True, kw_only=True)
class ReadPairs:
    """What a model reads of a dataset's pairs."""

    ids: list[list[int]]
    """Token ids of each text, first those of all chosen sides, then those of all rejected ones; a labelled text is one of both."""
    lengths: np.ndarray
    """Tokens of each text before any cut, int32, (2, pairs); 0 where a pair has no such side."""
    facts: dict[str, Any]
    """A hash of all ids, one example with its first and last ids, and what was cut; plain values."""
    same: int = 0
    """Pairs whose two sides are the same ids, which nothing can tell apart."""


def read_pairs(tokenizer: Any, pairs: pd.DataFrame, spec: Mapping[str, Any], *, max_tokens: int) -> ReadPairs:
    """Returns the token ids of both sides of each pair.

    Args:
        tokenizer: A fast tokenizer, as :func:`load_tokenizer` returns it.
        pairs: Columns row_id, prompt, chosen, rejected.
        spec: Entry of ``datasets``: how texts are made of them.
        max_tokens: Longest text; longer ones keep their marks and their end.

    Raises:
        ValueError: If a text cannot be made, or has no tokens; the message names the row. Also if the sides of every pair
            become the same ids.
    """
    sides, labelled = ("chosen", "rejected"), spec.get("task") == "classification"
    rows = pairs[["row_id", "prompt", *sides]].to_dict("list")
    held = np.array([[not labelled or response != "" for response in rows[side]] for side in sides])  # (2, pairs)
    texts = [
        _text(tokenizer, spec, row, prompt, response)
        for side in sides
        for row, prompt, response in zip(rows["row_id"], rows["prompt"], rows[side], strict=True)
        if not labelled or response != ""
    ]
    try:
        ids, lengths = encode_texts(tokenizer, texts, max_tokens=max_tokens, **wanted_marks(spec))
    except NoTokensError as error:
        position = int(error.args[0])
        row = np.flatnonzero(held)[position] % len(pairs)
        raise ValueError(f"row {rows['row_id'][row]} has no tokens: {texts[position][:80]!r}") from None
    same = 0 if labelled else sum(good == bad for good, bad in zip(ids[: len(pairs)], ids[len(pairs) :], strict=True))
    if same and same == len(pairs):
        text = "chosen and rejected become the same token ids, as in every other row"
        raise ValueError(f"row {rows['row_id'][0]}: {text}; correct tokenizer, chat template or max_tokens")
    both = np.zeros(held.shape, dtype=np.int32)
    both[held] = lengths
    cut = (both > max_tokens).sum(1) / np.maximum(held.sum(1), 1)
    facts = {
        "ids": hash_ids(ids),
        "example": shorten(texts[0]),
        "first_ids": ids[0][:ENDS],
        "last_ids": ids[0][-ENDS:],
        "texts": len(texts),
        "max_tokens": max_tokens,
        "cut_side": "left",
        "cut_chosen": float(cut[0]),
        "cut_rejected": float(cut[1]),
    }
    return ReadPairs(ids=ids, lengths=both, facts=facts, same=same)


def _text(tokenizer: Any, spec: Mapping[str, Any], row: str, prompt: str, response: str) -> str:
    if not spec.get("chat"):
        return form_text(spec, prompt, response)
    if not tokenizer.chat_template:
        raise ValueError("chat: true, but the revision's tokenizer has no chat template; give template instead")
    try:
        return write_chat(tokenizer.chat_template, prompt, response, tokens=tokenizer.special_tokens_map, spec=spec)
    except ValueError as error:
        raise ValueError(f"row {row}: {error}") from None


class NoTokensError(ValueError):
    """A text without tokens; the argument is its position."""


def encode_texts(
    tokenizer: Any, texts: Sequence[str], *, max_tokens: int, bos: str = "auto", eos: str = "auto"
) -> tuple[list[list[int]], np.ndarray]:
    """Returns the token ids of each text, and its number of tokens before any cut, int32, (texts,).

    A text longer than ``max_tokens`` keeps its marks and its end. ``bos``, ``eos``: the mark in front and behind, as in
    ``datasets``: ``auto`` as the tokenizer's file has it, ``yes`` or ``no``.

    Raises:
        NoTokensError: If a text has no tokens.
        ValueError: If a mark is wanted that the tokenizer does not name, or no room is left beside the marks.
    """
    encoded = tokenizer("a", return_special_tokens_mask=True)
    named = {name: getattr(tokenizer, f"{name}_token_id") for name in MARK_NAMES}
    wanted = {"bos": bos, "eos": eos}
    before, after = marks_around(encoded["input_ids"], encoded["special_tokens_mask"], named, wanted)
    bodies = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    ids = [cut_text(body, before, after, max_tokens=max_tokens) for body in bodies]
    if not all(ids):
        raise NoTokensError(next(position for position, row in enumerate(ids) if not row))
    return ids, np.array([len(body) + len(before) + len(after) for body in bodies], dtype=np.int32)


def hash_ids(ids: Sequence[Sequence[int]]) -> str:
    """Returns the SHA-256 of texts' token ids: equal if, and only if, a model reads the same."""
    return sha256(json.dumps(ids, separators=(",", ":")).encode())


def _spelled(token: str) -> bytes:
    """Returns what a token of a byte-level vocabulary stands for; an added token, such as a run of spaces, is plain text."""
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError:
        return token.encode()


def _by_offsets(text: str, spans: Sequence[tuple[int, int]], marks: Sequence[int]) -> list[int]:
    """Returns bytes per token from spans of characters.

    Characters that no span covers, such as trimmed spaces, belong to the token that follows them, at the end of the
    text to the last one. Of tokens that share a character the first has all of its bytes.
    """
    counts, done = [0] * len(spans), 0
    own = [position for position, mark in enumerate(marks) if not mark]
    for position in own:
        end = len(text) if position == own[-1] else max(done, spans[position][1])
        counts[position] = len(text[done:end].encode())
        done = end
    return counts


def encode_counted(tokenizer: Any, texts: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
    """Yields each text's token ids and the number of UTF-8 bytes behind each; they sum to the text's length in bytes.

    Where the tokens of a byte-level vocabulary spell the text, their own bytes are counted, so that a character split
    over several tokens is shared out as it was split. Elsewhere (other vocabularies, text that the tokenizer normalises)
    the tokenizer's offsets are used: those of some byte-level tokenizers leave out spaces, and all name the whole
    character for each of its parts.

    Args:
        tokenizer: A fast tokenizer.
        texts: The texts. Marks that the tokenizer puts around a text have no bytes.
    """
    encoded = tokenizer(list(texts), return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    fields = (encoded[key] for key in ("input_ids", "offset_mapping", "special_tokens_mask"))
    for text, ids, spans, marks in zip(texts, *fields, strict=True):
        tokens = tokenizer.convert_ids_to_tokens(ids)
        spelled = [b"" if mark else _spelled(token) for token, mark in zip(tokens, marks, strict=True)]
        exact = b"".join(spelled) == text.encode()
        yield ids, [len(part) for part in spelled] if exact else _by_offsets(text, spans, marks)
