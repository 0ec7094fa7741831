"""Joins a family's tables of all revisions with step and tokens, and writes them as one checked table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from w2sg.runtime import jobs
from w2sg.tables import schemas
from w2sg.tables.files import read_parts, write_parts
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
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        paths: dict[str, list[str]] = {}
        for path in (*heads, *losses):
            paths.setdefault(Path(path).parent.name, []).append(path)
        # A revision without tables is one that a partial study has not measured.
        revisions = ([read(path) for path in paths.get(revision["name"], [])] for revision in family["revisions"])
        parts = collect.join_family(family=family, revisions=revisions, weak=[read(path) for path in weak])
        write_parts(parts, output, schemas.METRICS, provenance={"recipe": recipe, "family": dict(family)})


def read(path: str) -> pa.Table:
    """Returns the rows of one revision's table."""
    return pa.concat_tables(read_parts(path, schemas.RESULTS))


if __name__ == "__main__":
    main(
        heads=snakemake.input["heads"],
        losses=snakemake.input["losses"],
        weak=snakemake.input["weak"],
        family=snakemake.params["family"],
        output=snakemake.output[0],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
