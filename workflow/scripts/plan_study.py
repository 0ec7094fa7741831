"""Writes what the study will cost, as a table and as text, from its configuration and the committed rates."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.study.costs import PlannedStudy, cost_table, plan_text, read_models, read_rates
from w2sg.tables import schemas
from w2sg.tables.files import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, study: Mapping[str, Any], audits: Mapping[str, str], costs: str, rates: str, table: str, text: str, log: str
) -> None:
    with jobs.log_to(log):
        described = PlannedStudy(**study)
        listed = {model: read_table(path, schemas.AUDIT) for model, path in audits.items()}
        models = read_models(Path(costs), listed, described.repos)
        measured = read_rates(Path(rates))
        rows = cost_table(described, models, measured)
        with atomic_path(table) as path:
            rows.to_csv(path, sep="\t", index=False, float_format="%.6g")
        with atomic_path(text) as path:
            path.write_text(plan_text(described, models, rows, measured), encoding="utf-8")


if __name__ == "__main__":
    main(
        study=snakemake.params["study"],
        audits={Path(path).stem: path for path in snakemake.params["audits"]},
        log=snakemake.log[0],
        **snakemake.input,
        **snakemake.output,
    )
