"""Description of the machine that a benchmark ran on, and the table files that carry it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).resolve().parent / "results"
"""Where committed tables lie."""


def describe(packages: Sequence[str]) -> str:
    """Returns processor, cores, system and versions in one line.

    Args:
        packages: Distributions whose versions matter for the figures.
    """
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def save(table: pd.DataFrame, name: str, *, machine: str, command: str) -> Path:
    """Writes a table with its machine and command as comment lines; returns its path.

    Args:
        table: Figures, one row each.
        name: File name without ending.
        machine: From :func:`describe`.
        command: What was typed.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.tsv"
    body = table.to_csv(sep="\t", index=False, float_format="%.4g", lineterminator="\n")
    path.write_text(f"# machine: {machine}\n# command: {command}\n{body}", encoding="utf-8")
    return path
