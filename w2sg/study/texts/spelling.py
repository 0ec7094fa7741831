"""What texts and labels are compared by, however they are written."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Returns a text without control and format characters (Unicode's Cc and Cf), such as U+200B, that are no white space."""
    hidden = [ord(one) for one in set(text) if unicodedata.category(one) in ("Cc", "Cf") and not one.isspace()]
    return text.translate(dict.fromkeys(hidden)) if hidden else text


def fold(text: str) -> str:
    """Returns a text in NFKC, without case, white space of any kind as single spaces, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalise(text: str) -> str:
    """Returns what a text is compared by: as :func:`fold` writes it, without characters that cannot be seen."""
    return fold(visible(text))
