"""Where pairs come from: tasks made from a corpus, local files, or datasets of the Hugging Face Hub."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from w2sg.data.pairs import CheckedPairs, check_pairs, deal_by_prompt
from w2sg.data.parsers import PARSERS, parse_columns
from w2sg.data.tasks import order_pairs, topic_pairs
from w2sg.study.datasets import Columns, CorpusPairs, DatasetEntry, Deal, FilePairs, HubPairs
from w2sg.study.protocols import FIELDS, SPLITS

_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")

_WAITS = (1.0, 5.0, 20.0)
"""Seconds before the Hub is asked again when it is busy or failing (429 and 5xx): the library asks for a dataset's files once."""

_HUB_SPLITS = {"cai_harmless": ("train_prefs",)}
"""Splits read where the configuration names none; train for the other parsers."""


def load_checked(entry: DatasetEntry, *, name: str, documents: pd.DataFrame | None = None) -> CheckedPairs:
    """Returns the pairs of a dataset, as :data:`w2sg.tables.schemas.PAIRS` declares, with the report of the checks.

    Args:
        entry: Entry of ``datasets``.
        name: Its key.
        documents: Documents of the corpus it names, if it names one.

    Raises:
        ValueError: If a row cannot be used, or a split is too small.
        RuntimeError: If the source cannot be read; the message says what to do.
    """
    skipped: Counter[str] = Counter()
    if isinstance(entry, CorpusPairs):
        frame = _corpus_rows(entry, name=name, documents=documents, skipped=skipped)
    elif isinstance(entry, FilePairs):
        frame = _file_rows(entry, name=name)
    else:
        frame = _hub_rows(entry, name=name, skipped=skipped)
    return check_pairs(
        frame,
        name=name,
        minimum=entry.minimum_rows,
        limit=entry.pairs,
        on_invalid=entry.on_invalid,
        skipped=dict(skipped),
    )


def _corpus_rows(
    entry: CorpusPairs, *, name: str, documents: pd.DataFrame | None, skipped: Counter[str]
) -> pd.DataFrame:
    if documents is None:
        raise ValueError(f"dataset {name}: documents of corpus {entry.corpus} are needed, none were given")
    if entry.task == "order":
        return order_pairs(documents, entry, skipped=skipped)
    try:
        return topic_pairs(documents, entry, skipped=skipped)
    except ValueError as error:
        raise ValueError(f"datasets.{name}.{error}") from None


def _file_rows(entry: FilePairs, *, name: str) -> pd.DataFrame:
    fields = _columns(entry)
    if entry.file:
        frame = _as_frame(_read_file(Path(entry.file), fields, name=name))
        return deal_by_prompt(frame, seed=(entry.split or Deal()).seed)
    frames = [
        _as_frame(_read_file(Path(getattr(entry.files, split)), fields, name=f"{name}, {split}")).assign(split=split)
        for split in SPLITS
    ]
    return pd.concat(frames, ignore_index=True)


def _columns(entry: FilePairs | HubPairs) -> dict[str, str | None]:
    return (entry.fields or Columns()).model_dump()


def _as_frame(rows: Iterator[tuple[Any, ...]]) -> pd.DataFrame:
    # Objects, so that a missing text stays None and a number stays a number until the checks name it.
    return pd.DataFrame(list(rows), columns=[*FIELDS, "row", "origin"], dtype=object)


def _read_file(path: Path, fields: Mapping[str, str | None], *, name: str) -> Iterator[tuple[Any, ...]]:
    """Yields prompt, chosen, rejected, row number and file name of every row of a local file."""
    place = f"dataset {name}: {path}"
    if not path.is_file():
        raise RuntimeError(f"{place}: no such file; correct its path in datasets (relative to the working directory)")
    rows = _parquet_rows(path, place) if path.name.endswith(".parquet") else _json_rows(path, place)
    for number, row in rows:
        try:
            yield (*parse_columns(row, fields=fields), number, path.name)
        except ValueError as error:
            raise ValueError(f"{place}, row {number}: {error}") from None


def _json_rows(path: Path, place: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if not path.name.endswith(_SUFFIXES):
        raise ValueError(f"{place}: name must end in one of {', '.join(_SUFFIXES)}")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ValueError(
                        f"{place}, row {number}: not JSON ({error}); one object per line is expected"
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


def _hub_rows(entry: HubPairs, *, name: str, skipped: Counter[str]) -> pd.DataFrame:
    """Returns the rows of a Hub dataset that its parser accepts, dealt by prompt."""
    parser, fields = entry.parser, _columns(entry)
    rows = []
    for split in entry.hub_splits or _HUB_SPLITS.get(parser, ("train",)):
        for number, row in enumerate(_load_hub_split(entry, name=name, split=split), start=1):
            try:
                parsed = PARSERS[parser](row) if parser in PARSERS else parse_columns(row, fields=fields)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"dataset {name}: {entry.repo}, split {split}, row {number}: parser {parser} does not "
                    f"fit ({error}); columns are {', '.join(row)}; set parser or fields"
                ) from None
            if isinstance(parsed, str):
                skipped[parsed] += 1
            else:
                rows.append((*parsed, number, f"{entry.repo}, {split}"))
    return deal_by_prompt(_as_frame(iter(rows)), seed=entry.seed)


def _load_hub_split(entry: HubPairs, *, name: str, split: str) -> Any:
    import datasets  # only here: the other sources work without it

    for wait in (*_WAITS, None):
        try:
            return datasets.load_dataset(
                entry.repo, entry.subset, data_dir=entry.data_dir, revision=entry.revision, split=split
            )
        except Exception as error:  # the library raises errors of many unrelated kinds
            status = getattr(getattr(error, "response", None), "status_code", 0)
            if wait is None or not (status == 429 or status >= 500):
                raise RuntimeError(
                    f"dataset {name}: could not load {entry.repo}, split {split}, "
                    f"revision {entry.revision or 'main'} ({type(error).__name__}: {error}); check the names and "
                    "the network, or download the rows elsewhere and use source: files"
                ) from error
            time.sleep(wait)
