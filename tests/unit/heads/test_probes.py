"""The probe against scikit-learn, and its splits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from w2sg.heads.probes import fit_plain, fit_probes
from w2sg.study.sections import Probe

SEEDS = (0, 7)
PAIRS = 60


def data(d: int = 10, layers: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(d)
    spread = rng.uniform(0.1, 10, d)
    chosen, rejected = rng.standard_normal((2, layers, PAIRS, d)) * spread + 5 * rng.standard_normal(d)
    return (chosen + 0.3 * spread * rng.standard_normal(d)).astype(np.float32), rejected.astype(np.float32)


@pytest.mark.parametrize("width", [10, 200])
@pytest.mark.parametrize("penalty", [1e-2, 1.0])
def test_equals_scikit_learn(width, penalty):
    chosen, rejected = data(width)
    found = fit_probes(chosen, rejected, settings=Probe(penalty=penalty), seeds=SEEDS, tolerance=1e-9)
    assert found.converged.all()
    for layer in range(2):
        texts = np.concatenate((chosen[layer], rejected[layer])).astype(np.float64)
        labels = np.repeat((1, 0), PAIRS)
        for s, t in np.ndindex(2, 2):
            test = found.test_texts[s, t]
            train = np.setdiff1d(np.arange(2 * PAIRS), test)
            scaler = StandardScaler().fit(texts[train])
            model = LogisticRegression(C=1 / (penalty * len(train)), tol=1e-10, max_iter=10_000)
            model.fit(scaler.transform(texts[train]), labels[train])
            weights = model.coef_[0] / scaler.scale_
            scores = model.decision_function(scaler.transform(texts[test]))
            assert np.abs(found.weights[layer, s, t] - weights).max() < 2e-5 * np.abs(weights).max()
            np.testing.assert_allclose(found.test_scores[layer, s, t], scores, atol=2e-5)
            right = (found.test_scores[layer, s, t] > 0) == labels[test]
            assert right.mean() == pytest.approx(model.score(scaler.transform(texts[test]), labels[test]), abs=1e-6)


@pytest.mark.parametrize("width", [10, 200])
def test_the_plain_probe_is_that_of_scikit_learns_defaults(width):
    chosen, rejected = data(width)
    found = fit_plain(chosen[1:], rejected[1:])
    texts = StandardScaler().fit_transform(np.concatenate((chosen[1], rejected[1])).astype(np.float64))
    labels, first = np.repeat((1, 0), PAIRS), np.tile(np.arange(PAIRS), 2) < 0.8 * PAIRS
    model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(texts[first], labels[first])
    scores = model.decision_function(texts[~first])
    np.testing.assert_allclose(found.test_scores[0, 0, 0], scores, atol=5e-3 * np.abs(scores).max())
    assert (found.test_labels[0, 0] == labels[~first]).all()
    assert (found.test_texts[0, 0] == np.flatnonzero(~first)).all()


def test_the_plain_probe_leaves_out_sides_that_are_not_there():
    chosen, rejected = data()
    odd = np.arange(PAIRS) % 2
    labels = np.concatenate([np.where(odd, 1, -1), np.where(odd, -1, 0)])
    found = fit_plain(chosen[:1], rejected[:1], labels=labels)
    changed = fit_plain(np.where(odd[:, None], chosen[:1], 99.0), rejected[:1], labels=labels)
    assert (found.test_labels[0, 0] == np.repeat((1, 0), 6)).all() and (found.test_pairs >= 48).all()
    np.testing.assert_array_equal(found.test_scores, changed.test_scores)


def test_scores_labels_and_pairs_belong_together():
    chosen, rejected = data()
    found = fit_probes(chosen, rejected, settings=Probe(), seeds=SEEDS)
    for s, t in np.ndindex(2, 2):
        for place, text in enumerate(found.test_texts[s, t]):
            side, pair = (chosen, text) if text < PAIRS else (rejected, text - PAIRS)
            score = side[1, pair] @ found.weights[1, s, t] + found.intercept[1, s, t]
            assert found.test_scores[1, s, t, place] == pytest.approx(score, abs=1e-6)
            assert found.test_labels[s, t, place] == (text < PAIRS) and found.test_pairs[s, t, place] == pair


def test_a_pair_is_on_one_side_only_if_asked():
    chosen, rejected = data()
    found = fit_probes(chosen, rejected, settings=Probe(), seeds=SEEDS)
    assert found.test_texts.shape == (2, 2, 24)  # 4:1
    by_pair, by_text = found.test_pairs[:, 0], found.test_pairs[:, 1]
    assert all((np.unique(row, return_counts=True)[1] == 2).all() for row in by_pair)
    assert all((np.unique(row, return_counts=True)[1] == 1).any() for row in by_text)
    assert (found.test_texts[0] != found.test_texts[1]).any()


def test_pairs_of_copies_leak_through_the_split_by_text_only():
    """Both texts of a pair are equal, so labels are noise; dealt by text, a probe learns the pairs."""
    rng = np.random.default_rng(0)
    trait = rng.standard_normal((1, 200, 400)).astype(np.float32)
    found = fit_probes(trait, trait, settings=Probe(penalty=1e-4), seeds=SEEDS)
    right = ((found.test_scores > 0) == found.test_labels).mean(-1)[0]
    assert (right[:, 0] == 0.5).all() and (right[:, 1] < 0.35).all()  # its pair's other text has the other label


def test_tested_rows_are_not_seen():
    chosen, rejected = data()
    options = {"settings": Probe(splits=["pair"]), "seeds": SEEDS[:1], "tolerance": 1e-9}
    found = fit_probes(chosen, rejected, **options)
    spoiled = rejected.copy()
    spoiled[:, found.test_pairs[0, 0]] *= -3
    other = fit_probes(chosen, spoiled, **options)
    np.testing.assert_allclose(other.weights, found.weights, rtol=1e-4, atol=1e-6)


def test_exchanging_labels_turns_the_probe_round():
    chosen, rejected = data()
    options = {"settings": Probe(splits=["pair"]), "seeds": SEEDS, "tolerance": 1e-9}
    found, turned = fit_probes(chosen, rejected, **options), fit_probes(rejected, chosen, **options)
    np.testing.assert_allclose(turned.weights, -found.weights, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(turned.intercept, -found.intercept, rtol=1e-4, atol=1e-6)


def test_constant_and_equal_features():
    chosen, rejected = data()
    chosen[0], rejected[0] = 3.25, 3.25
    chosen[1, :, 2], rejected[1, :, 2] = 1000.1, 1000.1
    found = fit_probes(chosen, rejected, settings=Probe(splits=["pair"]), seeds=SEEDS)
    assert (found.weights[0] == 0).all() and (found.test_scores[0] == 0).all()
    assert (np.abs(found.weights[1, ..., 2]) < 1e-9).all() and found.converged.all()


def test_wrong_inputs_are_named():
    chosen, rejected = data()
    with pytest.raises(ValueError, match="rejected"):
        fit_probes(chosen, rejected[:, :3], settings=Probe(), seeds=SEEDS)
    with pytest.raises(ValueError, match="empty"):
        fit_probes(chosen[:, :2], rejected[:, :2], settings=Probe(), seeds=SEEDS)
    with pytest.raises(ValueError, match="splits"):
        Probe(splits=["word"])
    with pytest.raises(ValueError, match="test_fraction"):
        Probe(test_fraction=1.0)
