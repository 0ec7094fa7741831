"""Reads a dataset's pairs, scores them without any language model, writes the floors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from w2sg import runtime, schemas, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, pairs: str, output: str, dataset: str, intervals: Mapping[str, Any], recipe: int, log: str) -> None:
    with runtime.log_to(log):
        from w2sg import floors
        from w2sg.preferences import PAIRS

        rows = floors.measure_floors(tables.read_table(pairs, PAIRS), intervals=intervals).assign(dataset=dataset)
        tables.write_table(
            rows,
            output,
            schemas.FLOORS,
            provenance={"recipe": recipe, "dataset": dataset, "metrics": dict(intervals)},
        )


if __name__ == "__main__":
    main(
        pairs=snakemake.input["pairs"],
        output=snakemake.output[0],
        dataset=snakemake.wildcards["dataset"],
        intervals=snakemake.params["metrics"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
