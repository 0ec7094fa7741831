"""The self-contained report: one HTML file with interactive charts that opens from disk without network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from w2sg import __version__
from w2sg.report import cells, controls
from w2sg.report.catalogue import as_percent
from w2sg.report.charts import marks, overview, panels
from w2sg.report.charts import rows as charts
from w2sg.report.html.base import render_page
from w2sg.report.html.head import dataset_facts, family_facts, reading_table
from w2sg.report.html.scripts import as_script, chart_library, data_script
from w2sg.report.sentences import answer, describe_doubts, describe_missing, short_answer
from w2sg.runtime import provenance
from w2sg.tables.theory import tally
from w2sg.trajectories.selection import case_rows, trained_layers


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that the report shows."""

    metrics: pd.DataFrame
    """The long table, schema METRICS, without the revisions left out."""
    floors: pd.DataFrame
    """Schema FLOORS."""
    summary: pd.DataFrame
    """The table of conclusions, :func:`w2sg.trajectories.summary.summarize`."""
    correlations: pd.DataFrame
    """Schema CORRELATIONS."""
    transitions: pd.DataFrame
    """Schema TRANSITIONS."""
    bands: pd.DataFrame
    """Acceptance table of the embedded study, possibly empty."""
    excluded: pd.DataFrame
    """Flagged revisions with model, revision, reason and whether they were left out; possibly empty."""
    completeness: pd.DataFrame
    """Schema COMPLETENESS."""
    stages: pd.DataFrame
    """Table of :func:`w2sg.report.page.stage_costs`, possibly empty."""
    readings: pd.DataFrame
    """Schema READINGS; possibly empty."""
    theory: pd.DataFrame | None
    """Acceptance of the synthetic branch, schema ACCEPTANCE; None where it was not run."""
    study: Mapping[str, Any]
    """The part of the configuration that decides the numbers."""
    transfer: pd.DataFrame | None = None
    """Rows of METRICS of heads on the pairs of datasets that they did not learn from; None or empty where there is one dataset."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Families of several pre-training seeds with the family of each."""
    agreement: pd.DataFrame | None = None
    """Schema AGREEMENT: which pairs students correct; None or empty where predictions were not compared."""
    origin: Mapping[str, Any]
    """What the page says of its origin: :func:`w2sg.runtime.provenance.origin`, with the configuration."""
    date: str = ""
    """Day on which the report is written, as 2026-01-31; empty: none is shown."""


def render(evidence: Evidence) -> str:
    """Returns the report's HTML; equal evidence gives an equal page."""
    parts = _answer(evidence) | _plots(evidence) | _tables(evidence) | _origin(evidence)
    return render_page("page", **parts, contents=_contents(parts), as_script=as_script, data_script=data_script)


CONTENTS = {
    "answer": "Answer", "overview": "All cases", "trajectories": "Trajectories", "prediction": "Prediction", "controls": "Controls",
    "transfer": "Transfer", "transitions": "Onset", "theory": "Theory", "readings": "Texts", "provenance": "Provenance",
}  # fmt: skip
"""Sections by their ids."""


def _contents(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = {"overview": parts["overview"], "trajectories": parts["charts"]}
    shown |= {name: parts[name] is not None for name in ("transfer", "theory", "readings")}
    return [(name, title) for name, title in CONTENTS.items() if shown.get(name, True)]


def _answer(evidence: Evidence) -> dict[str, Any]:
    return {
        "missing": describe_missing(evidence.completeness),
        "short": [*short_answer(evidence.summary), *controls.describe_floors(evidence.summary, evidence.floors)],
        "answer": answer(evidence.summary),
        "excluded": describe_doubts(evidence.excluded),
    }


def _plots(evidence: Evidence) -> dict[str, Any]:
    shown, pooled, layers = [], [], {}
    metrics, tables = evidence.metrics, {"transitions": evidence.transitions, "agreement": evidence.agreement}
    keys = metrics.loc[metrics["head"] == "w2s", ["family", "dataset"]].drop_duplicates()
    for family, dataset in keys.sort_values(["family", "dataset"]).itertuples(index=False, name=None):
        title, where = f"{family} on {dataset}", {"family": family, "dataset": dataset}
        rows = charts.chart_rows(metrics, evidence.floors, **where, **tables)
        drawn = panels.case_charts(rows, corpus=evidence.study["evaluation"]["corpus"], title=title)
        name = f"{family}-{dataset}"
        shown.append({"title": title, "name": name, "rows": rows, "menus": marks.menus(rows), "charts": drawn})
        layers[title] = trained_layers(case_rows(metrics, **where))
    for family, members in evidence.groups.items():
        counts = keys.loc[keys["family"].isin(members), "dataset"].value_counts(sort=False)
        pooled += [f"{family} on {name}, {count} pre-training seeds" for name, count in counts.items() if count > 1]
    over: dict[str, Any] = {"overview": [], "overview_rows": None, "overview_key": []}
    if shown:
        rows, lines = charts.overview_rows(metrics, evidence.summary, evidence.groups)
        over = {"overview": overview.overview_charts(rows, lines), "overview_rows": rows}
        over |= {"overview_key": overview.line_looks(lines)}
    error_rows, errors = overview.error_charts(evidence.summary)
    return {
        "charts": shown,
        "pooled": pooled,
        "errors": errors,
        "error_rows": error_rows,
        "layers_note": charts.describe_thinning(layers),
        "library": chart_library(),
        **over,
    }


def _tables(evidence: Evidence) -> dict[str, Any]:
    shown = {
        "summary": cells.format_summary(evidence.summary),
        "summary_note": f"{cells.SUMMARY_NOTE} {cells.marks(evidence.summary)}",
        "conclusions": cells.format_conclusions(evidence.summary),
        "controls": controls.control_table(evidence.metrics, evidence.floors),
        "twin": bool((evidence.metrics["step"] == 0).any()),
        "readings": reading_table(evidence.readings) if len(evidence.readings) else None,
        "transfer": controls.transfer_table(evidence.transfer) if evidence.transfer is not None else None,
        "agreement": controls.agreement_table(evidence.agreement) if evidence.agreement is not None else None,
        "correlations": cells.format_correlations(evidence.correlations),
        "transitions": cells.format_transitions(evidence.transitions),
        "bands": cells.format_bands(evidence.bands) if len(evidence.bands) else None,
        "stages": cells.format_stages(evidence.stages) if len(evidence.stages) else None,
    }
    theory = evidence.theory
    if theory is None:
        return shown | {"theory": None}
    return shown | {"theory": cells.format_theory(theory), "theory_verdict": f"{tally(theory)}."}


def _origin(evidence: Evidence) -> dict[str, Any]:
    found, computing = evidence.origin["versions"], ("extract_activations", "train_heads")
    config = json.loads(evidence.origin["config"])
    weights = evidence.metrics[["model", "revision", "step", "commit"]].drop_duplicates()
    return {
        "study": evidence.study,
        "settings": yaml.safe_dump(dict(evidence.study), sort_keys=False),
        "coverage": {name: as_percent(evidence.study[name]["confidence"]) for name in ("intervals", "statistics")},
        "families": family_facts(config, evidence.metrics),
        "datasets": list(dataset_facts(config, evidence.metrics)),
        "version": __version__,
        "date": evidence.date,
        "origin": json.dumps(evidence.origin, sort_keys=True),
        "code": evidence.origin["code"],
        "digest": evidence.origin["config_sha256"],
        "made_with": [_libraries(stage, found[stage]) for stage in computing if stage in found],
        "mixed": provenance.mixtures(found),
        "versions": provenance.versions(),
        "weights": weights.sort_values(["model", "step"]).astype(str),
    }


def _libraries(stage: str, versions: Mapping[str, Sequence[str]]) -> str:
    return f"{stage}: " + ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in sorted(versions.items()))


def stage_costs(files: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Returns one row per stage whose jobs were measured, the longest first.

    Args:
        files: Per stage the files that Snakemake's ``benchmark`` writes for its jobs; missing ones are left out.

    Returns:
        Columns stage, jobs, wall-clock ``hours`` and ``cpu_hours`` summed over jobs, ``peak_gb`` of the largest one; what
        Snakemake could not measure, because a job was too short, counts as 0.

    Raises:
        ValueError: If a file is not a benchmark file.
    """
    rows = []
    for stage, path in ((stage, path) for stage, paths in files.items() for path in paths if Path(path).exists()):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if not {"s", "cpu_time", "max_rss"} <= set(table):
            raise ValueError(
                f"{path}: expected the columns s, cpu_time and max_rss of a benchmark, found {list(table)}"
            )
        last = table.fillna(0).iloc[-1]
        rows.append((stage, last["s"] / 3600, last["cpu_time"] / 3600, last["max_rss"] / 1024))
    jobs = pd.DataFrame(rows, columns=["stage", "hours", "cpu_hours", "peak_gb"])
    grouped = jobs.groupby("stage", as_index=False).agg(
        jobs=("hours", "size"), hours=("hours", "sum"), cpu_hours=("cpu_hours", "sum"), peak_gb=("peak_gb", "max")
    )
    return grouped.sort_values("hours", ascending=False, ignore_index=True)
