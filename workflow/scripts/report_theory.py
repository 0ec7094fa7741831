"""Fills the theory report with acceptance table, worked radii and figures; everything is inside one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg import runtime, tables
from w2sg.theory import schemas
from w2sg.theory.figures import FIGURES

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, acceptance: str, radii: str, figures: str, settings: Mapping[str, Any], output: str, log: str) -> None:
    with runtime.log_to(log):
        from w2sg.theory import report
        from w2sg.theory.acceptance import verdict

        judged = tables.read_table(acceptance, schemas.ACCEPTANCE)
        html = report.render(
            acceptance=judged,
            radii=tables.read_table(radii, schemas.RADII),
            figures={name: (Path(figures) / f"{name}.svg").read_text("utf-8") for name in FIGURES},
            verdicts={name: verdict(judged, item.experiment) for name, item in FIGURES.items()},
            settings=settings,
        )
        with runtime.atomic_path(output) as path:
            path.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    main(
        acceptance=snakemake.input["acceptance"],
        radii=snakemake.input["radii"],
        figures=snakemake.input["figures"],
        settings=snakemake.params["settings"],
        output=snakemake.output[0],
        log=snakemake.log[0],
    )
