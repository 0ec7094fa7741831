"""Writes what the study will cost, as a table and as text, from its configuration and the committed rates."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg import plan, runtime, schemas, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, study: Mapping[str, Any], audits: Mapping[str, str], costs: str, rates: str, table: str, text: str, log: str
) -> None:
    with runtime.log_to(log):
        described = plan.Study(**study)
        listed = {model: tables.read_table(path, schemas.AUDIT) for model, path in audits.items()}
        models = plan.read_models(Path(costs), listed, described.repos)
        measured = plan.read_rates(Path(rates))
        rows = plan.cost_table(described, models, measured)
        with runtime.atomic_path(table) as path:
            rows.to_csv(path, sep="\t", index=False, float_format="%.6g")
        with runtime.atomic_path(text) as path:
            path.write_text(plan.as_text(described, models, rows, measured), encoding="utf-8")


if __name__ == "__main__":
    main(
        study=snakemake.params["study"],
        audits={Path(path).stem: path for path in snakemake.params["audits"]},
        costs=snakemake.input["costs"],
        rates=snakemake.input["rates"],
        table=snakemake.output["table"],
        text=snakemake.output["text"],
        log=snakemake.log[0],
    )
