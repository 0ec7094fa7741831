"""What texts and labels are compared by, however they are written."""

from __future__ import annotations

import unicodedata

_BLANKS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
"""What Unicode counts as letters, symbols or accents and shows as nothing: fillers, the empty Braille cell, variation selectors."""


def is_hidden(letter: str) -> bool:
    """Returns whether a character cannot be seen and is no white space: a blank, or of Unicode's Cc and Cf, such as U+200B."""
    return letter in _BLANKS or (unicodedata.category(letter) in ("Cc", "Cf") and not letter.isspace())


def visible(text: str) -> str:
    """Returns a text without the characters that cannot be seen."""
    hidden = [ord(one) for one in set(text) if is_hidden(one)]
    return text.translate(dict.fromkeys(hidden)) if hidden else text


def fold(text: str) -> str:
    """Returns a text in NFKC, without case, white space of any kind as single spaces, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalise(text: str) -> str:
    """Returns what a text is compared by: as :func:`fold` writes it, without characters that cannot be seen."""
    return fold(visible(text))
