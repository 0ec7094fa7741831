"""Controls on planted features: what a student gains without a stronger model, without system, and on other data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from w2sg.activations.features import TEST, TRAIN, WEAK, Features, Splits, split_features
from w2sg.heads import evaluate
from w2sg.heads.controls import permute, unrelated_labels
from w2sg.heads.halves import deal_halves, draws_of, training_sd, widen
from w2sg.heads.sides import label_weakly
from w2sg.heads.supervision import trained
from w2sg.study.protocols import HEADLINE_SETTINGS, SPLITS
from w2sg.study.sections import ConvergedProtocol, Heads, Intervals, PaperProtocol, Probe
from w2sg.trajectories.selection import UNRELATED

N, D = 400, 12
HEADS = Heads(
    seeds=[0, 1],
    paper=PaperProtocol(learning_rates=[3e-3, 3e-2]),
    converged=ConvergedProtocol(penalties=[0.01, 0.1, 1.0], folds=3),
)
ASKED = {"heads": HEADS, "intervals": Intervals(bootstrap=100)}


def states(*, signal: float, seed: int) -> Splits:
    """Chosen texts lie ``signal`` further along the first axis."""
    rng = np.random.default_rng(seed)
    chosen, rejected = rng.normal(size=(2, 1, 3 * N, D)).astype(np.float32)
    chosen[:, :, 0] += signal
    ids = np.array([f"id{i:04d}" for i in range(3 * N)])
    made = Features(
        chosen=chosen, rejected=rejected, row_ids=ids, tokens=np.ones((2, len(ids))), layers=(4,), metadata={}
    )
    return split_features(
        made, pd.DataFrame({"row_id": ids, "split": np.repeat(SPLITS, N), "chosen_source": "", "rejected_source": ""})
    )


STRONG, OTHER = states(signal=2.0, seed=2), states(signal=2.0, seed=5)


@pytest.fixture(scope="module")
def supervision() -> trained.Supervision:
    return trained.supervise(states(signal=1.0, seed=1), **ASKED, others={"more": lambda: OTHER[TEST]})


@pytest.fixture(scope="module")
def revision(supervision) -> evaluate.Measured:
    given = {
        "others": {"more": lambda: OTHER[TEST]},
        "probe": Probe(),
        "unrelated": {},
        "supervisor": lambda: STRONG[WEAK],
    }
    return evaluate.evaluate_revision([lambda: STRONG], supervision.labels, **ASKED, **given)


def mean(rows: pd.DataFrame, head: str, metric: str = "accuracy", protocol: str = "converged") -> float:
    setting = HEADLINE_SETTINGS[protocol]
    cells = {"head": head, "metric": metric, "protocol": protocol, "setting": setting}
    for name, cell in cells.items():
        rows = rows[rows[name] == cell]
    return float(rows["value"].mean())


def test_a_student_on_the_supervisors_own_features_gains_nothing(supervision, revision):
    for protocol in ("paper", "converged"):
        assert abs(mean(supervision.metrics, "weak_on_weak", "gain", protocol)) < 0.03
        assert mean(revision.metrics, "w2s", "gain", protocol) > 0.06


def test_predictors_have_one_row_each(revision):
    rows = revision.metrics.set_index("head")
    assert rows.loc["probe_plain", "value"] > 0.7 and rows.loc["probe_plain", "n"] == N // 5
    norm = rows.loc["subspace"]
    assert 0 < norm["value"] <= 0.25 and norm["n"] == N and np.isnan(norm["low"])  # its own supervisor


def test_the_norm_is_of_the_same_pairs(supervision):
    given = {"probe": Probe(), "supervisor": lambda: STRONG[TEST]}
    with pytest.raises(ValueError, match="not of the same rows"):
        evaluate.evaluate_revision([lambda: STRONG], supervision.labels, **ASKED, **given)


def test_permuted_labels_are_the_same_labels_and_each_seed_draws_them_anew():
    soft = np.tile(np.random.default_rng(0).random(50), (2, 1))
    drawn = permute(soft, [0, 1])
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.sort(soft, axis=1))
    assert (drawn[0] != drawn[1]).any() and (drawn[0] != soft[0]).any()
    np.testing.assert_array_equal(permute(soft[:1], [1]), drawn[1:])


@pytest.mark.parametrize("system", [True, False])
def test_permuted_labels_show_what_systematic_errors_cost(supervision, system):
    """Errors along a direction that the student sees mislead it; errors without one do not."""
    labels, rng = supervision.labels, np.random.default_rng(0)
    frames = []
    for (protocol, seed, split, half), rows in labels.groupby(["protocol", "seed", "split", "half"]):
        part = STRONG[split].rows(rows["row_id"])
        trait = (part.chosen - part.rejected)[0, :, 1]
        wrong = trait < np.quantile(trait, 0.25) if system else rng.random(len(rows)) < 0.25
        shown = label_weakly(np.where(wrong, -2.0, 2.0), seed=seed)
        keys = {"protocol": protocol, "seed": seed, "split": split, "half": half, "row_id": rows["row_id"].to_numpy()}
        frames.append(shown.assign(**keys))
    rows = evaluate.evaluate_revision([lambda: STRONG], pd.concat(frames), **ASKED, probe=Probe()).metrics
    for protocol in ("paper", "converged"):
        cost = mean(rows, "permuted", protocol=protocol) - mean(rows, "w2s", protocol=protocol)
        own = rows[(rows["metric"] == "systematic_cost") & (rows["protocol"] == protocol)]
        assert own["value"].mean() == pytest.approx(cost) and (own["low"] < own["high"]).all()
        assert cost > 0.04 if system else abs(cost) < 0.04


def test_accuracies_follow_from_the_predictions(supervision, revision):
    table = revision.predictions
    assert set(table["head"]) == {"weak", "ceiling", "w2s", "permuted"} and len(table) == 2 * 4 * 2 * N
    rows = pd.concat([supervision.metrics, revision.metrics])
    rows = rows[(rows["metric"] == "accuracy") & (rows["setting"] == rows["protocol"].map(HEADLINE_SETTINGS))]
    known = rows.set_index(["protocol", "head", "seed"])["value"]
    for key, margins in table.groupby(["protocol", "head", "seed"])["margin"]:
        assert 0.5 * (1 + np.sign(margins)).mean() == pytest.approx(known[key], abs=1e-12)


def test_heads_transfer_to_a_dataset_with_the_same_direction(supervision, revision):
    assert set(revision.transfer["tested_on"]) == {"more"} and set(revision.transfer["metric"]) == {"accuracy"}
    assert set(revision.transfer["head"]) == {"w2s", "ceiling"} and set(supervision.transfer["head"]) == {"weak"}
    for head in ("w2s", "ceiling"):
        assert mean(revision.transfer, head) == pytest.approx(mean(revision.metrics, head), abs=0.06)


def test_without_other_datasets_nothing_is_transferred(supervision):
    made = evaluate.evaluate_revision([lambda: STRONG], supervision.labels, **ASKED, probe=Probe())
    assert made.transfer.empty


def test_unrelated_labels_cannot_tell_the_sides_apart():
    pairs = pd.DataFrame(
        {"prompt": "", "chosen": ["a" * k for k in range(9, 17)], "rejected": ["b" * k for k in range(1, 9)]}
    )
    pairs["chosen_label"] = ["comp", "comp", "sci", "sci", "", "comp", "sci", "zoo"]
    made = unrelated_labels(pairs)
    assert made["probe_length"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert made["probe_group"].tolist() == [0, 0, 1, 1, -1, 0, 1, 1] + [-1] * 8
    assert set(unrelated_labels(pairs.assign(chosen_label="one"))) == {"probe_length"}


def test_unrelated_probes_find_what_is_there_and_no_more(supervision):
    split = STRONG[TRAIN]
    trait = np.concatenate([split.chosen[0, :, 3], split.rejected[0, :, 3]]) > 0
    group = np.where(np.arange(2 * N) < N, trait, -1)
    given = {"probe_length": trait.astype(int), "probe_group": group}
    rows = evaluate.evaluate_revision(
        [lambda: STRONG], supervision.labels, **ASKED, probe=Probe(), unrelated=given
    ).metrics
    rows = rows[rows["head"].isin(UNRELATED)]
    assert set(rows["metric"]) == {"accuracy"} and set(rows["protocol"]) == {"pair"}
    found = rows.groupby("head")["value"].agg(["mean", "size"])
    assert (found["size"] == len(HEADS.seeds)).all()
    assert found.loc["probe_length", "mean"] > 0.9 and found.loc["probe_group", "mean"] > 0.85
    assert abs(found.loc["probe_random", "mean"] - 0.5) < 0.1
    assert (rows["n"] == round(0.2 * N)).all()


def test_halves_keep_groups_whole_and_are_disjoint():
    clusters = np.repeat(np.arange(20), 3)
    dealt = deal_halves(60, [0, 1, 2], clusters=clusters)
    assert dealt.shape == (3, 2, 30)
    for first, second in dealt:
        assert not set(clusters[first]) & set(clusters[second])
    assert len(deal_halves(60, [0], clusters=np.zeros(60, dtype=int))) == 0
    assert draws_of([1]) == [1, 0, 2] and draws_of([0, 1, 2, 3]) == [0, 1, 2, 3]


def test_the_difference_of_halves_gives_the_variance_of_the_whole_and_not_that_of_the_test_pairs():
    rng = np.random.default_rng(0)
    accuracy = 0.7 + rng.normal(size=(1000, 2, 1)) * np.sqrt(2) * 0.02  # of half the pairs: twice the variance of all
    right = (rng.random((1000, 2, 400)) < accuracy).astype(float)  # 400 pairs of their own make it vary by 0.023 more
    assert training_sd(right, share=0.5, clusters=None) == pytest.approx(0.02, rel=0.06)
    groups, shared = np.repeat(np.arange(200), 2), right[..., :200].repeat(2, axis=-1)
    assert training_sd(shared, share=0.5, clusters=groups) == pytest.approx(0.02, rel=0.1)
    assert training_sd(np.tile(right[:, :1], (1, 2, 1)), share=0.5, clusters=None) == 0.0


def test_training_pairs_widen_the_intervals_of_headline_heads_only(supervision, revision):
    rows = pd.DataFrame({"metric": ["accuracy", "gain"], "value": 0.7, "low": 0.67, "high": 0.74, "head": "w2s"})
    wide = widen(rows, {"accuracy": 0.02}, confidence=0.95)
    assert wide["low"].iloc[:2].tolist() == pytest.approx([0.7 - np.hypot(0.03, 1.96 * 0.02), 0.67], abs=1e-4)
    assert wide["metric"].tolist() == ["accuracy", "gain", "training_sd"] and wide["value"].iloc[2] == 0.02
    for table in (supervision.metrics, revision.metrics):
        sd = table[table["metric"].str.endswith("training_sd")]
        assert (sd["setting"] == sd["protocol"].map(HEADLINE_SETTINGS)).all() and sd["value"].between(0.0, 0.05).all()
    assert set(sd["head"]) == {"w2s", "ceiling"}
    own = supervision.metrics[supervision.metrics["metric"] == "gain_training_sd"]
    assert set(own["head"]) == {"weak_on_weak"}


def test_labels_of_halves_are_those_of_supervisors_that_saw_half(supervision):
    labels = supervision.labels[supervision.labels["half"] > 0]
    sizes = labels.groupby(["protocol", "seed", "split", "half"]).size().unstack("split")
    assert (sizes[WEAK] == N // 2).all() and (sizes[TEST] == N).all()
    assert sorted(set(labels["seed"])) == [0, 1, 2]
