"""Where pairs come from: tasks made from a corpus, local files, or datasets of the Hugging Face Hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from w2sg.data.pairs import CheckedPairs, check_pairs, deal_by_prompt
from w2sg.data.parsers import PARSERS, parse_columns
from w2sg.data.rows import file_rows, hub_rows
from w2sg.data.tasks import order_pairs, topic_pairs
from w2sg.study.datasets import Columns, CorpusPairs, DatasetEntry, Deal, FilePairs, HubPairs
from w2sg.study.fields import read
from w2sg.study.protocols import FIELDS, SPLITS
from w2sg.study.texts.files import DATA_SUFFIXES, data_files

_HUB_SPLITS = {"cai_harmless": ("train_prefs",)}
"""Splits read where the configuration names none; train for the other parsers."""


def load_checked(spec: Mapping[str, Any], *, name: str, documents: pd.DataFrame | None = None) -> CheckedPairs:
    """Returns the pairs of a dataset, as :data:`w2sg.tables.schemas.PAIRS` declares, with the report of the checks.

    Args:
        spec: Entry of ``datasets``, as a file says it.
        name: Its key.
        documents: Documents of the corpus it names, if it names one.

    Raises:
        ValueError: If a row cannot be used, or a split is too small.
        RuntimeError: If the source cannot be read; the message says what to do.
    """
    entry = read(DatasetEntry, spec, ("datasets", name))
    skipped: Counter[str] = Counter()
    if isinstance(entry, CorpusPairs):
        frame = _corpus_rows(entry, name=name, documents=documents, skipped=skipped)
    elif isinstance(entry, FilePairs):
        frame = _file_rows(entry, name=name, skipped=skipped)
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


def _file_rows(entry: FilePairs, *, name: str, skipped: Counter[str]) -> pd.DataFrame:
    fields = _columns(entry)
    if entry.file:
        frame = _as_frame(_read_path(entry.file, fields, f"dataset {name}", skipped))
        return deal_by_prompt(frame, seed=(entry.split or Deal()).seed)
    frames = [
        _as_frame(_read_path(getattr(entry.files, split), fields, f"dataset {name}, {split}", skipped)).assign(
            split=split
        )
        for split in SPLITS
    ]
    return pd.concat(frames, ignore_index=True)


def _columns(entry: FilePairs | HubPairs) -> dict[str, str | None]:
    return (entry.fields or Columns()).model_dump()


def _as_frame(rows: Iterator[tuple[Any, ...]]) -> pd.DataFrame:
    # Objects, so that a missing text stays None and a number stays a number until the checks name it.
    return pd.DataFrame(list(rows), columns=[*FIELDS, "row", "origin"], dtype=object)


def _read_path(
    path: str, fields: Mapping[str, str | None], place: str, skipped: Counter[str]
) -> Iterator[tuple[Any, ...]]:
    """Yields prompt, chosen, rejected, row number and file name of every row of a local file, or of the files of a folder."""
    files = data_files(path)
    if Path(path).is_dir() and (others := len(list(Path(path).iterdir())) - len(files)):
        skipped[f"entry of folder {path} that is no file of rows ({', '.join(DATA_SUFFIXES)})"] += others
    for file in map(Path, files):
        for number, row in file_rows(file, f"{place}: {file}"):
            try:
                yield (*parse_columns(row, fields=fields), number, file.name)
            except ValueError as error:
                raise ValueError(f"{place}: {file}, row {number}: {error}") from None


def _hub_rows(entry: HubPairs, *, name: str, skipped: Counter[str]) -> pd.DataFrame:
    """Returns the rows of a Hub dataset that its parser accepts, dealt by prompt."""
    parser, fields = entry.parser, _columns(entry)
    rows = []
    instead = "download the rows elsewhere and use source: files"
    for split in entry.hub_splits or _HUB_SPLITS.get(parser, ("train",)):
        for number, row in hub_rows(entry, f"dataset {name}", split=split, instead=instead):
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
