"""UTF-8 bytes behind each token of a text: what a loss per byte divides by, whatever the tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from transformers.convert_slow_tokenizer import bytes_to_unicode

_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


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
