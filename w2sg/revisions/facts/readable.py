"""Whether the small files of a revision on the disk can be read as an extraction reads them; found out once for each content.

Read while the DAG is built, so the standard library; the libraries ``tokenizers`` and ``transformers`` where they are installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from w2sg.revisions.facts.descriptions import TOKENIZER
from w2sg.revisions.facts.ids import chat_template, named_marks
from w2sg.revisions.folders import SIDE_FILES, RevisionError, check_side_file, is_tokenizer
from w2sg.runtime.files import file_sha256
from w2sg.study.texts.templates import shorten, turns_of


def open_tokenizer(path: Path) -> Any:
    """Returns what the library ``tokenizers`` makes of a ``tokenizer.json``, without its own cutting and padding.

    Raises:
        ValueError: Naming the file, if it is no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        inner = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{path}: its tokenizer cannot be read ({error})") from None
    inner.no_truncation()
    inner.no_padding()
    return inner


def split_text(inner: Any, text: str, *, place: Path, marks: bool) -> Any:
    """Returns a text as a tokenizer of the library ``tokenizers`` splits it, with or without marks.

    Raises:
        ValueError: Naming the tokenizer's file, ``place``, if it cannot split the text, such as for want of its unknown token.
    """
    try:
        return inner.encode(text, add_special_tokens=marks)
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{place}: its tokenizer cannot split {shorten(text, 20)!r} ({error})") from None


class Reader:
    """Reads the small files of revisions; files that several of them share are read once."""

    def __init__(self, *, chat: bool) -> None:
        """``chat``: whether a dataset is written by the chat template."""
        self._chat = chat
        self._known: dict[tuple[tuple[str, str], ...], str] = {}

    def fault(self, folder: Path, tokenizer: Path | None) -> str:
        """Returns which small file of a revision cannot be read, and why, in words; empty text if none.

        Args:
            folder: The revision.
            tokenizer: The folder whose tokenizer it uses instead of its own.
        """
        files = {path.name: path for path in sorted(folder.iterdir()) if SIDE_FILES.fullmatch(path.name)}
        if tokenizer is not None:
            files = {name: path for name, path in files.items() if not is_tokenizer(name)}
            files |= {path.name: path for path in sorted(tokenizer.iterdir()) if is_tokenizer(path.name)}
        key = tuple((name, file_sha256(path) if path.is_file() else "") for name, path in files.items())
        if key not in self._known:
            try:
                self._known[key] = self._read(files, tokenizer or folder)
            except (ValueError, RevisionError) as error:
                self._known[key] = str(error)
        return self._known[key]

    def _read(self, files: Mapping[str, Path], home: Path) -> str:
        for path in files.values():
            check_side_file(path)
        marks: dict[str, str] = {}
        if TOKENIZER in files and find_spec("tokenizers") is not None:
            inner = open_tokenizer(home / TOKENIZER)
            split_text(inner, "a", place=home / TOKENIZER, marks=True)
            marks = named_marks(home, inner.get_vocab())
        template = chat_template(home) if self._chat else None
        return template_fault(template, marks) if template else ""


def template_fault(template: str, marks: Mapping[str, str]) -> str:
    """Returns why a chat template cannot write a question and its answer; empty text if it can, or without transformers.

    Args:
        template: The template, in Jinja.
        marks: The tokens ``bos`` and ``eos``, as far as they are named.
    """
    if find_spec("transformers") is None:
        return ""
    from transformers.utils.chat_template_utils import render_jinja_template

    named: Any = {f"{name}_token": text for name, text in marks.items()}
    try:
        render_jinja_template([turns_of("Which is it?", "This one.")], chat_template=template, **named)
    except Exception as error:  # whatever the template itself raises
        return f"its chat template cannot write a question and its answer ({error})"
    return ""
