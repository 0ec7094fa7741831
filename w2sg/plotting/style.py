"""Style, colours and labels of every figure, and how one is saved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
    "corrected": "#009E73", "spoiled": "#D55E00",
}  # fmt: skip
"""One colour per series (Okabe and Ito 2008), the same in every figure."""

SHAPES = {
    "w2s": "circle",
    "ceiling": "square",
    "probe": "triangle-up",
    "pair": "triangle-up",
    "text": "diamond",
    "loss": "circle",
    "corrected": "circle", "spoiled": "square",
}  # fmt: skip
"""Mark of a series in the words of Vega, so that series differ without colour; what has none is a line alone."""

DASHES: dict[str, tuple[float, ...]] = {
    "ceiling": (6, 2), "probe": (2, 1.5), "text": (6, 2), "permuted": (5, 1.5, 1, 1.5), "weak_on_weak": (5, 2), "chance": (1, 3),
    "onset": (3, 1), "spoiled": (6, 2),
    "floor:longer_response": (1, 2), "floor:tfidf": (4, 2), "floor:fewer_tokens": (6, 2, 1, 2), "floor:majority": (2, 4),
}  # fmt: skip
"""Lengths of dashes and gaps of a series, in widths of its line; what has none is drawn through."""

MARKERS = {"circle": "o", "square": "s", "triangle-up": "^", "diamond": "D"}
"""The marks in the words of matplotlib."""

LABELS = {
    "w2s": "W2SG (weak labels)", "ceiling": "ceiling (true labels)", "probe": "linear probe", "weak": "weak supervisor",
    "loss": "evaluation loss", "pair": "probe, split by pair", "text": "probe, split by text",
    "floor:longer_response": "floor: longer response", "floor:tfidf": "floor: TF-IDF", "floor:fewer_tokens": "floor: fewer tokens",
    "floor:majority": "floor: majority",
    "permuted": "student of permuted labels", "weak_on_weak": "weak on weak", "bits": "bits per byte",
    "chance": "chance", "onset": "onset, with its interval", "corrected": "corrected", "spoiled": "spoiled",
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
    figure.set_layout_engine("none")  # what was laid out stays: each kind would do it again
    for kind, target in paths.items():
        holder, changing = METADATA[kind]
        with atomic_path(target) as path:
            figure.savefig(path, format=kind, metadata={holder: text, changing: None})
    plt.close(figure)


def dash_style(series: str) -> Any:
    """Returns the line style of a series for matplotlib."""
    return (0, DASHES[series]) if series in DASHES else "-"


def marker_of(series: str) -> str:
    """Returns the mark of a series for matplotlib; an empty one where it is a line alone."""
    return MARKERS[SHAPES[series]] if series in SHAPES else ""


def bend_of(steps: Iterable[int]) -> float:
    """Returns the step around which an axis of steps bends: it is log(1 + step / bend), linear below and logarithmic above.

    A 128th of the last step, so that the many revisions at the very beginning do not take half of the axis; or the first step
    above zero, if that is later.
    """
    trained = [step for step in steps if step > 0]
    return max(1.0, min(trained), max(trained) / 128) if trained else 1.0


def step_ticks(steps: Iterable[int], most: int) -> list[int]:
    """Returns at most ``most`` of the steps to be written on their axis: the last one always, others where there is room."""
    listed = sorted(set(steps), reverse=True)
    if not listed:
        return []
    places = np.log1p(np.array(listed, dtype=float) / bend_of(listed))
    gap = max(places[0] / max(most - 1, 1), 1e-12)
    kept = [0]
    for place in range(1, len(listed)):
        if places[kept[-1]] - places[place] >= gap * (1 - 1e-9):
            kept.append(place)
    if kept[-1] != len(listed) - 1:  # the first one instead of its neighbour, if they are too near
        if len(kept) > 1 and places[kept[-1]] - places[-1] < gap / 2:
            kept.pop()
        kept.append(len(listed) - 1)
    return sorted(listed[place] for place in kept)[-most:]


def in_si(value: float, digits: int = 3) -> str:
    """Returns a count in the units of the SI, such as ``1.27 M``; a small one as it stands."""
    if not np.isfinite(value):
        return "?"
    for power, unit in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(float(f"{value:.{digits}g}")) >= 10**power:
            return f"{float(f'{value / 10**power:.{digits}g}'):g} {unit}"
    return f"{float(f'{value:.{digits}g}'):g}"


def spread(total: int, most: int) -> list[int]:
    """Returns at most ``most`` of the positions 0 to total - 1, evenly spread, both ends among them."""
    return sorted({round(place) for place in np.linspace(0, total - 1, min(total, most))})
