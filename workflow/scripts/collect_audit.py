"""Joins the audits of the study's models; revisions that are not on the Hub are compared by what was extracted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.revisions import audit
from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    audits: Sequence[str],
    losses: Sequence[str],
    revisions: Mapping[str, Sequence[str]],
    output: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("collect_audit", made, [*audits, *losses], config=config)
        frames = [schemas.AUDIT.fields.empty_table().to_pandas()]  # of a partial study there may be no other
        frames += [read_table(path, schemas.AUDIT) for path in audits]
        measured = [read_table(path, schemas.RESULTS) for path in losses]
        frames += audit.audit_measured(measured, revisions)
        readings = {
            Path(path).parts[-3:-1]: origins.read_reading(path, config["sweep"]["datasets"]) for path in losses
        }  # by model and revision
        frame = audit.compare_readings(pd.concat(frames, ignore_index=True), readings)
        write_table(frame, output, schemas.AUDIT, provenance=origin)


if __name__ == "__main__":
    main(
        output=snakemake.output[0],
        config=snakemake.config,
        log=snakemake.log[0],
        **snakemake.input,
        **snakemake.params,
    )
