"""Whether the small files of a revision on the disk can be read as an extraction reads them; found out once for each content.

Read while the DAG is built, so the standard library; the libraries ``tokenizers`` and ``transformers`` where they are installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from w2sg.revisions.facts.descriptions import TOKENIZER
from w2sg.revisions.facts.ids import SETTINGS, chat_template, declared_tokens, named_marks, template_file
from w2sg.revisions.folders import SIDE_FILES, RevisionError, check_side_file, is_tokenizer
from w2sg.runtime.files import file_sha256
from w2sg.study.texts.templates import Dialogue, shorten


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

    def __init__(self, dialogues: Sequence[Dialogue]) -> None:
        """``dialogues``: what each revision's chat template is tried on; none where no dataset is written by one."""
        self._dialogues = dialogues
        self._known: dict[tuple[tuple[str, str], ...], tuple[str, str]] = {}

    def fault_and_note(self, folder: Path, tokenizer: Path | None) -> tuple[str, str]:
        """Returns in words which small file of a revision cannot be read, and what to know of its chat template; empty texts if nothing.

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
                self._known[key] = "", self._read(files, tokenizer or folder)
            except (ValueError, RevisionError) as error:
                self._known[key] = str(error), ""
        return self._known[key]

    def _read(self, files: Mapping[str, Path], home: Path) -> str:
        for path in files.values():
            check_side_file(path)
        vocabulary: dict[str, int] = {}
        if TOKENIZER in files and find_spec("tokenizers") is not None:
            inner = open_tokenizer(home / TOKENIZER)
            split_text(inner, "a", place=home / TOKENIZER, marks=True)
            vocabulary = inner.get_vocab()
        template = chat_template(home) if self._dialogues else None
        if template is None or find_spec("transformers") is None:
            return ""
        texts = self._chat_texts(template, home, vocabulary)
        split = [one for one in declared_tokens(home) if one not in vocabulary and any(one in text for text in texts)]
        if not split or not vocabulary:
            return ""
        what = f"which {home / SETTINGS[-1]} calls tokens and {TOKENIZER} does not hold; they are split like other text"
        return f"its chat template writes {', '.join(split)}, {what}"

    def _chat_texts(self, template: str, home: Path, vocabulary: Mapping[str, int]) -> list[str]:
        """Returns the texts that a folder's chat template writes.

        Raises:
            ValueError: Naming the template's file and the row, if it cannot write one.
        """
        # Audits import this module in an environment without transformers.
        from w2sg.revisions.facts.chat import write_chat

        texts = []
        tokens = {f"{name}_token": text for name, text in named_marks(home, vocabulary).items()}
        for one in self._dialogues:
            try:
                texts.append(write_chat(template, one.prompt, one.response, tokens=tokens, spec=one.spec))
            except ValueError as error:
                raise ValueError(f"{template_file(home)}, {one.place}: {error}") from None
        return texts
