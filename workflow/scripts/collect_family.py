"""Joins a family's tables of all revisions with step and tokens, and writes them as one checked table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2sg import collect, runtime, schemas, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    heads: Sequence[str],
    losses: Sequence[str],
    weak: Sequence[str],
    family: Mapping[str, Any],
    output: str,
    recipe: int,
    log: str,
) -> None:
    with runtime.log_to(log):
        parts = {
            name: [tables.read_table(path, schemas.RESULTS) for path in paths]
            for name, paths in {"heads": heads, "losses": losses, "weak": weak}.items()
        }
        frame = collect.join_family(family=family, **parts)
        tables.write_table(frame, output, schemas.METRICS, provenance={"recipe": recipe, "family": dict(family)})


if __name__ == "__main__":
    main(
        heads=snakemake.input["heads"],
        losses=snakemake.input["losses"],
        weak=snakemake.input["weak"],
        family=snakemake.params["family"],
        output=snakemake.output[0],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
