"""Where pairs and labelled texts come from: tasks made from a corpus, local files, or datasets of the Hugging Face Hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2sg.data.pairs import CheckedPairs, check_pairs, deal_by_prompt, one_side, row_id
from w2sg.data.parsers import LABELLED_PARSERS, PARSERS, as_sides, holds_messages, parse_columns, parse_labelled
from w2sg.data.rows import file_rows, hub_rows
from w2sg.data.tasks import class_texts, order_pairs, topic_pairs
from w2sg.study.datasets import CorpusPairs, DatasetEntry, Deal, FilePairs, HubPairs
from w2sg.study.fields import read
from w2sg.study.protocols import FIELDS, SOURCES, SPLITS
from w2sg.study.texts.files import DATA_SUFFIXES, data_files

_HUB_SPLITS = {"cai_harmless": ("train_prefs",)}
"""Splits read where the configuration names none; train for the other parsers."""

SPARE = 2
"""Labelled texts of a class that are compared with one another, over those that are wanted: of millions, few are needed."""

UNNEEDED = "labelled text of a class that has more than needed, drawn by the seed"
"""Reason under which those beyond are counted."""


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
        single=entry.labelled,
    )


def _corpus_rows(
    entry: CorpusPairs, *, name: str, documents: pd.DataFrame | None, skipped: Counter[str]
) -> pd.DataFrame:
    if documents is None:
        raise ValueError(f"dataset {name}: documents of corpus {entry.corpus} are needed, none were given")
    if entry.task == "order":
        return order_pairs(documents, entry, skipped=skipped)
    try:
        make = class_texts if entry.labelled else topic_pairs
        return make(documents, entry, skipped=skipped)
    except ValueError as error:
        raise ValueError(f"datasets.{name}.{error}") from None


def _file_rows(entry: FilePairs, *, name: str, skipped: Counter[str]) -> pd.DataFrame:
    if entry.file:
        rows = _read_path(entry.file, entry, f"dataset {name}", skipped)
        return _dealt(rows, entry, name=name, seed=(entry.split or Deal()).seed, skipped=skipped)
    rows = [
        (*row, split)
        for split in SPLITS
        for row in _read_path(getattr(entry.files, split), entry, f"dataset {name}, {split}", skipped)
    ]
    frame = _as_frame((row[:-1] for row in rows), entry, name)
    return frame.assign(split=[row[-1] for row in rows])


def _as_frame(rows: Iterable[tuple[Any, ...]], entry: FilePairs | HubPairs, name: str) -> pd.DataFrame:
    """Returns prompt, chosen, rejected, row and origin of parsed rows, and the labels of labelled texts."""
    columns = [*FIELDS, "row", "origin"]
    if entry.labelled:
        rows, columns = as_sides(rows, entry.positive, place=f"dataset {name}"), [*columns, *SOURCES[2:]]
    # Objects, so that a missing text stays None and a number stays a number until the checks name it.
    return pd.DataFrame(list(rows), columns=columns, dtype=object)


def _dealt(
    rows: Iterable[tuple[Any, ...]], entry: FilePairs | HubPairs, *, name: str, seed: int, skipped: Counter[str]
) -> pd.DataFrame:
    frame = _as_frame(rows, entry, name)
    if entry.labelled and entry.pairs:
        frame = _sample(frame, most=SPARE * len(SPLITS) * entry.pairs // 2, seed=seed, skipped=skipped)
    return deal_by_prompt(frame, seed=seed, single=entry.labelled)


def _sample(frame: pd.DataFrame, *, most: int, seed: int, skipped: Counter[str]) -> pd.DataFrame:
    """Returns at most so many texts of either class, drawn by their content and the seed, and what is no text."""
    texts = [one_side(*sides) for sides in zip(frame["chosen"], frame["rejected"], strict=True)]
    place = [row_id(str(seed), text, "") if isinstance(text, str) else "" for text in texts]
    ordered = frame.assign(_place=place).sort_values(by="_place", kind="stable")
    rank = ordered.groupby(ordered["chosen"].eq("")).cumcount().reindex(frame.index)
    kept = (rank < most) | (np.array(place) == "")
    skipped[UNNEEDED] += int((~kept).sum())
    return frame[kept]


def _read_path(path: str, entry: FilePairs, place: str, skipped: Counter[str]) -> Iterator[tuple[Any, ...]]:
    """Yields the texts, row number and file name of every row of a local file, or of the files of a folder."""
    files = data_files(path)
    if Path(path).is_dir() and (others := len(list(Path(path).iterdir())) - len(files)):
        skipped[f"entry of folder {path} that is hidden or no file of rows ({', '.join(DATA_SUFFIXES)})"] += others
    kinds: dict[bool, str] = {}
    for file in map(Path, files):
        for number, row in file_rows(file, f"{place}: {file}"):
            if not entry.labelled:
                kinds.setdefault(holds_messages(row, entry.columns), f"{file}, row {number}")
            if len(kinds) == 2:
                raise ValueError(
                    f"{place}: {kinds[True]} holds lists of messages, {kinds[False]} texts; write all rows alike"
                )
            try:
                yield (*_parsed(row, entry), number, file.name)
            except ValueError as error:
                raise ValueError(f"{place}: {file}, row {number}: {error}") from None


def _parsed(row: Mapping[str, Any], entry: FilePairs | HubPairs) -> tuple[Any, ...]:
    """Returns prompt, chosen and rejected of a row, or text and label."""
    if entry.labelled:
        return parse_labelled(row, fields=entry.columns, template=entry.template)
    return parse_columns(row, fields=entry.columns, bare=entry.template is not None, chat=entry.chat)


def _hub_rows(entry: HubPairs, *, name: str, skipped: Counter[str]) -> pd.DataFrame:
    """Returns the rows of a Hub dataset that its parser accepts, dealt by prompt, or by text."""
    rows, own = [], {**PARSERS, **LABELLED_PARSERS}.get(entry.parser)
    instead = "download the rows elsewhere and use source: files"
    for split in entry.hub_splits or _HUB_SPLITS.get(entry.parser, ("train",)):
        for number, row in hub_rows(entry, f"dataset {name}", split=split, file=entry.file, instead=instead):
            try:
                parsed = own(row) if own else _parsed(row, entry)
                if isinstance(parsed, dict):
                    parsed = _parsed(parsed, entry)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"dataset {name}: {entry.repo}, split {split}, row {number}: parser {entry.parser} does not "
                    f"fit ({error}); columns are {', '.join(row)}; set parser or fields"
                ) from None
            if isinstance(parsed, str):
                skipped[parsed] += 1
            else:
                rows.append((*parsed, number, f"{entry.repo}, {split}"))
    return _dealt(rows, entry, name=name, seed=entry.seed, skipped=skipped)
