"""Joins a family's tables of all revisions with step and tokens, and writes them as one checked table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_arrow, write_table
from w2sg.trajectories import collect

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    heads: Sequence[str],
    losses: Sequence[str],
    weak: Sequence[str],
    family: Mapping[str, Any],
    output: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("collect_family", made, [*heads, *losses, *weak], config=config)
        revisions: dict[str, list[pa.Table]] = {}
        for path in (*heads, *losses):
            revisions.setdefault(Path(path).parent.name, []).append(read_arrow(path, schemas.RESULTS))
        supervisor = [read_arrow(path, schemas.RESULTS) for path in weak]
        table = collect.join_family(family=family, revisions=revisions, weak=supervisor)
        write_table(table, output, schemas.METRICS, provenance=origin)


if __name__ == "__main__":
    main(
        heads=snakemake.input["heads"],
        losses=snakemake.input["losses"],
        weak=snakemake.input["weak"],
        family=snakemake.params["family"],
        output=snakemake.output[0],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
