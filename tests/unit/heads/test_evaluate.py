"""The protocol on planted features: what is learned from what, row ids decide the pairing, test labels choose nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2sg.activations.features import Features, open_features, split_features, split_layers, write_features
from w2sg.heads import evaluate
from w2sg.heads.rows import token_rows
from w2sg.heads.supervision import trained
from w2sg.study.protocols import SPLITS
from w2sg.study.sections import ConvergedProtocol, Heads, Intervals, PaperProtocol, Probe

N, D, LAYERS = 120, 6, (0, 2)
HEADS = Heads(
    seeds=[0, 1],
    paper=PaperProtocol(learning_rates=[1e-5, 3e-2]),
    converged=ConvergedProtocol(penalties=[0.01, 0.1], folds=3),
)
PROBE = Probe()
INTERVALS = Intervals(bootstrap=100)


def dataset(*, signal: float, seed: int = 0) -> tuple[Features, pd.DataFrame]:
    """Chosen texts lie ``signal`` further along the first axis; layer 0 holds noise only."""
    rng = np.random.default_rng(seed)
    chosen, rejected = rng.normal(size=(2, len(LAYERS), 3 * N, D)).astype(np.float32)
    chosen[1, :, 0] += signal
    ids = np.array([f"id{i:04d}" for i in range(3 * N)])
    pairs = pd.DataFrame({"row_id": ids, "split": np.repeat(SPLITS, N), "chosen_source": "", "rejected_source": ""})
    tokens = rng.integers(5, 9, (2, 3 * N)).astype(np.int32)
    return Features(chosen=chosen, rejected=rejected, row_ids=ids, tokens=tokens, layers=LAYERS, metadata={}), pairs


@pytest.fixture(scope="module")
def study() -> dict:
    weak = trained.supervise(split_features(*dataset(signal=1.2, seed=1)), heads=HEADS, intervals=INTERVALS)
    strong = split_features(*dataset(signal=3.0, seed=2))
    made = evaluate.evaluate_revision([lambda: strong], weak.labels, heads=HEADS, probe=PROBE, intervals=INTERVALS)
    return {"weak": weak, "strong": strong, "made": made, "rows": made.metrics}


def accuracy(rows: pd.DataFrame, **where) -> float:
    chosen = rows[rows["metric"] == "accuracy"]
    for key, value in where.items():
        chosen = chosen[chosen[key] == value]
    return float(chosen["value"].mean())


def test_the_student_beats_its_supervisor_where_the_features_are_better(study):
    weak = accuracy(study["weak"].metrics, head="weak", setting="cv")
    student = accuracy(study["rows"], head="w2s", setting="cv", layer=2)
    ceiling = accuracy(study["rows"], head="ceiling", setting="cv", layer=2)
    assert 0.7 < weak < student <= ceiling + 0.02
    assert abs(accuracy(study["rows"], head="w2s", setting="cv", layer=0) - 0.5) < 0.12


def test_rows_cover_all_layers_seeds_and_settings_once(study):
    heads = study["rows"][study["rows"]["head"].isin(["w2s", "ceiling"])]
    counts = heads[heads["metric"] == "accuracy"].groupby(["head", "protocol"]).size()
    assert counts.to_dict() == {
        ("ceiling", "paper"): 12, ("ceiling", "converged"): 4, ("w2s", "paper"): 12, ("w2s", "converged"): 4,
    }  # fmt: skip
    keys = ["layer", "head", "protocol", "setting", "seed", "metric"]
    assert not study["rows"].duplicated(keys).any()


def test_a_probes_n_counts_the_pairs_of_its_tested_texts(study):
    probe = study["rows"][study["rows"]["head"] == "probe"]
    counts = probe.groupby("protocol")["n"].agg(["min", "max"])
    tested = PROBE.test_fraction * N
    assert tuple(counts.loc["pair"]) == (tested, tested)
    assert tested < counts.loc["text", "min"] <= counts.loc["text", "max"] <= 2 * tested  # both texts of some pairs


def test_linked_pairs_widen_the_intervals_of_heads_and_probes_and_move_no_value(study):
    features, pairs = dataset(signal=3.0, seed=2)
    linked = pairs.assign(chosen_source=[f"post {i // 10}" for i in range(len(pairs))])
    strong = split_features(features, linked)
    assert {name: len(set(part.clusters)) for name, part in strong.items()} == dict.fromkeys(SPLITS, N // 10)
    weak = trained.supervise(split_features(dataset(signal=1.2, seed=1)[0], linked), heads=HEADS, intervals=INTERVALS)
    again = evaluate.evaluate_revision(
        [lambda: strong], weak.labels, heads=HEADS, probe=PROBE, intervals=INTERVALS
    ).metrics
    measured = ["accuracy", "gain", "auroc"]
    again, alone = (rows[rows["metric"].isin(measured)].reset_index(drop=True) for rows in (again, study["rows"]))
    pd.testing.assert_series_equal(again["value"], alone["value"])
    for head in ("w2s", "probe"):
        lows = [rows.loc[(rows["head"] == head) & (rows["metric"] == "accuracy"), "low"] for rows in (again, alone)]
        assert (lows[0] != lows[1]).mean() > 0.8


def counted(tokens: np.ndarray, **more: Any) -> Features:
    """Features of which only the tokens count."""
    states = np.zeros((1, tokens.shape[1], 1), dtype=np.float32)
    ids = np.array([str(number) for number in range(tokens.shape[1])])
    return Features(chosen=states, rejected=states, row_ids=ids, tokens=tokens, layers=(0,), metadata={}, **more)


def test_fewer_tokens_are_a_floor_of_the_supervisors_tokenizer():
    tokens = np.array([[3, 9, 5, 4, 2], [7, 4, 5, 6, 1]], dtype=np.int32)  # right, wrong, tie, right, wrong
    row = token_rows(counted(tokens), counted(tokens), intervals=INTERVALS).to_dict("records")
    assert len(row) == 1
    expected = {
        "layer": -1,
        "head": "floor",
        "protocol": "none",
        "setting": "fewer_tokens",
        "seed": 0,
        "metric": "accuracy",
    }
    assert {key: row[0][key] for key in expected} == expected
    assert row[0]["value"] == 0.5 and row[0]["low"] < 0.5 < row[0]["high"] and row[0]["n"] == 5
    linked = counted(tokens[:, :2], clusters=np.zeros(2, dtype=int))
    more = token_rows(linked, linked, intervals=INTERVALS)
    assert more["value"].item() == 0.5 and np.isnan(more["low"].item())


def test_gain_is_the_difference_of_the_accuracies(study):
    rows = study["rows"].set_index(["head", "protocol", "setting", "seed", "layer", "metric"])["value"]
    weak = study["weak"].metrics.query("head == 'weak'").set_index(["protocol", "setting", "seed", "metric"])["value"]
    for (name, setting), seed in [(("paper", "selected"), 1), (("converged", "cv"), 0)]:
        own = rows[("w2s", name, setting, seed, 2, "accuracy")]
        assert rows[("w2s", name, setting, seed, 2, "gain")] == pytest.approx(
            own - weak[(name, setting, seed, "accuracy")]
        )


def test_the_order_of_rows_changes_nothing(study):
    features, pairs = dataset(signal=3.0, seed=2)
    order = np.random.default_rng(3).permutation(3 * N)
    shuffled = Features(
        chosen=features.chosen[:, order],
        rejected=features.rejected[:, order],
        row_ids=features.row_ids[order],
        tokens=features.tokens[:, order],
        layers=LAYERS,
        metadata={},
    )
    labels = study["weak"].labels.sample(frac=1, random_state=0)
    again = evaluate.evaluate_revision(
        [lambda: split_features(shuffled, pairs)], labels, heads=HEADS, probe=PROBE, intervals=INTERVALS
    )
    pd.testing.assert_frame_equal(again.metrics, study["rows"])


def test_layers_read_one_by_one_give_the_same_rows(study, tmp_path, monkeypatch):
    features, pairs = dataset(signal=3.0, seed=2)
    write_features(tmp_path / "states.safetensors", features, dtype="float32")
    monkeypatch.setattr("w2sg.activations.features.PART", 1)
    parts = split_layers(open_features(tmp_path / "states.safetensors"), pairs)
    assert [part()["test"].layers for part in parts] == [(0,), (2,)]
    rows = evaluate.evaluate_revision(
        parts, study["weak"].labels, heads=HEADS, probe=PROBE, intervals=INTERVALS, workers=2
    ).metrics
    keys = ["layer", "head", "protocol", "setting", "seed", "metric"]
    ordered, expected = (frame.sort_values(keys, ignore_index=True) for frame in (rows, study["rows"]))
    pd.testing.assert_frame_equal(ordered, expected, rtol=1e-6)


def test_labels_of_other_rows_are_refused(study):
    labels = study["weak"].labels
    foreign = labels.assign(row_id=labels["row_id"].str.replace("id", "xx"))
    with pytest.raises(ValueError, match="120 of them have no label"):
        evaluate.evaluate_revision([lambda: study["strong"]], foreign, heads=HEADS, probe=PROBE, intervals=INTERVALS)


def test_test_labels_choose_neither_rate_nor_penalty(study):
    features, pairs = dataset(signal=3.0, seed=2)
    test = (pairs["split"] == "test").to_numpy()
    flipped = Features(
        chosen=np.where(test[None, :, None], features.rejected, features.chosen),
        rejected=np.where(test[None, :, None], features.chosen, features.rejected),
        row_ids=features.row_ids, tokens=features.tokens, layers=LAYERS, metadata={},
    )  # fmt: skip
    rows = evaluate.evaluate_revision(
        [lambda: split_features(flipped, pairs)],
        study["weak"].labels,
        heads=HEADS,
        probe=PROBE,
        intervals=INTERVALS,
    ).metrics
    for metric in ("learning_rate", "penalty"):
        pd.testing.assert_series_equal(
            rows.loc[rows["metric"] == metric, "value"],
            study["rows"].loc[study["rows"]["metric"] == metric, "value"],
        )
    straight = accuracy(study["rows"], head="w2s", setting="cv", layer=2)
    assert accuracy(rows, head="w2s", setting="cv", layer=2) == pytest.approx(1 - straight)


@pytest.mark.parametrize(("loss", "changed"), [("logconf", {"paper"}), ("hard", {"paper", "converged"})])
def test_another_loss_is_the_students_alone(study, loss, changed):
    heads = HEADS.model_copy(update={"loss": loss})
    weak = trained.supervise(split_features(*dataset(signal=1.2, seed=1)), heads=heads, intervals=INTERVALS)
    pd.testing.assert_frame_equal(weak.labels, study["weak"].labels)
    own, theirs = (one.metrics[one.metrics["head"] == "weak"] for one in (weak, study["weak"]))
    pd.testing.assert_frame_equal(own, theirs)
    assert differing(weak.metrics, study["weak"].metrics, head="weak_on_weak") == changed
    rows = evaluate.evaluate_revision(
        [lambda: study["strong"]], weak.labels, heads=heads, probe=PROBE, intervals=INTERVALS
    ).metrics
    assert differing(rows, study["rows"], head="ceiling") == set()
    assert differing(rows, study["rows"], head="w2s") == changed


def differing(rows: pd.DataFrame, others: pd.DataFrame, *, head: str) -> set[str]:
    """Protocols whose log losses are not the same in both tables."""
    mine, theirs = (
        {
            name: part["value"].to_list()
            for name, part in table[table["metric"] == "log_loss"].groupby(["head", "protocol"])
        }
        for table in (rows, others)
    )
    return {protocol for protocol in ("paper", "converged") if mine[head, protocol] != theirs[head, protocol]}


def test_a_split_without_pairs_is_named():
    features, pairs = dataset(signal=1.0)
    with pytest.raises(ValueError, match="no pairs in split test"):
        split_features(features, pairs[pairs["split"] != "test"])
