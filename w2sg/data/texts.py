"""Texts that are only scored: documents out of a file on the disk or a dataset on the Hub, for the evaluation loss."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.data.dialogues import text_fault
from w2sg.data.parsers import absent
from w2sg.data.rows import check_exists, file_rows, hub_rows
from w2sg.study.texts.corpora import HubText, TextFile

if TYPE_CHECKING:
    import pandas as pd

_EMPTY_LINES = re.compile(r"\n[^\S\n]*\n")


def text_documents(entry: TextFile | HubText, *, name: str) -> tuple[pd.DataFrame, Counter[str]]:
    """Returns the documents, all held out, and the number of rows that were left out, per reason.

    Args:
        entry: Entry of ``corpora`` of source ``file`` or ``hub``.
        name: Its key.

    Returns:
        As :data:`w2sg.tables.schemas.DOCUMENTS` declares, ids being row numbers; label and cluster are empty.

    Raises:
        ValueError: If a row has no such field or no text, or no document is left; naming entry, file and row.
        RuntimeError: If the file is not there, or the Hub cannot be read.
    """
    import pandas as pd  # not needed to count documents, which is done where Snakemake alone may be installed

    place = f"corpora.{name}: " + (entry.path if isinstance(entry, TextFile) else entry.repo)
    skipped: Counter[str] = Counter()
    rows = []
    for number, text in _texts(entry, name, place):
        fault = text_fault(entry.field, text)
        if fault and entry.on_invalid == "error":
            raise ValueError(
                f"{place}, row {number}: {fault}, expected a document; correct or remove the row, or set "
                f"on_invalid: drop in corpora.{name}"
            )
        if fault:
            skipped[fault] += 1
        else:
            rows.append((f"{number:09d}", "heldout", "", "", text))
    if not rows:
        raise ValueError(f"{place}: no document in it, expected at least one")
    return pd.DataFrame(rows, columns=["doc_id", "part", "label", "cluster", "text"]), skipped


def count_documents(entry: TextFile, *, name: str, most: int) -> int:
    """Returns how many documents a file has, counted as far as ``most``; the file is that of the entry ``name`` of ``corpora``.

    Raises:
        ValueError: If there are rows, and none is a document; naming the first.
        RuntimeError: If the file is not there.
    """
    place = f"corpora.{name}: {entry.path}"
    faults = ((number, text_fault(entry.field, text)) for number, text in _texts(entry, name, place))
    first = next(faults, None)
    if first is None:
        return 0
    found = sum(islice((1 for _, fault in chain([first], faults) if not fault), most))
    if not found:
        raise ValueError(f"{place}: none of its rows is a document; row {first[0]}: {first[1]}")
    return found


def _texts(entry: TextFile | HubText, name: str, place: str) -> Iterator[tuple[int, Any]]:
    """Yields the number of every row, or paragraph, and what stands in the field."""
    if isinstance(entry, TextFile) and entry.path.endswith(".txt"):
        yield from enumerate(_paragraphs(Path(entry.path), place), start=1)
        return
    if isinstance(entry, TextFile):
        rows = file_rows(Path(entry.path), place)
    else:
        instead = "download it elsewhere and use source: file"
        rows = hub_rows(entry, f"corpora.{name}", split=entry.split, file=entry.file, instead=instead)
    for number, row in rows:
        if entry.field not in row:
            raise ValueError(f"{place}, row {number}: {absent(entry.field, row)}; set field in corpora.{name}")
        yield number, row[entry.field]


def _paragraphs(path: Path, place: str) -> list[str]:
    """Returns what stands between the empty lines of a file."""
    check_exists(path, place)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{place}, line {line}: not UTF-8 ({error.reason}); save the file in UTF-8") from None
    blocks = _EMPTY_LINES.split(text.replace("\r\n", "\n"))
    return [block.strip() for block in blocks if block.strip()]
