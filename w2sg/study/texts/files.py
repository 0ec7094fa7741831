"""Files that rows of data are read from: their suffixes, and those of a folder."""

from __future__ import annotations

import re
from pathlib import Path

DATA_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz", ".parquet")
"""What the name of a file of rows ends in."""


def single_slashes(path: str) -> str:
    """Returns a path without doubled slashes, which Snakemake takes for another file's; links and ``..`` stay as they are."""
    return re.sub("/{2,}", "/", path)


def data_files(path: str) -> list[str]:
    """Returns the files of rows that a path means: itself, or of a folder those with such a suffix, by name.

    What else a folder holds (folders, and files whose name begins with a dot) is left out; whoever reads its rows counts it.
    """
    folder = Path(path)
    if not folder.is_dir():
        return [single_slashes(path)]
    named = (inner for inner in folder.iterdir() if inner.name.lower().endswith(DATA_SUFFIXES))
    return sorted(str(inner) for inner in named if not inner.name.startswith(".") and not inner.is_dir())
