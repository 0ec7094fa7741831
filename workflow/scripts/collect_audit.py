"""Joins the audits of the study's models; revisions that are not on the Hub are compared by what was extracted."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2sg.revisions.audit import join_audits
from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    audits: Sequence[str],
    losses: Sequence[str],
    output: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("collect_audit", made, [*audits, *losses], config=config)
        frame = join_audits(audits, losses, config["sweep"]["datasets"])
        write_table(frame, output, schemas.AUDIT, provenance=origin)


if __name__ == "__main__":
    main(
        output=snakemake.output[0],
        config=snakemake.config,
        log=snakemake.log[0],
        **snakemake.input,
        **snakemake.params,
    )
