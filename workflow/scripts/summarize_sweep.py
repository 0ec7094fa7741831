"""Condenses the long table into a summary (CSV), a text for the terminal, and the study's acceptance bands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from w2sg import bands, runtime, schemas, summary, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, metrics: str, table: str, text: str, acceptance: str, banded: Sequence[str], log: str) -> None:
    with runtime.log_to(log):
        frame = tables.read_table(metrics, schemas.METRICS)
        rows = summary.summarize(frame)
        checks = [bands.check_nano(frame, family=family, dataset=bands.DATASET) for family in banded]
        checked = pd.concat(checks, ignore_index=True) if checks else pd.DataFrame(columns=bands.COLUMNS)
        with runtime.atomic_path(table) as path:
            rows.to_csv(path, index=False, float_format="%.6g")
        with runtime.atomic_path(acceptance) as path:
            checked.to_csv(path, index=False, float_format="%.6g")
        with runtime.atomic_path(text) as path:
            Path(path).write_text(summary.as_text(rows, checked), encoding="utf-8")


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        table=snakemake.output["table"],
        text=snakemake.output["text"],
        acceptance=snakemake.output["acceptance"],
        banded=snakemake.params["banded"],
        log=snakemake.log[0],
    )
