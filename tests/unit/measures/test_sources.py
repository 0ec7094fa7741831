"""Pairs that rest on the same text are resampled together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from w2sg.measures.bootstrap import FEWEST_GROUPS, draw_counts
from w2sg.measures.floors import measure_floors
from w2sg.measures.metrics import bootstrap_mean, evaluate_margins, evaluate_texts
from w2sg.measures.sources import pair_clusters
from w2sg.study.sections import Intervals


def linked(chosen: list[str], rejected: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"chosen_source": chosen, "rejected_source": rejected})


def test_pairs_linked_by_a_source_on_either_side_are_one_group():
    #               0    1    2   3    4    5   6
    found = linked(["a", "b", "", "c", "",  "d", "d"],
                   ["x", "x", "", "b", "a", "",  "e"])  # fmt: skip
    assert pair_clusters(found).tolist() == [0, 0, 1, 0, 0, 2, 2]
    assert pair_clusters(linked([""] * 3, [""] * 3)).tolist() == [0, 1, 2]


def test_whole_groups_are_drawn_as_many_as_there_are():
    groups = np.array([5, 0, 5, 1, 1, 7, 9, 5, 2, 3, 4])
    counts = draw_counts(11, resamples=4000, seed=0, clusters=groups)
    for group in set(groups):
        same = counts[:, groups == group]
        assert (same == same[:, :1]).all()
    heads = [int(np.flatnonzero(groups == group)[0]) for group in sorted(set(groups))]
    assert (counts[:, heads].sum(1) == 8).all()
    assert counts.mean(0) == pytest.approx(1, abs=0.06)
    assert counts is draw_counts(11, resamples=4000, seed=0, clusters=groups.copy())
    apart = draw_counts(20, resamples=50, seed=1, clusters=np.arange(20))
    np.testing.assert_array_equal(apart, draw_counts(20, resamples=50, seed=1))


@pytest.mark.parametrize("n", [FEWEST_GROUPS - 1, 40])
def test_too_few_groups_have_no_interval(n):
    groups = np.arange(n) % (FEWEST_GROUPS - 1)
    counts = draw_counts(n, resamples=50, seed=0, clusters=groups)
    margins = np.random.default_rng(0).normal(size=(2, n))
    for one in evaluate_margins(margins, counts=counts, supervisor=margins[0], ceiling=margins + 1).values():
        assert np.isnan(one.low).all() and np.isnan(one.high).all()
    assert np.isfinite(evaluate_margins(margins, counts=counts)["accuracy"].value).all()


@pytest.mark.parametrize(
    ("clusters", "block"), [(np.zeros(9, dtype=int), 1), (np.zeros(10, dtype=int), 2)], ids=["length", "block"]
)
def test_groups_that_do_not_fit_are_refused(clusters, block):
    with pytest.raises(ValueError, match="one group for each of 10, block 1"):
        draw_counts(10, resamples=5, seed=0, block=block, clusters=clusters)


def test_every_pair_twice_is_worth_half_as_many():
    margins = np.random.default_rng(0).normal(0.3, 1, 400)
    pairs = np.repeat(np.arange(400), 2)
    counts = draw_counts(800, resamples=4000, seed=0, clusters=pairs)
    once = evaluate_margins(margins[None], counts=draw_counts(400, resamples=4000, seed=0))
    twice = evaluate_margins(np.repeat(margins, 2)[None], counts=counts, supervisor=np.zeros(800))
    as_independent = evaluate_margins(
        np.repeat(margins, 2)[None], counts=draw_counts(800, resamples=4000, seed=0), supervisor=np.zeros(800)
    )
    for name in ("accuracy", "auroc", "log_loss", "gain"):
        ends = twice[name].low[0], twice[name].high[0]
        if name in once and name != "auroc":  # the AUROC also compares a pair with its double
            assert ends == pytest.approx((once[name].low[0], once[name].high[0]), abs=1e-6)
        ratio = (ends[1] - ends[0]) / (as_independent[name].high[0] - as_independent[name].low[0])
        assert ratio == pytest.approx(np.sqrt(2), rel=0.06)


def two_way(rng: np.random.Generator, sources: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Whether a head is right on pairs of two texts each of whose sources gives 2 to 4; sources meet as in the tool's pairs."""
    sizes = np.concatenate([np.full(sources // 3, size) for size in (2, 3, 4)])
    source = np.repeat(np.arange(len(sizes)), sizes)  # both sides: a source meets one of its size
    own = rng.normal(size=(2, len(sizes)))[:, source]
    margin = 0.5 + own[0] - own[1] + rng.normal(size=len(source))
    return margin > 0, linked([f"c{i}" for i in source], [f"r{i}" for i in source])


def test_the_interval_covers_where_pairs_share_their_sources():
    rng = np.random.default_rng(0)
    truth = two_way(rng, 90_000)[0].mean()
    covered, naive = [], []
    for seed in range(300):
        right, pairs = two_way(rng, 90)
        for found, clusters in ((covered, pair_clusters(pairs)), (naive, None)):
            counts = draw_counts(len(right), resamples=400, seed=seed, clusters=clusters)
            one = bootstrap_mean(right[None], counts=counts)
            found.append(one.low[0] <= truth <= one.high[0])
    standard_error = np.sqrt(0.95 * 0.05 / 300)
    assert abs(np.mean(covered) - 0.95) <= 3 * standard_error
    assert np.mean(naive) < 0.95 - 3 * standard_error


def test_the_interval_agrees_with_the_cluster_robust_variance():
    right, pairs = two_way(np.random.default_rng(1), 600)
    counts = draw_counts(len(right), resamples=4000, seed=0, clusters=pair_clusters(pairs))
    one = bootstrap_mean(right[None], counts=counts)
    left = pd.Series(right - right.mean())
    squares = {name: (left.groupby(pairs[name]).sum() ** 2).sum() for name in pairs}
    both = (left.groupby(pair_clusters(pairs)).sum() ** 2).sum()
    # Two-way: by chosen source, plus by rejected source, minus by what they have in common.
    robust = np.sqrt(squares["chosen_source"] + squares["rejected_source"] - both) / len(left)
    assert (one.high[0] - one.low[0]) / (2 * 1.96) == pytest.approx(robust, rel=0.05)


def test_texts_of_linked_pairs_are_resampled_together():
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.normal(size=(1, 200)), 2, axis=1)
    pairs, labels = np.arange(400), np.tile(np.repeat((0, 1), 1), 200)
    widths = []
    for clusters in (np.repeat(np.arange(200), 2), None):
        counts = draw_counts(400, resamples=1000, seed=0, clusters=clusters)
        one = evaluate_texts(scores * (2 * labels - 1), labels=labels, pairs=pairs, counts=counts)["accuracy"]
        widths.append(one.high[0] - one.low[0])
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(2), rel=0.1)


def test_floors_take_linked_pairs_together():
    rng = np.random.default_rng(0)
    text = ["x" * int(length) for length in rng.integers(1, 30, 100)]
    test = pd.DataFrame({"chosen": np.repeat(text, 4), "rejected": "y" * 14})
    alone = test.assign(split="test", chosen_source="", rejected_source="")
    together = alone.assign(chosen_source=[f"s{i // 4}" for i in range(400)])
    widths = []
    for frame in (together, alone):
        rows = measure_floors(pd.concat([frame, frame.assign(split="ground_truth")]), intervals=Intervals())
        row = rows.set_index(["floor", "metric"]).loc[("longer_response", "accuracy")]
        widths.append(row["high"] - row["low"])
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.15)
