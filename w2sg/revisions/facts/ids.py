"""Marks around the token ids of a text: which a revision's files name, which a dataset wants, and the cut between them.

Read while the DAG is built, so nothing but the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2sg.revisions.folders import RevisionError
from w2sg.runtime.contents import content_fault

MARK_NAMES = ("bos", "eos")

SETTINGS = ("special_tokens_map.json", "tokenizer_config.json")
"""Files that name marks, and hold a chat template; the later one counts."""

ENDS = 12
"""Ids of an example that are kept of its beginning and of its end."""


def read_settings(path: Path) -> dict[str, Any]:
    """Returns what a settings file of a tokenizer holds; nothing if it is not there.

    Raises:
        RevisionError: If it is no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig")) if path.is_file() else {}
    except ValueError as error:
        raise RevisionError(f"{path} {content_fault(path) or f'is no JSON ({error})'}") from None
    if not isinstance(found, dict):
        raise RevisionError(f"{path} holds no JSON object")
    return found


def chat_template(folder: Path) -> str | None:
    """Returns the chat template of a folder: that of its own file, else of its settings; None if there is none.

    Raises:
        RevisionError: If a file cannot be read.
    """
    own = template_file(folder)
    try:
        return set_template(read_settings(own)) if own.name in SETTINGS else own.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RevisionError(f"{own} is no UTF-8 text ({error.reason} at byte {error.start})") from None


def template_file(folder: Path) -> Path:
    """Returns the file of a folder in which its chat template stands, if there is one."""
    own = folder / "chat_template.jinja"
    return own if own.is_file() else folder / SETTINGS[-1]


def set_template(settings: Mapping[str, Any]) -> str | None:
    """Returns the chat template of settings, of several that called ``default``; None if there is none that is text."""
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = [one for one in found if isinstance(one, dict) and one.get("name") == "default"]
        found = next((one.get("template") for one in named), None)
    return found if isinstance(found, str) else None


def declared_tokens(folder: Path) -> list[str]:
    """Returns what the settings of a folder call tokens, whether its ``tokenizer.json`` holds them or not, each once."""
    settings = read_settings(folder / SETTINGS[-1])
    added, more = settings.get("added_tokens_decoder"), settings.get("additional_special_tokens")
    values = [*(added.values() if isinstance(added, dict) else ()), *(more if isinstance(more, list) else ())]
    values += [value for key, value in settings.items() if key.endswith("_token")]
    texts = [value.get("content") if isinstance(value, dict) else value for value in values]
    return [*dict.fromkeys(text for text in texts if isinstance(text, str) and text)]


def named_marks(folder: Path, vocabulary: Collection[str]) -> dict[str, str]:
    """Returns the tokens that a folder calls ``bos`` and ``eos``, as far as they are in the vocabulary."""
    found: dict[str, str] = {}
    for given in (read_settings(folder / name) for name in SETTINGS):
        marks = {name: given.get(f"{name}_token") for name in MARK_NAMES}
        texts = {name: mark.get("content") if isinstance(mark, dict) else mark for name, mark in marks.items()}
        found |= {name: text for name, text in texts.items() if isinstance(text, str) and text in vocabulary}
    return found


def wanted_marks(spec: Mapping[str, Any]) -> dict[str, str]:
    """Returns ``auto``, ``yes`` or ``no`` for each mark, of an entry of ``datasets``; a chat template writes marks itself."""
    wanted = {name: spec.get(name, "auto") for name in MARK_NAMES}
    return {name: "no" if spec.get("chat") and one == "auto" else one for name, one in wanted.items()}


def marks_around(
    ids: Sequence[int], mask: Sequence[int], named: Mapping[str, int | None], wanted: Mapping[str, str]
) -> tuple[list[int], list[int]]:
    """Returns the marks in front of and behind each text.

    Args:
        ids: Token ids of any text with the marks that the tokenizer's file puts around it.
        mask: 1 where an id is such a mark.
        named: Ids of the marks ``bos`` and ``eos``; None where the tokenizer names none.
        wanted: ``auto``, ``yes`` or ``no`` for each.

    Raises:
        ValueError: If a mark is wanted that the tokenizer does not name.
    """
    front = next((place for place, mark in enumerate(mask) if not mark), len(mask))
    back = next((place for place, mark in enumerate(reversed(mask)) if not mark), 0)
    marks = {"bos": [*ids[:front]], "eos": [*ids[len(ids) - back :]]}
    for name, own in marks.items():
        if wanted[name] == "no":
            marks[name] = []
        elif wanted[name] == "yes":
            mark = named[name]
            if mark is None:
                raise ValueError(
                    f"{name}: yes, but the revision's tokenizer names no {name}_token; set {name} to auto or no"
                )
            marks[name] = own if mark in own else [mark, *own] if name == "bos" else [*own, mark]
    return marks["bos"], marks["eos"]


def cut_text(body: Sequence[int], before: Sequence[int], after: Sequence[int], *, max_tokens: int) -> list[int]:
    """Returns a text's ids between its marks; of a longer one the end.

    Raises:
        ValueError: If no room is left beside the marks.
    """
    room = max_tokens - len(before) - len(after)
    if room < 1:
        raise ValueError(f"activations.max_tokens: {max_tokens} leaves no room beside {len(before) + len(after)} marks")
    return [*before, *body[-room:], *after]
