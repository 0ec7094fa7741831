"""Labels out of a file, in place of a supervisor's: read, and matched with the pairs that they are of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from w2sg.data.door.files import unread
from w2sg.data.parsers import quoted
from w2sg.data.rows import brief, file_rows
from w2sg.study.fields import ConfigError, Mistake
from w2sg.study.labels.supervisors import Supervisor, label_files
from w2sg.study.lists.rows import PLAIN
from w2sg.study.protocols import SPLITS


def check_labels(
    config: Mapping[str, Any], supervisors: Iterable[Supervisor], datasets: Sequence[str], pairs: Path
) -> None:
    """Raises :class:`ConfigError`, a line per file, if labels out of a file cannot be used.

    Which pairs they must be of is known once the datasets are made.

    Args:
        config: The checked configuration.
        supervisors: Those of the study's families.
        datasets: Names of the datasets that the study uses.
        pairs: Folder of the datasets' tables.
    """
    mistakes = []
    for key, (dataset, path) in label_files(config, supervisors, datasets).items():
        table = pairs / f"{dataset}.parquet"
        if unread([path]):
            continue
        try:
            found = read_labels(path)
            if table.is_file() and find_spec("pyarrow") is not None:
                from pyarrow import parquet  # an environment that has Snakemake alone may lack it

                columns = parquet.read_table(table, columns=["row_id", "split"]).to_pydict().values()
                match_labels(found, dict(zip(*columns, strict=True)), path)
        except (ValueError, RuntimeError) as error:
            mistakes.append(Mistake(key, str(error)))
    if mistakes:
        raise ConfigError(mistakes)


def read_labels(path: str) -> dict[str, tuple[int, float]]:
    """Returns number of the row and probability by row id, of a file with columns row_id and probability.

    Raises:
        RuntimeError: If there is no such file.
        ValueError: Naming file and row, if a column is absent, a probability is none, or a row id comes twice.
    """
    found: dict[str, tuple[int, float]] = {}
    for number, row in file_rows(Path(path), path):
        place = f"{path}, row {number}"
        for column in ("row_id", "probability"):
            if column not in row:
                raise ValueError(f"{place}: no column {column!r}; columns are {quoted(row)}")
        name: str = str(row["row_id"])
        value: Any = row["probability"]
        try:
            written = not isinstance(value, str) or PLAIN.fullmatch(value.strip())
            probability = math.nan if isinstance(value, bool) or not written else float(value)
        except (TypeError, ValueError):
            probability = math.nan
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"{place}: probability is {brief(str(value))}, expected a number from 0 to 1")
        if name in found:
            raise ValueError(f"{place}: row id {brief(name)} is that of row {found[name][0]} too")
        found[name] = number, probability
    return found


def match_labels(found: Mapping[str, tuple[int, float]], splits: Mapping[str, str], path: str) -> dict[str, float]:
    """Returns the probability of each pair that a supervisor labels, by row id.

    Args:
        found: As of :func:`read_labels`.
        splits: Split of each pair of the dataset by row id.
        path: The file, for messages.

    Raises:
        ValueError: Naming file and row, if a row is of no pair, or of one that true labels teach; or if a pair has no label.
    """
    wanted = [name for name, split in splits.items() if split != SPLITS[0]]
    for name, (number, _) in found.items():
        if splits.get(name, SPLITS[0]) == SPLITS[0]:
            what = f"a pair of split {SPLITS[0]}" if name in splits else "no pair of the dataset"
            text = f"row id {brief(name)} is that of {what}; expected pairs of splits {' and '.join(SPLITS[1:])}"
            raise ValueError(f"{path}, row {number}: {text}")
    if missing := [name for name in wanted if name not in found]:
        text = f"{len(missing)} of {len(wanted)} pairs have no label, such as row id {missing[0]} of split {splits[missing[0]]}"
        raise ValueError(f"{path}: {text}")
    return {name: found[name][1] for name in wanted}
