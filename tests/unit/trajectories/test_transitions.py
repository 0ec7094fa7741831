"""Onset, sigmoid, change point and saturation: known answers, independent implementations, and what has no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import ruptures
from scipy import stats
from scipy.optimize import curve_fit
from statsmodels.stats.multitest import multipletests

from tests.studies import made_metrics
from tests.unit.trajectories.test_correlations import SETTINGS, STEPS, made_series
from w2sg.measures.agreement import PairErrors
from w2sg.measures.bootstrap import spread_factor, variance_factor
from w2sg.tables.files import read_table, write_table
from w2sg.tables.schemas import TRANSITIONS
from w2sg.trajectories.late.estimates import describe_late, gap_recovered, late_pairs, late_revisions
from w2sg.trajectories.onset import find_onset, holm, least_late, onset_status
from w2sg.trajectories.series import collect_series
from w2sg.trajectories.sigmoid import fit_sigmoid
from w2sg.trajectories.transitions import (
    estimate_curve,
    estimate_transition,
    find_change,
)

ERROR = np.full(8, 0.01)


def onset(gain, *, error=ERROR, late=3):
    return find_onset(np.asarray(gain, dtype=float), error, late=late, confidence=0.95)


def test_holm_rejects_what_statsmodels_does():
    rng = np.random.default_rng(0)
    for _ in range(3):  # that of statsmodels collects garbage at every call
        p = rng.random(23) ** 4
        assert (holm(p, 0.025) == multipletests(p, alpha=0.025, method="holm")[0]).all()


def test_the_onset_lies_between_the_last_revision_below_and_the_first_above():
    found = onset([-0.2, -0.2, -0.1, -0.01, 0.01, 0.05, 0.06, 0.06])
    assert (found.low, found.value, found.high) == (2, 4, 5)
    dip = onset([-0.2, -0.2, -0.1, 0.02, 0.05, -0.005, 0.06, 0.06])
    assert (dip.value, dip.high) == (3, 4)  # one later dip within the error moves nothing
    zero = onset([-0.2, -0.2, -0.1, 0.0, 0.05, 0.06, 0.06, 0.06])
    assert zero.value == 4


def test_the_onset_takes_account_of_how_many_revisions_are_tested():
    one = [-0.2] * 4 + [-0.01, 0.024, 0.01, 0.01]  # 2.4 standard errors: enough for one test, not for eight
    assert np.isnan(onset(one).value)
    assert "Holm over 8 revisions" in onset(one).note
    assert np.isfinite(onset([-0.2] * 4 + [-0.01, 0.034, 0.01, 0.01]).value)


def test_no_lasting_gain_and_a_gain_from_the_start_are_told():
    assert "does not last" in onset([-0.2, -0.2, 0.1, 0.1, 0.1, -0.02, -0.02, -0.01]).note
    assert np.isnan(onset([-0.2, -0.2, 0.1, 0.1, 0.1, -0.2, -0.2, -0.2]).value)
    early = onset([0.1] * 8)
    assert (early.value, early.high) == (0, 0)
    assert np.isnan(early.low) and "before the first" in early.note
    exact = onset([-1, -1, -1, 0, 1, 1, 1, 1], error=np.zeros(8))
    assert (exact.low, exact.value, exact.high) == (2, 4, 4)


def status(gain, *, late=3):
    found = onset(gain, error=np.full(len(gain), 0.01), late=late)
    return onset_status(found.value, found.low, found.note)


def test_an_onset_that_is_missing_or_open_says_which_of_five_ways():
    assert status([-0.2, -0.2, -0.1, -0.01, 0.01, 0.05, 0.06, 0.06]) == "bounded"
    assert status([0.1] * 20) == "first"
    assert status([0.1], late=1) == "first"
    assert status([0.001, -0.001, 0.1, 0.1, 0.1]) == "open"
    assert status([-0.2, -0.2, 0.1, 0.1, 0.1, -0.02, -0.02, -0.01]) == "fleeting"
    assert status([-0.2, -0.2, 0.1, 0.1, 0.1, -0.2, -0.2, -0.2]) == "fleeting"  # rises far above and falls below again
    assert status([-0.2, 0.001], late=1) == "few"
    assert status([-0.2] * 8) == "never"
    assert "(Holm over 8 revisions)" in onset([-0.2] * 8).note


def test_late_is_no_more_than_a_third_of_a_short_list():
    assert [least_late(n) for n in (1, 2, 3, 5, 6, 9, 11, 12, 23, 154)] == [1, 1, 1, 1, 2, 3, 3, 4, 4, 4]
    assert [late_revisions(n, 0.2) for n in (1, 3, 6, 12, 23, 154)] == [1, 1, 2, 4, 5, 31]
    assert late_revisions(6, 0.5) == 3  # what is configured counts
    assert late_revisions(2, 1.0) == 2


def test_three_revisions_of_which_the_first_is_far_below_have_an_onset():
    metrics = made_metrics(effect=True)
    metrics = metrics[metrics["step"].isin([0, 512, 2048])]
    rows = pd.DataFrame(estimate_transition(collect_series(metrics, confidence=0.95), SETTINGS))
    onsets = rows[(rows["estimate"] == "onset_step") & (rows["seed"] == -1)]
    assert onsets["value"].tolist() == [2048, 2048]
    assert set(zip(onsets["low"], onsets["high"], strict=True)) == {(512, 2048)}
    assert onsets["note"].str.startswith("the onset lies between steps 512 and 2,048; no revision").all()


def test_an_onset_says_that_nothing_was_measured_between_only_where_the_gap_is_wide():
    def note(steps):
        metrics = made_metrics(effect=True)
        metrics = metrics[metrics["step"].isin(steps) | (metrics["head"] == "weak")]
        rows = pd.DataFrame(estimate_transition(collect_series(metrics, confidence=0.95), SETTINGS))
        one = rows[(rows["estimate"] == "onset_step") & (rows["seed"] == -1) & (rows["protocol"] == "paper")].iloc[0]
        return one["low"], one["high"], one["note"]

    assert note([0, 2048]) == (
        0,
        2048,
        "the onset lies between steps 0 and 2,048; no revision between them was measured",
    )
    assert note([0, 1024, 2048]) == (1024, 2048, "")  # a doubling


def noise_free(x, midpoint=8.0, scale=0.5):
    return 0.54 + 0.25 / (1.0 + np.exp(-(x - midpoint) / scale))


def test_the_sigmoid_is_the_least_squares_one():
    x = np.linspace(0.0, 12.0, 40)
    y = noise_free(x) + 0.01 * np.random.default_rng(1).standard_normal(40)
    found = fit_sigmoid(x, y, confidence=0.95)
    oracle, _ = curve_fit(
        lambda x, floor, rise, midpoint, scale: floor + rise / (1 + np.exp(-(x - midpoint) / scale)),
        x,
        y,
        p0=[0.5, 0.3, 7.0, 1.0],
    )
    assert not isinstance(found, str)
    fitted = (found.floor, found.rise, found.midpoint, found.scale)
    assert [one.value for one in fitted] == pytest.approx(oracle, rel=1e-4)
    assert all(one.low < one.value < one.high for one in fitted)
    assert found.midpoint.low < 8.0 < found.midpoint.high


def test_revisions_without_tokens_show_the_floor_and_units_of_tokens_only_shift():
    x = np.concatenate([[-np.inf], np.linspace(0.0, 12.0, 30)])
    y = noise_free(x) + 0.01 * np.random.default_rng(1).standard_normal(31)
    found, shifted = fit_sigmoid(x, y, confidence=0.95), fit_sigmoid(x + 10.0, 2.0 * y, confidence=0.95)
    assert not isinstance(found, str) and not isinstance(shifted, str)
    assert shifted.midpoint.value == pytest.approx(found.midpoint.value + 10.0, abs=1e-4)
    ends = [(one.midpoint.low, one.midpoint.high) for one in (found, shifted)]
    assert ends[1] == pytest.approx([end + 10.0 for end in ends[0]], abs=1e-3)
    assert shifted.rise.value == pytest.approx(2.0 * found.rise.value, rel=1e-4)
    assert found.floor.value == pytest.approx(0.54, abs=0.01)


def test_a_jump_is_placed_between_two_revisions_and_noise_is_no_rise():
    x, rng = np.arange(20.0), np.random.default_rng(2)
    jump = fit_sigmoid(x, np.where(x >= 9, 0.8, 0.5) + 0.001 * rng.standard_normal(20), confidence=0.95)
    assert not isinstance(jump, str)
    assert 8.0 < jump.midpoint.value < 9.0
    assert np.isnan(jump.scale.low)  # how steep it is cannot be told
    found = [isinstance(fit_sigmoid(x, rng.standard_normal(20), confidence=0.95), str) for _ in range(60)]
    assert np.mean(found) > 0.93
    assert "constant" in str(fit_sigmoid(x, np.full(20, 0.5), confidence=0.95))
    assert "noise" in str(fit_sigmoid(x, noise_free(-x, midpoint=-9.0), confidence=0.95))
    assert "8" in str(fit_sigmoid(x[:5], x[:5], confidence=0.95))
    nothing = np.full(20, -np.inf)
    assert fit_sigmoid(nothing, x, confidence=0.95) == "0 revisions after training began; a sigmoid needs 2"


def test_the_change_point_is_that_of_ruptures_and_noise_has_none():
    rng = np.random.default_rng(3)
    for place in (5, 12, 20):
        values = np.where(np.arange(30) >= place, 0.7, 0.6) + 0.02 * rng.standard_normal(30)
        found = find_change(values, confidence=0.95)
        oracle = ruptures.Dynp(model="l2", min_size=2, jump=1).fit(values).predict(n_bkps=1)[0]
        assert found.value == oracle
        assert found.low <= place <= found.high
    assert "noise" in find_change(rng.standard_normal(30), confidence=0.95).note
    assert "constant" in find_change(np.full(30, 0.5), confidence=0.95).note
    assert "8" in find_change(np.arange(5.0), confidence=0.95).note


def test_late_level_and_fluctuation_have_their_textbook_intervals():
    curve = made_series().curves[0]
    exact = replace(curve, accuracy_error=np.zeros(len(STEPS)), gain_error=np.zeros(len(STEPS)))
    found = describe_late(exact, late=10, factor=1.0, confidence=0.95)
    values = curve.accuracy[-10:]
    half = 2.2621572 * values.std(ddof=1) / np.sqrt(10)
    assert found["saturation"].high - found["saturation"].value == pytest.approx(half)
    spread = found["fluctuation"]
    assert (spread.value, spread.low) == pytest.approx((values.std(ddof=1), values.std(ddof=1) * 0.687836), rel=1e-5)
    assert spread.note == "not separated from sampling noise"
    noise = PairErrors(
        single=np.ones(3), mean=np.eye(3), lasting=np.eye(3), noise=0.36 * values.var(ddof=1) * np.eye(3)
    )
    apart = describe_late(exact, late=10, factor=1.0, pairs=noise, confidence=0.95)
    assert (apart["fluctuation"].value, apart["fluctuation"].note) == (pytest.approx(0.8 * spread.value), "")
    assert apart["saturation"].high - apart["saturation"].value == pytest.approx(0.8 * half)
    level = describe_late(exact, late=10, factor=1.0, pairs=replace(noise, noise=np.eye(3)), confidence=0.95)[
        "fluctuation"
    ]
    assert (level.value, level.note) == (0.0, "at the level of sampling noise")
    wider = describe_late(curve, late=10, factor=3.0, confidence=0.95)  # nine degrees of freedom are worth 5.4
    assert wider["saturation"].high > found["saturation"].high
    assert wider["fluctuation"].high == pytest.approx(spread.value * np.sqrt(5.4 / stats.chi2.ppf(0.025, 5.4)))
    # 0.36 of the variance is noise: autocorrelations 0.64 φ^k, whose sum is 1 at φ = 1 / 1.64.
    hidden = describe_late(curve, late=10, factor=3.0, pairs=noise, confidence=0.95)["fluctuation"]
    own = 9 / (1 + 2 * 0.64**2 / (1.64**2 - 1))
    assert (hidden.high / spread.value) ** 2 == pytest.approx(own / stats.chi2.ppf(0.025, own) - 0.36)


def test_noise_on_a_process_hides_memory_that_the_variance_of_means_has():
    memory, share = 0.6, 0.4  # of the variance that is the process's own
    correlations = share * memory ** np.arange(1, 200)
    exact = 1.0 + 2.0 * correlations.sum()
    assert variance_factor(correlations[0], noise=1.0 - share) == pytest.approx(exact)
    assert variance_factor(memory) == pytest.approx((1 + memory) / (1 - memory))
    assert variance_factor(0.0, noise=1.0) == 1.0
    of_spread = 1.0 + 2.0 * (correlations**2).sum()
    assert spread_factor(exact, noise=1.0 - share) == pytest.approx(of_spread)
    assert spread_factor(1.0) == spread_factor(1.0, noise=1.0) == 1.0
    assert spread_factor(exact, noise=1.0) == pytest.approx(1.0)


def test_answers_of_single_pairs_shorten_the_late_intervals():
    series = made_series()
    rng, curve, steps = np.random.default_rng(0), series.curves[0], series.steps.tolist()
    hard = rng.random(2000)
    right = {
        head: {step: (hard + 0.5 * rng.standard_normal(2000) < level).astype(float) for step in steps}
        for head, level in (("weak", 0.7), ("w2s", 0.8), ("ceiling", 0.9))
    }
    series = replace(series, others={"ceiling": curve.accuracy + 0.02})
    without, found = (estimate_curve(series, curve, SETTINGS, one) for one in (None, right))
    pairs = late_pairs(right, steps[-late_revisions(len(steps), SETTINGS.late) :])
    share = np.sqrt(pairs.lasting[1, 1] / pairs.single[1])
    assert found["saturation_gain_shared"].value == pytest.approx(share * without["saturation_gain_shared"].value)
    for name in ("saturation", "saturation_gain", "pgr"):
        assert found[name].value == without[name].value
        assert found[name].high - found[name].low < without[name].high - without[name].low
        assert found[f"{name}_shared"].value <= (found[name].high - found[name].low) / 2 + 1e-12


def test_an_error_of_all_gains_moves_the_onset_by_the_slope_of_the_sigmoid():
    series = made_series()
    supervisor = float(series.curves[0].accuracy[[0, -1]].mean())
    curve = replace(series.curves[0], gain=series.curves[0].accuracy - supervisor)
    found = estimate_curve(series, curve, SETTINGS)
    at = {name: found[f"sigmoid_{name}"].value for name in ("floor", "rise", "midpoint", "width")}
    x, scale = np.log2(at["midpoint"]) + np.linspace(-8, 8, 100_001), at["width"] / (2 * np.log(9))
    level = at["floor"] + at["rise"] / (1 + np.exp(-(x - np.log2(at["midpoint"])) / scale))
    half = 1e-4  # of an accuracy, small, so that the curve is a line there
    crossings = [np.interp(supervisor + side * half, level, x) for side in (-1, 1)]
    per_gain = (crossings[1] - crossings[0]) / (2 * half)
    expected = found["saturation_gain_shared"].value * per_gain
    assert found["onset_tokens_shared"].value == pytest.approx(expected, rel=1e-3)


def _crossed(series, place, before=-0.03, after=0.01):
    gain = np.where(np.arange(len(series.steps)) < place, before, after)
    curve = replace(series.curves[0], gain=gain, gain_error=np.full(len(gain), 0.001))
    return estimate_curve(series, curve, SETTINGS)


def test_the_gain_crosses_zero_on_the_sigmoid_stretched_to_the_revisions_beside():
    series = made_series()
    found = _crossed(series, 10)
    assert found["onset_tokens"].value == series.tokens[10]
    crossing = np.log2(found["onset_tokens_crossing"].value)
    before, after = series.doublings[9:11]
    assert before < crossing < after
    middle, scale = np.log2(found["sigmoid_midpoint"].value), found["sigmoid_width"].value / (2 * np.log(9))
    first, here, last = 1 / (1 + np.exp(-(np.array([before, crossing, after]) - middle) / scale))
    assert (here - first) / (last - first) == pytest.approx(0.75)  # as the gain goes from -0.03 to 0.01
    share = (crossing - before) / (after - before)
    steps = np.log2(series.steps[9:11])
    assert np.log2(found["onset_step_crossing"].value) == pytest.approx(steps[0] + share * (steps[1] - steps[0]))
    assert _crossed(series, 10, before=0.0)["onset_tokens_crossing"].value == pytest.approx(series.tokens[9])


def test_a_crossing_in_steps_lies_between_the_revisions_whatever_their_tokens():
    series = made_series()
    ramp = replace(series, tokens=series.tokens**2)  # batches grow
    step = _crossed(ramp, 10)["onset_step_crossing"].value
    assert series.steps[9] < step < series.steps[10]


def test_a_crossing_needs_a_revision_before_that_is_near_and_a_sigmoid():
    series = made_series()
    for place in (0, 1):  # nothing before it, or step 0, which has no logarithm
        assert np.isnan(_crossed(series, place)["onset_tokens_crossing"].value)
    far = replace(series, tokens=np.where(np.arange(len(STEPS)) < 10, series.tokens / 2, series.tokens))
    assert "half the tokens" in _crossed(far, 10)["onset_step_crossing"].note
    flat = replace(series.curves[0], accuracy=np.full(len(STEPS), 0.7))
    found = estimate_curve(replace(series, curves=(flat,)), flat, SETTINGS)
    assert np.isnan(found["onset_tokens_crossing"].value)


def test_a_ratio_has_fiellers_interval():
    gain, gap = np.full(4, 0.03), np.full(4, 0.06)
    errors = np.array([[4e-6, 1e-6], [1e-6, 9e-6]])
    found = gap_recovered(gain, gap, errors=errors, moving=np.zeros((2, 2)), degrees=3.0, confidence=0.95)
    for end in (found.low, found.high):  # the difference is as far from zero as its error allows
        error = np.sqrt(errors[0, 0] - 2 * end * errors[0, 1] + end**2 * errors[1, 1])
        assert abs(0.03 - end * 0.06) == pytest.approx(1.959964 * error)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_revisions_give_notes_and_no_crash(n):
    one = made_series(n=n)
    for name, estimate in estimate_curve(one, one.curves[0], SETTINGS).items():
        known = np.isfinite([estimate.value, estimate.low, estimate.high]).all()
        told = name == "fluctuation" or "no revision between" in estimate.note
        assert estimate.note if not known else told or not estimate.note, name


def test_the_table_has_seeds_protocols_and_their_comparison(tmp_path):
    rows = pd.DataFrame(estimate_transition(collect_series(made_metrics(effect=True), confidence=0.95), SETTINGS))
    write_table(rows, tmp_path / "t.parquet", TRANSITIONS, provenance={})
    table = read_table(tmp_path / "t.parquet", TRANSITIONS)
    assert set(table["protocol"]) == {"paper", "converged", "converged_minus_paper"}
    assert set(table["seed"]) == {-1, 0, 1, 2}
    known = table[table["value"].notna() & table["low"].notna() & table["high"].notna()]
    assert (known["low"] <= known["value"] + 1e-9).all() and (known["value"] <= known["high"] + 1e-9).all()
    assert table.loc[table["value"].isna() | table["low"].isna() | table["high"].isna(), "note"].all()
    compared = table[table["protocol"] == "converged_minus_paper"].set_index("estimate")["value"]
    levels = [
        "saturation",
        "saturation_gain",
        "sigmoid_floor",
    ]  # converged heads are made better by this much, and equal else
    assert compared[levels].to_numpy() == pytest.approx(0.0005, abs=1e-7)
    assert compared.drop([*levels, "pgr"]).dropna().to_numpy() == pytest.approx(0.0, abs=1e-7)


def test_without_the_effect_nothing_sets_in():
    rows = pd.DataFrame(estimate_transition(collect_series(made_metrics(effect=False), confidence=0.95), SETTINGS))
    single = rows[~rows["protocol"].str.contains("minus")].set_index("estimate")
    for name in ("onset_step", "sigmoid_midpoint", "saturation_tokens", "change_point"):
        assert single.loc[name, "value"].isna().all()
        assert single.loc[name, "note"].all()
    assert (single.loc["saturation_gain", "value"] < 0).all()
