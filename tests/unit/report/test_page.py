"""The report: headline, tables in words, thinned charts, measured costs, provenance, and nothing that can run or leave."""

from __future__ import annotations

import dataclasses
import json
import re
from html import unescape as html_unescape

import numpy as np
import pandas as pd
import pytest

from tests.conclusions import ABSENT, NOISE, made_conclusions, nothing, transferred
from tests.studies import made_evidence, made_floors, made_metrics, without_costs
from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.report import charts, controls, page, readme
from w2sg.report.cells import format_correlations, format_stages, format_summary, with_interval
from w2sg.report.sentences import answer, summary_text
from w2sg.runtime import provenance
from w2sg.trajectories.selection import rows_with

NO_FLAGS = pd.DataFrame(columns=["model", "revision", "reason", "excluded"])
MARK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def found() -> page.Evidence:
    return made_evidence(effect=True)


def shown(html: str) -> str:
    """Returns the page's text up to its charts, without marks and line breaks."""
    return " ".join(re.sub("<[^>]+>", " ", html.partition('<h2 id="trajectories"')[0].partition("<h1>")[2]).split())


@pytest.mark.parametrize("changes", [{}, ABSENT, NOISE])
def test_page_terminal_and_readme_say_the_same(changes):
    table = made_conclusions(changes)
    html = page.render(made_evidence(effect=not changes, summary=table))
    text = shown(html_unescape(html))
    printed = summary_text(
        table, bands=pd.DataFrame(), completeness=made_evidence(effect=True).completeness, named=NO_FLAGS
    )
    block = readme.result_block(table)
    for sentence in answer(table):
        assert sentence in text and f"- {sentence}\n" in printed and f"- {sentence}\n" in block
    for cell in format_summary(table).to_numpy().ravel():
        assert cell in text and cell in printed and cell in block


def test_the_page_shows_controls_and_what_heads_do_on_other_datasets(found):
    text = shown(page.render(dataclasses.replace(found, transfer=transferred(found.metrics))))
    assert "student of the same labels, permuted over pairs" in text and "fewer tokens, by the supervisor" in text
    assert "Tested on other datasets" in text and "newsgroups_tech another" in text
    table = controls.control_table(found.metrics)
    means = rows_with(found.metrics, head="permuted", protocol="paper", step=2048)["value"].mean()
    cell = table[(table["heads"] == "paper") & table["what"].str.contains("permuted")]["last revision"]
    assert cell.iloc[0].startswith(f"{means:.3f} (")
    for none in (None, found.metrics.head(0)):
        assert "Tested on other datasets" not in page.render(dataclasses.replace(found, transfer=none))


def test_which_pairs_students_correct_is_shown_at_both_ends(found):
    rows = [
        {"family": "nano", "dataset": "d", "protocol": "paper", "seed": seed, "step": step, "corrected": 0.1 + seed / 10,
         "spoiled": 0.05, "same_as_last": 0.9, "error_to_last": 0.01, "n": 100}
        for seed in (0, 1) for step in (0, 8, 64)
    ]  # fmt: skip
    table = controls.agreement_table(pd.DataFrame(rows))
    assert table is not None and table["step"].tolist() == ["0", "64"]
    assert table["corrected: supervisor wrong, student right"].tolist() == ["0.150", "0.150"]
    assert controls.agreement_table(pd.DataFrame(rows).head(0)) is None
    assert "Which pairs students correct" in page.render(dataclasses.replace(found, agreement=pd.DataFrame(rows)))
    assert "Which pairs students correct" not in page.render(found)


def test_statistics_of_straight_lines_are_called_descriptive(found):
    html = page.render(found)
    assert html.index('id="prediction"') < html.index('id="correlations"')
    assert "Descriptive: R²" in html and "two quantities that rise once correlate" in html


def test_pre_training_seeds_together_are_linked(found):
    metrics = found.metrics
    seeds = pd.concat([metrics.assign(family=f"nano-seed{seed}") for seed in (0, 1)])
    html = page.render(dataclasses.replace(found, metrics=seeds, groups={"nano": ["nano-seed0", "nano-seed1"]}))
    assert "nano on newsgroups_tech, 2 pre-training seeds" in html
    assert 'href="figures/trajectory/nano/newsgroups_tech.pdf"' in html
    assert "Pre-training seeds together" not in page.render(found)


def test_a_study_of_one_head_seed_is_shown():
    one = made_evidence(effect=True)
    metrics = one.metrics[one.metrics["seed"] == 0]
    assert "nano on newsgroups_tech" in page.render(dataclasses.replace(one, metrics=metrics))


def test_a_study_whose_revisions_were_all_left_out_is_shown(found):
    flagged = pd.DataFrame({"model": ["m"], "revision": ["step1"], "reason": ["equal weights"], "excluded": [True]})
    empty = dataclasses.replace(
        found,
        metrics=found.metrics.head(0),
        summary=nothing(),
        correlations=found.correlations.head(0),
        transitions=found.transitions.head(0),
        bands=found.bands.head(0),
        excluded=flagged,
    )
    html = page.render(empty)
    assert "cannot be told: nothing was measured" in html and "m step1 (left out): equal weights" in html
    assert 'class="chart"' not in html


def test_one_family_without_revisions_leaves_the_other_as_it_is(found):
    wanted = pd.DataFrame([{"family": "other", "dataset": "d", "revision": "s", "step": 0, "measured": False}])
    html = page.render(dataclasses.replace(found, completeness=wanted))
    assert "other: nothing was measured (1 revisions wanted)" in html and "nano on newsgroups_tech" in html


def test_prediction_errors_are_drawn_with_their_intervals(found):
    spec = charts.error_chart(made_conclusions())
    assert spec is not None
    (data,) = spec["datasets"].values() if "datasets" in spec else [spec["data"]["values"]]
    drawn = {(row["case"], row["predictor"]): (row["value"], row["low"], row["high"]) for row in data}
    assert len(drawn) == 14
    assert drawn["nano on newsgroups_tech, paper", "evaluation loss"] == (0.0155, 0.012, 0.02)
    assert charts.error_chart(nothing()) is None


def test_estimates_are_shown_with_intervals_or_with_the_reason_why_not():
    row = pd.Series({"value": 0.5, "low": 0.25, "high": np.nan, "note": "open above"})
    assert with_interval(row, ".2f") == "0.50 (0.25 to ?); open above"
    assert with_interval(row.replace("open above", ""), ".2f") == "0.50 (0.25 to ?)"
    short = row.replace("open above", f"{TOO_SHORT}: blocks are cut")
    assert with_interval(short, ".2f") == "0.50 (0.25 to ?)†"
    row["value"] = np.nan
    assert with_interval(row, ".2f") == "open above"


def test_a_number_that_is_undefined_is_a_dash(found):
    shown = format_correlations(found.correlations.assign(n_effective=np.nan))
    assert (shown["n effective"] == "—").all()
    assert (shown["n"] != "—").all()


def test_charts_of_deep_models_carry_nine_layers_and_say_so():
    metrics = made_metrics(effect=True, layers=range(33), steps=[0, 64, 2048])
    rows = charts.chart_rows(metrics, made_floors(), family="nano", dataset="newsgroups_tech")
    shown = ["0", "4", "8", "12", "16", "20", "24", "28", "32"]
    assert sorted({x for x in rows["layer"] if x != "any"}, key=int) == shown
    assert f"nano: 9 of 33 layers ({', '.join(shown)})" in charts.describe_thinning({"nano": list(range(33))})
    assert charts.describe_thinning({"nano": [0, 1]}) == ""


def test_a_chart_shows_what_the_long_table_holds(found):
    rows = charts.chart_rows(found.metrics, found.floors, family="nano", dataset="newsgroups_tech")
    keys = ["protocol", "seed", "step"]
    shown = (
        rows[(rows["series"] == "w2s") & (rows["seed"] != charts.MEAN)]
        .astype({"seed": int, "step": int})
        .set_index(keys)["value"]
    )
    metrics = rows_with(found.metrics, head="w2s", metric="accuracy").set_index(keys)["value"]
    pd.testing.assert_series_equal(shown.sort_index(), metrics.sort_index())
    means = rows[(rows["series"] == "w2s") & (rows["seed"] == charts.MEAN)].set_index(["protocol", "step"])["value"]
    expected = metrics.groupby(["protocol", "step"]).mean()
    np.testing.assert_allclose(means.sort_index(), expected.sort_index())


def test_costs_are_summed_per_stage_over_jobs(tmp_path):
    header, files = "s\th:m:s\tmax_rss\tcpu_time\n", {}
    for name, row in {
        "heads/1": "3600\t1:00:00\t2048\t1800",
        "heads/2": "1800\t0:30:00\t-\tNA",
        "plot/a": "1\t0\t512\t1",
    }.items():
        path = tmp_path / name.replace("/", "-")
        path.write_text(header + row + "\n")
        files.setdefault(name.split("/")[0], []).append(str(path))
    files["heads"].append(str(tmp_path / "not-run"))
    table = page.stage_costs(files)
    assert table["stage"].tolist() == ["heads", "plot"]
    assert table.iloc[0].tolist() == ["heads", 2, 1.5, 0.5, 2.0]
    assert format_stages(table)["minutes"].tolist() == ["90.0", "0.0", "90.0"]
    assert page.stage_costs({"plot": [str(tmp_path / "nowhere")]}).empty
    (tmp_path / "b.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(ValueError, match=r"b\.tsv: expected the columns s, cpu_time and max_rss"):
        page.stage_costs({"plot": [str(tmp_path / "b.tsv")]})


def test_the_commit_is_that_of_the_code_or_unknown(tmp_path):
    assert re.match(r"[0-9a-f]{40}|unknown", provenance.code_commit())
    assert provenance.code_commit(tmp_path) == "unknown (not a git checkout)"
    assert {"python", "pandas", "altair"} <= set(provenance.versions())


def test_the_page_says_how_it_came_to_be_and_names_a_mixture_of_versions():
    made = {"extract_activations": {"torch": ["2.10", "2.9"], "numpy": ["2.4"]}}
    origin = provenance.origin("write_report", {"recipes.REPORT": 3}, inputs=[made], config={"study": "<nano>"})
    html = page.render(made_evidence(effect=True, origin=origin))
    assert origin["config_sha256"] in html and origin["code"] in html
    assert "extract_activations: numpy 2.4, torch 2.10 and 2.9" in html
    assert "Not all files were made with the same versions: extract_activations: torch 2.10, 2.9." in html
    assert "same versions" not in page.render(made_evidence(effect=True))


def test_all_text_is_escaped_and_data_cannot_end_their_script():
    flagged = pd.DataFrame({"model": ["m"], "revision": ["step1"], "reason": [MARK], "excluded": [True]})
    html = page.render(made_evidence(effect=True, dataset=MARK, excluded=flagged))
    assert html.count("<script") == html.count("</script>") == 2 + 2  # two charts' data, the library, the call
    assert "&lt;script&gt;alert(1)" in html
    spec, errors = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, flags=re.S)
    assert MARK not in spec and MARK not in errors
    assert json.loads(spec)["params"][0]["name"] == "heads"
    assert not re.search(r'(src|href)\s*=\s*"?(https?:)?//', html)


def test_the_page_names_the_coverages_that_were_asked_for_exactly():
    study = {
        "study": "nano",
        "evaluation": {"corpus": "c4"},
        "intervals": {"confidence": 0.995},
        "statistics": {"confidence": 0.9},
    }
    html = page.render(made_evidence(effect=True, study=study))
    assert "nats per token on c4" in html
    assert "Intervals are 99.5 % pair-bootstrap intervals" in html
    assert "90 % intervals resample blocks" in html and "last layer, with 90 % intervals" in html


def test_equal_evidence_gives_an_equal_page_and_costs_stand_apart(found):
    costs = pd.DataFrame([{"stage": "heads", "jobs": 2, "hours": 1.5, "cpu_hours": 0.5, "peak_gb": 2.0}])
    with_costs = page.render(made_evidence(effect=True, stages=costs))
    assert "90.0" in with_costs
    assert without_costs(with_costs) == without_costs(page.render(found))
