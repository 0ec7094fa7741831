"""What is wrong with the user's own files, as far as their first rows tell: asked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from w2sg.data.dialogues import READ_TWICE, repeats_prompt, text_fault
from w2sg.data.parsers import parse_columns
from w2sg.data.rows import brief, check_exists, file_rows
from w2sg.study.fields import ConfigError, Key, Mistake
from w2sg.study.protocols import FIELDS, SPLITS
from w2sg.study.texts.files import DATA_SUFFIXES, data_files
from w2sg.study.texts.templates import form_text

_FIRST = 50
"""Rows of each file that are looked at."""


def check_files(config: Mapping[str, Any], datasets: Sequence[str]) -> None:
    """Raises :class:`ConfigError`, a line per file, if the first rows of a file that the study reads cannot be used.

    Parquet is read only where pyarrow is installed; an environment that has Snakemake alone may lack it.

    Args:
        config: The checked configuration.
        datasets: Names of the datasets that the study uses.
    """
    mistakes = []
    for name in datasets:
        entry = config["datasets"][name]
        if entry["source"] == "files":
            mistakes += [mistake for key, path in _places(name, entry) for mistake in _of_path(key, path, entry)]
    scored = config["evaluation"]["corpus"]
    entry = config["corpora"][scored]
    if entry["source"] == "file":
        mistakes += _of_path(("corpora", scored, "path"), entry["path"], entry)
    if mistakes:
        raise ConfigError(mistakes)


def first_texts(config: Mapping[str, Any], datasets: Sequence[str]) -> dict[str, str]:
    """Returns per dataset the text that a model reads of its first pair, where files tell it without a model.

    Args:
        config: The checked configuration, whose files :func:`check_files` has accepted.
        datasets: Names of the datasets that the study uses.
    """
    found = {}
    for name in datasets:
        entry = config["datasets"][name]
        if entry["source"] != "files" or entry["chat"]:
            continue
        path = next((file for _, place in _places(name, entry) for file in data_files(place)), "")
        if path.endswith(".parquet") and find_spec("pyarrow") is None:
            continue
        for _, row in islice(file_rows(Path(path), path), _FIRST):
            texts = _texts(row, entry)
            if not any(text_fault(field, text) for field, text in texts.items()):
                found[name] = form_text(entry, texts["prompt"], texts["chosen"])
                break
    return found


def _places(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    if "file" in entry:
        yield ("datasets", name, "file"), entry["file"]
    else:
        yield from ((("datasets", name, "files", split), entry["files"][split]) for split in SPLITS)


def _of_path(key: Key, path: str, entry: Mapping[str, Any]) -> Iterator[Mistake]:
    files = data_files(path)
    if not files:
        yield Mistake(
            key, f"folder {path} holds no file of rows, expected names that end in {', '.join(DATA_SUFFIXES)}"
        )
    for file in files:
        if file.endswith(".parquet") and find_spec("pyarrow") is None:
            continue
        try:
            fault = _first_fault(Path(file), entry)
        except (ValueError, RuntimeError) as error:
            fault = str(error)
        if fault:
            yield Mistake(key, fault)


def _first_fault(path: Path, entry: Mapping[str, Any]) -> str:
    """Returns why a file's first rows cannot be used: one of them, or all where unusable ones may be left out."""
    if path.suffix == ".txt":
        check_exists(path, str(path))
        return ""
    found, repeated, seen = [], [], 0
    for number, row in islice(file_rows(path, str(path)), _FIRST):
        seen += 1
        try:
            texts = _texts(row, entry)
        except ValueError as error:
            return f"{path}, row {number}: {error}"
        fault = next((fault for field, text in texts.items() if (fault := text_fault(field, text))), None)
        if fault:
            found.append(f"{path}, row {number}: {fault}")
        elif "prompt" in texts and any(repeats_prompt(texts["prompt"], texts[side]) for side in FIELDS[1:]):
            repeated.append(number)
    if len(repeated) > seen / 2:
        return f"{path}, row {repeated[0]}: a response begins with its prompt, as in {len(repeated)} of {seen} rows; {READ_TWICE}"
    if found and entry["on_invalid"] == "error":
        return f"{found[0]}; correct or remove the row, or set on_invalid: drop"
    return found[0] if len(found) == seen else ""


def _texts(row: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the texts of a row by field.

    Raises:
        ValueError: If a column is absent.
    """
    if entry["source"] == "files":
        return dict(zip(FIELDS, parse_columns(row, fields=entry.get("fields", {})), strict=True))
    if entry["field"] not in row:
        raise ValueError(f"no field {entry['field']!r}; fields are {', '.join(map(brief, row))}; set field")
    return {entry["field"]: row[entry["field"]]}
