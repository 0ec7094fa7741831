"""Summary, onset, bands, text and report on made-up trajectories with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.studies import WEAK, made_metrics
from w2sg import bands, report, summary


def test_the_onset_is_the_first_lasting_significant_gain():
    table = pd.DataFrame(
        {
            "step": [1, 2, 4, 8, 16, 32],
            "gain": [-1, 0.1, -0.1, 0.02, 0.1, 0.1],
            "gain_low": [-2, 0.05, -0.2, -0.01, 0.05, 0.08],
        }
    )
    assert summary.onset(table) == 16
    assert np.isnan(summary.onset(table.assign(gain=-table["gain"])))
    assert np.isnan(summary.onset(table.assign(gain_low=-1.0)))


def test_summary_and_bands_of_a_study_with_the_effect():
    metrics = made_metrics(effect=True)
    rows = summary.summarize(metrics)
    assert rows["protocol"].tolist() == ["paper", "converged"]
    assert rows["onset_step"].between(1024, 1408).all()
    assert (rows["r2_probe"] > 0.999).all()
    assert rows["weak"].tolist() == [WEAK, WEAK]
    assert bands.check_nano(metrics, family="nano", dataset=bands.DATASET)["holds"].all()
    assert "sets in at step" in summary.describe(rows)[0]


def test_without_the_effect_headline_and_bands_say_so():
    metrics = made_metrics(effect=False)
    rows = summary.summarize(metrics)
    assert rows["onset_step"].isna().all()
    assert rows["r2_probe"].isna().all()
    assert all("no W2SG" in sentence for sentence in summary.describe(rows))
    checks = bands.check_nano(metrics, family="nano", dataset=bands.DATASET)
    assert not checks.set_index(["protocol", "criterion"])["holds"].loc[("paper", "mean gain of the last four")]
    text = summary.as_text(rows, checks)
    assert "none" in text
    assert "not: nano, converged heads, mean gain of the last four" in text


def test_predictive_power_of_constants_and_short_input_is_nan():
    series = pd.Series([1.0, 2.0, 3.0])
    assert np.isnan(summary.predictive_power(pd.Series([1.0, 1.0, 1.0]), series)).all()
    assert np.isnan(summary.predictive_power(series[:2], series[:2])).all()
    assert summary.predictive_power(series, -series) == pytest.approx((1.0, -1.0))


def test_the_report_is_self_contained_and_escapes_text():
    rows = summary.summarize(made_metrics(effect=True)).assign(dataset="<script>alert(1)</script>")
    html = report.render(
        summary=rows,
        bands=pd.DataFrame(columns=list(bands.COLUMNS)),
        excluded=pd.DataFrame({"model": ["m"], "revision": ["step1"], "reason": ["<i>"], "excluded": [True]}),
        figures={"a": "<svg/>"},
        study={"study": "<b>"},
    )
    assert "<script" not in html
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html
    assert "http" not in html
