"""Studies of no, one, two or three revisions: everything that concludes, words or draws them runs, and says what it cannot say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tests.conclusions import with_controls
from tests.studies import made_evidence, made_floors, made_metrics, made_statistics
from w2sg.report import page, plots
from w2sg.report.catalogue import FIGURES, GROUP_FIGURES
from w2sg.report.charts import panels
from w2sg.report.charts import rows as charts
from w2sg.report.figure_tables import figure_table, group_table
from w2sg.report.readme import END, START, result_block
from w2sg.report.sentences import answer, summary_text
from w2sg.study.sections import Statistics
from w2sg.tables.schemas import COMPLETENESS
from w2sg.trajectories import bands, coverage

SEEDS = ["nano-seed0", "nano-seed1"]
CASE: Any = {"family": SEEDS[0], "dataset": "newsgroups_tech"}
QUICK = Statistics(resamples=100)
NONE = COMPLETENESS.fields.empty_table().to_pandas()


def study(steps: list[int], without: str = "") -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Metrics and statistics of two pre-training seeds at some steps, without one head."""
    made = with_controls(made_metrics(effect=True, steps=steps or [0]))
    made = made[made["head"] != without] if steps else made.head(0)
    metrics = pd.concat([made.assign(family=name) for name in SEEDS])
    return metrics, made_statistics(metrics, QUICK, groups={"nano": SEEDS})


@pytest.mark.parametrize("steps", [[], [2048], [0, 2048]], ids=len)
def test_few_revisions_are_concluded_from_and_shown(steps):
    metrics, tables = study(steps)
    judged = bands.judge_nano(metrics, families=SEEDS)
    text = summary_text(tables["summary"], bands=judged, completeness=NONE, named=coverage.far_from_neighbours(metrics))
    assert "nan" not in text.replace("nano", "")
    if not steps:
        assert result_block(tables["summary"]) == f"{START}\n- {answer(tables['summary'])[0]}\n{END}"
    elif len(steps) < 3:
        assert "there are too few revisions to say whether W2SG sets in" in text
        single = made_statistics(metrics[metrics["family"] == SEEDS[0]], QUICK)["summary"]
        assert "predicts held-out W2SG accuracy better cannot be judged: nano-seed0" in "\n".join(answer(single))
        assert "no interval: one revision" in "\n".join(answer(single))
    for name in FIGURES:
        assert figure_table(name, metrics, made_floors(), **CASE).empty == (not steps)
    for name in GROUP_FIGURES[:1]:
        assert group_table(name, metrics, made_floors(), members=SEEDS, dataset=CASE["dataset"]).empty == (not steps)


def test_a_page_and_figures_of_one_revision():
    metrics, tables = study([2048])
    shown: dict[str, Any] = {name: tables[name] for name in ("summary", "correlations", "transitions")}
    html = page.render(made_evidence(effect=True, metrics=metrics, groups={"nano": SEEDS}, **shown))
    assert "1 revisions; at least 3 are needed" in html
    for name in ("trajectory", "prediction"):
        plots.plot_figure(name, figure_table(name, metrics, made_floors(), **CASE))
        plt.close("all")
    assert f"Figures for print of nano on {CASE['dataset']}, 2 pre-training seeds lie" in html
    alone = metrics[metrics["family"] == SEEDS[0]]
    shown = {name: made_statistics(alone, QUICK, groups={"nano": SEEDS})[name] for name in shown}
    html = page.render(made_evidence(effect=True, metrics=alone, groups={"nano": SEEDS}, **shown))
    assert "Figures for print of" not in html  # one seed is no group


@pytest.mark.parametrize("head", ["w2s", "weak", "model"])
def test_a_study_of_three_revisions_in_which_one_head_was_not_measured(head):
    metrics, tables = study([0, 64, 2048], without=head)
    assert tables["summary"].empty == (head == "w2s")
    said = answer(tables["summary"])
    assert said and not any("nan" in sentence.replace("nano", "") for sentence in said)
    assert len(result_block(tables["summary"]).splitlines()) > 2
    if head != "w2s":
        rows = charts.chart_rows(metrics, made_floors(), **CASE)
        assert np.isfinite(rows["value"]).all() and panels.case_charts(rows, corpus="text", title="few")
