"""Reads a dataset's pairs from its corpus, files or the Hub, checks them, writes them with their splits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2sg.data import sources
from w2sg.runtime import jobs
from w2sg.study.definitions import dataset_settings
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    name: str,
    spec: Mapping[str, Any],
    content: Sequence[str],
    documents: str | None,
    output: str,
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log) as lines:
        frame = read_table(documents, schemas.DOCUMENTS) if documents else None
        checked = sources.load_checked(spec, name=name, documents=frame)
        lines.writelines(f"{line}\n" for line in checked.lines())
        made = {f"datasets.{name}": dataset_settings(spec, content), "recipes.PAIRS": recipe}
        origin = origins.trace("fetch_pairs", made, [documents] if documents else [])
        counts = {"rows": checked.rows, "dropped": len(checked.dropped), "skipped": checked.skipped}
        counts |= {name: getattr(checked, name) for name in ("shared_prompts", "alike_prompts", "unchecked")}
        write_table(checked.pairs, output, schemas.PAIRS, provenance=origin | counts)


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["dataset"],
        documents=snakemake.input.get("documents"),
        output=snakemake.output[0],
        log=snakemake.log[0],
        **snakemake.params,
    )
