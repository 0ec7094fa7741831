"""Reads one experiment, derives what its figure shows, writes the figure and that table."""

from typing import TYPE_CHECKING

import pandas as pd

from w2sg import runtime, tables
from w2sg.theory import schemas

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, figure: str, experiment: str, source: str, svg: str, png: str, table: str, recipe: int, log: str) -> None:
    with runtime.log_to(log):
        from matplotlib import pyplot as plt

        from w2sg.theory import acceptance, figure_tables, plots

        plt.style.use(plots.STYLE)
        frame = tables.read_table(source, schemas.schema_of(experiment))
        verdict = acceptance.verdict(pd.DataFrame(acceptance.judge(experiment, frame).rows), experiment)
        shown = figure_tables.figure_table(figure, frame)
        tables.write_table(shown, table, schemas.FIGURE, provenance={"recipe": recipe, "figure": figure})
        drawn = plots.plot_figure(figure, shown, verdict=verdict)
        with runtime.atomic_path(svg) as path:
            drawn.savefig(path, format="svg", metadata={"Date": None})
        with runtime.atomic_path(png) as path:
            drawn.savefig(path, format="png", metadata={"Software": None})


if __name__ == "__main__":
    main(
        figure=snakemake.wildcards["figure"],
        experiment=snakemake.params["experiment"],
        source=snakemake.input[0],
        svg=snakemake.output["svg"],
        png=snakemake.output["png"],
        table=snakemake.output["table"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
