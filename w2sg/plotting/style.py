"""Style, colours and labels of every figure, and how one is saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from w2sg.runtime.files import atomic_path

STYLE = Path(__file__).with_name("paper.mplstyle")
"""The style file of every figure."""

COLOURS = {
    "w2s": "#0072B2", "ceiling": "#009E73", "probe": "#CC79A7", "weak": "#D55E00", "loss": "#444444", "pair": "#CC79A7",
    "text": "#E69F00", "permuted": "#56B4E9", "weak_on_weak": "#D55E00",
}  # fmt: skip
"""One colour per series (Okabe and Ito 2008), the same in every figure."""

LABELS = {
    "w2s": "W2SG (weak labels)", "ceiling": "ceiling (true labels)", "probe": "linear probe", "weak": "weak supervisor",
    "loss": "evaluation loss", "pair": "probe, split by pair", "text": "probe, split by text",
    "floor:longer_response": "floor: longer response", "floor:tfidf": "floor: TF-IDF", "floor:fewer_tokens": "floor: fewer tokens",
    "floor:majority": "floor: majority",
    "permuted": "student of permuted labels", "weak_on_weak": "weak on weak", "bits": "bits per byte",
}  # fmt: skip
"""Legend text of the series."""

STEP_COLOURS = "cividis"
"""Colour map of ordered values; read alike by all kinds of colour vision."""

MARKED = 60
"""Up to this many revisions each one gets a marker."""

METADATA = {"svg": ("Description", "Date"), "pdf": ("Subject", "CreationDate"), "png": ("Description", "Software")}
"""Kinds of files that a figure is written as: the entry that holds its origin, and the one that differs from day to day."""


def save_figure(figure: Figure, paths: Mapping[str, str | Path], origin: Mapping[str, Any]) -> None:
    """Writes a figure with its origin and without dates, so that equal input gives equal bytes, and closes it.

    To a path per kind (``svg``, ``pdf``, ``png``), all with one layout; the origin holds what JSON can.
    """
    text = json.dumps(origin, sort_keys=True)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what was laid out stays: each kind would do it anew
    for kind, target in paths.items():
        holder, changing = METADATA[kind]
        with atomic_path(target) as path:
            figure.savefig(path, format=kind, metadata={holder: text, changing: None})
    plt.close(figure)


def spread(total: int, most: int) -> list[int]:
    """Returns at most ``most`` of the positions 0 to total - 1, evenly spread, both ends among them."""
    return sorted({round(place) for place in np.linspace(0, total - 1, min(total, most))})
