"""Reads the long table and draws every figure of one family on one dataset, each with its plotted table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2sg.report import figure_tables
from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    inputs: Mapping[str, str],
    family: str,
    dataset: str,
    outputs: Mapping[str, Mapping[str, str]],
    groups: Mapping[str, Sequence[str]],
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        from matplotlib import pyplot as plt

        from w2sg.plotting import style
        from w2sg.report import plots
        from w2sg.trajectories import coverage
        from w2sg.trajectories.selection import shown_rows

        plt.style.use(style.STYLE)
        origin = origins.trace("plot_figures", made, inputs.values(), config=config)
        case, confidence = {"family": family, "dataset": dataset}, made["statistics.confidence"]
        frame = read_table(inputs["metrics"], schemas.METRICS, where=shown_rows(family))
        if made["audit"]["exclude"]:
            frame = coverage.exclude_flagged(frame, read_table(inputs["audit"], schemas.AUDIT))
        levels = read_table(inputs["floors"], schemas.FLOORS)
        for name, paths in outputs.items():
            shown = figure_tables.figure_table(name, frame, levels, **case, confidence=confidence)
            write_table(shown, paths["parquet"], schemas.FIGURE, provenance={**origin, "figure": name})
            figure = plots.plot_figure(name, shown, title=f"{family} on {dataset}", confidence=confidence)
            style.save_figure(figure, {kind: paths[kind] for kind in style.METADATA}, origin)


if __name__ == "__main__":
    main(
        inputs=dict(snakemake.input.items()),
        family=snakemake.wildcards["family"],
        dataset=snakemake.wildcards["dataset"],
        outputs={
            name: {kind: snakemake.output[kind][place] for kind in ("svg", "pdf", "png", "parquet")}
            for place, name in enumerate(snakemake.params["figures"])
        },
        groups=snakemake.params["groups"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
