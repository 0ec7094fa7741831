"""Fills the theory report with acceptance table, worked radii and figures; everything is inside one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import origins
from w2sg.tables.files import read_table
from w2sg.tables.theory import ACCEPTANCE, RADII
from w2sg.theory.figures.catalogue import FIGURES

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    acceptance: str,
    radii: str,
    figures: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    output: str,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.theory import report

        html = report.render_theory(
            acceptance=read_table(acceptance, ACCEPTANCE),
            radii=read_table(radii, RADII),
            figures={name: (Path(figures) / f"{name}.svg").read_text("utf-8") for name in FIGURES},
            settings=config["theory"],
            origin=origins.trace("write_theory_report", made, [acceptance, radii], config=config),
        )
        with atomic_path(output) as path:
            path.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    main(
        acceptance=snakemake.input["acceptance"],
        radii=snakemake.input["radii"],
        figures=snakemake.input["figures"],
        made=snakemake.params["made"],
        config=snakemake.config,
        output=snakemake.output[0],
        log=snakemake.log[0],
    )
