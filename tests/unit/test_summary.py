"""Summary, onset, bands, text and report on made-up trajectories with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from w2sg import bands, plots, report, summary
from w2sg.schemas import METRICS

STEPS = [
    0,
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
    256,
    512,
    640,
    768,
    896,
    1024,
    1152,
    1280,
    1408,
    1536,
    1664,
    1792,
    1920,
    2048,
]
WEAK = 0.74


def made_metrics(*, effect: bool) -> pd.DataFrame:
    """A study in which W2SG rises from 0.54 past the supervisor at step 1,024, or stays at 0.54."""
    rows = []
    for position, step in enumerate(STEPS):
        rise = 1 / (1 + np.exp(-(position - 13) * 0.9)) if effect else 0.0
        values = {"w2s": 0.54 + 0.24 * rise, "ceiling": 0.55 + 0.26 * rise}
        key = {
            "step": step,
            "tokens": step * 1e-6,
            "revision": f"step{step}",
            "dataset": "newsgroups_tech",
            "layer": 4,
        }
        for protocol, setting in summary.SETTINGS.items():
            for seed in (0, 1, 2):
                jitter = 0.001 * (seed - 1)
                base = key | {"protocol": protocol, "setting": setting, "seed": seed}
                for head, value in values.items():
                    rows.append(base | {"head": head, "metric": "accuracy", "value": value + jitter})
                rows.append(base | {"head": "w2s", "metric": "gain", "value": values["w2s"] + jitter - WEAK})
                pgr = (values["w2s"] - WEAK) / (values["ceiling"] - WEAK) if values["ceiling"] > WEAK else np.nan
                rows.append(base | {"head": "w2s", "metric": "pgr", "value": pgr})
        probe = {"head": "probe", "protocol": "pair", "setting": "l2=0.01", "seed": 0, "metric": "accuracy"}
        rows.append(key | probe | {"value": 0.52 + 0.2 * rise})
        loss = {
            "head": "model",
            "protocol": "language_model",
            "setting": "window=64",
            "seed": 0,
            "metric": "nats_per_token",
        }
        rows.append(key | loss | {"value": 7.6 - 0.3 * position**0.75, "dataset": "newsgroups", "layer": -1})
    for protocol, setting in summary.SETTINGS.items():
        weak = {
            "step": 2048,
            "tokens": 0.002,
            "revision": "step2048",
            "dataset": "newsgroups_tech",
            "layer": 2,
            "seed": 0,
        }
        rows.append(
            weak | {"head": "weak", "protocol": protocol, "setting": setting, "metric": "accuracy", "value": WEAK}
        )
    frame = pd.DataFrame(rows).assign(family="nano", weak="nano-weak", weak_revision="step2048", commit="c", n=2000)
    frame["model"] = np.where(frame["head"] == "weak", "nano-weak", "nano-strong")
    return frame.assign(low=frame["value"] - 0.015, high=frame["value"] + 0.015)[METRICS.fields.names]


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


def test_the_figure_draws_every_quantity_and_floor():
    metrics = made_metrics(effect=True)
    parts = [
        summary.trajectory(metrics, family="nano", dataset="newsgroups_tech", protocol=p).table.assign(protocol=p)
        for p in summary.SETTINGS
    ]
    floors = pd.DataFrame({"floor": ["longer_response", "tfidf"], "value": [0.5, 0.6]})
    figure = plots.plot_trajectory(pd.concat(parts), floors, title="nano")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:4] == [*plots.LABELS.values(), "weak supervisor"]
    assert len(labels) == 6
