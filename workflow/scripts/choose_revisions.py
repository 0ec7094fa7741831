"""Reads what an adaptive family has measured so far; writes the table of its rounds with the revisions of the next one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg.revisions.audit import join_audits
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.study.lists.adaptive import Adaptive
from w2sg.study.rounds import Chosen
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table
from w2sg.trajectories import coverage
from w2sg.trajectories.adaptive.table import AdaptiveSweep, next_round, place_tables
from w2sg.trajectories.selection import headline_rows

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    heads: Sequence[str],
    audits: Sequence[str],
    losses: Sequence[str],
    output: str,
    chosen: Sequence[Sequence[Any]],
    sweep: Mapping[str, Any],
    confidence: float,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origins.trace("choose_revisions", made, [*heads, *audits, *losses], config=config)
        threadpool_limits(1)  # sums are formed in the same order on every machine
        described = AdaptiveSweep(**{**sweep, "rule": Adaptive(**sweep["rule"])})
        tables: dict[tuple[str, str], list[pd.DataFrame]] = {}
        for path in heads:  # a path ends in family/revision/dataset.parquet
            family, revision = Path(path).parts[-3:-1]
            table = read_table(path, schemas.RESULTS, where=headline_rows())
            tables.setdefault((family, revision), []).append(table)
        audit = join_audits(audits, losses, config["sweep"]["datasets"])
        frame = coverage.exclude_flagged(place_tables(tables, described), audit)
        found = next_round([Chosen(*row) for row in chosen], frame, described, confidence=confidence)
        with atomic_path(output) as path:
            found.to_csv(path, sep="\t", index=False, lineterminator="\n")


if __name__ == "__main__":
    main(
        heads=snakemake.input["heads"],
        audits=snakemake.input["audits"],
        losses=snakemake.input["losses"],
        output=snakemake.output[0],
        chosen=snakemake.params["chosen"],
        sweep=snakemake.params["sweep"],
        confidence=snakemake.params["confidence"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
