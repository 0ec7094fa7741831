"""Files of a figure: from an experiment's table to the plotted table, the vector and the pixel image."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt

from w2sg.plots import STYLE, save_figure
from w2sg.tables import read_table, write_table
from w2sg.theory import figure_tables, plots, schemas
from w2sg.theory.figures import FIGURES


def draw(figure: str, *, source: str, verdict: str, folder: str, recipe: int) -> None:
    """Writes ``<figure>.parquet``, ``.svg`` and ``.png``; equal input gives equal bytes.

    A function of a module, not of the script: worker processes import it by name.

    Args:
        figure: Name in ``FIGURES``.
        source: Table of its experiment.
        verdict: Sentence on the experiment's acceptance criteria, shown below the figure.
        folder: Receives the files; created.
        recipe: Version of the numerical recipe.
    """
    plt.style.use(STYLE)
    place = Path(folder) / figure
    shown = figure_tables.figure_table(figure, read_table(source, schemas.schema_of(FIGURES[figure].experiment)))
    write_table(shown, place.with_suffix(".parquet"), schemas.FIGURE, provenance={"recipe": recipe, "figure": figure})
    drawn = plots.plot_figure(figure, shown, verdict=verdict)
    save_figure(drawn, {kind: place.with_suffix(f".{kind}") for kind in ("svg", "png")})
