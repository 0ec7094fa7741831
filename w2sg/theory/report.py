"""The theory report as an article in one HTML file that opens without network: a result and a figure each, worked radii, all criteria."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import yaml

from w2sg import __version__
from w2sg.report.html.base import render_page
from w2sg.tables.theory import tally
from w2sg.theory.figures.catalogue import FIGURES, caption_of

SYMBOLS = {
    "kappa": ("κ", ""), "lam": ("λ", ""), "eta": ("η", ""), "alpha": ("α", ""), "mu": ("μ", ""), "eps": ("ε", ""), "nu": ("ν", ""),
    "gamma": ("γ", ""), "theta": ("θ", ""), "c_w": ("c", "w"), "D_w": ("D", "w"), "D_T": ("D", "T"), "theta_w": ("θ", "w"), "m0": ("m", "0"),
    "he3": ("He", "3"), "c_sig": ("c", "σ"), "R_conv": ("R", "conv"), "R_drift": ("R", "drift"), "c1": ("C", "1"), "c2": ("C", "2"), "c3": ("C", "3"),
    "l1": ("L", "1"), "l2": ("L", "2"),
}  # fmt: skip
"""Names in texts, as a letter with its index."""

_NAMES = "|".join(sorted(SYMBOLS, key=len, reverse=True))
_LETTERS = r"(?P<letter>[dBTNDR])(?= ?[=<>≤≥²/(]| at | to )"
_FOUND = re.compile(rf"(?<![\w.])(?:(?P<name>{_NAMES})|sqrt\((?P<root>[^)]*)\)|sqrt (?P<of>[d2])|{_LETTERS})(?!\w)")

STATED = 4
"""Statements of the theory that a result names; more are counted."""


def symbols(text: str) -> Iterator[dict[str, Any]]:
    """Yields the pieces of a text: ``text`` as it stands, or a symbol as ``base`` with its index ``low`` or under a root."""
    for plain, sign in {"<=": "≤", ">=": "≥", "+-": "±", "^2": "²"}.items():
        text = text.replace(plain, sign)
    end = 0
    for match in _FOUND.finditer(text):
        if match.start() > end:
            yield {"text": text[end : match.start()]}
        root = match["root"] or match["of"]
        base, low = SYMBOLS.get(match["name"] or "", (root or match["letter"], ""))
        yield {"base": base, "low": low, "root": bool(root)}
        end = match.end()
    if end < len(text):
        yield {"text": text[end:]}


def render_theory(
    *,
    acceptance: pd.DataFrame,
    radii: pd.DataFrame,
    figures: Mapping[str, str],
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> str:
    """Returns the report's HTML.

    Args:
        acceptance: Table of ``tables.theory.ACCEPTANCE``.
        radii: Table of ``tables.theory.RADII``.
        figures: SVG text per figure name; embedded as images, so nothing inside them is executed.
        settings: The part of the configuration that decides the numbers.
        origin: What the page says of its origin.
    """
    shown = []
    for name, figure in FIGURES.items():
        own = acceptance[acceptance["experiment"] == figure.experiment]
        image = base64.b64encode(figures[name].encode()).decode()
        told = {
            "result": describe_result(own),
            "failed": bool((~own["holds"]).any()),
            "caption": caption_of(name, settings),
        }
        shown.append({"name": name, "title": figure.title, "image": image, **told})
    parts = sorted(
        acceptance.groupby("section"), key=lambda part: [(len(item), item) for item in str(part[0]).split(".")]
    )
    return render_page(
        "theory",
        verdict=tally(acceptance),
        figures=shown,
        radii=format_radii(radii),
        failed=list(acceptance[~acceptance["holds"]].itertuples()),
        sections=[(section, list(rows.itertuples()), int(rows["holds"].sum())) for section, rows in parts],
        symbols=symbols,
        library="",
        origin=json.dumps(origin, sort_keys=True),
        settings=yaml.safe_dump(dict(settings), sort_keys=False),
        version=__version__,
    )


def describe_result(acceptance: pd.DataFrame) -> str:
    """Returns the result of an experiment in words: how many of its criteria hold, those that fail, and what the theory states with its numbers."""
    if acceptance.empty:
        return "No criterion was judged."
    stated = acceptance[acceptance["kind"] == "theory"].sort_values("holds", kind="stable")
    named = [
        f"{row.criterion}: {row.measured:.3g} (expected {row.expected})" for row in stated.head(STATED).itertuples()
    ]
    more = f"; and {len(stated) - STATED} more" if len(stated) > STATED else ""
    numbers = f" In numbers: {'; '.join(named)}{more}." if named else ""
    return f"{tally(acceptance)}.{numbers}"


def format_radii(radii: pd.DataFrame) -> pd.DataFrame:
    """Returns the worked radii as text, four digits, with an empty cell where kappa plays no part."""
    shown = radii.copy()
    for name in shown.columns[1:]:
        shown[name] = ["" if value != value else f"{value:.4g}" for value in radii[name]]
    return shown.rename(columns={"radius": "R", "r_conv": "R_conv", "r_drift": "R_drift"})
