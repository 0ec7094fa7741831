"""Reads the long table, draws one family on one dataset, and writes the figure with its plotted table."""

from typing import TYPE_CHECKING

import pandas as pd

from w2sg import runtime, schemas, summary, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    metrics: str,
    floors: str,
    family: str,
    dataset: str,
    svg: str,
    png: str,
    table: str,
    recipe: int,
    log: str,
) -> None:
    with runtime.log_to(log):
        from matplotlib import pyplot as plt

        from w2sg import plots

        plt.style.use(plots.STYLE)
        frame = tables.read_table(metrics, schemas.METRICS)
        levels = tables.read_table(floors, schemas.FLOORS)
        parts = [
            summary.trajectory(frame, family=family, dataset=dataset, protocol=protocol).table.assign(protocol=protocol)
            for protocol in summary.SETTINGS
        ]
        plotted = pd.concat(parts, ignore_index=True).assign(family=family, dataset=dataset)
        lines = levels[(levels["dataset"] == dataset) & (levels["metric"] == "accuracy")]
        figure = plots.plot_trajectory(plotted, lines, title=f"{family} on {dataset}")
        with runtime.atomic_path(svg) as path:
            figure.savefig(path, format="svg", metadata={"Date": None})
        with runtime.atomic_path(png) as path:
            figure.savefig(path, format="png", metadata={"Software": None})
        tables.write_table(plotted, table, summary.TRAJECTORY, provenance={"recipe": recipe})


if __name__ == "__main__":
    main(
        metrics=snakemake.input["metrics"],
        floors=snakemake.input["floors"],
        family=snakemake.wildcards["family"],
        dataset=snakemake.wildcards["dataset"],
        svg=snakemake.output["svg"],
        png=snakemake.output["png"],
        table=snakemake.output["table"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
