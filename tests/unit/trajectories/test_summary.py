"""The table of conclusions and the bands on made-up trajectories with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conclusions import with_controls
from tests.studies import HALF, STEPS, WEAK, made_metrics, made_statistics
from w2sg.measures.estimates import Estimate, undefined
from w2sg.measures.verdicts import SOME
from w2sg.study.sections import Statistics
from w2sg.tables.schemas import CORRELATIONS, METRICS, PREDICTION, TRANSITIONS
from w2sg.trajectories import bands, onset, summary
from w2sg.trajectories.late.estimates import gap_recovered, late_revisions
from w2sg.trajectories.selection import rows_with
from w2sg.trajectories.transitions import CROSSINGS

SETTINGS = Statistics(resamples=200, first=10)


ESTIMATE = Estimate(value=0.1, low=0.05, high=0.15, n=9)


def concluded(metrics: pd.DataFrame, groups=None) -> pd.DataFrame:
    """The conclusions by family, protocol and quantity; verdicts of two protocols are alike where heads are."""
    table = made_statistics(metrics, SETTINGS, groups)["summary"]
    return table.set_index(["family", "protocol", "quantity"]).sort_index()


def run(seed: int, *, effect: bool = True) -> pd.DataFrame:
    """A pre-training seed: the same study with another noise, a level of its own and a later rise."""
    metrics = made_metrics(effect=effect)
    rng = np.random.default_rng(seed)
    moved = metrics["head"].isin(["w2s", "ceiling"]) & metrics["metric"].isin(["accuracy", "gain"])
    level = 0.004 * rng.standard_normal()
    noise = 0.003 * rng.standard_normal(len(metrics)) + level
    shifted = {name: metrics[name] + np.where(moved, noise, 0.0) for name in ("value", "low", "high")}
    return metrics.assign(family=f"nano-seed{seed}", model=f"nano-strong-seed{seed}", **shifted)


def test_conclusions_and_bands_of_a_study_with_the_effect():
    metrics = made_metrics(effect=True)
    rows = concluded(metrics)
    assert set(rows["level"]) == {"revisions"}
    for protocol in ("paper", "converged"):
        found = rows.loc["nano", protocol]
        assert found.loc["gain", "verdict"] == "above"
        assert 1024 <= found.loc["onset_step", "value"] <= 1408
        assert found.loc["onset_step", "low"] < found.loc["onset_step", "value"] <= found.loc["onset_step", "high"]
        assert found.loc["r2_probe", "value"] > 0.999
        assert found.loc["weak", "value"] == WEAK
        assert found.loc["pgr", "low"] < found.loc["pgr", "value"] < found.loc["pgr", "high"]
        assert found.loc[["revisions", "last_step", "seeds"], "value"].tolist() == [23, 2048, 1]
        assert found.loc["w2s_first", "note"].startswith("random twin")
    assert bands.judge_nano(metrics, families=["nano"])["holds"].all()
    judged = rows.index.get_level_values("quantity").isin(summary.JUDGED)
    assert (rows.loc[judged, "verdict"] != "").all() and (rows.loc[~judged, "verdict"] == "").all()


def test_without_the_effect_the_gain_is_below_and_nothing_sets_in():
    metrics = made_metrics(effect=False)
    rows = concluded(metrics).loc["nano", "paper"]
    assert rows.loc["gain", "verdict"] == "below"
    assert rows.loc[["onset_step", "r2_probe", "pgr"], "value"].isna().all()
    assert rows.loc["pgr", "note"] == "the mean ceiling is not above the supervisor"
    assert rows.loc["onset_step", "note"].startswith(onset.NEVER)
    assert rows.loc["error_probe_minus_loss", "verdict"] in ("unclear", "undefined")
    checks = bands.judge_nano(metrics, families=["nano"]).set_index(["protocol", "criterion"])
    assert not checks["holds"].loc[("paper", "mean gain of the last 5")]


def test_a_ceiling_that_equals_the_supervisor_but_for_rounding_has_no_gap_to_recover():
    found = gap_recovered(
        np.array([0.002]), np.array([1e-16]), errors=np.eye(2), moving=np.eye(2), degrees=1.0, confidence=0.95
    )
    assert np.isnan(found.value) and found.note == "the mean ceiling is not above the supervisor"


def test_a_supervisor_of_pure_noise_leaves_the_gain_unclear_and_the_pgr_unbounded():
    metrics = made_metrics(effect=False)
    rng, accuracy = np.random.default_rng(0), metrics["metric"] == "accuracy"
    level = np.where(metrics["head"] == "ceiling", 0.505, 0.5) + 0.002 * rng.standard_normal(len(metrics))
    value = np.where(accuracy, level, np.where(metrics["metric"] == "gain", level - 0.5, metrics["value"]))
    metrics = metrics.assign(value=value, low=value - HALF, high=value + HALF)
    rows = concluded(metrics).loc["nano", "paper"]
    assert rows.loc["weak", "value"] == pytest.approx(0.5, abs=0.01)
    assert rows.loc["gain", "verdict"] == "unclear"
    assert rows.loc["pgr", ["low", "high"]].isna().all() and rows.loc["pgr", "note"].startswith("unbounded")
    assert np.isnan(rows.loc["onset_step", "value"])


def test_what_was_not_measured_is_undefined_and_says_so():
    rows = concluded(made_metrics(effect=True)).loc["nano", "paper"]
    for name in ("weak_on_weak_gain", "gain_beyond_weak_on_weak", "permuted_gain", "systematic_cost"):
        assert rows.loc[name, "verdict"] == "undefined" and "was not measured" in rows.loc[name, "note"]
    assert "unrelated was not measured" in rows.loc["error_unrelated", "note"]


def test_controls_are_compared_with_the_gain():
    metrics = made_metrics(effect=True)
    student = metrics[(metrics["head"] == "w2s") & (metrics["metric"] == "gain")]
    permuted = student.assign(head="permuted", **{end: student[end] + 0.06 for end in ("value", "low", "high")})
    cost = student.assign(head="permuted", metric="systematic_cost", value=0.06, low=0.04, high=0.08)
    weak = metrics[(metrics["head"] == "weak") & (metrics["metric"] == "accuracy")]
    own = weak.assign(head="weak_on_weak", metric="gain", value=-0.005, low=-0.012, high=0.002)
    rows = concluded(pd.concat([metrics, permuted, cost, own])).loc["nano", "paper"]
    assert rows.loc["systematic_cost", "value"] == pytest.approx(0.06, abs=1e-6)
    assert rows.loc["systematic_cost", "verdict"] == "above"
    assert rows.loc["weak_on_weak_gain", ["value", "verdict"]].tolist() == [-0.005, "unclear"]
    assert rows.loc["gain_beyond_weak_on_weak", "value"] == pytest.approx(rows.loc["gain", "value"] + 0.005, abs=1e-6)
    assert rows.loc["gain_beyond_weak_on_weak", "verdict"] == "above"


def test_pre_training_seeds_are_a_level_of_their_own():
    members = [f"nano-seed{seed}" for seed in range(3)]
    rows = concluded(pd.concat([run(seed) for seed in range(3)]), {"nano": members})
    over, single = rows.loc["nano", "paper"], rows.loc["nano-seed0", "paper"]
    assert set(over["level"]) == {"seeds"} and set(single["level"]) == {"one seed"}
    gains = [rows.loc[(member, "paper", "gain"), "value"] for member in members]
    assert over.loc["gain", "value"] == pytest.approx(np.mean(gains), abs=1e-6)
    half = 4.302653 * np.std(gains, ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
    errors = np.sqrt(HALF**2 + 1.96**2 * (0.001**2 + 0.003**2) / 3)  # pairs, and what head seeds differ by
    assert over.loc["gain", "high"] - over.loc["gain", "value"] == pytest.approx(np.hypot(half, errors), rel=0.02)
    assert "3 pre-training seeds" in over.loc["gain", "note"] and "Student's t" in over.loc["gain", "note"]
    assert over.loc["seeds", "value"] == 3
    assert over.loc["w2s_first", "note"].startswith("random twin")
    assert over.loc["error_probe", "n"] == 3 and single.loc["error_probe", "n"] == 23
    onsets = np.log2([rows.loc[(member, "paper", "onset_tokens"), "value"] for member in members])
    assert onsets.mean() - 1 < np.log2(over.loc["onset_tokens", "value"]) < onsets.mean()


def test_seeds_together_stand_in_the_order_of_single_runs():
    metrics, groups = pd.concat([run(0), run(1)]), {"nano": ["nano-seed0", "nano-seed1"]}
    table = made_statistics(metrics, SETTINGS, groups)["summary"]
    assert rows_with(table, family="nano")["protocol"].unique().tolist() == ["paper", "converged"]


def test_an_onset_that_some_seeds_lack_is_undefined_over_seeds():
    metrics = pd.concat([run(0), run(1), run(2, effect=False)])
    rows = concluded(metrics, {"nano": ["nano-seed0", "nano-seed1", "nano-seed2"]})
    one = rows.loc["nano", "paper"].loc["onset_step"]
    assert np.isnan(one["value"]) and one["note"].startswith(f"{SOME} (1 of 3")
    assert onset.onset_status(one["value"], one["low"], one["note"]) == "some"


def test_of_a_group_of_which_one_seed_was_measured_that_one_speaks_for_itself():
    grouped, alone = concluded(run(0), {"nano": ["nano-seed0", "nano-seed1"]}), concluded(run(0))
    pd.testing.assert_frame_equal(grouped, alone)
    assert set(grouped["level"]) == {"revisions"}


def _pooled(name, *found, shared=0.0, crossing=1.0):
    rest = {"gain": ESTIMATE, "weak_on_weak_gain": ESTIMATE, "w2s_first": ESTIMATE, "gain_first": ESTIMATE}
    seeds = [
        summary.Conclusions(
            found={**rest, "onset_tokens": one, name: one},
            shared={"onset_tokens": shared, **dict.fromkeys(CROSSINGS, at * one.value)},
            last_tokens=2000.0,
        )
        for one, at in zip(found, np.broadcast_to(crossing, len(found)), strict=True)
    ]
    return summary.pool_runs(seeds, 0.95)[name]


def test_seeds_share_what_moves_all_gains_and_an_onset_is_where_they_cross():
    same = [Estimate(value=640.0, low=512.0, high=1024.0, n=9)] * 3  # seeds do not differ
    one = _pooled("onset_tokens", *same, shared=0.1, crossing=0.9)
    assert (one.value, one.low, one.high) == pytest.approx((576.0, 576.0 * 2**-0.1, 576.0 * 2**0.1))
    assert _pooled("onset_step", *same, shared=0.1, crossing=0.9).value == pytest.approx(576.0)
    run = _pooled("onset_tokens", *same, shared=np.nan, crossing=0.9)  # no slope is known: the run's own interval
    assert (run.low, run.high) == pytest.approx((512.0, 1024.0))
    first = _pooled("onset_tokens", *[replace(one, low=0.0) for one in same], shared=0.1, crossing=np.nan)
    assert (first.value, first.low) == (pytest.approx(640.0), 0.0)  # step 0 is before it
    assert "cross" in one.note and "cross" not in first.note
    mixed = _pooled("onset_tokens", *same, shared=0.1, crossing=(0.9, 0.9, np.nan))
    assert one.value < mixed.value < first.value and "(1 of 3 seeds: the first revision after)" in mixed.note
    opened = _pooled("onset_tokens", *same[:2], replace(same[0], low=np.nan), shared=0.1, crossing=0.9)
    assert np.isnan(opened.low) and opened.high > one.high
    apart = [replace(one, value=value) for one, value in zip(same, (640.0, 768.0, 896.0), strict=True)]
    assert _pooled("onset_tokens", *apart, shared=0.1).high > one.high


def test_a_saturation_over_seeds_ends_where_the_revisions_do():
    seeds = [Estimate(value=value, low=value / 2, high=value * 1.2, n=9) for value in (1000.0, 1010.0, 1020.0)]
    one = _pooled("saturation_tokens", *seeds)
    assert 900 < one.low < one.value < one.high < 1100
    beyond = _pooled("saturation_tokens", *(replace(seeds[0], value=value) for value in (1000.0, 1500.0, 1900.0)))
    assert np.isfinite(beyond.low) and np.isnan(beyond.high) and "do not bound it above" in beyond.note
    none = replace(seeds[0], value=np.nan, low=np.nan, high=np.nan, note="not saturated by the last revision")
    assert _pooled("saturation_tokens", none, none, none).note == none.note
    assert _pooled("saturation_tokens", replace(seeds[0], low=np.nan), *seeds[1:]) == one  # it rests on values alone


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (((0, np.nan, 256, onset.OPEN), (0, np.nan, 512, onset.OPEN)), "unknown"),
        (((0, np.nan, 256, onset.OPEN), (512, 256, 1024, "")), "unknown"),
        (((512, 256, 1024, ""), (768, 512, 1024, "")), "bounded"),
        (
            ((np.nan, np.nan, np.nan, f"{onset.NEVER} (x)"), (np.nan, np.nan, np.nan, f"{onset.FLEETING}: y")),
            "fleeting",
        ),
        (
            ((np.nan, np.nan, np.nan, f"{onset.FLEETING}: y"), (np.nan, np.nan, np.nan, f"{onset.NEVER} (x)")),
            "fleeting",
        ),
        (((np.nan, np.nan, np.nan, f"{onset.NEVER} (x)"), (512, 256, 1024, "")), "some"),
    ],
)
def test_the_status_of_an_onset_over_seeds_is_that_of_all_of_them_in_any_order(found, status):
    made = [Estimate(value=value, low=low, high=high, n=9, note=note) for value, low, high, note in found]
    for one in (_pooled("onset_step", *made), _pooled("onset_step", *made[::-1])):
        assert onset.onset_status(one.value, one.low, one.note) == status


def test_an_onset_between_two_revisions_says_so_over_seeds_too():
    gap = f"the onset lies between steps 1,000 and 3,048; {onset.GAP}"
    one = _pooled("onset_step", *[Estimate(value=3048, low=1000, high=3048, n=2, note=gap)] * 3, crossing=np.nan)
    assert one.note == f"3 of 3 seeds: {gap}"
    assert (one.low, one.high) == pytest.approx((1000, 3048))
    seeds = [Estimate(value=3048, low=1000, high=3048, n=2, note=gap), undefined(f"{onset.NEVER} (x)", 2)]
    some = _pooled("onset_step", *seeds, crossing=np.nan)
    assert onset.onset_status(some.value, some.low, some.note) == "some"


def test_the_draw_of_the_permutation_is_in_the_interval_of_what_errors_cost():
    rng = np.random.default_rng(0)
    metrics = with_controls(made_metrics(effect=True))
    rows = metrics["head"] == "permuted"
    cost = metrics[rows & (metrics["metric"] == "accuracy")].assign(
        metric="systematic_cost", value=0.02, low=0.01, high=0.03
    )
    draws = dict(zip(sorted(set(cost["seed"])), rng.normal(0.02, 0.02, cost["seed"].nunique()), strict=True))
    moved = cost.assign(value=cost["seed"].map(draws))
    moved = moved.assign(low=moved["value"] - 0.01, high=moved["value"] + 0.01)
    same, apart = (
        concluded(pd.concat([metrics, one])).loc[("nano", "paper", "systematic_cost")] for one in (cost, moved)
    )
    half = 1.96 * np.std(list(draws.values()), ddof=1) / np.sqrt(len(draws))
    assert same["high"] - same["low"] == pytest.approx(0.02, abs=1e-5)
    assert apart["high"] - apart["low"] == pytest.approx(2 * np.hypot(0.01, half), rel=1e-3)
    alone = concluded(pd.concat([metrics, cost[cost["seed"] == cost["seed"].min()]]))
    assert "one draw" in alone.loc[("nano", "paper", "systematic_cost"), "note"]
    members = ["nano-seed0", "nano-seed1"]
    seeds = [pd.concat([metrics, cost[cost["seed"] == 0]]).assign(family=name) for name in members]
    pooled = concluded(pd.concat(seeds), {"nano": members}).loc[("nano", "paper", "systematic_cost")]
    assert pooled["verdict"] == "unclear" and "one draw" in pooled["note"]


def test_gains_without_intervals_place_no_onset_and_fail_nothing():
    metrics = made_metrics(effect=True).assign(low=np.nan, high=np.nan)
    rows = concluded(metrics).loc["nano", "paper"]
    found = rows.loc["onset_step"]
    assert onset.onset_status(found["value"], found["low"], found["note"]) == "unknown"
    assert rows.loc["gain", "verdict"] == "undefined" and np.isfinite(rows.loc["gain", "value"])
    for name in ("weak", "w2s_late", "gain"):
        assert "no interval: the test pairs give none" in rows.loc[name, "note"]


def test_a_family_that_is_empty_leaves_the_other_as_it_is():
    metrics = made_metrics(effect=True)
    both = pd.concat([metrics, metrics[metrics["head"].isin(["weak", "model"])].assign(family="other")])
    pd.testing.assert_frame_equal(concluded(both), concluded(metrics))


def test_a_study_whose_revisions_are_all_left_out_concludes_nothing():
    tables = made_statistics(made_metrics(effect=True).query("head == 'weak'"), SETTINGS, {"g": ["nano"]})
    assert tables["summary"].columns.tolist() == summary.COLUMNS
    assert all(table.empty for table in tables.values())


def test_the_table_is_read_as_it_was_written(tmp_path):
    table = made_statistics(made_metrics(effect=True), SETTINGS)["summary"]
    table.to_csv(tmp_path / "summary.csv", index=False, float_format="%.6g")
    pd.testing.assert_frame_equal(summary.read_summary(tmp_path / "summary.csv"), table, check_dtype=False)


@pytest.mark.parametrize("steps", [[512], [0, 64, 128, 256, 512, 2048], STEPS])
def test_late_revisions_are_the_same_in_conclusions_and_bands(steps):
    metrics = made_metrics(effect=True, steps=steps)
    rows = concluded(metrics).loc["nano", "paper"]
    late = late_revisions(len(steps), SETTINGS.late)
    last = metrics[(metrics["head"] == "w2s") & (metrics["protocol"] == "paper") & (metrics["metric"] == "gain")]
    last = last[last["step"].isin(steps[-late:])]
    assert rows.loc["gain", "n"] == rows.loc["ceiling_late", "n"] == rows.loc["pgr", "n"] == late
    assert rows.loc["gain", "value"] == pytest.approx(last["value"].mean(), abs=1e-6)
    checks = bands.judge_nano(metrics, families=["nano"]).set_index(["protocol", "criterion"])
    found = checks.loc[("paper", f"mean gain of the last {late}"), "measured"]
    assert found == pytest.approx(last["value"].mean())


def test_a_statistic_that_is_not_in_the_tables_is_named():
    metrics = made_metrics(effect=True)
    empty = {"correlations": CORRELATIONS, "transitions": TRANSITIONS, "prediction": PREDICTION}
    tables = {name: schema.fields.empty_table().to_pandas() for name, schema in empty.items()}
    with pytest.raises(ValueError, match="0 rows of .*saturation"):
        summary.summarize(metrics, **tables, groups={}, settings=SETTINGS, confidence=0.95)
    assert set(metrics.columns) >= {*METRICS.keys} - {"tested_on"}
