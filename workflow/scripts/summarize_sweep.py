"""Condenses the long table into a summary (CSV), a text for the terminal, and the study's acceptance bands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from w2sg.report.sentences import summary_text
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import schemas
from w2sg.tables.files import read_table
from w2sg.trajectories import bands, coverage, summary

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
        flagged = coverage.left_out(frame, hashes).assign(excluded=exclude)
        frame = coverage.exclude_flagged(frame, hashes) if exclude else frame
        rows = summary.summarize(
            frame,
            correlations=read_table(correlations, schemas.CORRELATIONS),
            transitions=read_table(transitions, schemas.TRANSITIONS),
        )
        checks = [bands.judge_nano(frame, family=family, dataset=bands.DATASET) for family in banded]
        checked = pd.concat(checks, ignore_index=True) if checks else pd.DataFrame(columns=bands.COLUMNS)
        wanted = read_table(completeness, schemas.COMPLETENESS)
        written = summary_text(rows, bands=checked, completeness=wanted, flagged=flagged)
        for made, target in ((rows, table), (checked, acceptance), (flagged, excluded)):
            with atomic_path(target) as path:
                made.to_csv(path, index=False, float_format="%.6g")
        with atomic_path(text) as path:
            path.write_text(written, encoding="utf-8")


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
