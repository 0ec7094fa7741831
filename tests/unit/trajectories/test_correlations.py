"""Correlations over revisions against scipy and statsmodels, their invariances, and what has no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from w2sg.measures.bootstrap import TOO_SHORT, block_length, draw_counts, effective_number, lag_one, longest_block
from w2sg.measures.estimates import Estimate, difference
from w2sg.study.sections import Statistics
from w2sg.trajectories.correlations import STATISTIC_NAMES, associate, compare_predictors, correlate
from w2sg.trajectories.series import Curve, Series

SETTINGS = Statistics(resamples=300, first=20)
STEPS = np.array([0, *(2**k for k in range(6)), *range(64, 64 * 25, 64)])


def made_series(seed: int = 0, n: int = len(STEPS)) -> Series:
    """A rise in log tokens that the probe follows and the loss anticipates."""
    rng = np.random.default_rng(seed)
    steps = STEPS[:n]
    rise = 1.0 / (1.0 + np.exp(-(np.log2(np.maximum(steps, 0.5)) - 9.0) / 0.7))
    accuracy = 0.54 + 0.25 * rise + 0.01 * rng.standard_normal(n)
    error = np.full(n, 0.01)
    curve = Curve(seed=-1, accuracy=accuracy, accuracy_error=error, gain=accuracy - 0.74, gain_error=error)
    return Series(
        family="f",
        dataset="d",
        protocol="paper",
        layer=4,
        steps=steps,
        tokens=steps * 0.002,
        probe=0.5 + 0.2 * rise + 0.01 * rng.standard_normal(n),
        loss=8.0 - 0.4 * np.log1p(steps) + 0.02 * rng.standard_normal(n),
        others={
            "ceiling": 0.55 + 0.27 * rise + 0.005 * rng.standard_normal(n),
            "plain": 0.52 + 0.2 * rise + 0.01 * rng.standard_normal(n),
        },
        curves=(curve,),
    )


def whole(series: Series, statistic: str):
    return compare_predictors(series, SETTINGS, np.ones(len(series.steps), dtype=bool), statistic)


def test_values_and_naive_p_values_are_those_of_scipy():
    one = made_series()
    y = one.curves[0].accuracy
    for name, x in (("probe", one.probe), ("loss", one.loss)):
        fit, rank = stats.linregress(x, y), stats.spearmanr(x, y)
        linear, ranked = whole(one, "r2")[name], whole(one, "spearman")[name]
        assert linear.signed.value == pytest.approx(fit.rvalue**2, rel=1e-12)
        assert linear.p_naive == pytest.approx(fit.pvalue, rel=1e-8)
        assert ranked.signed.value == pytest.approx(rank.statistic, rel=1e-12)
        assert ranked.p_naive == pytest.approx(rank.pvalue, rel=1e-8)


def test_the_partial_correlation_is_that_of_a_regression_with_log_tokens():
    one = made_series()
    used = one.tokens > 0
    x, y, control = one.probe[used], one.curves[0].accuracy[used], np.log2(one.tokens[used])
    full = sm.OLS(y, sm.add_constant(np.stack([x, control], axis=1))).fit()
    alone = sm.OLS(y, sm.add_constant(control)).fit()
    found = whole(one, "r2_given_log_tokens")["probe"]
    assert found.signed.value == pytest.approx((full.rsquared - alone.rsquared) / (1 - alone.rsquared), rel=1e-9)
    assert found.p_naive == pytest.approx(full.pvalues[1], rel=1e-7)
    assert found.signed.n == len(STEPS) - 1


@pytest.mark.parametrize("ranked", ["r2", "spearman"])
def test_every_resample_is_the_statistic_of_the_repeated_revisions(ranked):
    one = made_series()
    x, y = np.round(one.probe, 2), one.curves[0].accuracy  # rounding makes ties
    found = associate(x, y, ranked, SETTINGS, block=3)
    counts = draw_counts(len(x), resamples=300, seed=0, block=3).astype(int)
    for b in (0, 7, 299):
        drawn = np.repeat(np.arange(len(x)), counts[b])
        oracle = stats.spearmanr if ranked == "spearman" else stats.pearsonr
        r = oracle(x[drawn], y[drawn]).statistic
        assert found.draws[b] == pytest.approx(abs(r) if ranked == "spearman" else r**2, rel=1e-4)


def test_scale_and_direction_of_a_predictor_do_not_matter():
    one = made_series()
    turned = replace(one, loss=5.0 - 3.0 * one.loss)
    for statistic in STATISTIC_NAMES:
        for name in ("loss", "difference"):
            before, after = whole(one, statistic)[name].magnitude, whole(turned, statistic)[name].magnitude
            assert (before.value, before.low, before.high) == pytest.approx((after.value, after.low, after.high), 1e-4)


def test_shared_errors_of_two_predictors_cancel_in_their_difference():
    one = made_series()
    same = whole(replace(one, loss=one.probe), "r2")
    found, single = same["difference"].signed, same["probe"].signed
    assert found.value == 0.0
    assert found.low < 0.0 < found.high
    assert found.high - found.low < single.high - single.low  # independent errors would give more


def test_intervals_hold_the_value_and_stay_in_range():
    rows = list(correlate(made_series(), SETTINGS, saturation=2.5))
    assert {row["span"] for row in rows} == {"all", "first_20", "before_saturation"}
    assert len(rows) == 27
    for row in rows:
        assert row["note"] == "" or row["note"].startswith(TOO_SHORT)
        assert row["low"] <= row["value"] <= row["high"]
        assert row["low"] >= -1 and row["high"] <= 1
        assert np.isnan(row["n_effective"]) or 3 <= row["n_effective"] <= row["n"]


def test_a_span_of_all_revisions_is_not_repeated():
    one = made_series()
    settings = SETTINGS.model_copy(update={"first": len(STEPS)})
    assert {row["span"] for row in correlate(one, settings, saturation=np.inf)} == {"all"}


def test_equal_means_that_differ_by_rounding_are_ties():
    one = made_series()
    rounded = np.round(one.probe, 2)  # many ties
    last_digits = rounded * (1 + 1e-16 * np.arange(-10, len(rounded) - 10))
    assert len(np.unique(last_digits)) > len(np.unique(rounded))
    first, second = (whole(replace(one, probe=probe), "spearman")["probe"].signed for probe in (rounded, last_digits))
    assert first == second


def test_what_is_undefined_says_why():
    one = made_series()
    rows = {
        "W2SG accuracy is constant": replace(one, curves=(replace(one.curves[0], accuracy=np.full(len(STEPS), 0.5)),)),
        "predictor is constant": replace(one, probe=np.full(len(STEPS), 0.5)),
        "probe was not measured": replace(one, probe=np.full(len(STEPS), np.nan)),
        "2 revisions; at least 3": made_series(n=2),
    }
    for note, series in rows.items():
        found = whole(series, "r2")
        for name in ("probe", "difference"):
            assert np.isnan(found[name].signed.value)
            assert note in found[name].signed.note
    lost = [row for row in correlate(rows["probe was not measured"], SETTINGS, saturation=2.5)]
    assert all(row["n"] > 0 for row in lost if row["predictor"] == "probe")  # of the loss's revisions
    for sign in (1.0, -1.0):
        perfect = associate(np.arange(12.0), sign * np.arange(12.0), "spearman", SETTINGS, block=2).signed
        assert perfect.value == sign and np.isnan(perfect.low)
        assert perfect.note == "no interval: all resamples agree"
    short = whole(made_series(n=6), "r2")["probe"].signed
    assert np.isfinite(short.value) and np.isnan(short.low)
    assert short.note == "no interval: 6 revisions, 8 are needed"
    spans = [row for row in correlate(one, SETTINGS, saturation=float("nan"), reason="flat")]
    assert {row["note"] for row in spans if row["span"] == "before_saturation"} == {"no saturation point: flat"}


def test_resamples_draw_every_revision_equally_often_and_neighbours_together():
    counts = draw_counts(12, resamples=4000, seed=1, block=4)
    assert (counts.sum(1) == 12).all()
    assert counts.mean(0) == pytest.approx(np.ones(12), abs=0.06)
    assert np.corrcoef(counts[:, 5], counts[:, 6])[0, 1] > 0.6
    assert abs(np.corrcoef(draw_counts(12, resamples=4000, seed=1).T)[5, 6]) < 0.15


def test_autocorrelation_effective_number_and_block_follow_a_first_order_process():
    rng = np.random.default_rng(0)
    series = np.zeros((2, 4000))
    for t in range(1, 4000):
        series[:, t] = 0.6 * series[:, t - 1] + rng.standard_normal(2)
    assert [lag_one(x) for x in series] == pytest.approx([0.6, 0.6], abs=0.04)
    assert effective_number(*series) == pytest.approx(4000 * 0.64 / 1.36, rel=0.08)
    assert block_length(4000, 0.6) == round((6 * 0.36 / 0.64**2 * 4000) ** (1 / 3))
    assert block_length(20, 0.9) == 5


def test_a_block_longer_than_a_quarter_is_cut_and_leaves_an_interval_of_some_width():
    one, inside = made_series(), np.ones(len(STEPS), dtype=bool)
    found = {
        block: compare_predictors(one, SETTINGS.model_copy(update={"block": block}), inside, "r2")["loss"].signed
        for block in (longest_block(len(STEPS)), len(STEPS), 1000)
    }
    whole, notes = found[len(STEPS) // 4], [each.note for each in found.values()]
    assert all(replace(each, note="") == whole for each in found.values())
    asked = f"{TOO_SHORT}: blocks of %d revisions are asked for, of 31 at most 7 are possible"
    assert notes == ["", asked % 31, asked % 1000]
    assert found[1000].high - found[1000].low > 0.01
    assert [longest_block(n) for n in (1, 3, 8, 23)] == [1, 1, 2, 5]


def test_a_trend_is_no_sample_and_has_no_effective_number():
    rng = np.random.default_rng(0)
    rise, noise = np.linspace(0.0, 1.0, 23), rng.standard_normal(23)
    assert lag_one(rise) == 0.97
    assert np.isnan(effective_number(rise, rise + 0.01 * noise))
    assert np.isnan(effective_number(rise, noise))  # one of the two is enough
    assert 3 <= effective_number(noise, rng.standard_normal(23)) <= 23
    slow = np.convolve(np.random.default_rng(8).standard_normal(27), np.ones(5), mode="valid")
    assert lag_one(slow) < 0.97 and np.isnan(effective_number(slow, slow))  # worth fewer than three pairs
    assert np.isnan(effective_number(noise[:3], noise[3:6]))  # no autocorrelation of three can be estimated
    ranked = whole(made_series(), "spearman")["probe"]
    assert np.isnan(ranked.n_effective) and np.isfinite(ranked.p_naive)


def test_the_interval_of_a_difference_adds_errors_as_variances_do():
    first, second = Estimate(value=3.0, low=2.7, high=3.3), Estimate(value=1.0, low=0.6, high=1.4)
    found = difference(first, second)
    assert (found.low, found.high) == pytest.approx((1.5, 2.5))
    assert difference(first, first, correlation=1.0).high == pytest.approx(0.0)
    half_open = difference(first, Estimate(value=1.0, low=float("nan"), high=1.4))
    assert half_open.low == pytest.approx(1.5)
    assert np.isnan(half_open.high)
