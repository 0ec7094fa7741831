"""Condenses the long table into a summary (CSV), a text for the terminal, and the study's acceptance bands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from w2sg.report.sentences import summary_text
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import schemas
from w2sg.tables.files import read_table
from w2sg.trajectories import bands, coverage, summary
from w2sg.trajectories.coverage import describe_missing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    metrics: str,
    audited: str,
    completeness: str,
    correlations: str,
    transitions: str,
    table: str,
    text: str,
    acceptance: str,
    excluded: str,
    banded: Sequence[str],
    exclude: bool,
    log: str,
) -> None:
    with jobs.log_to(log):
        frame = read_table(metrics, schemas.METRICS)
        hashes = read_table(audited, schemas.AUDIT)
        flagged = coverage.left_out(frame, hashes)
        frame = coverage.exclude_flagged(frame, hashes) if exclude else frame
        rows = summary.summarize(
            frame,
            correlations=read_table(correlations, schemas.CORRELATIONS),
            transitions=read_table(transitions, schemas.TRANSITIONS),
        )
        checks = [bands.check_nano(frame, family=family, dataset=bands.DATASET) for family in banded]
        checked = pd.concat(checks, ignore_index=True) if checks else pd.DataFrame(columns=bands.COLUMNS)
        with atomic_path(table) as path:
            rows.to_csv(path, index=False, float_format="%.6g")
        with atomic_path(acceptance) as path:
            checked.to_csv(path, index=False, float_format="%.6g")
        with atomic_path(text) as path:
            wanted = read_table(completeness, schemas.COMPLETENESS)
            missing = "".join(f"missing: {sentence}\n" for sentence in describe_missing(wanted))
            left = "".join(f"{line}\n" for line in coverage.describe_left_out(flagged, excluded=exclude))
            Path(path).write_text(missing + summary_text(rows, checked) + left, encoding="utf-8")
        with atomic_path(excluded) as path:
            flagged.assign(excluded=exclude).to_csv(path, index=False)


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        audited=snakemake.input["audit"],
        completeness=snakemake.input["completeness"],
        correlations=snakemake.input["correlations"],
        transitions=snakemake.input["transitions"],
        table=snakemake.output["table"],
        text=snakemake.output["text"],
        acceptance=snakemake.output["acceptance"],
        excluded=snakemake.output["excluded"],
        banded=snakemake.params["banded"],
        exclude=snakemake.params["exclude"],
        log=snakemake.log[0],
    )
