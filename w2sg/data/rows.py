"""Rows of files on the disk and of datasets on the Hugging Face Hub, for pairs and for texts alike."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from w2sg.runtime.contents import content_fault
from w2sg.study.datasets import HubPairs
from w2sg.study.texts.corpora import HubText
from w2sg.study.texts.files import DATA_SUFFIXES

_BATCH = 1024
"""Rows of a parquet file that are read together."""

_QUOTING = "put texts with quotes in quotes and double those inside, or use .jsonl"

_WAITS = (1.0, 5.0, 20.0)
"""Seconds before the Hub is asked again when it is busy or failing (429 and 5xx): the library asks for a dataset's files once."""


def file_rows(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields number, from 1, and fields of every row of a file whose suffix is one of :data:`DATA_SUFFIXES`.

    Rows of `.csv` and `.tsv` are numbered without the header, and all of their values are text as it stands: nothing is taken
    for a number or for missing. Empty lines are no rows.

    Args:
        path: The file.
        place: What errors begin with: the entry of the configuration, and the file.

    Raises:
        RuntimeError: If there is no such file.
        ValueError: If the file holds no row or cannot be read, naming row, line or byte.
    """
    check_exists(path, place)
    name = path.name.lower()
    if not name.endswith(DATA_SUFFIXES):
        raise ValueError(f"{place}: name must end in one of {', '.join(DATA_SUFFIXES)}")
    suffix = Path(name.removesuffix(".gz")).suffix
    number = 0
    try:
        for number, row in _READERS[suffix](path, place):
            yield number, row
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{place}: not a whole gzip file ({error}); copy or download it again") from None
    except UnicodeDecodeError:
        raise ValueError(f"{place}{_not_utf8(path)}; save the file in UTF-8") from None
    if not number:
        raise ValueError(f"{place}: holds no row")


def check_exists(path: Path, place: str) -> None:
    """Raises RuntimeError if a file that the configuration names is not there, ValueError if it is not what its name says."""
    if not path.is_file():
        raise RuntimeError(f"{place}: no such file; correct its path in the configuration (relative to {Path.cwd()})")
    if fault := content_fault(path):
        raise ValueError(f"{place} {fault}")


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


@contextmanager
def _text(path: Path, newline: str) -> Iterator[TextIO]:
    with _open(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline) as text:
        yield text


def _not_utf8(path: Path) -> str:
    """Returns where a file ceases to be UTF-8: line, byte of the file, and what stands there."""
    before = 0
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                at = f"byte {before + error.start + 1} (0x{line[error.start]:02x})"
                return f", line {number}, {at}: not UTF-8"
            before += len(line)
    return ": not UTF-8"


def _json_lines(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _text(path, "\n") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{place}, row {number}"
            try:
                row = json.loads(line, object_pairs_hook=_fields)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{where}: not JSON ({error}); one object per line, in UTF-8, is expected") from None
            yield number, _object(row, where)


def _json_array(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _text(path, "") as file:
        try:
            rows = json.load(file, object_pairs_hook=_fields)
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: not JSON ({error}), expected an array of objects") from None
    if not isinstance(rows, list):
        held = f"an object with {', '.join(map(brief, rows))}" if isinstance(rows, dict) else f"a {type(rows).__name__}"
        raise ValueError(f"{place}: holds {held}, expected an array of objects, one for each row")
    for number, row in enumerate(rows, start=1):
        yield number, _object(row, f"{place}, row {number}")


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object; a name that it holds twice would lose one of the values."""
    if len(fields := dict(pairs)) < len(pairs):
        raise ValueError(f"an object has two fields {_twice([name for name, _ in pairs])!r}")
    return fields


def _object(row: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not a JSON object with fields")
    return row


def _separated(path: Path, place: str, *, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with _text(path, "") as file, long_fields():
        lines = _Lines(file)
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        header: list[str] = []
        number, joined, quoted = 0, "", False
        while True:
            lines.taken = []
            first = rows.line_num + 1
            try:
                row = next(rows, None)
            except csv.Error as error:
                text = f"a quoted text that begins there is not closed as it should be ({error})"
                raise ValueError(f"{place}, line {first}: {text}; quotes inside of a quoted text are doubled") from None
            if row is None:
                break
            if not row:
                continue
            if not header:
                header = _checked_header(row, place, delimiter)
                continue
            number += 1
            where = f"{place}, row {number} (line {first})"
            if [
                row[0].removeprefix("\ufeff"),
                *row[1:],
            ] == header:  # the mark of UTF-8, where files that have it were joined
                raise ValueError(f"{where}: the header again; remove the line, which joining files leaves")
            if len(row) != len(header):
                held = f"{len(row)} values, the header names {len(header)}"
                raise ValueError(
                    f"{where}: {held} ({', '.join(map(brief, header))}); correct the row, or quote its texts"
                )
            raw = "".join(lines.taken)
            if delimiter == "," and (spaced := _spaced_quotes(row, raw)):
                raise ValueError(f"{where}: a space stands before the quotes of {brief(spaced)}; remove it")
            alone = {len(line.rstrip("\r\n").split(delimiter)) for line in lines.taken}
            if alone != {len(header)} or (delimiter == "," and ", " in raw):
                quoted = True
            elif len(lines.taken) > 1 and not joined:
                joined = (
                    f"{where}: a quote joins {len(lines.taken)} lines, each of which is a row by itself; {_QUOTING}"
                )
            if joined and delimiter == "\t":
                raise ValueError(joined)
            yield number, dict(zip(header, row, strict=True))
        # Texts hold commas, unlike tabs: where quotes keep some inside of a text, the file means its quotes.
        if joined and not quoted:
            raise ValueError(joined)


def _spaced_quotes(row: list[str], raw: str) -> str:
    """Returns the first value that is in quotes with a space before them, which csv takes for a part of the text."""
    found = (value for value in row if value[:1].isspace() and re.fullmatch(r'\s+".*"\s*', value, re.DOTALL))
    return next((value for value in found if f",{value}" in raw or raw.startswith(value)), "")


class _Lines:
    """Hands on the lines of a file and keeps those of the present row."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.taken = file, list[str]()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.taken.append(next(self.file))
        return self.taken[-1]


@contextmanager
def long_fields() -> Iterator[None]:
    """Lets csv read fields of up to 2 GB; its default of 128 KiB is shorter than some texts."""
    previous = csv.field_size_limit((1 << 31) - 1)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def _checked_header(row: list[str], place: str, delimiter: str) -> list[str]:
    named = [name for name in row if name.strip()]
    if len(set(named)) < len(named):
        raise ValueError(f"{place}: the header names column {_twice(named)!r} twice; give one of them another name")
    if any("\0" in name for name in named):
        raise ValueError(f"{place}: the header holds NUL characters; save the file as text in UTF-8")
    other = next((mark for mark in ";\t,|" if mark != delimiter and mark in row[0]), "")
    if len(row) == 1 and other:
        raise ValueError(
            f"{place}: the header has no {delimiter!r} but {other!r}; save the file with {delimiter!r} between columns"
        )
    return row


def _twice(names: list[str]) -> str:
    return next(name for place, name in enumerate(names) if name in names[:place])


def brief(name: str) -> str:
    """Returns the name of a column as messages show it: what was taken for one may be a whole text."""
    return name if len(name) <= 40 else f"{name[:37]}..."


def _parquet(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa  # only here: where Snakemake runs there may be none
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise ValueError(f"{place}: has column {_twice(names)!r} twice; give one of them another name")
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except UnicodeDecodeError as error:
        raise ValueError(f"{place}, behind row {number}: a text is not UTF-8 ({error.reason})") from None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{place}: not a whole parquet file ({error}); copy or download it again") from None
    except (OverflowError, KeyError) as error:  # a date, time or duration, maybe in a column that nobody needs
        raise ValueError(
            f"{place}, behind row {number}: a value has no meaning in Python ({error}); leave out its column"
        ) from None


_READERS: Mapping[str, Callable[[Path, str], Iterator[tuple[int, Mapping[str, Any]]]]] = {
    ".jsonl": _json_lines,
    ".json": _json_array,
    ".csv": partial(_separated, delimiter=","),
    ".tsv": partial(_separated, delimiter="\t"),
    ".parquet": _parquet,
}


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
