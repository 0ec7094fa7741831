"""Two studies on one page: conclusions of the cases that both have, differences, and what their configurations differ in."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.conclusions import made_conclusions, with_controls
from tests.studies import made_metrics
from w2sg.command.places import CommandError
from w2sg.command.subcommands import sharing
from w2sg.report.html.compare import Compared, compare_conclusions, render_comparison
from w2sg.revisions.audit import audit_table
from w2sg.revisions.offline import Published
from w2sg.runtime.provenance import origin
from w2sg.tables import schemas
from w2sg.tables.files import write_table

CONFIG = {"study": "one", "sweep": {"families": ["nano"]}, "families": {"nano": {"strong": "m", "weak": "w"}},
          "models": {"m": {"source": "local"}}, "heads": {"seeds": [0, 1]},
          "audit": {"exclude": True}}  # fmt: skip


def study(name: str, summary: pd.DataFrame, **config) -> Compared:
    metrics = with_controls(made_metrics(effect=True, steps=[0, 64, 2048]))
    return Compared(
        name=name, metrics=metrics, summary=summary, origin=origin("r", {}, config=CONFIG | {"study": name} | config)
    )


@pytest.fixture(scope="module")
def two() -> list[Compared]:
    later = made_conclusions({"gain": (0.054, 0.03, 0.078, "", "above"), "onset_tokens": (0.004, 0.003, 0.0068)})
    return [study("one", made_conclusions()), study("two", later, heads={"seeds": [0, 1, 2]})]


def test_differences_are_the_second_minus_the_first(two):
    table = compare_conclusions(*two).query("heads == 'paper'").set_index("quantity")
    gain = table.loc["gain over the supervisor"]
    assert (gain["one"], gain["two"], gain["difference"]) == (
        "+0.044 (+0.020 to +0.068)",
        "+0.054 (+0.030 to +0.078)",
        "+0.010",
    )
    assert table.loc["onset, tokens", "difference"] == "+330 k"
    assert table.loc["ceiling late", "difference"] == "+0.000"


def test_the_page_names_both_and_what_they_differ_in(two):
    html = render_comparison(two)
    assert "one and two: two studies" in html and "heads.seeds" in html and "[0, 1, 2]" in html
    assert "one: nano on newsgroups_tech" in html and "two: nano on newsgroups_tech" in html


def test_two_studies_are_named_by_folder_or_name_and_need_a_case_in_common_of_revisions_that_count(two, tmp_path):
    listed = [
        Published(revision=f"step{step}", commit="c", hashes={"model.safetensors": weights * 64})
        for step, weights in ((0, "a"), (64, "a"), (2048, "b"))
    ]
    for one, dataset in zip(two, ("newsgroups_tech", "other"), strict=True):
        folder = tmp_path / "results" / one.name / "tables"
        folder.mkdir(parents=True)
        write_table(one.metrics, folder / "metrics.parquet", schemas.METRICS, provenance={})
        write_table(audit_table("nano-strong", listed), folder / "audit.parquet", schemas.AUDIT, provenance={})
        made_conclusions(dataset=dataset).to_csv(folder / "summary.csv", index=False)
        (folder / "summary.json").write_text(json.dumps(one.origin))
    found = sharing.compared([str(tmp_path / "results" / "one"), "two"], tmp_path)
    assert [place.name for place in found] == ["one", "two"]
    assert sharing.compared(["one.yaml"], tmp_path) == sharing.compared(["--until", "report"], tmp_path) == []
    with pytest.raises(CommandError, match="other-one: no finished study; here are one, two"):
        sharing.compared(["one", "other-one"], tmp_path)
    with pytest.raises(CommandError, match="no family, dataset and kind of students in common"):
        sharing.write_comparison(found, tmp_path / "c.html")
    made_conclusions().to_csv(found[1] / "tables" / "summary.csv", index=False)
    page = sharing.write_comparison(found, tmp_path / "c.html").read_text()
    assert "Conclusions that both have" in page and "step2048" in page and "step64" not in page, "flagged, so not drawn"
