"""The report: headline, tables in words, thinned charts, measured costs, provenance, and nothing that can run or leave."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from tests.studies import made_evidence, made_floors, made_metrics, without_costs
from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.report import charts, page
from w2sg.report.cells import format_correlations, format_stages, with_interval
from w2sg.report.sentences import verdict
from w2sg.runtime import provenance
from w2sg.trajectories import onset

MARK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def found() -> page.Evidence:
    return made_evidence(effect=True)


def test_the_headline_follows_the_tables(found):
    absent = made_evidence(effect=False)
    assert verdict(found.transitions, found.correlations).startswith(
        "Weak-to-strong generalization sets in during pre-training: in all 2 cases"
    )
    text = verdict(absent.transitions, absent.correlations)
    assert text.startswith("No weak-to-strong generalization was seen: in none of 2 cases")
    assert "cannot be told" in text
    half = pd.concat(
        [
            found.transitions[found.transitions["protocol"] == "paper"],
            absent.transitions[absent.transitions["protocol"] == "converged"],
        ]
    )
    assert verdict(half, found.correlations).startswith("In 1 of 2 cases")


def onsets(transitions: pd.DataFrame, notes: list[str], *, value: float) -> pd.DataFrame:
    """The onsets at the last layer, means over seeds, replaced by open or missing ones."""
    named = transitions[(transitions["estimate"] == "onset_step") & (transitions["seed"] == -1)]
    named = named[named["protocol"].isin(["paper", "converged"])]
    return named.assign(value=value, low=np.nan, high=value, note=notes)


@pytest.mark.parametrize(
    ("value", "notes", "expected"),
    [
        (np.nan, [onset.FLEETING, onset.FLEETING], "In 2 of 2 cases .* at some revision, but the gain does not last"),
        (np.nan, [onset.FEW, onset.FEW], "In 2 of 2 cases .* too few revisions to say"),
        (
            np.nan,
            [onset.NEVER, onset.FLEETING],
            "In 1 of 2 cases .* does not last; in 1 the student is above .* at no revision",
        ),
        (
            64.0,
            [onset.FIRST, onset.FIRST],
            "In 2 of 2 cases .* already above its weak supervisor at the first revision",
        ),
        (64.0, [onset.OPEN, onset.FIRST], "In 1 of 2 cases .* already above .*; in 1 .* the onset may lie before"),
    ],
)
def test_the_headline_neither_denies_nor_dates_what_it_cannot(found, value, notes, expected):
    text = verdict(onsets(found.transitions, notes, value=value), found.correlations)
    assert re.match(expected, text), text
    assert "No weak-to-strong" not in text and "sets in during" not in text


def test_a_study_of_nothing_is_no_study_without_effect(found):
    assert "nothing was measured" in verdict(found.transitions.head(0), found.correlations)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.2, "predicts W2SG accuracy better than evaluation loss does in 2 of 2"),
        (-0.2, -0.1, "predicts W2SG accuracy worse than evaluation loss does in 2 of 2"),
        (-0.1, 0.2, "cannot be told apart from evaluation loss as a predictor of W2SG accuracy in 2 of 2"),
    ],
)
def test_a_predictor_is_called_better_only_if_the_interval_of_the_difference_says_so(found, low, high, expected):
    difference = found.correlations["predictor"] == "difference"
    changed = found.correlations.assign(
        low=found.correlations["low"].where(~difference, low), high=found.correlations["high"].where(~difference, high)
    )
    assert expected in verdict(found.transitions, changed.assign(note=""))
    cut = verdict(found.transitions, changed.assign(note=f"{TOO_SHORT}: blocks are cut"))
    assert cut.endswith(f"What predicts W2SG accuracy cannot be told: {TOO_SHORT}: blocks are cut.")


def test_why_predictors_cannot_be_compared_is_the_note_of_the_table(found):
    cases = (found.correlations["predictor"] == "difference") & (found.correlations["statistic"] == "r2")
    found = dataclasses.replace(found, correlations=found.correlations.assign(note=""))
    note = "probe was not measured"
    gone = cases & (found.correlations["protocol"].isin(["paper", "converged"]))
    none = found.correlations.assign(
        low=found.correlations["low"].mask(gone), note=found.correlations["note"].mask(gone, note)
    )
    assert verdict(found.transitions, none).endswith(f"What predicts W2SG accuracy cannot be told: {note}.")
    half = gone & (found.correlations["protocol"] == "paper")
    one = none.assign(
        low=found.correlations["low"].mask(half, np.nan), note=found.correlations["note"].mask(half, note)
    )
    text = verdict(found.transitions, one)
    assert "in 1 of 2 cases; it could not be compared (probe was not measured) in 1 of 2 cases." in text
    assert "nothing was measured" in verdict(found.transitions, found.correlations.head(0))


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
    metrics = found.metrics[(found.metrics["head"] == "w2s") & (found.metrics["metric"] == "accuracy")].set_index(keys)[
        "value"
    ]
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
    assert html.count("<script") == html.count("</script>") == 1 + 2  # a chart's data, the library, the call
    assert "&lt;script&gt;alert(1)" in html
    (spec,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, flags=re.S)
    assert MARK not in spec
    assert json.loads(spec)["params"][0]["name"] == "heads"
    assert not re.search(r'(src|href)\s*=\s*"?(https?:)?//', html)


def test_the_page_names_the_coverages_that_were_asked_for_exactly():
    study = {"study": "nano", "intervals": {"confidence": 0.995}, "statistics": {"confidence": 0.9}}
    html = page.render(made_evidence(effect=True, study=study))
    assert "Intervals are 99.5 % pair-bootstrap intervals" in html
    assert "90 % intervals resample blocks" in html and "last layer, with 90 % intervals" in html


def test_equal_evidence_gives_an_equal_page_and_costs_stand_apart(found):
    costs = pd.DataFrame([{"stage": "heads", "jobs": 2, "hours": 1.5, "cpu_hours": 0.5, "peak_gb": 2.0}])
    with_costs = page.render(made_evidence(effect=True, stages=costs))
    assert "90.0" in with_costs
    assert without_costs(with_costs) == without_costs(page.render(found))
