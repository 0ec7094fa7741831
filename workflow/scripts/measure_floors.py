"""Reads a dataset's pairs, scores them without any language model, writes the floors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, pairs: str, output: str, dataset: str, intervals: Mapping[str, Any], recipe: int, log: str) -> None:
    with jobs.log_to(log):
        from w2sg.measures import floors
        from w2sg.study.sections import Intervals

        section = Intervals.model_validate(intervals)
        rows = floors.measure_floors(read_table(pairs, schemas.PAIRS), intervals=section).assign(dataset=dataset)
        origin = origins.trace("measure_floors", {"intervals": dict(intervals), "recipes.FLOORS": recipe}, [pairs])
        write_table(rows, output, schemas.FLOORS, provenance=origin)


if __name__ == "__main__":
    main(
        output=snakemake.output[0],
        dataset=snakemake.wildcards["dataset"],
        log=snakemake.log[0],
        **snakemake.input,
        **snakemake.params,
    )
