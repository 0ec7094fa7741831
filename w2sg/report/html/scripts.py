"""What a page holds besides text: data and specifications of charts as JSON, and the library that draws them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pandas as pd
import vl_convert
from markupsafe import Markup

from w2sg.report.charts.rows import NUMBERS

VEGA_LITE = "6.4"
"""Version of Vega-Lite for which altair writes specifications."""


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
