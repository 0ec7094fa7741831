"""Condenses the long table into a summary (CSV), a text for the terminal, and the study's acceptance bands."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.report.sentences import summary_text
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table
from w2sg.trajectories import bands, coverage, summary
from w2sg.trajectories.selection import shown_rows

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
    summary_origin: str,
    banded: Sequence[str],
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        inputs = [metrics, audited, completeness, correlations, transitions]
        origin = origins.trace("summarize_sweep", made, inputs, config=config)
        exclude = made["audit"]["exclude"]
        frame = read_table(metrics, schemas.METRICS, where=shown_rows())
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
        for csv, target in ((rows, table), (checked, acceptance), (flagged, excluded)):
            with atomic_path(target) as path:
                csv.to_csv(path, index=False, float_format="%.6g")
        for content, target in ((written, text), (json.dumps(origin, sort_keys=True, indent=1), summary_origin)):
            with atomic_path(target) as path:
                path.write_text(content, encoding="utf-8")


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
        summary_origin=snakemake.output["origin"],
        banded=snakemake.params["banded"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
