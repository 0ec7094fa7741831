"""The theory report: acceptance table, worked radii and figures in one HTML file that opens without network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import jinja2
import pandas as pd
import yaml

from w2sg import __version__
from w2sg.tables.theory import tally
from w2sg.theory.figures.catalogue import FIGURES, caption_of

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="origin" content="{{ origin }}">
<title>Spiked-Gaussian theory of weak-to-strong generalization</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } img { max-width: 100%; }
table { border-collapse: collapse; font-size: .82rem; } th, td { padding: .2rem .6rem; text-align: right; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; } thead th { border-bottom: 2px solid #444; }
tbody tr:nth-child(even) { background: #f5f5f5; } .scroll { overflow-x: auto; } .no { color: #b00020; font-weight: 600; }
</style></head><body>
<h1>Spiked-Gaussian theory of weak-to-strong generalization</h1>
<p{% if "FAIL" in verdict %} class="no"{% endif %}>{{ verdict }}.</p>
<p>A statement of the theory is held to the paper: an order, a threshold, a bound that must be respected. Two computations agree where two
engines, or an engine and the limit equation, give the same number. A regression value is one that the paper does not state: it equals what
the design's own simulation or worked example gave, and shows that the code has not changed. The paper gives no numbers of its own to hold.
<a href="#acceptance">All of them</a>, <a href="#radii">worked radii</a>.</p>
{% for figure, caption, image, own in figures %}<h2>{{ figure.title }}</h2>
<img alt="{{ figure.title }}" src="data:image/svg+xml;base64,{{ image }}">
<p>{{ caption }} <em{% if "FAIL" in own %} class="no"{% endif %}>{{ own }}.</em></p>
{% endfor %}
<h2 id="radii">Worked radii of the effective region</h2>
<div class="scroll"><table><thead><tr>{% for name in radii.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in radii.values.tolist() %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
<h2 id="acceptance">All criteria</h2>
<div class="scroll"><table><thead><tr><th>section</th><th>experiment</th><th>criterion</th><th>kind</th><th>expected</th><th>measured</th>
<th>standard error</th><th>seeds</th><th>holds</th></tr></thead>
<tbody>{% for row in rows %}<tr><td>{{ row.section }}</td><td>{{ row.experiment }}</td><td>{{ row.criterion }}</td><td>{{ row.kind }}</td>
<td>{{ row.expected }}</td><td>{{ "%.4g"|format(row.measured) }}</td>
<td>{{ "" if row.standard_error != row.standard_error else "%.2g"|format(row.standard_error) }}</td><td>{{ row.seeds }}</td>
<td{% if not row.holds %} class="no"{% endif %}>{{ "yes" if row.holds else "NO" }}</td></tr>{% endfor %}</tbody></table></div>
<h2>Provenance</h2>
<p>w2sg {{ version }}. Tables: <code>results/nano/theory/</code>. Equations and readings: <code>docs/theory.md</code>.</p>
<pre>{{ settings }}</pre>
</body></html>
"""
"""Jinja template; every value is escaped."""


def render_theory(
    *,
    acceptance: pd.DataFrame,
    radii: pd.DataFrame,
    figures: Mapping[str, str],
    verdicts: Mapping[str, str],
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> str:
    """Returns the report's HTML.

    Args:
        acceptance: Table of ``tables.theory.ACCEPTANCE``.
        radii: Table of ``tables.theory.RADII``.
        figures: SVG text per figure name; embedded as images, so nothing inside them is executed.
        verdicts: Sentence on the criteria per figure name.
        settings: The part of the configuration that decides the numbers.
        origin: What the page says of its origin.
    """
    shown = [
        (figure, caption_of(name, settings), base64.b64encode(figures[name].encode()).decode(), verdicts[name])
        for name, figure in FIGURES.items()
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        verdict=tally(acceptance),
        rows=list(acceptance.itertuples()),
        radii=format_radii(radii),
        figures=shown,
        origin=json.dumps(origin, sort_keys=True),
        settings=yaml.safe_dump(dict(settings), sort_keys=False),
        version=__version__,
    )


def format_radii(radii: pd.DataFrame) -> pd.DataFrame:
    """Returns the worked radii as text, four digits, with an empty cell where kappa plays no part."""
    shown = radii.copy()
    for name in shown.columns[1:]:
        shown[name] = ["" if value != value else f"{value:.4g}" for value in radii[name]]
    return shown.rename(columns={"radius": "R", "r_conv": "R_conv", "r_drift": "R_drift"})
