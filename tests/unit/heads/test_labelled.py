"""Labelled texts on the heads of pairs: each number is that of a classifier of single texts, computed plainly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tests.unit.heads.test_evaluate import counted
from w2sg.activations.features import (
    TEST,
    TRAIN,
    WEAK,
    Features,
    open_features,
    place_sides,
    split_features,
    write_features,
)
from w2sg.heads import evaluate
from w2sg.heads.controls import unrelated_labels
from w2sg.heads.rows import token_rows
from w2sg.heads.supervision import trained
from w2sg.measures.floors import measure_floors
from w2sg.study.protocols import SPLITS
from w2sg.study.sections import ConvergedProtocol, Heads, Intervals, PaperProtocol, Probe

N, D = 60, 6
CLASSES = np.tile([1, 0], 3 * N // 2)
INTERVALS = Intervals(bootstrap=40)
ASKED: dict[str, Any] = {
    "heads": Heads(
        seeds=[0, 1],
        paper=PaperProtocol(learning_rates=[1e-2], epochs=2),
        converged=ConvergedProtocol(penalties=[0.1], folds=3),
    ),
    "intervals": INTERVALS,
}
PAIRS = pd.DataFrame(
    {
        "row_id": [f"r{i}" for i in range(3 * N)],
        "split": np.repeat(SPLITS, N),
        "prompt": "",
        "chosen": [f"good text {i} {'x' * (i % 7)}" if own else "" for i, own in enumerate(CLASSES)],
        "rejected": ["" if own else f"poor text {i} {'x' * (i % 5)}" for i, own in enumerate(CLASSES)],
        "chosen_source": "",
        "rejected_source": "",
        "chosen_label": np.where(CLASSES == 1, "good", ""),
    }
)


def states(seed: int, signal: float) -> np.ndarray:
    """States of the texts, one layer, (1, 3 N, D), far from zero."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(1, 3 * N, D)) + 5 * rng.normal(size=D)
    made[:, :, 0] += signal * (2 * CLASSES - 1)
    return made.astype(np.float32)


def features(of: np.ndarray) -> Features:
    lengths = np.stack([CLASSES, 1 - CLASSES]) * np.arange(3, 3 * N + 3, dtype=np.int32)
    ordered = np.concatenate([of[:, CLASSES == 1], of[:, CLASSES == 0]], axis=1)  # chosen sides first, as they are read
    both = place_sides(ordered, lengths)
    given: Any = {"row_ids": PAIRS["row_id"].to_numpy(str), "tokens": lengths, "layers": (0,), "metadata": {}}
    return Features(chosen=both[:, : 3 * N], rejected=both[:, 3 * N :], **given)


WEAK_STATES, STATES = states(0, 0.7), states(1, 1.5)


def parts(of: np.ndarray) -> dict[str, np.ndarray]:
    """States of each split without the mean of the training texts."""
    return {
        split: (of[0, number * N :][:N] - of[0, :N].mean(0)).astype(np.float64) for number, split in enumerate(SPLITS)
    }


OWN = CLASSES[:N]


def plain_head(x: np.ndarray, p: np.ndarray, penalty: float) -> np.ndarray:
    """Logistic regression of soft labels without intercept, features scaled by their root mean square."""
    scale = np.sqrt((x**2).mean(0))
    both, label = np.tile(x / scale, (2, 1)), np.repeat([1, 0], len(x))
    model = LogisticRegression(C=1 / (penalty * len(x)), fit_intercept=False, tol=1e-10, max_iter=5000)
    return model.fit(both, label, sample_weight=np.concatenate([p, 1 - p])).coef_[0] / scale


@pytest.fixture(scope="module")
def supervision() -> trained.Supervision:
    return trained.supervise(split_features(features(WEAK_STATES), PAIRS), **ASKED)


def value(rows: pd.DataFrame, metric: str, **cells: Any) -> float:
    for column, wanted in {"metric": metric, "seed": 0, **cells}.items():
        rows = rows[rows[column] == wanted]
    return rows["value"].item()


def test_the_file_holds_the_texts_alone_and_gives_back_both_sides(tmp_path):
    made = features(STATES)
    write_features(tmp_path / "f.safetensors", made, dtype="float32")
    assert (tmp_path / "f.safetensors").stat().st_size < 1.5 * made.chosen.nbytes + 64 * 3 * N
    back = open_features(tmp_path / "f.safetensors").read()
    np.testing.assert_array_equal(back.chosen, made.chosen)
    np.testing.assert_array_equal(back.rejected, made.rejected)
    assert back.classes is not None and back.classes.tolist() == CLASSES.tolist()


def test_supervisor_ceiling_and_student_are_classifiers_of_texts(supervision):
    splits = split_features(features(STATES), PAIRS)
    weak, strong = parts(WEAK_STATES), parts(STATES)
    made = evaluate.evaluate_revision([lambda: splits], supervision.labels, probe=Probe(), **ASKED)
    supervisor = plain_head(weak[TRAIN], OWN.astype(float), 0.1)
    soft = 1 / (1 + np.exp(-weak[WEAK] @ supervisor))
    known = {
        "weak": weak[TEST] @ supervisor,
        "ceiling": strong[TEST] @ plain_head(strong[TRAIN], OWN.astype(float), 0.1),
        "w2s": strong[TEST] @ plain_head(strong[WEAK], soft, 0.1),
    }
    right = {head: np.mean((scores > 0) == OWN) for head, scores in known.items()}
    assert right["weak"] < right["ceiling"]
    for head, scores in known.items():
        rows = (supervision if head == "weak" else made).metrics
        cells = {"head": head, "protocol": "converged", "setting": "cv"}
        assert value(rows, "accuracy", **cells) == pytest.approx(right[head], abs=1e-12)
        assert value(rows, "auroc", **cells) == pytest.approx(roc_auc_score(OWN, scores), abs=2e-3)
        loss = np.logaddexp(0, np.where(OWN, -scores, scores)).mean()
        assert value(rows, "log_loss", **cells) == pytest.approx(loss, abs=1e-3)
    gap = right["ceiling"] - right["weak"]
    cells = {"head": "w2s", "protocol": "converged", "setting": "cv"}
    assert value(made.metrics, "gain", **cells) == pytest.approx(right["w2s"] - right["weak"], abs=1e-12)
    assert value(made.metrics, "pgr", **cells) == pytest.approx((right["w2s"] - right["weak"]) / gap, abs=1e-9)
    shown = made.predictions.query("head == 'w2s' and protocol == 'converged' and seed == 0")
    np.testing.assert_allclose(shown["margin"], np.where(OWN, known["w2s"], -known["w2s"]), atol=2e-3)


def test_the_probe_learns_and_tests_each_text_once(supervision):
    splits, probe = split_features(features(STATES), PAIRS), Probe(splits=["pair"], penalty=0.05)
    rows = evaluate.evaluate_revision([lambda: splits], supervision.labels, probe=probe, **ASKED).metrics
    rng = np.random.Generator(np.random.PCG64([0, 4]))
    held = np.isin(np.arange(N), rng.permutation(N)[: round(N * probe.test_fraction)])
    x = STATES[0, :N].astype(np.float64)
    scale = x[~held].std(0)
    model = LogisticRegression(C=1 / (0.05 * (~held).sum()), tol=1e-10, max_iter=5000).fit(x[~held] / scale, OWN[~held])
    scores = model.decision_function(x[held] / scale)
    assert value(rows, "accuracy", head="probe") == pytest.approx(np.mean((scores > 0) == OWN[held]), abs=1e-12)
    assert value(rows, "auroc", head="probe") == pytest.approx(roc_auc_score(OWN[held], scores), abs=1e-9)
    assert rows.loc[rows["head"] == "probe", "n"].unique().tolist() == [held.sum()]


def test_swapped_classes_and_the_loss_of_single_texts_change_nothing(supervision):
    single = {**ASKED, "heads": ASKED["heads"].model_copy(update={"margin": "single"})}
    again = trained.supervise(split_features(features(WEAK_STATES), PAIRS), **single)
    pd.testing.assert_frame_equal(supervision.metrics, again.metrics)
    own = features(WEAK_STATES)
    given: Any = {"row_ids": own.row_ids, "layers": (0,), "metadata": {}}
    turned = Features(chosen=own.rejected, rejected=own.chosen, tokens=own.tokens[::-1], **given)
    other = trained.supervise(split_features(turned, PAIRS), **ASKED).metrics
    keys = ["head", "protocol", "setting", "seed", "metric"]
    both = supervision.metrics.merge(other, on=keys, validate="one_to_one").query("protocol == 'converged'")
    np.testing.assert_allclose(both["value_x"], both["value_y"], atol=1e-3)


def test_unrelated_concepts_are_asked_of_texts_that_are_there(supervision):
    labels = unrelated_labels(PAIRS[PAIRS["split"] == TRAIN])
    there = np.concatenate([OWN == 1, OWN == 0])
    assert set(labels) == {"probe_length"}
    assert ((labels["probe_length"] >= 0) == there).all()
    of_class = [labels["probe_length"][:N][OWN == 1], labels["probe_length"][N:][OWN == 0]]
    assert all(0.3 < part.mean() <= 0.5 for part in of_class)  # so that length does not tell the class
    splits = split_features(features(STATES), PAIRS)
    rows = evaluate.evaluate_revision(
        [lambda: splits], supervision.labels, probe=Probe(), unrelated=labels, **ASKED
    ).metrics
    found = rows[rows["head"].isin(["probe_length", "probe_random"])]
    assert set(found["n"]) == {round(0.2 * N)} and found["value"].notna().all()


def test_floors_of_labelled_texts():
    floors = measure_floors(PAIRS, intervals=INTERVALS).set_index(["floor", "metric"])
    assert set(floors.index.get_level_values("floor")) == {"longer_response", "tfidf", "majority"}
    assert floors.loc[("majority", "accuracy"), "value"] == 0.5
    assert floors.loc[("tfidf", "accuracy"), "value"] == 1.0  # good and poor
    train, test = (PAIRS[PAIRS["split"] == split] for split in (TRAIN, TEST))
    length, middle = ((part["chosen"] + part["rejected"]).str.len().to_numpy() for part in (test, train))
    score = length - np.median(middle)
    expected = np.mean(0.5 * (1 + np.sign(np.where(OWN, score, -score))))
    assert floors.loc[("longer_response", "accuracy"), "value"] == pytest.approx(expected)
    assert floors.loc[("longer_response", "auroc"), "value"] == pytest.approx(roc_auc_score(OWN, length))
    same = measure_floors(PAIRS.assign(chosen=PAIRS["chosen"].str.replace("good", "poor")), intervals=INTERVALS)
    assert float(same.query("floor == 'tfidf' and metric == 'accuracy'")["value"].item()) < 0.8


def test_fewer_tokens_than_the_median_text_are_a_floor():
    train = counted(np.array([[4, 0, 6, 0], [0, 5, 0, 9]], dtype=np.int32))  # median 5.5
    test = counted(np.array([[2, 0, 8, 0], [0, 9, 0, 3]], dtype=np.int32))  # right, right, wrong, wrong
    assert token_rows(test, train, intervals=INTERVALS)["value"].item() == 0.5
    own = counted(np.array([[2, 0], [0, 9]], dtype=np.int32))
    assert token_rows(own, train, intervals=INTERVALS)["value"].item() == 1.0
