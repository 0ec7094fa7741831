"""Reads what every file of the study says of its origin, and ends in an error that lists what does not fit the configuration."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.tables import origins
from w2sg.tables.files import TableError

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, wanted: Mapping[str, Mapping[str, Any]], log: str) -> None:
    with jobs.log_to(log):
        there = [path for path in wanted if Path(path).exists()]
        wrong = [line for path in there for line in origins.file_mismatches(path, wanted[path])]
        if wrong:
            text = f"{len(wrong)} of the study's settings and files differ; delete these files and run snakemake again"
            raise TableError("\n  ".join([text, *wrong]))
        if not there:
            raise ValueError("none of the study's files is there yet; nothing was verified")
    missing = [path for path in wanted if path not in there]
    example = f", such as {missing[0]}" if missing else ""
    sys.stdout.write(
        f"{len(there)} files were made with this configuration, {len(missing)} others are not there{example}\n"
    )


if __name__ == "__main__":
    main(wanted=snakemake.params["wanted"], log=snakemake.log[0])
