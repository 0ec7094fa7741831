"""Two studies on one page: what they conclude on the cases that both have, what their configurations differ in, their gains over each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from w2sg import __version__
from w2sg.plotting.style import in_si
from w2sg.report.cells import CONCLUSIONS, SI, with_interval
from w2sg.report.charts import overview
from w2sg.report.charts import rows as charts
from w2sg.report.conclusions import Case, Finding, cases
from w2sg.report.html.base import render_page
from w2sg.report.html.head import dataset_facts, family_facts
from w2sg.report.html.scripts import as_script, chart_library, data_script
from w2sg.study import families


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One of the studies."""

    name: str
    """What it is called on the page; different from the other's."""
    metrics: pd.DataFrame
    """The long table, schema METRICS, without revisions that are left out."""
    summary: pd.DataFrame
    """The table of conclusions, :func:`w2sg.trajectories.summary.summarize`."""
    origin: Mapping[str, Any]
    """Origin of the table of conclusions, with the configuration."""

    @property
    def config(self) -> dict[str, Any]:
        """Returns its configuration."""
        return json.loads(self.origin["config"])


def render_comparison(studies: Sequence[Compared]) -> str:
    """Returns the page on two studies.

    Raises:
        ValueError: If they have no family, dataset and kind of students in common.
    """
    first, second = studies
    table = compare_conclusions(first, second)
    if table.empty:
        raise ValueError(f"{first.name} and {second.name} have no family, dataset and kind of students in common")
    parts = [charts.overview_rows(one.metrics, one.summary, _groups(one)) for one in studies]
    drawn = pd.concat(
        [rows.assign(line=f"{one.name}: " + rows["line"]) for one, (rows, _) in zip(studies, parts, strict=True)]
    )
    lines = [f"{one.name}: {line}" for one, (_, found) in zip(studies, parts, strict=True) for line in found]
    heads = [
        {
            "name": one.name,
            "code": one.origin.get("code", "unknown"),
            "families": family_facts(one.config, one.metrics),
            "datasets": list(dataset_facts(one.config, one.metrics)),
        }
        for one in studies
    ]
    return render_page(
        "compare",
        heads=heads,
        conclusions=table,
        settings=_differences(first, second),
        rows=drawn,
        charts=overview.overview_charts(drawn, lines),
        key=overview.line_looks(lines),
        library=chart_library(),
        origin=json.dumps({one.name: dict(one.origin) for one in studies}, sort_keys=True),
        version=__version__,
        as_script=as_script,
        data_script=data_script,
    )


def _groups(one: Compared) -> dict[str, list[str]]:
    config = one.config
    return families.groups(config["sweep"]["families"], config, sorted(set(one.metrics["family"])))


def compare_conclusions(first: Compared, second: Compared) -> pd.DataFrame:
    """Returns, as text, every conclusion that both have: a row per case and quantity, the second minus the first.

    A difference has no interval: studies may share models and test pairs, so that their errors are not independent.
    """
    others = {_key(case): case for case in cases(second.summary)}
    both = [(case, others[_key(case)]) for case in cases(first.summary) if _key(case) in others]
    rows = []
    for case, other in both:
        for quantity, (label, form) in CONCLUSIONS.items():
            pair = case[quantity], other[quantity]
            if any(one.known or one.note for one in pair):
                shown = {one.name: with_interval(found, form) for one, found in zip((first, second), pair, strict=True)}
                named = {"family": case.family, "dataset": case.dataset, "heads": case.protocol, "quantity": label}
                rows.append(named | shown | {"difference": _difference(*pair, form)})
    return pd.DataFrame(rows)


def _key(case: Case) -> tuple[str, str, str]:
    return case.family, case.dataset, case.protocol


def _difference(first: Finding, second: Finding, form: str) -> str:
    if not (first.known and second.known):
        return "—"
    change = second.value - first.value + 0.0
    if form == SI:
        return ("-" if change < 0 else "+") + in_si(1e9 * abs(change))
    return format(change, form if form.startswith("+") else f"+{form}")


def _differences(first: Compared, second: Compared) -> pd.DataFrame:
    """Returns the keys in which two configurations differ, with both values as text."""
    one, other = (dict(_flat(study.config)) for study in (first, second))
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    shown = [{"key": key, first.name: one.get(key, "—"), second.name: other.get(key, "—")} for key in sorted(keys)]
    return pd.DataFrame(shown, columns=["key", first.name, second.name])


def _flat(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", json.dumps(value)
