"""What is wrong with the user's own files, as far as their first rows tell: asked before anything is computed.

Of labelled texts all rows are read: only so is it known whether there are two classes, and enough of either. Pairs and documents are
counted as far as they are wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from w2sg.data.dialogues import AS_TEXT, READ_TWICE, WRITTEN_OUT, pair_fault, repeats_prompt, text_fault, wrapped
from w2sg.data.parsers import absent, holds_messages, parse_columns, parse_labelled
from w2sg.data.rows import check_exists, file_rows
from w2sg.data.texts import count_documents
from w2sg.study.datasets import DatasetEntry
from w2sg.study.fields import ConfigError, Key, Mistake, read
from w2sg.study.protocols import FIELDS, SPLITS
from w2sg.study.texts.corpora import TextFile
from w2sg.study.texts.files import DATA_SUFFIXES, data_files
from w2sg.study.texts.labels import positive_label
from w2sg.study.texts.templates import Dialogue, form_text

_FIRST = 50
"""Rows of each file that are looked at."""

_SHOWN = 8
"""Labels that a note names."""


def check_files(config: Mapping[str, Any], datasets: Sequence[str]) -> list[str]:
    """Returns in words what is left out of the files that the study reads, and which class of labelled texts is the positive one.

    Parquet is read only where pyarrow is installed; an environment that has Snakemake alone may lack it.

    Args:
        config: The checked configuration.
        datasets: Names of the datasets that the study uses.

    Raises:
        ConfigError: A line per file, if its first rows cannot be used.
    """
    mistakes, notes = list[Mistake](), list[str]()
    for name in datasets:
        entry = config["datasets"][name]
        if entry["source"] == "files":
            found = [mistake for key, path in _places(name, entry) for mistake in _of_path(key, path, entry, notes)]
            mistakes += found or [*_of_classes(name, entry, notes), *_of_pairs(name, entry)]
    scored = config["evaluation"]["corpus"]
    entry = config["corpora"][scored]
    if entry["source"] == "file":
        found = list(_of_path(("corpora", scored, "path"), entry["path"], entry, notes))
        mistakes += found or list(_of_documents(scored, entry, config["evaluation"]["documents"]))
    if mistakes:
        raise ConfigError(mistakes)
    return notes


def first_texts(config: Mapping[str, Any], datasets: Sequence[str]) -> dict[str, str | tuple[str, str]]:
    """Returns per dataset the text that a model reads of its first pair; where a chat template writes it, prompt and response.

    Nothing is told of datasets that are no files.

    Args:
        config: The checked configuration, whose files :func:`check_files` has accepted.
        datasets: Names of the datasets that the study uses.
    """
    found = {}
    for name in datasets:
        entry = config["datasets"][name]
        for _, texts in islice(_first_rows(name, entry), 1):
            if entry["chat"]:
                found[name] = texts["prompt"], texts["chosen"]
            else:
                found[name] = texts.get("text") or form_text(entry, texts["prompt"], texts["chosen"])
    return found


def first_dialogues(config: Mapping[str, Any], datasets: Sequence[str]) -> dict[str, list[Dialogue]]:
    """Returns per dataset what a chat template has to write of its first rows, where files tell it; arguments as of :func:`first_texts`."""
    found = {
        name: [
            Dialogue(place=place, prompt=texts["prompt"], response=texts[side], spec=entry)
            for place, texts in _first_rows(name, entry)
            for side in FIELDS[1:]
        ]
        for name in datasets
        if (entry := config["datasets"][name])["chat"]
    }
    return {name: dialogues for name, dialogues in found.items() if dialogues}


def _first_rows(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields file and number of the first rows that can be used, and their texts by field."""
    path = ""
    if entry["source"] == "files":
        path = next((file for _, place in _places(name, entry) for file in data_files(place)), "")
    if not path or unread([path]):
        return
    for number, row in islice(file_rows(Path(path), path), _FIRST):
        texts = _texts(row, entry)
        if not _fault(texts):
            yield f"{path}, row {number}", texts


def _places(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    if "file" in entry:
        yield ("datasets", name, "file"), entry["file"]
    else:
        yield from ((("datasets", name, "files", split), entry["files"][split]) for split in SPLITS)


def _of_path(key: Key, path: str, entry: Mapping[str, Any], notes: list[str]) -> Iterator[Mistake]:
    files = data_files(path)
    if not files:
        yield Mistake(
            key, f"folder {path} holds no file of rows, expected names that end in {', '.join(DATA_SUFFIXES)}"
        )
    for file in files:
        if file.endswith(".parquet") and find_spec("pyarrow") is None:
            continue
        try:
            fault = _first_fault(Path(file), entry, notes)
        except (ValueError, RuntimeError) as error:
            fault = str(error)
        if fault:
            yield Mistake(key, fault)


def _of_classes(name: str, entry: Mapping[str, Any], notes: list[str]) -> Iterator[Mistake]:
    """Yields what is wrong with the classes of labelled texts: not two of them, or too few rows of one."""
    wanted = read(DatasetEntry, entry, ("datasets", name))
    files = {key: data_files(path) for key, path in _places(name, entry)}
    if not wanted.labelled or unread(file for own in files.values() for file in own):
        return
    labels: dict[Key, Counter[str]] = {key: Counter() for key in files}
    try:
        for key, own in files.items():
            for file in own:
                for _, row in file_rows(Path(file), file):
                    found = _texts(row, entry)["label"]
                    labels[key].update([found] if isinstance(found, str) else [])
        positive = positive_label([label for found in labels.values() for label in found], wanted.positive)
    except (ValueError, RuntimeError) as error:
        yield Mistake(("datasets", name), str(error))
        return
    total = sum(labels.values(), Counter[str]())
    others = ", ".join(f"{label} ({count})" for label, count in total.most_common(_SHOWN) if label != positive)
    notes.append(f"datasets.{name}: the positive class is {positive} ({total[positive]} texts), told from {others}")
    for key, found in labels.items():
        least = wanted.minimum_rows * (len(SPLITS) if "file" in entry else 1)
        for label, count in ((positive, found[positive]), (f"not {positive}", found.total() - found[positive])):
            if 2 * count < least:
                text = (
                    f"{count} texts have the label {label}, {-(-least // 2)} are wanted; lower pairs in datasets.{name}"
                )
                yield Mistake(key, text)


def check_enough(config: Mapping[str, Any], name: str, least: int) -> None:
    """Raises :class:`ConfigError` if a dataset's files hold too few rows for heads, of which an entry without ``pairs`` says nothing.

    Args:
        config: The checked configuration.
        name: Dataset.
        least: Pairs that heads need in each split (:func:`w2sg.study.config.fewest_pairs`).
    """
    entry = config["datasets"][name]
    if entry["source"] == "files" and (found := list(_of_pairs(name, entry, least))):
        raise ConfigError(found)


def _of_pairs(name: str, entry: Mapping[str, Any], least: int = 0) -> Iterator[Mistake]:
    """Yields which file holds fewer rows than pairs are wanted of it, or than ``least`` for each split."""
    wanted = read(DatasetEntry, entry, ("datasets", name))
    if not least and (wanted.labelled or wanted.pairs is wanted.minimum is None):
        return
    splits = len(SPLITS) if "file" in entry else 1
    each_split = least or wanted.minimum_rows
    least_rows = splits * each_split
    for key, path in _places(name, entry):
        files = data_files(path)
        if unread(files):
            continue
        try:
            count = sum(1 for _ in islice((row for file in files for row in file_rows(Path(file), file)), least_rows))
        except (ValueError, RuntimeError) as error:
            yield Mistake(key, str(error))
            continue
        if count < least_rows:
            each = f" in each of {splits} splits" if splits > 1 else ""
            text = f"{path} holds {count} rows, {each_split} pairs{each} are wanted"
            advice = f"set pairs (or minimum) in datasets.{name} to at most {count // splits}"
            yield Mistake(
                key,
                f"{text}; {'heads (and what heads.cleaning or keep of a supervisor leaves) need as many' if least else advice}",
            )


def _of_documents(name: str, entry: Mapping[str, Any], wanted: int) -> Iterator[Mistake]:
    """Yields that a text has fewer documents than are to be scored."""
    if unread([entry["path"]]):
        return
    try:
        count = count_documents(read(TextFile, entry, ("corpora", name)), name=name, most=wanted)
    except (ValueError, RuntimeError) as error:
        yield Mistake(("corpora", name, "path"), str(error))
        return
    if count < wanted:
        text = (
            f"got {wanted}, corpora.{name} ({entry['path']}) holds {count}; set it to at most {count}, or use more text"
        )
        yield Mistake(("evaluation", "documents"), text)


def unread(files: Iterable[str]) -> bool:
    """Returns whether one of the files cannot be read here, for want of pyarrow."""
    return find_spec("pyarrow") is None and any(file.endswith(".parquet") for file in files)


def _first_fault(path: Path, entry: Mapping[str, Any], notes: list[str]) -> str:
    """Returns why a file's first rows cannot be used: one of them, or all where unusable ones may be left out."""
    if path.suffix == ".txt":
        check_exists(path, str(path))
        return ""
    found, repeated, seen = [], [], 0
    odd, kinds = Counter[str](), dict[bool, int]()
    for number, row in islice(file_rows(path, str(path)), _FIRST):
        seen += 1
        try:
            texts = _texts(row, entry)
        except ValueError as error:
            return f"{path}, row {number}: {error}"
        if FIELDS[0] in texts:
            kinds.setdefault(holds_messages(row, entry.get("fields", {})), number)
        odd.update(field for field, text in texts.items() if wrapped(text))
        if fault := _fault(texts):
            found.append(f"{path}, row {number}: {fault}")
        elif "prompt" in texts and any(repeats_prompt(texts["prompt"], texts[side]) for side in FIELDS[1:]):
            repeated.append(number)
    if len(repeated) > seen / 2:
        return f"{path}, row {repeated[0]}: a response repeats its prompt, as in {len(repeated)} of {seen} rows; {READ_TWICE}"
    if len(kinds) == 2:
        return f"{path}: row {kinds[True]} holds lists of messages, row {kinds[False]} texts; write all rows alike"
    if column := next((field for field in odd if odd[field] == seen > 1), ""):
        return f"{path}: {column} looks like {WRITTEN_OUT} in all of {seen} rows; {AS_TEXT}"
    if 0 < len(found) < seen and entry["on_invalid"] == "drop":
        notes.append(f"{len(found)} of the first {seen} rows cannot be used and are left out, such as {found[0]}")
    if found and entry["on_invalid"] == "error":
        return f"{found[0]}; correct or remove the row, or set on_invalid: drop"
    return found[0] if len(found) == seen else ""


def _fault(texts: Mapping[str, Any]) -> str | None:
    """Returns why the texts of a row cannot be used, as the dataset's making says it; None if they can."""
    if FIELDS[0] in texts:
        return pair_fault(*texts.values())
    return next((fault for field, text in texts.items() if (fault := text_fault(field, text))), None)


def _texts(row: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the texts of a row by field.

    Raises:
        ValueError: If a column is absent.
    """
    if entry.get("task") == "classification":
        columns = {key: entry.get(key, key) for key in ("text", "label")}
        parsed = parse_labelled(row, fields=columns, template=entry.get("template"))
        return dict(zip(("text", "label"), parsed, strict=True))
    if entry["source"] == "files":
        texts = parse_columns(row, fields=entry.get("fields", {}), bare="template" in entry, chat=entry["chat"])
        return dict(zip(FIELDS, texts, strict=True))
    if entry["field"] not in row:
        raise ValueError(f"{absent(entry['field'], row)}; set field")
    return {entry["field"]: row[entry["field"]]}
