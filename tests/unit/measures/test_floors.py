"""Floors on texts whose answers are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from w2sg.measures import floors
from w2sg.measures.floors import measure_floors
from w2sg.study.sections import Intervals

INTERVALS = Intervals(bootstrap=200)
WORDS = [f"word{i}" for i in range(60)]


def texts(n: int, *, signal: float, seed: int) -> pd.DataFrame:
    """Returns pairs whose chosen texts prefer the first half of the words."""
    rng = np.random.default_rng(seed)
    odds = np.repeat((1 + signal, 1 - signal), 30) / 60

    def draw(p):
        return [" ".join(rng.choice(WORDS, 12, p=p)) for _ in range(n)]

    return pd.DataFrame({"chosen": draw(odds), "rejected": draw(odds[::-1])})


def frame(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    both = pd.concat([train.assign(split="ground_truth"), test.assign(split="test")], ignore_index=True)
    return both.assign(chosen_source="", rejected_source="")


def measured(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    return measure_floors(frame(train, test), intervals=INTERVALS).set_index(["floor", "metric"])


def test_words_that_tell_and_words_that_do_not():
    told = measured(texts(300, signal=0.5, seed=0), texts(300, signal=0.5, seed=1)).loc[("tfidf", "accuracy")]
    assert told["value"] > 0.8 and told["low"] < told["value"] < told["high"] and told["n"] == 300
    untold = measured(texts(300, signal=0.0, seed=0), texts(300, signal=0.0, seed=1)).loc[("tfidf", "accuracy")]
    assert untold["low"] < 0.5 < untold["high"]


def test_equal_bags_of_words_are_ties():
    rng = np.random.default_rng(0)
    train = texts(100, signal=0.5, seed=0)
    chosen = texts(100, signal=0.5, seed=1)["chosen"]
    shuffled = [" ".join(rng.permutation(text.split())) for text in chosen]
    found = measured(train, pd.DataFrame({"chosen": chosen, "rejected": shuffled}))
    assert found.loc[("tfidf", "accuracy"), "value"] == 0.5
    assert found.loc[("tfidf", "tie_rate"), "value"] == 1
    assert found.loc[("longer_response", "tie_rate"), "value"] == 1


def test_longer_response_and_ending():
    shown = [("aaaa end.", "bb."), ("aa", "bbbb"), ("same", "size"), ("one two.", "four six"), (" ", "long")]
    test = pd.DataFrame(shown, columns=["chosen", "rejected"])
    found = measured(texts(20, signal=0.5, seed=0), test)
    # right, wrong, tie, tie, wrong
    assert found.loc[("longer_response", "accuracy"), "value"] == pytest.approx(0.4)
    assert found.loc[("longer_response", "tie_rate"), "value"] == pytest.approx(0.4)
    assert found.loc[("same_ending", "tie_rate"), "value"] == pytest.approx(0.2)  # both end in a full stop
    assert floors.measure_lengths(test, test).tolist() == [6, -2, 0, 0, -3]


def test_margins_are_those_of_a_plain_pipeline(monkeypatch):
    """Each pair in one order weighs as both orders with half the C."""
    train, test = texts(120, signal=0.3, seed=0), texts(50, signal=0.3, seed=1)
    monkeypatch.setattr(floors, "STRENGTHS", (2.0,))
    found = floors.score_words(train, test, seed=0)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2).fit([*train["chosen"], *train["rejected"]])
    known = (vectorizer.transform(train["chosen"]) - vectorizer.transform(train["rejected"])).toarray()
    asked = (vectorizer.transform(test["chosen"]) - vectorizer.transform(test["rejected"])).toarray()
    turned = np.arange(len(known)) % 2 == 0
    shown = np.where(turned[:, None], -known, known)
    model = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-8, max_iter=5000).fit(shown, ~turned)
    np.testing.assert_allclose(found, asked @ model.coef_[0], atol=1e-3 * np.abs(found).max())


def test_exchanged_pairs_turn_the_margins_and_row_order_is_irrelevant():
    train, test = texts(120, signal=0.3, seed=0), texts(50, signal=0.3, seed=1)
    plain = floors.score_words(train, test, seed=0)
    turned = floors.score_words(train, test.rename(columns={"chosen": "rejected", "rejected": "chosen"}), seed=0)
    np.testing.assert_allclose(turned, -plain)
    again = floors.score_words(train, test, seed=0)
    assert (again == plain).all()


def test_the_test_split_is_not_learnt_from():
    train, test = texts(120, signal=0.3, seed=0), texts(50, signal=0.3, seed=1)
    few = floors.score_words(train, test[:5], seed=0)
    np.testing.assert_allclose(few, floors.score_words(train, test, seed=0)[:5])


def test_no_words_in_common():
    train = pd.DataFrame({"chosen": ["aa bb", "cc dd"], "rejected": ["ee ff", "gg hh"]})
    assert (floors.score_words(train, train, seed=0) == 0).all()


def test_wrong_inputs_are_named():
    pairs = frame(texts(5, signal=0, seed=0), texts(5, signal=0, seed=1))
    with pytest.raises(ValueError, match="split test has no pairs"):
        measure_floors(pairs[pairs["split"] != "test"], intervals=INTERVALS)
