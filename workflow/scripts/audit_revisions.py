"""Asks the Hub for the weight hashes of every listed revision of a model, and compares them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.study.definitions import listing
from w2sg.tables import origins, schemas
from w2sg.tables.files import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    name: str,
    model: Mapping[str, Any],
    revisions: Sequence[str],
    source: str,
    kept: str,
    output: str,
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.revisions import audit, offline, published

        earlier = offline.read_answers(Path(kept), model["repo"])
        known = published.ask_hub(model["repo"], revisions, label=f"audit {name}", earlier=earlier)
        published.keep_answers(Path(kept), model["repo"], known, earlier=earlier)
        made = {f"models.{name}": dict(model), f"audited.{name}": listing(revisions), "recipes.AUDIT": recipe}
        origin = origins.trace("audit_revisions", made) | {"source": source}
        write_table(audit.audit_table(name, known), output, schemas.AUDIT, provenance=origin)


if __name__ == "__main__":
    main(name=snakemake.wildcards["model"], output=snakemake.output[0], log=snakemake.log[0], **snakemake.params)
