"""Rows of files on the disk and of datasets on the Hugging Face Hub, for pairs and for texts alike."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from w2sg.runtime.contents import content_fault
from w2sg.study.datasets import HubPairs
from w2sg.study.sections import HubText

_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")

_WAITS = (1.0, 5.0, 20.0)
"""Seconds before the Hub is asked again when it is busy or failing (429 and 5xx): the library asks for a dataset's files once."""


def file_rows(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields number, from 1, and fields of every row of a `.jsonl`, `.jsonl.gz` or `.parquet` file.

    Args:
        path: The file.
        place: What errors begin with: the entry of the configuration, and the file.

    Raises:
        RuntimeError: If there is no such file.
        ValueError: If the file cannot be read, naming the row.
    """
    check_exists(path, place)
    if not path.name.endswith(_SUFFIXES):
        raise ValueError(f"{place}: name must end in one of {', '.join(_SUFFIXES)}")
    yield from _parquet_rows(path, place) if path.suffix == ".parquet" else _json_rows(path, place)


def check_exists(path: Path, place: str) -> None:
    """Raises RuntimeError if a file that the configuration names is not there, ValueError if it is not what its name says."""
    if not path.is_file():
        raise RuntimeError(f"{place}: no such file; correct its path in the configuration (relative to {Path.cwd()})")
    if fault := content_fault(path):
        raise ValueError(f"{place} {fault}")


def _json_rows(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ValueError(
                        f"{place}, row {number}: not JSON ({error}); one object per line, in UTF-8, is expected"
                    ) from None
                if not isinstance(row, dict):
                    raise ValueError(f"{place}, row {number}: not a JSON object with fields")
                yield number, row
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{place}: not a whole gzip file ({error}); copy or download it again") from None


def _parquet_rows(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        rows = pq.ParquetFile(path).read().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{place}: not a whole parquet file ({error}); copy or download it again") from None
    yield from enumerate(rows, start=1)


def hub_rows(
    entry: HubPairs | HubText, place: str, *, split: str, file: str | None = None, instead: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields number, from 1, and fields of every row of a split on the Hub; tokens and offline mode are the library's own.

    Args:
        entry: Entry of the configuration: repository, revision, subset and folder.
        place: What errors begin with: the name of the entry.
        split: Name of the split.
        file: The one file of the repository that holds the split; without it the library downloads all splits.
        instead: What else can be done if the Hub cannot be reached.

    Raises:
        RuntimeError: If the split cannot be loaded; the message says what to do.
    """
    import datasets  # only here: the other sources work without it

    files: dict[str, Any] = {"data_files": {split: file}} if file else {}
    for wait in (*_WAITS, None):
        try:
            loaded = datasets.load_dataset(
                entry.repo, entry.subset, data_dir=entry.data_dir, revision=entry.revision, split=split, **files
            )
            break
        except Exception as error:  # the library raises errors of many unrelated kinds
            status = getattr(getattr(error, "response", None), "status_code", 0)
            if wait is None or not (status == 429 or status >= 500):
                raise RuntimeError(
                    f"{place}: could not load {entry.repo}, split {split}, revision {entry.revision or 'main'} "
                    f"({type(error).__name__}: {error}); check the names and the network, or {instead}"
                ) from error
            time.sleep(wait)
    yield from enumerate(loaded, start=1)
