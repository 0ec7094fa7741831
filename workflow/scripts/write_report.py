"""Reads the study's tables and writes the report; everything is inside one file."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table
from w2sg.tables.reading import READINGS
from w2sg.tables.theory import ACCEPTANCE
from w2sg.trajectories import coverage
from w2sg.trajectories.selection import shown_rows, transfer_rows
from w2sg.trajectories.summary import read_summary

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    inputs: Mapping[str, str],
    study: Mapping[str, Any],
    benchmarks: Mapping[str, Sequence[str]],
    criteria: str,
    groups: Mapping[str, Sequence[str]],
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    output: str,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.report import page

        read = [path for path in inputs.values() if not path.endswith(".csv")]  # whose origin stands in summary.json
        origin = origins.trace("write_report", made, read, config=config)
        frame = read_table(inputs["metrics"], schemas.METRICS, where=shown_rows())
        moved = read_table(inputs["metrics"], schemas.METRICS, where=transfer_rows())
        hashes = read_table(inputs["audit"], schemas.AUDIT)
        if study["audit"]["exclude"]:
            frame, moved = (coverage.exclude_flagged(rows, hashes) for rows in (frame, moved))
        judged = Path(criteria)
        evidence = page.Evidence(
            metrics=frame,
            transfer=moved,
            floors=read_table(inputs["floors"], schemas.FLOORS),
            summary=read_summary(inputs["summary"]),
            correlations=read_table(inputs["correlations"], schemas.CORRELATIONS),
            transitions=read_table(inputs["transitions"], schemas.TRANSITIONS),
            agreement=read_table(inputs["agreement"], schemas.AGREEMENT),
            groups=groups,
            bands=pd.read_csv(inputs["acceptance"]),
            excluded=pd.read_csv(inputs["excluded"]),
            completeness=read_table(inputs["completeness"], schemas.COMPLETENESS),
            readings=read_table(inputs["readings"], READINGS),
            stages=page.stage_costs(benchmarks),
            theory=read_table(judged, ACCEPTANCE) if judged.exists() else None,
            study=study,
            origin=origin,
            date=date.today().isoformat(),
        )
        with atomic_path(output) as path:
            path.write_text(page.render(evidence), encoding="utf-8")


if __name__ == "__main__":
    main(
        inputs=dict(snakemake.input.items()),
        study=snakemake.params["study"],
        benchmarks=snakemake.params["benchmarks"],
        criteria=snakemake.params["criteria"],
        groups=snakemake.params["groups"],
        made=snakemake.params["made"],
        config=snakemake.config,
        output=snakemake.output[0],
        log=snakemake.log[0],
    )
