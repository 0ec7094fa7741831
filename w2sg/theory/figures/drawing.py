"""From a figure's name to the plotted table, the vector and the pixel image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from w2sg.plotting.style import STYLE, save_figure
from w2sg.tables.files import read_table, write_table
from w2sg.tables.theory import FIGURE
from w2sg.theory.experiments.catalogue import experiment_of
from w2sg.theory.experiments.run import schema_of
from w2sg.theory.figures import maps, plots, tables
from w2sg.theory.figures.catalogue import figure_of


def draw(figure: str, *, source: str, folder: str, origin: Mapping[str, Any]) -> None:
    """Writes ``<figure>.parquet``, ``.svg`` and ``.png``; equal input gives equal bytes.

    A function of a module, not of the script: worker processes import it by name. ``source`` is the file of the
    experiment's table; the folder is created.
    """
    plt.style.use(STYLE)
    place = Path(folder) / figure
    shown = theory_figure_table(figure, read_table(source, schema_of(figure_of(figure).experiment)))
    write_table(shown, place.with_suffix(".parquet"), FIGURE, provenance={**origin, "figure": figure})
    drawn = plot_theory_figure(figure, shown)
    save_figure(drawn, {kind: place.with_suffix(f".{kind}") for kind in ("svg", "png")}, origin)


def theory_figure_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Returns what a figure shows, in the columns of ``tables.theory.FIGURE``, from the table of its experiment.

    Raises:
        ValueError: On an unknown figure.
    """
    experiment = experiment_of(figure_of(name).experiment)
    return getattr(tables, f"table_{name}")(experiment, table).reset_index(drop=True)


def plot_theory_figure(name: str, table: pd.DataFrame) -> Figure:
    """Returns a figure from what it shows (``tables.theory.FIGURE``); its title and what it results in stand beside it.

    Raises:
        ValueError: On an unknown figure.
    """
    figure_of(name)
    return getattr(plots if hasattr(plots, name) else maps, name)(table)
