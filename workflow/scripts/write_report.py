"""Reads the study's tables and writes the report; everything is inside one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg import audit, runtime, schemas, stages, tables
from w2sg.theory import schemas as theory

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, inputs: Mapping[str, str], study: Mapping[str, Any], places: Mapping[str, str], output: str, log: str
) -> None:
    with runtime.log_to(log):
        from w2sg import report

        frame = tables.read_table(inputs["metrics"], schemas.METRICS)
        hashes = tables.read_table(inputs["audit"], schemas.AUDIT)
        criteria = Path(places["theory"])
        evidence = report.Evidence(
            metrics=audit.exclude_flagged(frame, hashes) if study["audit"]["exclude"] else frame,
            floors=tables.read_table(inputs["floors"], schemas.FLOORS),
            summary=pd.read_csv(inputs["summary"]),
            correlations=tables.read_table(inputs["correlations"], schemas.CORRELATIONS),
            transitions=tables.read_table(inputs["transitions"], schemas.TRANSITIONS),
            bands=pd.read_csv(inputs["acceptance"]),
            excluded=pd.read_csv(inputs["excluded"]),
            completeness=tables.read_table(inputs["completeness"], schemas.COMPLETENESS),
            stages=stages.stage_costs(places["benchmarks"]),
            theory=tables.read_table(criteria, theory.ACCEPTANCE) if criteria.exists() else None,
            study=study,
        )
        with runtime.atomic_path(output) as path:
            path.write_text(report.render(evidence), encoding="utf-8")


if __name__ == "__main__":
    main(
        inputs=dict(snakemake.input.items()),
        study=snakemake.params["study"],
        places=snakemake.params["places"],
        output=snakemake.output[0],
        log=snakemake.log[0],
    )
