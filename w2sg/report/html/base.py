"""What all pages share: template, style, script, the chart library, and tables whose decimals stand under each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from w2sg.report.charts.rows import NUMBERS

FOLDER = Path(__file__).parent
"""Folder of the templates; every value is escaped."""

VEGA_LITE = "6.4"
"""Version of Vega-Lite for which altair writes specifications."""

_NUMBER = re.compile(r"([+-]?\d[\d,]*)(\.\d+)?(?=$|[ *†%\[(;])( [kMGT]\b)?( [(\[][^)\]]*[)\]])?")
_DIGIT, _POINT = "\u2007", "\u2008"


def render_page(template: str, **values: Any) -> str:
    """Returns a page from one of the templates; values are escaped."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, loader=loader)
    environment.globals.update(aligned_rows=aligned_rows, as_script=as_script, data_script=data_script)
    return environment.get_template(f"{template}.html.j2").render(**values)


def as_script(value: Any) -> Markup:
    """Returns a value as JSON that cannot end the script element it stands in."""
    return Markup(json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def data_script(rows: pd.DataFrame) -> Markup:
    """Returns rows as CSV with the types of their columns, as JSON: what charts draw and what a reader can save."""
    numeric = [name for name in NUMBERS if name in rows]
    short = rows.copy()
    for name in numeric:
        short[name] = [f"{value:.6g}" if value == value else "" for value in rows[name]]
    types = {name: "number" if name in numeric else "string" for name in rows}
    return as_script({"csv": short.to_csv(index=False), "types": types})


@lru_cache(maxsize=1)
def chart_library() -> Markup:
    """Returns Vega, Vega-Lite and Vega-Embed as one script that cannot end its own element."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
    return Markup(bundle.replace("</script", "<\\/script"))


def aligned_rows(table: pd.DataFrame) -> list[list[tuple[str, bool]]]:
    """Returns the cells of a table as text, row by row, each with whether it is a number.

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
        shown.append((cell, bool(match) or cell == "—"))
    return shown
