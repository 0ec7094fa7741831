"""Errors of predicting held-out W2SG accuracy: known answers, what makes them undefined, and the verdict's error rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from tests.studies import made_metrics
from tests.unit.trajectories.test_correlations import SETTINGS, made_series
from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.measures.estimates import Estimate
from w2sg.measures.verdicts import decide, pool_seeds
from w2sg.tables.files import write_table
from w2sg.tables.schemas import PREDICTION
from w2sg.trajectories.prediction import (
    COMPARED,
    RISING,
    block_means,
    difference_of_errors,
    leave_one_out,
    predict_all,
    predict_revisions,
    predict_seeds,
)
from w2sg.trajectories.series import collect_series


def test_held_out_revisions_are_predicted_as_cross_validation_does():
    one = made_series(1)
    target = one.curves[0].accuracy
    for x, increasing in ((one.probe, True), (one.loss, False)):
        fit = IsotonicRegression(increasing=increasing, out_of_bounds="clip")
        oracle = cross_val_predict(fit, x[:, None], target, cv=LeaveOneOut()) - target
        np.testing.assert_allclose(leave_one_out(x, target, increasing=increasing), oracle, atol=1e-12)
    found = predict_revisions(one, confidence=0.95)
    errors = leave_one_out(one.probe, target, increasing=True)
    assert found["probe"].value == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert found["probe_minus_loss"].value == pytest.approx(found["probe"].value - found["loss"].value)
    assert found["probe_minus_loss"].low < found["probe_minus_loss"].value < found["probe_minus_loss"].high


def test_a_monotone_curve_of_the_loss_is_no_worse_than_the_loss():
    one = made_series(2)
    bent = replace(one, loss=np.exp(one.loss) - 5.0)
    first, second = (predict_revisions(x, confidence=0.95)["loss"].value for x in (one, bent))
    assert second == pytest.approx(first, rel=0.1)


def test_what_cannot_be_predicted_says_why():
    one = made_series(3)
    found = predict_revisions(one, confidence=0.95)
    assert set(found) == {*RISING, *COMPARED}
    assert "unrelated was not measured" in found["unrelated"].note
    lost = predict_revisions(replace(one, loss=np.full(len(one.steps), np.nan)), confidence=0.95)
    assert np.isnan(lost["probe_minus_loss"].value) and "loss was not measured" in lost["probe_minus_loss"].note
    assert np.isfinite(lost["probe_minus_step"].value)
    assert (
        "constant"
        in predict_revisions(
            replace(one, curves=(replace(one.curves[0], accuracy=np.full(len(one.steps), 0.5)),)), confidence=0.95
        )["probe"].note
    )
    few = predict_revisions(made_series(n=5), confidence=0.95)["probe_minus_loss"]
    assert np.isfinite(few.value) and few.note == "no interval: 5 revisions, 8 are needed"
    assert "3 are needed" in predict_revisions(made_series(n=2), confidence=0.95)["probe"].note


def test_a_seed_is_predicted_from_the_others():
    runs = [made_series(seed) for seed in range(4)]
    found = predict_seeds(runs, confidence=0.95)
    errors = []
    for out in range(4):
        x = np.concatenate([run.probe for at, run in enumerate(runs) if at != out])
        y = np.concatenate([run.curves[0].accuracy for at, run in enumerate(runs) if at != out])
        fit = IsotonicRegression(out_of_bounds="clip").fit(x, y)
        errors.append(np.sqrt(np.mean((fit.predict(runs[out].probe) - runs[out].curves[0].accuracy) ** 2)))
    assert found["probe"].value == pytest.approx(np.mean(errors))
    assert found["probe_minus_loss"].n == 4 and "4 pre-training seeds" in found["probe_minus_loss"].note
    assert "2 are needed" in predict_seeds(runs[:1], confidence=0.95)["probe"].note
    two = predict_seeds(runs[:2], confidence=0.95)["probe_minus_loss"]
    assert np.isfinite(two.value) and np.isnan(two.low) and "3 are needed" in two.note


def test_the_table_has_runs_and_groups_at_the_last_layer(tmp_path):
    metrics = pd.concat(
        [made_metrics(effect=True, layers=(1, 4), noise=0.003).assign(family=f) for f in ("a", "b", "c")]
    )
    series = list(collect_series(metrics, confidence=0.95))
    table = pd.DataFrame(predict_all(series, {"group": ["a", "b"], "none": ["x", "y"]}, SETTINGS))
    write_table(table, tmp_path / "p.parquet", PREDICTION, provenance={})
    assert set(table["layer"]) == {4}
    assert set(table.loc[table["held_out"] == "seed", "family"]) == {"group"}
    assert set(table.loc[table["held_out"] == "revision", "family"]) == {"a", "b", "c"}


def test_equal_predictors_are_rarely_told_apart_though_errors_are_uneven_and_have_memory():
    rng, said = np.random.default_rng(0), []
    spread = np.where(np.abs(np.arange(23) - 14) < 3, 5.0, 1.0)
    for _ in range(400):
        noise = rng.standard_normal((2, 24))
        both = spread * (noise[:, 1:] + 0.6 * noise[:, :-1])
        found = difference_of_errors(*both**2, confidence=0.95)
        said.append(decide(found.low, found.high, found.note) in ("above", "below"))
    assert np.mean(said) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_a_better_predictor_is_told():
    rng = np.random.default_rng(0)
    found = difference_of_errors(rng.standard_normal(40) ** 2, 9 * rng.standard_normal(40) ** 2, confidence=0.95)
    assert decide(found.low, found.high) == "below"
    assert block_means(np.arange(8.0), confidence=0.95).value == 3.5


def test_a_verdict_needs_an_interval_that_was_not_cut():
    assert [decide(*ends) for ends in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))] == ["above", "below", "unclear"]
    assert decide(np.nan, np.nan) == "undefined"
    assert decide(0.1, np.nan) == "above"
    assert decide(0.1, 0.2, f"{TOO_SHORT}: blocks") == "unclear"


def test_seeds_are_pooled_by_students_t_with_what_they_share():
    found = [Estimate(value=value) for value in (1.0, 2.0, 3.0)]
    one = pool_seeds(found, confidence=0.95)
    assert one.high - one.value == pytest.approx(4.3026527 / np.sqrt(3))
    shared = pool_seeds(found, shared=(1.0, 2.0), confidence=0.95)
    own, known = 1.0 / 3.0, (2.0 / 1.959964) ** 2
    quantile = stats.t.ppf(0.975, (own + known) ** 2 / (own**2 / 2.0))  # Welch and Satterthwaite
    assert shared.high - 2.0 == pytest.approx(quantile * np.sqrt(own + known), rel=1e-5)
    assert 2.0 - shared.low < shared.high - 2.0
    same = pool_seeds(found[:1] * 3, confidence=0.95)
    assert (same.value, same.note) == (1.0, "no interval: the same with all 3 pre-training seeds") and np.isnan(
        same.low
    )
    bare = [replace(one, note="no interval: one revision") for one in found]
    lacking = [pool_seeds(seeds, shared=(np.nan, np.nan), confidence=0.95) for seeds in (bare, [*bare[:2], found[2]])]
    assert [one.note for one in lacking] == ["no interval: one revision", "no interval: not known with all seeds"]


def test_the_interval_of_fits_on_other_seeds_allows_for_the_variance_of_their_mean():
    rng = np.random.default_rng(0)
    for seeds in (3, 5, 8):
        answers = rng.standard_normal((20000, seeds, 4))
        others = (answers.sum(1, keepdims=True) - answers) / (seeds - 1)
        errors = ((answers - others) ** 2 * [1, 1, -1, -1]).sum(-1)  # of one predictor less those of another
        allowed = np.mean([_variance(one) for one in errors[:2000]])
        assert 0.95 < allowed / errors.mean(1).var() < 1.25  # a mean of the others; other fits err by more


def _variance(errors):
    """What an interval of fits on the other seeds takes for the variance of their mean."""
    found = pool_seeds([Estimate(value=one) for one in errors], of_fits=True, confidence=0.95)
    return ((found.high - found.value) / stats.t.ppf(0.975, len(errors) - 1)) ** 2
