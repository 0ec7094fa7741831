"""Joins what extractions say of the texts that they read: an example with its token ids, and what was cut."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.runtime import jobs
from w2sg.tables import origins
from w2sg.tables.files import write_table
from w2sg.tables.reading import READINGS

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    losses: Sequence[str],
    datasets: Sequence[str],
    output: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("collect_readings", made, losses, config=config)
        rows = []
        for path in losses:
            model, revision = Path(path).parts[-3:-1]
            read = origins.read_reading(path, datasets)
            for dataset, facts in read["texts"].items():
                ends = {name: " ".join(map(str, facts[name])) for name in ("first_ids", "last_ids")}
                keys = {"model": model, "revision": revision, "dataset": dataset, "tokenizer": read["tokenizer"]}
                rows.append({**facts, **ends, **keys})
        write_table(pd.DataFrame(rows, columns=READINGS.fields.names), output, READINGS, provenance=origin)


if __name__ == "__main__":
    main(
        output=snakemake.output[0], config=snakemake.config, log=snakemake.log[0], **snakemake.input, **snakemake.params
    )
