"""Summary, bands, text and report on made-up trajectories with a known answer."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.studies import WEAK, made_metrics
from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.report.cells import format_summary
from w2sg.report.sentences import describe_summary, summary_text
from w2sg.study.sections import Statistics
from w2sg.tables.schemas import CORRELATIONS, TRANSITIONS
from w2sg.trajectories import bands, coverage, onset, summary
from w2sg.trajectories.correlations import correlate_all
from w2sg.trajectories.series import collect_series
from w2sg.trajectories.transitions import estimate_transition


def condensed(metrics: pd.DataFrame) -> pd.DataFrame:
    """The summary, on statistics computed as the workflow does."""
    settings = Statistics(resamples=200, first=10)
    series = list(collect_series(metrics, confidence=0.95))
    moved = pd.DataFrame(estimate_transition(series, settings))
    return summary.summarize(
        metrics, correlations=pd.DataFrame(correlate_all(series, moved, settings)), transitions=moved
    )


def test_summary_and_bands_of_a_study_with_the_effect():
    metrics = made_metrics(effect=True)
    rows = condensed(metrics)
    assert rows["protocol"].tolist() == ["paper", "converged"]
    assert rows["onset"].between(1024, 1408).all()
    assert (rows["onset_low"] <= rows["onset"]).all()
    assert (rows["onset"] <= rows["onset_high"]).all()
    assert (rows["r2_probe"] > 0.999).all()
    assert rows["weak"].tolist() == [WEAK, WEAK]
    checks = bands.judge_nano(metrics, families=["nano", "absent"])
    assert checks["holds"].all()
    assert set(checks["family"]) == {"nano"} and set(checks["dataset"]) == {"newsgroups_tech"}
    assert "sets in at step" in describe_summary(rows)[0]


def test_every_dataset_has_bands_of_its_own():
    """Order: the supervisor and the ceiling of the topic task are too low there; nothing is expected of the probe."""
    metrics = pd.concat([made_metrics(effect=True, dataset=name) for name in (*bands.BANDS, "posts")])
    checks = bands.judge_nano(metrics, families=["nano"]).set_index("dataset")
    assert list(dict.fromkeys(checks.index)) == list(bands.BANDS)
    failed = checks.loc["newsgroups_order"].query("not holds")
    assert set(failed["criterion"]) == {"supervisor accuracy", "ceiling at the end"}
    assert set(failed["expected"]) == {"0.75 to 0.88", "0.88 to 1.00"}
    assert not checks.loc["newsgroups_order", "criterion"].str.startswith("R²").any()


def test_without_the_effect_headline_and_bands_say_so():
    metrics = made_metrics(effect=False)
    rows = condensed(metrics)
    assert rows["onset"].isna().all()
    assert rows["r2_probe"].isna().all()
    assert all("no W2SG" in sentence for sentence in describe_summary(rows))
    checks = bands.judge_nano(metrics, families=["nano"])
    assert not checks.set_index(["protocol", "criterion"])["holds"].loc[("paper", "mean gain of the last 4")]
    wanted = coverage.completeness(metrics, {"nano": {"step0": 0, "step1000": 1000}}, ["newsgroups_tech"])
    flagged = pd.DataFrame([{"model": "m", "revision": "s0", "reason": "equal", "excluded": True}])
    text = summary_text(rows, bands=checks, completeness=wanted, flagged=flagged)
    assert text.startswith("missing: nano on newsgroups_tech: 1 of 2 revisions are missing: step1000\n")
    assert text.endswith("m s0 (left out): equal\n")
    assert "none" in text
    assert "not: nano on newsgroups_tech, converged heads, mean gain of the last 4" in text


@pytest.mark.parametrize(
    ("value", "low", "high", "note", "sentence", "cell"),
    [
        (
            0.0,
            None,
            0.0,
            f"{onset.FIRST}: x",
            "already above its supervisor at the first revision, step 0 of 2,048",
            "by step 0",
        ),
        (512.0, None, 1024.0, f"{onset.OPEN}: x", "above its supervisor by step 1,024 of 2,048", "by step 1024"),
        (None, None, None, f"{onset.FLEETING}: x", "at some revision, but the gain does not last", "not lasting"),
        (None, None, None, f"{onset.FEW}: x", "too few revisions to say", "?"),
        (None, None, None, f"{onset.NEVER} (x)", "no onset beyond sampling error", "none"),
        (512.0, 256.0, 1024.0, None, "sets in at step 512 of 2,048 (interval 256 to 1,024)", "step 512"),
    ],
)
def test_an_onset_is_told_by_what_bounds_it(tmp_path, value, low, high, note, sentence, cell):
    rows = condensed(made_metrics(effect=True)).head(1)
    rows = rows.assign(onset=value, onset_low=low, onset_high=high, onset_note=note)
    rows.to_csv(tmp_path / "summary.csv", index=False)
    rows = summary.read_summary(tmp_path / "summary.csv")  # as the report reads it
    assert sentence in describe_summary(rows)[0]
    assert format_summary(rows)["onset"].tolist() == [cell]


@pytest.mark.parametrize(
    ("steps", "words"), [([512], "; at the last revision the"), ([0, 64, 128, 256, 512, 2048], "2 revisions")]
)
def test_the_late_revisions_are_counted(steps, words):
    metrics = made_metrics(effect=True, steps=steps)
    rows = condensed(metrics)
    assert all(words in sentence for sentence in describe_summary(rows))
    last = metrics[(metrics["head"] == "w2s") & (metrics["protocol"] == "paper") & (metrics["metric"] == "gain")]
    last = last[last["step"].isin(steps[-onset.least_late(len(steps)) :])]
    assert rows["gain_late"].iloc[0] == pytest.approx(last["value"].mean(), abs=1e-6)
    checks = bands.judge_nano(metrics, families=["nano"]).set_index(["protocol", "criterion"])
    assert checks.loc[("paper", f"mean gain of the last {onset.least_late(len(steps))}"), "measured"] == pytest.approx(
        last["value"].mean()
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (
            None,
            None,
            "and evaluation loss (R² 1.000): the difference has no interval, so which predicts it better cannot be told.",
        ),
        (-0.1, 0.3, "interval -0.100 to +0.300, so which predicts it better cannot be told."),
        (
            0.1,
            0.3,
            "Probe accuracy (R² 1.000) predicts W2SG accuracy better than evaluation loss (R² 1.000); the difference",
        ),
        (
            -0.3,
            -0.1,
            "Probe accuracy (R² 1.000) predicts W2SG accuracy worse than evaluation loss (R² 1.000); the difference",
        ),
    ],
)
def test_predictors_are_compared_in_words_only_by_the_interval_of_their_difference(low, high, expected):
    rows = condensed(made_metrics(effect=True)).head(1)
    rows = rows.assign(
        r2_probe=0.9999, r2_loss=0.9998, r2_difference=0.2, r2_difference_low=low, r2_difference_high=high,
        r2_difference_note="",
    )  # fmt: skip
    rows = rows.astype({"r2_difference_low": float, "r2_difference_high": float})
    (sentence,) = describe_summary(rows)
    assert expected in sentence
    assert ("better than" in sentence) == (low == 0.1)
    (doubtful,) = describe_summary(rows.assign(r2_difference_note=f"{TOO_SHORT}: blocks are cut"))
    assert "better than" not in doubtful and "worse than" not in doubtful
    assert ("may be too short" in doubtful) == (low is not None)


def test_a_statistic_that_is_not_in_the_tables_is_named():
    metrics = made_metrics(effect=True)
    empty = {"correlations": CORRELATIONS, "transitions": TRANSITIONS}
    tables = {name: schema.fields.empty_table().to_pandas() for name, schema in empty.items()}
    with pytest.raises(ValueError, match="0 rows of .*onset_step"):
        summary.summarize(metrics, **tables)
