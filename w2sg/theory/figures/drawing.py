"""Files of a figure: from an experiment's table to the plotted table, the vector and the pixel image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from w2sg.plotting.style import STYLE, save_figure
from w2sg.tables.files import read_table, write_table
from w2sg.tables.theory import FIGURE, schema_of
from w2sg.theory.figures import plots, tables
from w2sg.theory.figures.catalogue import FIGURES


def draw(figure: str, *, source: str, verdict: str, folder: str, origin: Mapping[str, Any]) -> None:
    """Writes ``<figure>.parquet``, ``.svg`` and ``.png``; equal input gives equal bytes.

    A function of a module, not of the script: worker processes import it by name.

    Args:
        figure: Name in ``FIGURES``.
        source: Table of its experiment.
        verdict: Sentence on the experiment's acceptance criteria, shown below the figure.
        folder: Receives the files; created.
        origin: What the files say of their origin.
    """
    plt.style.use(STYLE)
    place = Path(folder) / figure
    shown = tables.theory_figure_table(figure, read_table(source, schema_of(FIGURES[figure].experiment)))
    write_table(shown, place.with_suffix(".parquet"), FIGURE, provenance={**origin, "figure": figure})
    drawn = plots.plot_theory_figure(figure, shown, verdict=verdict)
    save_figure(drawn, {kind: place.with_suffix(f".{kind}") for kind in ("svg", "png")}, origin)
