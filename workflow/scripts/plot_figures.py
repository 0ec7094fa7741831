"""Reads the long table and draws figures of one family, or of all seeds of one, on one dataset, each with its plotted table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.report import figure_tables
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
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
    coverage: str,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        from matplotlib import pyplot as plt

        from w2sg.plotting import style
        from w2sg.report import plots
        from w2sg.trajectories.coverage import exclude_flagged
        from w2sg.trajectories.selection import shown_rows
        from w2sg.trajectories.summary import read_summary

        plt.style.use(style.STYLE)
        read = [path for path in inputs.values() if not path.endswith(".csv")]  # whose origin stands in summary.json
        origin = origins.trace("plot_figures", made, read, config=config)
        members = groups.get(family, [family])
        tables = [read_table(inputs["metrics"], schemas.METRICS, where=shown_rows(name)) for name in members]
        frame = pd.concat(tables, ignore_index=True)
        if made["audit"]["exclude"]:
            frame = exclude_flagged(frame, read_table(inputs["audit"], schemas.AUDIT))
        given: dict[str, Any] = {
            "metrics": frame,
            "floors": read_table(inputs["floors"], schemas.FLOORS),
            "dataset": dataset,
        }
        summary = read_summary(inputs["summary"])
        for name, paths in outputs.items():
            given["concluded"] = figure_tables.conclusion_rows(name, summary, family=family, dataset=dataset)
            if family in groups:
                shown = figure_tables.group_table(name, members=members, **given)
            else:
                shown = figure_tables.figure_table(name, family=family, **given)
            write_table(shown, paths["parquet"], schemas.FIGURE, provenance={**origin, "figure": name})
            figure = plots.plot_figure(name, shown)
            style.save_figure(figure, {kind: paths[kind] for kind in style.METADATA}, origin)
            with atomic_path(paths["caption"]) as path:
                path.write_text(
                    figure_tables.caption(name, shown, family=family, dataset=dataset, coverage=coverage),
                    encoding="utf-8",
                )


if __name__ == "__main__":
    main(
        inputs=dict(snakemake.input.items()),
        family=snakemake.wildcards["family"],
        dataset=snakemake.wildcards["dataset"],
        outputs={
            name: {kind: snakemake.output[kind][place] for kind in ("svg", "pdf", "png", "parquet", "caption")}
            for place, name in enumerate(snakemake.params["figures"])
        },
        groups=snakemake.params["groups"],
        coverage=snakemake.params["coverage"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
