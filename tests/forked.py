"""Snakemake in a fork of a process that has imported it: most of a tiny study's plan is the import."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_PRELOADED = ["snakemake.cli", "snakemake.report.html_reporter", "pandas", "pyarrow.parquet", "pydantic", "tokenizers"]
_PRELOADED += ["requests", "nbformat", "rich.live", "yte"]
# Not the package itself: a test runs the workflow of a changed copy of it.
_FORKS.set_forkserver_preload(_PRELOADED)


def run_snakemake(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float = 600
) -> tuple[int, str]:
    """Returns exit status and output of ``snakemake`` in a folder.

    Raises:
        TimeoutError: If it takes longer.
    """
    output = folder / ".output.txt"
    process = _FORKS.Process(target=_enter, args=(list(arguments), folder, dict(environment), output))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.terminate()
        raise TimeoutError(f"snakemake {' '.join(arguments)} took longer than {seconds:.0f} s")
    text = output.read_text(errors="replace")
    output.unlink()
    return process.exitcode, text


def _enter(arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    gc.freeze()  # what was imported stays; to look through it costs an eighth of a plan
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    from snakemake.cli import main

    sys.argv = ["snakemake", *arguments]
    try:
        main()
    finally:
        atexit._run_exitfuncs()  # a fork ends without it
