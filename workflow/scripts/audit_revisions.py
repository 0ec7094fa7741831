"""Asks the Hub for weight hashes, configuration and tokenizer of every listed revision of a model, and compares them."""

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
    places: Mapping[str, Mapping[str, str]],
    source: str,
    kept: str,
    config: Mapping[str, Any],
    output: str,
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.revisions import audit, offline, published
        from w2sg.revisions.facts.comparison import wanted_layers

        earlier = offline.read_answers(Path(kept), model["repo"])
        label = f"audit {name}"
        options = {"label": label, "places": places, "tokenizer": model.get("tokenizer", ""), "earlier": earlier}
        known = published.ask_hub(model["repo"], revisions, **options)
        published.keep_answers(Path(kept), model["repo"], known, earlier=earlier)
        table = audit.audit_table(name, known)
        audit.warn_of(table, known, layers=wanted_layers(name, config), config=config)
        made = {f"models.{name}": dict(model), f"audited.{name}": listing(revisions), "recipes.AUDIT": recipe}
        origin = origins.trace("audit_revisions", made) | {"source": source}
        write_table(table, output, schemas.AUDIT, provenance=origin)


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["model"],
        # For warnings: what one study wants is no reason to ask the Hub again.
        config=snakemake.config,
        output=snakemake.output[0],
        log=snakemake.log[0],
        **snakemake.params,
    )
