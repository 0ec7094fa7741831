"""Fetches one Hub revision and leaves it ready on the scratch disk; the extraction deletes it (split mode)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    name: str,
    revision: str,
    model: Mapping[str, Any],
    ticket: str,
    config: Mapping[str, Any],
    log: str,
) -> None:
    # Waiting for a place is no work: if all that runs does so, the wait is given up.
    with jobs.log_to(log, working=False):
        from w2sg.revisions import access
        from w2sg.revisions.scratch import Store

        access.fetch_revision(model, revision, name=name, store=Store.of(config), ticket=Path(ticket))


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["model"],
        revision=snakemake.wildcards["revision"],
        model=snakemake.params["model"],
        ticket=snakemake.output["ticket"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
