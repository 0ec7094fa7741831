"""Reads all experiments, derives what each figure shows, writes the figures and those tables into one folder."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.tables import origins
from w2sg.theory.figures.catalogue import FIGURES

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    sources: Mapping[str, str],
    folder: str,
    threads: int,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
    figures: Sequence[str] = tuple(FIGURES),
) -> None:
    with jobs.log_to(log):
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        from w2sg.theory.figures.drawing import draw

        origin = origins.trace("plot_theory", made, list(sources.values()), config=config)
        of = {name: FIGURES[name].experiment for name in figures}
        # Processes, since matplotlib is not safe in threads; new ones, since a fork copies locks that other threads hold.
        with ProcessPoolExecutor(min(threads, len(of)), mp_context=get_context("spawn")) as pool:
            waiting = [
                pool.submit(
                    draw,
                    name,
                    source=sources[item],
                    folder=folder,
                    origin=origin,
                )
                for name, item in of.items()
            ]
            for drawn in waiting:
                drawn.result()


if __name__ == "__main__":
    main(
        sources=dict(zip(snakemake.params["experiments"], snakemake.input["experiments"], strict=True)),
        folder=snakemake.output[0],
        threads=snakemake.threads,
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
