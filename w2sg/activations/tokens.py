"""From a text to the token ids that a model reads: those of the revision's own ``tokenizer.json``, as it stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from w2sg.revisions.facts.descriptions import TOKENIZER, id_fault, side_files
from w2sg.revisions.folders import RevisionError
from w2sg.runtime.files import sha256

PROBE = "\n\nHuman: DON'T shout, in 2023; 650841823 naïve  spaces\t語\n\n\nAssistant: x = 1;\n  they'RE near "
"""What another reading of a tokenizer is likely to cut otherwise: capitals after an apostrophe, digits, line ends, spaces."""


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
        raise RevisionError(f"{folder}: its tokenizer cannot be read ({error})") from None
    if tokenizer is None:
        raise RevisionError(
            f"{folder}: no {TOKENIZER}, and transformers cannot make a fast tokenizer of its other files"
        )
    if other is not None and other(PROBE)["input_ids"] != tokenizer(PROBE)["input_ids"]:
        sys.stdout.write(
            f"{path}: transformers' AutoTokenizer would make other ids of a probe text; those of the file are used\n"
        )
    return tokenizer


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


def encode_texts(tokenizer: Any, texts: Sequence[str], *, max_tokens: int) -> list[list[int]]:
    """Returns the token ids of each text; texts longer than ``max_tokens`` keep their end.

    Special tokens that the tokenizer puts in front (a start-of-text mark) are kept when text is cut.

    Raises:
        ValueError: If a text has no tokens; the message gives its position.
    """
    tokenizer.truncation_side = "left"
    ids = tokenizer(list(texts), truncation=True, max_length=max_tokens, verbose=False)["input_ids"]
    for position, row in enumerate(ids):
        if not row:
            raise ValueError(f"text {position} has no tokens: {texts[position][:80]!r}")
    return ids


def count_tokens(tokenizer: Any, texts: Sequence[str], ids: Sequence[Sequence[int]], *, max_tokens: int) -> np.ndarray:
    """Returns the tokens of each text before :func:`encode_texts` cut it to ``ids``, int32, (texts,)."""
    counts = np.array([len(row) for row in ids], dtype=np.int32)
    long = np.flatnonzero(counts >= max_tokens)
    if len(long):
        whole = tokenizer([texts[position] for position in long.tolist()], truncation=False, verbose=False)["input_ids"]
        counts[long] = [len(row) for row in whole]
    return counts


def hash_ids(ids: Sequence[Sequence[int]]) -> str:
    """Returns the SHA-256 of texts' token ids: equal if, and only if, a model reads the same."""
    return sha256(json.dumps(ids, separators=(",", ":")).encode())
