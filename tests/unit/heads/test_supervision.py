"""Labels that no single model taught by true labels gives: each maker against what it is defined as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.heads.test_controls import ASKED, HEADS, OTHER, STRONG, N, states
from w2sg.activations.features import TEST, WEAK
from w2sg.heads import controls, evaluate
from w2sg.heads.fits import FITS
from w2sg.heads.paper import score_pairs
from w2sg.heads.sides import LEFT_OUT, chosen_probability, probability
from w2sg.heads.supervision import tables, trained
from w2sg.study.protocols import SPLITS
from w2sg.study.sections import Probe

CELL = ["protocol", "seed", "half", "split", "row_id"]
PAIRS = pd.DataFrame(
    {
        "row_id": [f"id{i:04d}" for i in range(3 * N)],
        "split": np.repeat(SPLITS, N),
        "chosen": "a",
        "rejected": "b",
        "chosen_source": "",
        "rejected_source": "",
    }
)


@pytest.fixture(scope="module")
def both() -> list[trained.Supervision]:
    return [trained.supervise(states(signal=signal, seed=seed), **ASKED) for signal, seed in ((1.0, 1), (0.8, 7))]


def sorted_(labels: pd.DataFrame) -> pd.DataFrame:
    return labels.set_index(CELL).sort_index()


def test_the_mean_of_supervisors_and_the_pairs_on_which_they_agree(both):
    one, other = (sorted_(each.labels) for each in both)
    joined = sorted_(tables.mean_labels([each.labels for each in both]))
    expected = (chosen_probability(one) + chosen_probability(other)) / 2
    np.testing.assert_allclose(chosen_probability(joined), expected)
    np.testing.assert_allclose(probability(joined["margin"].to_numpy()), expected, atol=1e-9)
    kept = sorted_(tables.mean_labels([each.labels for each in both], keep=0.3))
    out = kept["probability"] == LEFT_OUT
    own = kept.index.get_level_values("split") == WEAK
    assert not out[~own].any()
    pd.testing.assert_series_equal(kept["probability"][~out], joined["probability"][~out])
    spread = pd.Series(np.abs(chosen_probability(one) - chosen_probability(other)) / 2, index=one.index)
    halves, seeds = (kept.index.get_level_values(name) for name in ("half", "seed"))
    for cell in (own & (halves == 0), own & (halves == 2) & (seeds == 0)):
        mean = spread[cell].groupby("row_id").mean()
        chosen = ~out[cell].groupby("row_id").any()
        assert chosen.sum() == round(0.3 * len(chosen))
        assert mean[chosen].max() <= mean[~chosen].min()


def test_supervisors_that_labelled_other_pairs_are_not_joined(both):
    with pytest.raises(ValueError, match="same pairs"):
        tables.mean_labels([both[0].labels, both[1].labels.iloc[1:]])


def test_students_of_joined_labels_have_all_controls_but_those_of_one_model(both):
    labels = tables.mean_labels([each.labels for each in both], keep=0.5)
    made = evaluate.evaluate_revision([lambda: STRONG], labels, **ASKED, probe=Probe()).metrics
    assert np.isfinite(
        made.loc[~made["metric"].isin(["pgr"]) & made["setting"].isin(["cv", "selected"]), "value"]
    ).all()
    rows = tables.label_rows(labels, PAIRS, **ASKED)
    margins = labels.query("protocol == 'paper' and seed == 1 and half == 0 and split == 'test'")["margin"].to_numpy()
    found = rows.query("protocol == 'paper' and seed == 1 and metric == 'accuracy'")["value"].item()
    assert found == np.mean(margins > 0) and set(rows["head"]) == {"weak"}
    assert rows.loc[rows["metric"] == "training_sd", "value"].between(1e-4, 0.1).all()


def test_a_student_in_a_chain_learns_the_weaker_labels_and_labels_the_same_pairs(both):
    middle, weaker = OTHER, both[0].labels
    made = trained.supervise(middle, **ASKED, taught=weaker)
    known = tables.look_up(weaker)
    for name, fit in FITS.items():
        soft = controls.soft_labels(known, middle[WEAK], name, seeds=HEADS.seeds)
        head = fit(middle[WEAK], soft, heads=HEADS).weights[:, :, -1:]
        for split in (WEAK, TEST):
            expected = score_pairs(head, middle[split].chosen, middle[split].rejected)[0, :, 0]
            rows = made.labels.query("protocol == @name and half == 0 and split == @split")
            found = rows.set_index(["seed", "row_id"])["margin"].unstack()[middle[split].row_ids.tolist()]
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert set(made.labels["half"]) == {0, 1, 2}
    right = made.metrics.query("metric == 'accuracy' and setting == 'cv'").groupby("head")["value"].mean()
    assert (
        right["weak"]
        > both[0].metrics.query("metric == 'accuracy' and setting == 'cv' and head == 'weak'")["value"].mean()
    )
    student = evaluate.evaluate_revision([lambda: STRONG], made.labels, **ASKED, probe=Probe()).metrics
    assert {"w2s", "permuted"} <= set(student["head"]) and "gain_training_sd" in set(student["metric"])


@pytest.mark.parametrize("single", [False, True])
def test_labels_of_a_file_stand_for_every_protocol_seed_and_half(single):
    rng = np.random.default_rng(0)
    pairs = PAIRS.assign(rejected="") if single else PAIRS
    if single:  # of labelled texts every third is of the other class, which has no chosen side
        other = np.arange(len(pairs)) % 3 == 0
        pairs = pairs.assign(chosen=np.where(other, "", "a"), rejected=np.where(other, "b", ""))
    given = pairs[pairs["split"] != SPLITS[0]]
    found: dict[str, Any] = dict(zip(given["row_id"], np.r_[0.0, 1.0, rng.random(len(given) - 2)], strict=True))
    labels = tables.given_labels(pairs, found, heads=HEADS)
    side = labels["row_id"].map(pairs.set_index("row_id")["chosen"]) == ""
    p = labels["row_id"].map(found)
    np.testing.assert_allclose(chosen_probability(labels), np.where(side, 1 - p, p))
    assert np.isfinite(labels["margin"]).all() and not labels.duplicated(CELL).any()
    sizes = labels.query("split == 'weak_supervision' and protocol == 'paper'").groupby(["half", "seed"]).size()
    assert sizes.to_dict() == {(0, 0): N, (0, 1): N} | {(h, s): N // 2 for h in (1, 2) for s in (0, 1, 2)}
    if not single:
        made = evaluate.evaluate_revision([lambda: STRONG], labels, **ASKED, probe=Probe()).metrics
        assert "gain_training_sd" in set(made["metric"])
        assert "training_sd" not in set(tables.label_rows(labels, pairs, **ASKED)["metric"])
