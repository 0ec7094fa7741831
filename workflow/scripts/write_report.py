"""Fills the report's template with the summary, the acceptance bands and the figures; everything is inside one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg import report, runtime

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    summary: str,
    acceptance: str,
    excluded: str,
    figures: Sequence[str],
    study: Mapping[str, Any],
    output: str,
    log: str,
) -> None:
    with runtime.log_to(log):
        html = report.render(
            summary=pd.read_csv(summary),
            bands=pd.read_csv(acceptance),
            excluded=pd.read_csv(excluded),
            figures={
                f"{Path(path).parent.name} on {Path(path).stem}": Path(path).read_text("utf-8") for path in figures
            },
            study=study,
        )
        with runtime.atomic_path(output) as path:
            path.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    main(
        summary=snakemake.input["summary"],
        acceptance=snakemake.input["acceptance"],
        excluded=snakemake.input["excluded"],
        figures=snakemake.input["figures"],
        study=snakemake.params["study"],
        output=snakemake.output[0],
        log=snakemake.log[0],
    )
