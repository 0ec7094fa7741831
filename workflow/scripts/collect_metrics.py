"""Joins the families into the long table and the datasets' floors into another; says which wanted revisions are missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pyarrow import compute

from w2sg.report.sentences import describe_missing
from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_arrow, read_table, write_table
from w2sg.trajectories import coverage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    families: Sequence[str],
    floors: Sequence[str],
    wanted: Mapping[str, Mapping[str, int]],
    datasets: Sequence[str],
    metrics: str,
    all_floors: str,
    completeness: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log) as lines:
        origin = origins.trace("collect_metrics", made, [*families, *floors], config=config)
        by_name = sorted(families, key=lambda path: Path(path).stem)  # in the order of the keys
        table = pa.concat_tables([read_arrow(path, schemas.METRICS) for path in by_name]).unify_dictionaries()
        write_table(table, metrics, schemas.METRICS, provenance=origin)
        keys = ["family", "dataset", "revision"]
        heads = table.select([*keys, "protocol", "head"]).filter(compute.field("head") == "w2s")
        measured = heads.group_by([*keys, "protocol"]).aggregate([])
        missing = coverage.completeness(measured.to_pandas(), wanted, datasets, config["students"]["kinds"])
        lines.writelines(f"{sentence}\n" for sentence in describe_missing(missing))
        write_table(missing, completeness, schemas.COMPLETENESS, provenance=origin)
        frame = pd.concat([read_table(path, schemas.FLOORS) for path in floors], ignore_index=True)
        write_table(frame, all_floors, schemas.FLOORS, provenance=origin)


if __name__ == "__main__":
    main(
        families=snakemake.input["families"],
        floors=snakemake.input["floors"],
        wanted=snakemake.params["wanted"],
        datasets=snakemake.params["datasets"],
        metrics=snakemake.output["metrics"],
        all_floors=snakemake.output["floors"],
        completeness=snakemake.output["completeness"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
