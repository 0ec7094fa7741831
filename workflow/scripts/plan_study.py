"""Prints what the study will cost, from its configuration and the committed rates, and leaves it as a table."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.command.planning import make_plan
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.study.costs import PlannedStudy
from w2sg.tables import schemas
from w2sg.tables.files import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    study: Mapping[str, Any],
    audits: Mapping[str, str],
    benchmarks: Mapping[str, Sequence[str]],
    costs: str,
    rates: str,
    table: str,
    log: str,
) -> None:
    with jobs.log_to(log):
        listed = {model: read_table(path, schemas.AUDIT) for model, path in audits.items()}
        described = PlannedStudy(**study)
        plan = make_plan(described, costs=Path(costs), rates=Path(rates), audits=listed, benchmarks=benchmarks)
        with atomic_path(table) as path:
            plan.table.to_csv(path, sep="\t", index=False, float_format="%.6g")
    sys.stdout.write(plan.text)


if __name__ == "__main__":
    main(
        study=snakemake.params["study"],
        audits={Path(path).stem: path for path in snakemake.params["audits"]},
        benchmarks=snakemake.params["benchmarks"],
        costs=snakemake.input["costs"],
        rates=snakemake.input["rates"],
        table=snakemake.params["table"],
        log=snakemake.log[0],
    )
