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
from w2sg.report import controls, page, readme
from w2sg.report.cells import format_correlations, format_stages, format_summary, with_interval
from w2sg.report.charts import marks, overview, panels
from w2sg.report.charts import rows as charts
from w2sg.report.html import base, head
from w2sg.report.sentences import answer, short_answer, summary_text
from w2sg.runtime import provenance
from w2sg.trajectories.selection import rows_with

NO_FLAGS = pd.DataFrame(columns=["model", "revision", "reason", "excluded"])
MARK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def found() -> page.Evidence:
    return made_evidence(effect=True)


def shown(html: str) -> str:
    """Returns the page's text, without marks, data and line breaks, and without the spaces that fill numbers up."""
    text = re.sub("<script.*?</script>", " ", html.partition("<h1>")[2], flags=re.S)
    return " ".join(re.sub("<[^>]+>", " ", text).split())


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
        assert sentence in text and f"- {sentence}\n" in printed
    for sentence in short_answer(table):
        assert sentence in text and f"- {sentence}\n" in block
    for cell in format_summary(table).to_numpy().ravel():
        assert cell in text and cell in printed and cell in block


def test_the_page_shows_controls_and_what_heads_do_on_other_datasets(found):
    text = shown(page.render(dataclasses.replace(found, transfer=transferred(found.metrics))))
    assert "student of the same labels, permuted over pairs" in text and "fewer tokens, by the supervisor" in text
    assert "Tested on other datasets" in text and "newsgroups_tech another" in text
    table = controls.control_table(found.metrics, found.floors)
    means = rows_with(found.metrics, head="permuted", protocol="paper", step=2048)["value"].mean()
    cell = table[(table["heads"] == "paper") & table["what"].str.contains("permuted")]["last revision"]
    assert cell.iloc[0].startswith(f"{means:.3f} (")
    for none in (None, found.metrics.head(0)):
        assert "Tested on other datasets" not in page.render(dataclasses.replace(found, transfer=none))


def test_a_bag_of_words_that_beats_every_student_is_told(found):
    floors = pd.DataFrame(
        {
            "dataset": ["newsgroups_tech"],
            "floor": ["tfidf"],
            "metric": ["accuracy"],
            "value": [0.95],
            "low": [0.94],
            "high": [0.96],
        }
    )
    (said,) = controls.describe_floors(found.summary, floors)
    assert said.startswith(
        "On newsgroups_tech a bag of words (TF-IDF), without a language model, scores 0.950 [0.940, 0.960]"
    )
    assert controls.describe_floors(found.summary, floors.assign(low=0.5)) == []
    highest = found.summary.loc[found.summary["quantity"] == "w2s_late", "high"].max()
    assert controls.describe_floors(found.summary, floors.assign(low=highest)) == []
    table = controls.control_table(found.metrics, floors)
    assert table.loc[table["what"].str.contains("TF-IDF"), "last revision"].tolist() == ["0.950 (0.940 to 0.960)"]


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
    assert "cannot be told: no measured revision is left" in html and "m step1 (left out): equal weights" in html
    assert 'class="chart"' not in html


def test_one_family_without_revisions_leaves_the_other_as_it_is(found):
    wanted = pd.DataFrame([{"family": "other", "dataset": "d", "revision": "s", "step": 0, "measured": False}])
    html = page.render(dataclasses.replace(found, completeness=wanted))
    assert "other: nothing was measured (1 revisions wanted)" in html and "nano on newsgroups_tech" in html


def test_prediction_errors_are_drawn_with_their_intervals():
    rows, drawn = overview.error_charts(made_conclusions())
    found = {(row.case, row.predictor): (row.value, row.low, row.high) for row in rows.itertuples()}
    assert len(found) == 14
    assert found["nano on newsgroups_tech, paper heads", "evaluation loss"] == (0.0155, 0.012, 0.02)
    assert [chart.title for chart in drawn] == [
        "nano on newsgroups_tech, paper heads", "nano on newsgroups_tech, converged heads"
    ]  # fmt: skip
    assert overview.error_charts(nothing())[1] == []


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
    parts = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, flags=re.S)
    assert html.count("<script") == html.count("</script>") == len(parts) + 2  # the library, the page's own
    assert "&lt;script&gt;alert(1)" in html
    assert not any(MARK in part for part in parts) and all(map(json.loads, parts))
    assert re.findall(r'(?:src|href)\s*=\s*"?((?:https?:)?//[^"]*)', html) == ["https://arxiv.org/abs/2605.05710"]


def test_the_page_names_the_coverages_that_were_asked_for_exactly():
    study = {
        "study": "nano",
        "evaluation": {"corpus": "c4"},
        "intervals": {"confidence": 0.995},
        "statistics": {"confidence": 0.995},
    }
    html = page.render(made_evidence(effect=True, study=study))
    assert "evaluation loss on c4" in html
    assert "Intervals are 99.5 % intervals over the test pairs" in html
    assert "99.5 % intervals resample blocks" in html and "With 99.5 % intervals." in html


def test_equal_evidence_gives_an_equal_page_and_costs_stand_apart(found):
    costs = pd.DataFrame([{"stage": "heads", "jobs": 2, "hours": 1.5, "cpu_hours": 0.5, "peak_gb": 2.0}])
    with_costs = page.render(made_evidence(effect=True, stages=costs))
    assert "90.0" in with_costs
    assert without_costs(with_costs) == without_costs(page.render(found))


def test_the_short_answer_counts_the_verdicts_and_names_its_level():
    said = short_answer(made_conclusions())
    assert said == [
        "In this run, the student ends above its supervisor in 2 of 2 cases (late gain +0.044); the gain sets in at step 896 "
        "(intervals reach from 768 to 1,664) in the 2 cases with a gain whose onset can be placed.",
        "The student gains more than a student of the supervisor's own features in 2 of 2 cases; a random twin's student stays below the supervisor "
        "in 2 of 2 cases.",
        "Which of linear probe and evaluation loss predicts held-out W2SG accuracy better cannot be told in 2 of 2 cases.",
    ]
    mixed = pd.concat([made_conclusions(), made_conclusions(ABSENT, dataset="other")])
    assert short_answer(mixed)[0].startswith(
        "In this run, the student ends above its supervisor in 2 of 4 cases (late gain +0.044), the student ends below its "
        "supervisor in 2 (late gain -0.174); the gain"
    )
    assert short_answer(made_conclusions(ABSENT))[:2] == [
        "In this run, the student ends below its supervisor in 2 of 2 cases (late gain -0.174); no onset can be placed.",
        "The student gains less than a student of the supervisor's own features in 2 of 2 cases; a random twin's student stays below the "
        "supervisor in 2 of 2 cases.",
    ]
    assert short_answer(made_conclusions(NOISE))[0].startswith(
        "In this run, in 2 of 2 cases the supervisor cannot be told from chance"
    )
    two = pd.concat([made_conclusions(), made_conclusions(family="other")])
    assert short_answer(two)[0].startswith("In one run of each family, ")
    fading = made_conclusions({"gain": (0.02, -0.1, 0.14, "", "unclear")})
    assert "in 2 an onset can be placed, but whether the gain lasts cannot be told" in short_answer(fading)[0]
    assert "sets in" not in short_answer(fading)[0]
    assert short_answer(made_conclusions(NOISE))[1].startswith("Whether the student gains more than")
    assert short_answer(made_conclusions({"seeds": (3, np.nan, np.nan)}, level="seeds"))[0].startswith(
        "Over 3 pre-training seeds (Student's t), "
    )
    assert short_answer(nothing()) == answer(nothing())
    assert all(len(short_answer(made_conclusions(changes))) <= 3 for changes in ({}, ABSENT, NOISE))


CONFIG = {
    "study": "own",
    "models": {
        "nano-strong": {"source": "hub", "repo": "EleutherAI/pythia-1.4b"},
        "nano-weak": {
            "source": "pretrain", "pretraining": {"vocabulary_size": 2048},
            "architecture": {"hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 192},
        },
    },
    "datasets": {"newsgroups_tech": {"source": "hub", "repo": "Anthropic/hh-rlhf", "pairs": 4000}},
}  # fmt: skip


def test_the_head_names_models_with_their_size_and_datasets_with_their_licence(found):
    (family,) = head.family_facts(CONFIG, found.metrics)
    assert (family["strong_is"], family["weak_is"]) == ("1.4 G parameters by its name", "253 k parameters")
    assert family["strong_link"] == "https://huggingface.co/EleutherAI/pythia-1.4b" and family["weak_link"] == ""
    assert family["revisions"] == "23 revisions, steps 0 to 2,048, 2.05 M tokens"
    (dataset,) = head.dataset_facts(CONFIG, found.metrics)
    assert dataset["pairs"] == "4,000 pairs in each of 3 splits; 2,000 tested" and dataset["licence"] == "MIT"
    html = page.render(dataclasses.replace(found, origin=provenance.origin("r", {}, config=CONFIG)))
    text = shown(html)
    assert (
        "nano-strong (1.4 G parameters by its name)" in text
        and "nano-weak (253 k parameters) at" in text
        and "licence: MIT" in text
    )
    assert 'href="https://huggingface.co/datasets/Anthropic/hh-rlhf"' in html
    assert head.parameters_of({"source": "hub", "repo": "allenai/OLMo-2-0425-1B"}) == "1 G parameters by its name"
    assert head.parameters_of({"source": "local", "path": "runs/x"}) == "in folder x"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"source": "mean", "of": ["a", "b"], "keep": None}, "the mean of a and b) at step2048"),
        ({"source": "chain", "weak": "a", "middle": "b"}, "b, taught by a) at step2048"),
        ({"source": "labels", "files": {}}, "labels out of files)"),
    ],
)
def test_a_supervisor_that_is_no_model_is_named_by_where_its_labels_come_from(found, entry, said):
    config = {**CONFIG, "models": {"nano-strong": CONFIG["models"]["nano-strong"]}, "supervisors": {"nano-weak": entry}}
    html = page.render(dataclasses.replace(found, origin=provenance.origin("r", {}, config=config)))
    assert f"supervised by nano-weak ({said}</dd>" in html


def test_decimals_stand_under_each_other():
    column = pd.DataFrame({"x": ["0.5 (0.1 to 0.9); a note", "+12.25", "3", "—", "none"]})
    cells = [row[0] for row in base.aligned_rows(column)]
    lines = [cell.replace("\u2007", "_").replace("\u2008", ",").replace("\u00a0", "~") for cell, _ in cells]
    assert lines == ["__0.5_~(0.1~to~0.9); a note", "+12.25", "__3,__", "—", "none"]
    assert [kept for _, kept in cells] == [False, True, True, True, True]


def test_onsets_and_corrected_pairs_are_drawn_with_the_menus(found):
    agreement = pd.DataFrame(
        {"family": "nano", "dataset": "newsgroups_tech", "protocol": "paper", "seed": seed, "step": step, "corrected": 0.1 + 0.1 * seed,
         "spoiled": 0.05, "same_as_last": 0.9, "error_to_last": 0.01, "n": 100}
        for seed in (0, 1) for step in (0, 2048)
    )  # fmt: skip
    rows = charts.chart_rows(
        found.metrics,
        found.floors,
        family="nano",
        dataset="newsgroups_tech",
        transitions=found.transitions,
        agreement=agreement,
    )
    onset = rows[(rows["series"] == "onset") & (rows["seed"] == "mean") & (rows["protocol"] == "paper")].iloc[0]
    expected = rows_with(found.transitions, estimate="onset_step", seed=-1, protocol="paper").iloc[0]
    assert tuple(onset[["value", "low", "high"]]) == tuple(expected[["value", "low", "high"]])
    shares = rows_with(rows, series="corrected", seed="mean")
    assert shares["value"].tolist() == pytest.approx([0.15, 0.15]) and shares["revision"].tolist() == [
        "step0",
        "step2048",
    ]
    names = [chart.name for chart in panels.case_charts(rows, corpus="c4", title="t")]
    assert names == ["trajectory", "loss", "corrected", "against_probe", "against_loss"]
    assert marks.menus(rows) == {"heads": ["paper", "converged"], "seed": ["mean", "0", "1", "2"], "layer": ["4"]}


def test_the_overview_lays_cases_over_each_other_and_seeds_under_one_name(found):
    seeds = pd.concat([found.metrics.assign(family=f"nano-seed{seed}") for seed in (0, 1)])
    summary = pd.concat([made_conclusions(family=f"nano-seed{seed}", level="one seed") for seed in (0, 1)])
    summary = pd.concat([summary, made_conclusions(level="seeds")])
    rows, lines = charts.overview_rows(seeds, summary, {"nano": ["nano-seed0", "nano-seed1"]})
    assert lines == ["nano on newsgroups_tech"] and len(rows_with(rows, metric="onset")) == 2
    assert set(rows_with(rows, metric="gain")["family"]) == {"nano-seed0", "nano-seed1"}
    assert [chart.title for chart in overview.overview_charts(rows, lines)] == ["paper heads", "converged heads"]
    alone = made_conclusions(family="nano-seed0")  # of the other seed nothing is left
    rows, _ = charts.overview_rows(rows_with(seeds, family="nano-seed0"), alone, {"nano": ["nano-seed0", "nano-seed1"]})
    assert len(rows_with(rows, metric="onset", line="nano on newsgroups_tech")) == 2
    looks = overview.line_looks([str(k) for k in range(24)])
    assert len({(look.colour, look.shape, look.dash) for look in looks}) == 24


def test_legends_have_the_marks_of_what_they_name(found):
    html = page.render(found)
    for name in ("w2s", "ceiling", "floor:tfidf", "onset"):
        look = marks.look_of(name)
        (item,) = set(re.findall(rf"<li>((?:(?!<li>).)*?){re.escape(look.label)}</li>", html, flags=re.S))
        assert f'="{look.colour}"' in item and item.count("<path") == 1 + bool(look.shape) + look.band
        assert f'stroke-dasharray="{",".join(map(str, look.dash)) or "none"}"' in item


def test_the_head_says_the_day_and_a_page_without_one_says_none():
    told, plain = (page.render(made_evidence(effect=True, date=date)) for date in ("2026-01-31", ""))
    assert ">on 2026-01-31 by w2sg" in re.sub("<!-- /?cost -->", "", told)
    assert without_costs(told) == without_costs(plain)
