"""Reads a dataset's pairs from its corpus, files or the Hub, checks them, writes them with their splits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from w2sg import corpora, pair_sources, preferences, runtime, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, name: str, spec: Mapping[str, Any], documents: str | None, output: str, recipe: int, log: str) -> None:
    with runtime.log_to(log) as lines:
        frame = tables.read_table(documents, corpora.DOCUMENTS) if documents else None
        checked = pair_sources.load_checked(spec, name=name, documents=frame)
        lines.writelines(f"{line}\n" for line in checked.lines())
        # File names are places on one machine, not part of the result.
        settings = {key: value for key, value in spec.items() if key not in ("file", "files")}
        counts = {
            "rows": checked.rows,
            "dropped": len(checked.dropped),
            "shared_prompts": checked.shared_prompts,
        }
        provenance = {"recipe": recipe, "dataset": name, "settings": settings, **counts}
        tables.write_table(checked.pairs, output, preferences.PAIRS, provenance=provenance)


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["dataset"],
        spec=snakemake.params["spec"],
        documents=snakemake.input.get("documents"),
        output=snakemake.output[0],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
