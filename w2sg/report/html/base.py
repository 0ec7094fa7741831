"""What all pages share: template, style, script, and tables whose decimals stand under each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

FOLDER = Path(__file__).parent
"""Folder of the templates; every value is escaped."""


SHORT = 32
"""Characters of a cell without blanks that is not broken."""

_NUMBER = re.compile(r"([+-]?\d[\d,]*)(\.\d+)?(?=$|[ *†%\[(;])( [kMGT]\b)?( [(\[][^)\]]*[)\]])?")
_DIGIT, _POINT = "\u2007", "\u2008"


def render_page(template: str, **values: Any) -> str:
    """Returns a page from one of the templates; values are escaped."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, loader=loader)
    environment.globals.update(aligned_rows=aligned_rows)
    return environment.get_template(f"{template}.html.j2").render(**values)


def aligned_rows(table: pd.DataFrame) -> list[list[tuple[str, bool]]]:
    """Returns the cells of a table as text, row by row, each with whether it stays on one line.

    Numbers of a column are filled up with spaces as wide as a digit, so that their decimal points stand under each other.
    """
    columns = [_aligned([str(cell) for cell in table.iloc[:, place]]) for place in range(table.shape[1])]
    return [list(row) for row in zip(*columns, strict=True)]


def _aligned(column: Iterable[str]) -> list[tuple[str, bool]]:
    found = [(cell, _NUMBER.match(cell)) for cell in column]
    whole = max((len(match[1]) for _, match in found if match), default=0)
    part = max((len(match[2] or "") for _, match in found if match), default=0)
    shown = []
    for cell, match in found:
        if match:
            missing = part - len(match[2] or "")
            tail = ((_POINT if not match[2] else "") + _DIGIT * (missing - (not match[2]))) if missing > 0 else ""
            number = match[1] + (match[2] or "") + (match[3] or "")
            kept = _DIGIT * (whole - len(match[1])) + number + tail + (match[4] or "")
            cell = kept.replace(" ", "\u00a0") + cell[match.end() :]
        shown.append((cell, " " not in cell and len(cell) <= SHORT))
    return shown
