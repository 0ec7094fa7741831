"""Metrics against definitions spelled out in loops and scikit-learn; intervals against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from w2sg.measures.bootstrap import draw_counts
from w2sg.measures.metrics import bootstrap_mean, evaluate_margins, evaluate_texts
from w2sg.measures.ranks import rank_sums, weight_below


def margins(heads: int = 4, n: int = 60, *, ties: bool = True, seed: int = 0) -> np.ndarray:
    m = np.random.default_rng(seed).normal(0.4, 1.0, (heads, n))
    return np.round(m, 1) if ties else m


def resampled(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.repeat(values, count.astype(int), axis=-1)


def both_orders(m: np.ndarray) -> float:
    return float(roc_auc_score(np.repeat((1, 0), len(m)), np.concatenate((m, -m))))


def calibration(confidence: np.ndarray, right: np.ndarray) -> float:
    error = 0.0
    for low in np.arange(10) / 20 + 0.5:
        inside = (confidence >= low - 1e-12) & ((confidence < low + 0.05 - 1e-12) | (low > 0.94))
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


DEFINITIONS = {
    "accuracy": lambda m: np.mean((m > 0) + 0.5 * (m == 0)),
    "auroc": both_orders,
    "log_loss": lambda m: np.mean(-np.log(1 / (1 + np.exp(-m)))),
    "ece": lambda m: calibration(1 / (1 + np.exp(-np.abs(m))), (m > 0) + 0.5 * (m == 0)),
}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_value_and_interval_follow_the_definition(name, ties):
    m, counts = margins(ties=ties), draw_counts(60, resamples=40, seed=0)
    found = evaluate_margins(m, counts=counts, confidence=0.9)[name]
    assert found.n == 60
    for head in range(len(m)):
        assert found.value[head] == pytest.approx(DEFINITIONS[name](m[head]), abs=1e-12)
        if name == "ece":
            assert np.isnan([found.low[head], found.high[head]]).all()
            continue
        drawn = [DEFINITIONS[name](resampled(m[head], count)) for count in counts]
        low, high = np.quantile(drawn, (0.05, 0.95))
        assert (found.low[head], found.high[head]) == pytest.approx((low, high), abs=2e-6)


def test_exact_ties_count_one_half():
    found = evaluate_margins(np.array([[0.0, 0.0, 1.0, -1.0, 2.0]]), counts=draw_counts(5, resamples=10, seed=0))
    assert found["accuracy"].value[0] == 0.6
    nothing = evaluate_margins(np.zeros((1, 5)), counts=draw_counts(5, resamples=10, seed=0))
    assert [nothing[k].value[0] for k in ("accuracy", "auroc", "ece")] == [0.5, 0.5, 0.0]
    assert nothing["accuracy"].low[0] == nothing["accuracy"].high[0] == 0.5
    assert nothing["log_loss"].value[0] == pytest.approx(np.log(2))


def test_turned_margins_and_permuted_rows():
    m, counts = margins(), draw_counts(60, resamples=50, seed=0)
    plain, turned = evaluate_margins(m, counts=counts), evaluate_margins(-m, counts=counts)
    for name in ("accuracy", "auroc"):
        np.testing.assert_allclose(turned[name].value, 1 - plain[name].value, atol=1e-12)
        np.testing.assert_allclose(turned[name].low, 1 - plain[name].high, atol=1e-6)
    assert (np.abs(turned["log_loss"].value - plain["log_loss"].value) > 0.1).all()
    order = np.random.default_rng(0).permutation(60)
    moved = evaluate_margins(m[:, order], counts=counts[:, order])
    for name, estimate in plain.items():
        np.testing.assert_allclose(moved[name].value, estimate.value, atol=1e-12)
        np.testing.assert_allclose(moved[name].high, estimate.high, atol=1e-6)


def test_agreement_and_gain_are_paired_with_the_supervisor():
    m, weak = margins(), margins(1, seed=1)[0]
    counts = draw_counts(60, resamples=200, seed=0)
    found = evaluate_margins(m, counts=counts, supervisor=weak)
    for head in range(len(m)):
        alike = [0.5 if a * b == 0 else float(a * b > 0) for a, b in zip(m[head], weak, strict=True)]
        assert found["agreement"].value[head] == pytest.approx(np.mean(alike))
        gain = [
            DEFINITIONS["accuracy"](resampled(m[head], c)) - DEFINITIONS["accuracy"](resampled(weak, c)) for c in counts
        ]
        ends = (found["gain"].low[head], found["gain"].high[head])
        assert ends == pytest.approx(tuple(np.quantile(gain, (0.025, 0.975))), abs=1e-6)
    same = evaluate_margins(weak[None], counts=counts, supervisor=weak)
    assert (same["gain"].value, same["gain"].low, same["gain"].high) == (0, 0, 0)
    # The control: an unpaired difference of the same two accuracies has a wide interval.
    other = evaluate_margins(weak[None], counts=draw_counts(60, resamples=200, seed=1))["accuracy"]
    assert other.high[0] - other.low[0] > 0.1


def test_recovered_gap():
    rng = np.random.default_rng(0)
    n = 400
    weak, top = np.where(rng.random((2, n)) < [[0.6], [0.9]], 1.0, -1.0)
    counts = draw_counts(n, resamples=200, seed=0)
    heads = np.stack((weak, top, rng.normal(0.7, 1.0, n)))
    found = evaluate_margins(heads, counts=counts, supervisor=weak, ceiling=top)["pgr"]
    accuracy = [(x > 0).mean() for x in (weak, top, heads[2])]
    expected = (accuracy[2] - accuracy[0]) / (accuracy[1] - accuracy[0])
    np.testing.assert_allclose(found.value, [0, 1, expected])
    assert (found.low[:2], found.high[:2]) == (pytest.approx([0, 1]), pytest.approx([0, 1]))
    assert found.low[2] < expected < found.high[2]


def test_recovered_gap_is_undefined_without_a_gap():
    weak, heads = margins(1, seed=1)[0], margins()
    counts = draw_counts(60, resamples=200, seed=0)
    for ceiling in (weak, -np.abs(weak)):  # as good as the supervisor, worse than it
        pgr = evaluate_margins(heads, counts=counts, supervisor=weak, ceiling=ceiling)["pgr"]
        assert np.isnan([pgr.value, pgr.low, pgr.high]).all()
    barely = weak.copy()
    barely[np.flatnonzero(weak < 0)[0]] = 1.0  # one pair better: a third of the resamples miss it
    pgr = evaluate_margins(heads, counts=counts, supervisor=weak, ceiling=barely)["pgr"]
    assert np.isfinite(pgr.value).all() and np.isnan([pgr.low, pgr.high]).all()


def test_supervisors_may_differ_between_heads():
    m, weak, counts = margins(), margins(seed=1), draw_counts(60, resamples=50, seed=0)
    top = np.abs(margins(seed=2)) + 1
    together = evaluate_margins(m, counts=counts, supervisor=weak, ceiling=top)
    alone = evaluate_margins(m[2:3], counts=counts, supervisor=weak[2], ceiling=top[2])
    for name, estimate in alone.items():
        np.testing.assert_allclose(together[name].value[2], estimate.value[0], atol=1e-12)
        np.testing.assert_allclose(together[name].low[2], estimate.low[0], atol=1e-6)


def test_intervals_cover():
    """95 % of the intervals hold the truth, within four standard errors of 1,500 simulated data sets."""
    rng = np.random.default_rng(0)
    truth, n, sets = 0.7, 200, 1500
    drawn = np.where(rng.random((sets, n)) < truth, 1.0, -1.0)
    counts = draw_counts(n, resamples=500, seed=0)
    for confidence in (0.95, 0.8):
        found = bootstrap_mean(drawn > 0, counts=counts, confidence=confidence)
        covered = ((found.low <= truth) & (truth <= found.high)).mean()
        # A percentile interval of a mean of 200 is short by about one part in a hundred, and steps by 1/200.
        assert abs(covered - confidence) < 4 * (confidence * (1 - confidence) / sets) ** 0.5 + 0.015
    halved = bootstrap_mean(drawn[:, : n // 4] > 0, counts=draw_counts(n // 4, resamples=500, seed=0))
    full = bootstrap_mean(drawn > 0, counts=counts)
    width = [(e.high - e.low).mean() for e in (halved, full)]
    assert width[0] / width[1] == pytest.approx(2, rel=0.1)  # a quarter of the pairs, twice the interval


@pytest.mark.parametrize("ties", [False, True])
def test_single_texts(ties):
    rng = np.random.default_rng(0)
    texts, pairs = rng.permutation(80)[:50], 40
    labels, pair = (texts < 40).astype(int), texts % 40
    scores = rng.normal(labels - 0.5, 1.0, (3, 50))
    scores = np.round(scores, 1) if ties else scores
    counts = draw_counts(pairs, resamples=60, seed=0)
    found = evaluate_texts(scores, labels=labels, pairs=pair, counts=counts, confidence=0.9)
    definitions = {
        "accuracy": lambda s, y: np.mean((s > 0) * (y == 1) + (s < 0) * (y == 0) + 0.5 * (s == 0)),
        "auroc": lambda s, y: roc_auc_score(y, s),
        "log_loss": lambda s, y: log_loss(y, 1 / (1 + np.exp(-s))),
        "ece": lambda s, y: calibration(
            1 / (1 + np.exp(-np.abs(s))), np.where(s == 0, 0.5, (s > 0) == (y == 1)).astype(float)
        ),
    }
    assert found["auroc"].n == len(np.unique(pair))
    for name, definition in definitions.items():
        for head, s in enumerate(scores):
            assert found[name].value[head] == pytest.approx(definition(s, labels), abs=1e-9)
            if name == "ece":
                assert np.isnan([found[name].low[head], found[name].high[head]]).all()
                continue
            drawn = [definition(resampled(s, c[pair]), resampled(labels, c[pair])) for c in counts]
            ends = np.quantile(drawn, (0.05, 0.95))
            assert (found[name].low[head], found[name].high[head]) == pytest.approx(tuple(ends), abs=2e-6)


def test_texts_of_a_pair_are_resampled_together():
    n = 200
    scores = np.where(np.arange(n) < 100, 1.0, -1.0)[None]  # the first 50 pairs right, the others wrong
    labels, pairs = np.tile((1, 0), n // 2), np.arange(n) // 2
    scores = scores * np.tile((1, -1), n // 2)
    found = evaluate_texts(scores, labels=labels, pairs=pairs, counts=draw_counts(100, resamples=2000, seed=0))
    width = found["accuracy"].high[0] - found["accuracy"].low[0]
    assert width == pytest.approx(2 * 1.96 * 0.5 / 100**0.5, rel=0.1)
    alone = evaluate_texts(scores, labels=labels, pairs=np.arange(n), counts=draw_counts(n, resamples=2000, seed=0))
    assert alone["accuracy"].high[0] - alone["accuracy"].low[0] == pytest.approx(width / 2**0.5, rel=0.1)


def test_a_single_class_has_no_auroc():
    found = evaluate_texts(
        np.ones((1, 4)),
        labels=np.ones(4, dtype=int),
        pairs=np.arange(4),
        counts=draw_counts(4, resamples=20, seed=0),
    )
    assert np.isnan(found["auroc"].value[0]) and np.isnan(found["auroc"].low[0])
    assert found["accuracy"].value[0] == 1


def test_counts():
    counts = draw_counts(50, resamples=400, seed=3)
    assert counts.dtype == np.float32 and (counts.sum(1) == 50).all()
    assert (counts == draw_counts(50, resamples=400, seed=3)).all()
    assert (counts[:100] == draw_counts(50, resamples=100, seed=3)).all()
    assert counts.var() == pytest.approx(1 - 1 / 50, rel=0.05)


@pytest.mark.parametrize("values", [3, 1000])  # with and without ties
def test_weight_below(values):
    rng = np.random.default_rng(0)
    value, weight = np.sort(rng.integers(0, values, 30)), rng.integers(0, 5, (30, 7)).astype(np.float32)
    order = (value[:, None] > value) + 0.5 * (value[:, None] == value)  # (i, j)
    np.testing.assert_array_equal(weight_below(weight, value), 2 * order @ weight)


@pytest.mark.parametrize("values", [3, 1000])  # with and without ties
def test_rank_sums(values):
    rng = np.random.default_rng(0)
    value, (gain, load), weight = rng.integers(0, values, 30), rng.normal(size=(2, 30)), rng.random((30, 7))
    order = (value[:, None] > value) + 0.5 * (value[:, None] == value)  # (i, j)
    expected = 2 * np.einsum("i,ib,ij,j,jb->b", gain, weight, order, load, weight)
    found = rank_sums(np.argsort(value), value.astype(float), gain, load, weight)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_wrong_inputs_are_named():
    counts = draw_counts(60, resamples=5, seed=0)
    with pytest.raises(ValueError, match="margins has shape"):
        evaluate_margins(margins()[:, :3], counts=counts)
    with pytest.raises(ValueError, match="margins holds"):
        evaluate_margins(margins() * np.nan, counts=counts)
    with pytest.raises(ValueError, match="supervisor"):
        evaluate_margins(margins(), counts=counts, supervisor=np.zeros(3))
    with pytest.raises(ValueError, match="without supervisor"):
        evaluate_margins(margins(), counts=counts, ceiling=np.zeros(60))
    with pytest.raises(ValueError, match="labels"):
        evaluate_texts(margins(), labels=np.full(60, 2), pairs=np.arange(60), counts=counts)
