"""The self-contained report: one HTML file that opens from disk without network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import jinja2
import pandas as pd
import yaml

from w2sg import __version__
from w2sg.summary import describe, format_summary

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>W2SG across pre-training: {{ study.study }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .85rem; } th, td { padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #444; }
tbody tr:nth-child(even) { background: #f5f5f5; } img { max-width: 100%; } pre { background: #f5f5f5; padding: 1rem; overflow: auto; }
.scroll { overflow-x: auto; } .no { color: #b00020; font-weight: 600; }
</style></head><body>
<h1>How does pre-training make weak-to-strong generalization possible?</h1>
<h2>Answer</h2>
<ul>{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
<h2>Summary</h2>
<div class="scroll"><table><thead><tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.values.tolist() %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
<p>Accuracies are means over head seeds on the test pairs, ties counting one half. <em>Late</em>, <em>gain</em>: mean over
the last four revisions; <em>onset</em>: most likely step from which the gain is positive, given that it is beyond sampling error, all
revisions tested together (interval in the sentences above);
<em>PGR</em>: share of the gap between supervisor and ceiling that is recovered at the last revision; <em>R²</em>: linear
fit of W2SG accuracy on the predictor over revisions.</p>
{% for title, image in figures.items() %}<h2>{{ title }}</h2>
<img alt="Trajectories of {{ title }}" src="data:image/svg+xml;base64,{{ image }}">{% endfor %}
{% if bands|length %}<h2>Acceptance bands of the embedded study</h2>
<div class="scroll"><table><thead><tr><th>criterion</th><th>family</th><th>heads</th><th>expected</th><th>measured</th><th>holds</th></tr></thead>
<tbody>{% for row in bands.itertuples() %}<tr><td>{{ row.criterion }}</td><td>{{ row.family }}</td><td>{{ row.protocol }}</td>
<td>{{ row.expected }}</td><td>{{ "%.3f"|format(row.measured) }}</td>
<td{% if not row.holds %} class="no"{% endif %}>{{ "yes" if row.holds else "no" }}</td></tr>{% endfor %}
</tbody></table></div>{% endif %}
{% if excluded|length %}<h2>Revisions with doubtful weights</h2>
<ul>{% for row in excluded.itertuples() %}<li>{{ row.model }} {{ row.revision }}: {{ row.reason }}
({{ "left out of everything above" if row.excluded else "kept: audit.exclude is off" }})</li>{% endfor %}</ul>{% endif %}
<h2>Provenance</h2>
<p>w2sg {{ version }}. All numbers: <code>results/tables/metrics.parquet</code>, <code>results/tables/floors.parquet</code>.</p>
<pre>{{ settings }}</pre>
</body></html>
"""
"""Jinja template; every value is escaped."""


def render(
    *,
    summary: pd.DataFrame,
    bands: pd.DataFrame,
    excluded: pd.DataFrame,
    figures: Mapping[str, str],
    study: Mapping[str, Any],
) -> str:
    """Returns the report's HTML.

    Args:
        summary: Table of :func:`w2sg.summary.summarize`.
        bands: Acceptance table, possibly empty.
        excluded: Flagged revisions with model, revision, reason and whether they were left out; possibly empty.
        figures: SVG text per title; they are embedded as images, so nothing inside them is executed.
        study: The part of the configuration that decides the numbers.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        study=study,
        sentences=describe(summary),
        table=format_summary(summary),
        bands=bands,
        excluded=excluded,
        figures={title: base64.b64encode(svg.encode()).decode() for title, svg in figures.items()},
        settings=yaml.safe_dump(dict(study), sort_keys=False),
        version=__version__,
    )
