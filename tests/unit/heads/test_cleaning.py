"""Cleaned labels against plain loops, and what students make of labels that are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from tests.unit.heads.test_controls import ASKED, HEADS, STRONG, supervision  # noqa: F401
from w2sg.activations.features import TEST, WEAK
from w2sg.heads import evaluate
from w2sg.heads.cleaning.labels import clean, clean_labels
from w2sg.heads.crossval import deal_folds
from w2sg.heads.fits import FITS
from w2sg.heads.sides import chosen_probability, generator
from w2sg.heads.supervision import trained
from w2sg.study.labels.cleaning import Cleaning
from w2sg.study.sections import Heads, Probe

N, D, K = 60, 5, 7
RNG = np.random.default_rng(3)
STATES, LABELS = RNG.normal(size=(N, D)) + 0.5, RNG.random((2, N))
GROUPS = np.arange(N) // 2


def asked(**cleaning) -> Heads:
    return HEADS.model_copy(update={"cleaning": Cleaning.model_validate(cleaning)})


def cleaned(states: np.ndarray, labels: np.ndarray, **cleaning) -> np.ndarray:
    return clean(states, labels, groups=GROUPS, heads=asked(**cleaning), seeds=[0, 1])


def by_loop(by: str, row: int, pair: int) -> float:
    """The estimate of one pair's label as equations (L5) and (L6) say it."""
    if by == "knn":
        found = []
        for other in set(range(N)) - {pair}:
            for sign in (1, -1):
                label = LABELS[row, other] if sign > 0 else 1 - LABELS[row, other]
                found.append((np.linalg.norm(STATES[pair] - sign * STATES[other]), other, label))
        nearest, seen = [], set()
        for _, other, label in sorted(found):
            if other not in seen and len(seen) < K:
                seen.add(other)
                nearest.append(label)
        return float(np.mean(nearest))
    folds = deal_folds(GROUPS, folds=HEADS.converged.folds, rng=generator(row, "folds"))
    train = folds != folds[pair]
    x, q = STATES[train], LABELS[row, train]
    scale = np.sqrt((x**2).mean(0))

    def loss(w: np.ndarray) -> float:
        logits = x / scale @ w
        return float(np.mean(np.logaddexp(0, logits) - q * logits) + 0.05 * (w @ w))

    best = minimize(loss, np.zeros(D), tol=1e-12).x
    return float(expit(STATES[pair] / scale @ best))


GIVEN = {"knn": {"by": "knn", "neighbours": K}, "probe": {"by": "probe", "penalty": 0.1}}


@pytest.mark.parametrize("by", GIVEN)
def test_estimates_are_those_of_a_plain_loop(by):
    found = cleaned(STATES, LABELS, **GIVEN[by])
    expected = [[by_loop(by, row, pair) for pair in range(0, N, 7)] for row in (0, 1)]
    np.testing.assert_allclose(found[:, ::7], expected, atol=2e-3 if by == "probe" else 1e-9)


@pytest.mark.parametrize("by", GIVEN)
def test_a_pair_that_is_shown_turned_round_has_the_mirrored_label(by):
    turned = RNG.random(N) < 0.5
    states = np.where(turned[:, None], -STATES, STATES)
    found = cleaned(states, np.where(turned, 1 - LABELS, LABELS), **GIVEN[by])
    np.testing.assert_allclose(np.where(turned, 1 - found, found), cleaned(STATES, LABELS, **GIVEN[by]), atol=1e-9)


@pytest.mark.parametrize("by", GIVEN)
def test_a_filter_keeps_the_labels_that_are_nearest_to_their_estimates(by):
    kept = cleaned(STATES, LABELS, **GIVEN[by], action="filter", keep=0.4)
    far = np.abs(LABELS - cleaned(STATES, LABELS, **GIVEN[by]))
    held = ~np.isnan(kept)
    assert (held.sum(1) == round(0.4 * N)).all()
    np.testing.assert_array_equal(kept[held], LABELS[held])
    assert all(far[row][held[row]].max() <= far[row][~held[row]].min() for row in (0, 1))


@pytest.mark.parametrize("protocol", FITS)
def test_pairs_without_a_label_are_as_if_they_were_not_there(protocol):
    weak = STRONG[WEAK]
    some = np.arange(0, len(weak.row_ids), 3)
    labels = np.full((2, len(weak.row_ids)), np.nan)
    labels[:, some] = np.linspace(0.1, 0.9, len(some))
    heads = HEADS.model_copy(update={"converged": HEADS.converged.model_copy(update={"penalties": [0.1]})})
    found = FITS[protocol](weak, labels, heads=heads)
    alone = FITS[protocol](weak.rows(weak.row_ids[some].tolist()), labels[:, some], heads=heads)
    np.testing.assert_allclose(found.weights, alone.weights, atol=1e-5)


@pytest.mark.parametrize(("by", "action"), [("knn", "relabel"), ("probe", "relabel"), ("knn", "filter")])
def test_students_of_cleaned_labels_and_their_controls(supervision, by, action):  # noqa: F811
    heads = asked(by=by, action=action)
    labels = clean_labels(supervision.labels, STRONG[WEAK], heads=heads)
    own = (labels["split"] == WEAK) & (labels["half"] == 0)
    learned = chosen_probability(labels[own])
    before = chosen_probability(supervision.labels[own])
    held = ~np.isnan(learned)
    assert held.mean() == (0.5 if action == "filter" else 1.0)
    assert np.mean(learned[held] > 0.5) > np.mean(before > 0.5) + 0.03  # the strong features know better
    pd.testing.assert_frame_equal(labels[labels["split"] == TEST], supervision.labels[labels["split"] == TEST])
    options: Any = ASKED | {"heads": heads}
    made = evaluate.evaluate_revision(
        [lambda: STRONG], supervision.labels, **options, probe=Probe(), unrelated={}
    ).metrics
    rows = made[made["setting"].isin(["selected", "cv"]) & (made["metric"] != "pgr")]
    assert np.isfinite(rows["value"]).all()
    assert {"w2s", "permuted"} <= set(rows["head"]) and "gain_training_sd" in set(rows["metric"])
    again = trained.supervise(STRONG, **options).metrics
    assert np.isfinite(again.loc[again["head"] == "weak_on_weak", "value"]).all()
