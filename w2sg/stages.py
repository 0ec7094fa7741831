"""What a study cost: time and memory per stage, summed over the benchmark files of its jobs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COLUMNS = ("stage", "jobs", "hours", "cpu_hours", "peak_gb")
"""Columns of the table of stages."""


def stage_costs(folder: str | Path) -> pd.DataFrame:
    """Returns one row per stage whose jobs were measured, the longest first.

    Args:
        folder: Holds ``<stage>/.../<job>.tsv`` as Snakemake's ``benchmark`` writes them; may be missing.

    Returns:
        ``COLUMNS``: wall-clock ``hours`` and ``cpu_hours`` summed over jobs, ``peak_gb`` of the largest one; what Snakemake
        could not measure, because a job was too short, counts as 0.

    Raises:
        ValueError: If a file is not a benchmark file.
    """
    rows = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if not {"s", "cpu_time", "max_rss"} <= set(table.columns):
            raise ValueError(
                f"{path}: expected the columns s, cpu_time and max_rss of a benchmark, found {list(table)}"
            )
        last = table.fillna(0).iloc[-1]
        stage = path.relative_to(folder).parts[0]
        rows.append((stage, last["s"] / 3600, last["cpu_time"] / 3600, last["max_rss"] / 1024))
    jobs = pd.DataFrame(rows, columns=["stage", "hours", "cpu_hours", "peak_gb"])
    grouped = jobs.groupby("stage", as_index=False).agg(
        jobs=("hours", "size"), hours=("hours", "sum"), cpu_hours=("cpu_hours", "sum"), peak_gb=("peak_gb", "max")
    )
    return grouped.sort_values("hours", ascending=False, ignore_index=True)[list(COLUMNS)]
