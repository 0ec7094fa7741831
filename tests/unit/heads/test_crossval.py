"""Cross-validated fits against one scikit-learn fit for each fold and penalty."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from w2sg.heads.converged import fit_converged_heads
from w2sg.heads.crossval import deal_folds, fit_selected, standardise
from w2sg.heads.sides import generator
from w2sg.study.sections import ConvergedProtocol

PENALTIES = [1e-3, 1e-2, 1e-1, 1.0]
SEEDS = (0, 4)


def data(n: int = 90, d: int = 8, layers: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    difference = (rng.standard_normal((layers, n, d)) * rng.uniform(0.1, 10, d)).astype(np.float32)
    scores = (difference[0] / difference[0].std(0)) @ rng.standard_normal(d) + rng.standard_normal((len(SEEDS), n))
    return difference, 1 / (1 + np.exp(-scores))


def reference(x: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    """Returns scikit-learn's coefficients in the units of x; soft labels are two rows each."""
    scale = np.sqrt((x.astype(np.float64) ** 2).mean(0))
    rows, labels = np.concatenate((x, x)) / scale, np.repeat((1, 0), len(x))
    model = LogisticRegression(C=1 / (penalty * len(x)), fit_intercept=False, tol=1e-10, max_iter=10_000)
    model.fit(rows, labels, sample_weight=np.concatenate((target, 1 - target)))
    return model.coef_[0] / scale


def log_loss(x: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    z = x @ weights
    return np.logaddexp(0, z) - target * z


@pytest.mark.parametrize("search", ["default", "exact"])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("shape", [(90, 8), (40, 60)])
def test_equals_scikit_learn_fold_by_fold(shape, hard, search):
    how = {"search": 1e-8} if search == "exact" else {}
    difference, target = data(*shape)
    target = np.round(target) if hard else target
    settings = ConvergedProtocol(penalties=PENALTIES, folds=4)
    found = fit_converged_heads(difference, target, settings=settings, seeds=SEEDS, tolerance=1e-9, patience=4, **how)
    assert found.converged.all()
    for layer, x in enumerate(difference):
        for s, seed in enumerate(SEEDS):
            fold = deal_folds(np.arange(len(x)), folds=4, rng=generator(seed, "folds"))
            losses = []
            for penalty in PENALTIES:
                parts = [(fold != k, fold == k) for k in range(4)]
                fits = [reference(x[train], target[s, train], penalty) for train, _ in parts]
                held = [log_loss(x[out], target[s, out], w) for w, (_, out) in zip(fits, parts, strict=True)]
                losses.append(np.concatenate(held).mean())
            losses = np.array(losses)
            near = losses < (1.01 * losses.min() if search == "default" else np.inf)
            np.testing.assert_allclose(found.cv_loss[layer, s][near], losses[near], atol=1e-4)
            assert (found.cv_loss[layer, s][~near] > 1.01 * losses.min()).all()  # rough, and clearly worse
            assert found.penalty[layer, s] == PENALTIES[int(np.argmin(losses))]
            expected = reference(x, target[s], found.penalty[layer, s])
            np.testing.assert_allclose(found.weights[layer, s], expected, atol=2e-5 * np.abs(expected).max())


def test_held_out_rows_are_not_seen():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 60, 100)).astype(np.float32)
    noise = rng.integers(0, 2, (1, 60)).astype(np.float64)
    settings = ConvergedProtocol(penalties=[1e-3, 1e-2])
    found = fit_converged_heads(x, noise, settings=settings, seeds=[0])
    assert (found.cv_loss > np.log(2)).all()
    # The control: the same rows judged by a fit that has seen them look learned.
    assert log_loss(x[0], noise[0], found.weights[0, 0]).mean() < 0.2


def test_groups_stay_in_one_fold():
    rng = np.random.default_rng(0)
    half = rng.standard_normal((1, 40, 100)).astype(np.float32)
    x, noise = (
        np.concatenate((half, half), axis=1),
        np.tile(rng.integers(0, 2, 40), 2)[None].astype(np.float64),
    )
    settings = ConvergedProtocol(penalties=[1e-3, 1e-2])
    grouped = fit_converged_heads(x, noise, settings=settings, seeds=[0], groups=np.arange(80) % 40)
    loose = fit_converged_heads(x, noise, settings=settings, seeds=[0])
    assert grouped.cv_loss.min() > np.log(2) > loose.cv_loss.max()
    fold = deal_folds(np.arange(80) % 40, folds=5, rng=np.random.default_rng(0))
    assert (fold[:40] == fold[40:]).all() and (np.bincount(fold) == 16).all()


def test_invariant_to_order_and_sign_of_rows():
    difference, target = data()
    options = {"settings": ConvergedProtocol(penalties=[1e-2]), "seeds": SEEDS, "tolerance": 1e-9}
    plain = fit_converged_heads(difference, target, **options)
    assert np.isnan(plain.cv_loss).all()
    rng = np.random.default_rng(1)
    order, turned = rng.permutation(target.shape[1]), rng.random(target.shape[1]) < 0.5
    sign = np.where(turned, -1, 1)[:, None].astype(np.float32)
    shown = np.where(turned, 1 - target, target)[:, order]
    changed = fit_converged_heads((difference * sign)[:, order], shown, **options)
    np.testing.assert_allclose(changed.weights, plain.weights, rtol=1e-5, atol=1e-8)


def test_deterministic_and_only_folds_depend_on_the_seed():
    difference, target = data()
    target[1] = target[0]
    settings = ConvergedProtocol(penalties=PENALTIES)
    first = fit_converged_heads(difference, target, settings=settings, seeds=SEEDS)
    again = fit_converged_heads(difference, target, settings=settings, seeds=SEEDS)
    assert (first.weights == again.weights).all()
    assert (first.cv_loss[:, 0] != first.cv_loss[:, 1]).any()
    same = first.penalty[:, 0] == first.penalty[:, 1]
    np.testing.assert_allclose(first.weights[same, 0], first.weights[same, 1], rtol=1e-4, atol=1e-7)


def test_equal_label_sets_are_fitted_once():
    difference, target = data()
    labels = np.stack((target[0], target[1], 1.0 - (1.0 - target[0])))
    folds = np.tile(np.arange(len(target[0])) % 3, (3, 1))
    found = fit_selected(standardise(difference[0]), labels, folds, penalties=(1e-2,))
    assert (found.weights[2] == found.weights[0]).all() and (found.weights[1] != found.weights[0]).any()
    folds[2, :9] = -1  # other rows are another problem
    assert (
        fit_selected(standardise(difference[0]), labels, folds, penalties=(1e-2,)).weights[2] != found.weights[0]
    ).any()


def test_search_ends_when_weaker_penalties_only_hurt():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 60, 30)).astype(np.float32)
    noise = rng.integers(0, 2, (1, 60)).astype(np.float64)
    grid = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]
    short = fit_converged_heads(x, noise, settings=ConvergedProtocol(penalties=grid), seeds=[0])
    whole = fit_converged_heads(x, noise, settings=ConvergedProtocol(penalties=grid), seeds=[0], patience=9)
    assert np.isnan(short.cv_loss[0, 0]).tolist() == [True] * 3 + [False] * 4
    assert np.isfinite(whole.cv_loss).all() and short.penalty == whole.penalty == 1.0
    shuffled = fit_converged_heads(x, noise, settings=ConvergedProtocol(penalties=grid[::-1]), seeds=[0])
    np.testing.assert_array_equal(shuffled.cv_loss[..., ::-1], short.cv_loss)


def test_features_without_differences_and_constant_ones():
    difference, target = data()
    difference[0] = 0
    difference[1, :, 3] = 0
    found = fit_converged_heads(difference, target, settings=ConvergedProtocol(penalties=PENALTIES), seeds=SEEDS)
    assert (found.weights[0] == 0).all() and found.converged.all()
    np.testing.assert_allclose(found.cv_loss[0, :, -2:], np.log(2), rtol=1e-6)
    assert (found.penalty[0] == 1.0).all()  # of equal losses the strongest penalty
    assert (np.abs(found.weights[1, :, 3]) < 1e-9).all() and (np.abs(found.weights[1, :, 2]) > 1e-6).all()


def test_of_fewer_groups_than_folds_each_is_a_fold():
    groups = np.repeat([7, 3, 5], 4)
    dealt = deal_folds(groups, folds=5, rng=generator(0, "folds"))
    assert sorted({(int(group), int(fold)) for group, fold in zip(groups, dealt, strict=True)}) == sorted(
        zip([3, 5, 7], [int(dealt[groups == group][0]) for group in (3, 5, 7)], strict=True)
    )
    assert set(dealt) == {0, 1, 2}


def test_wrong_inputs_are_named():
    difference, target = data()
    settings = ConvergedProtocol(penalties=[1e-2, 1e-1])
    with pytest.raises(ValueError, match="disagree"):
        fit_converged_heads(difference, target[:1], settings=settings, seeds=SEEDS)
    with pytest.raises(ValueError, match="target"):
        fit_converged_heads(difference, target * 2, settings=settings, seeds=SEEDS)
    with pytest.raises(ValueError, match="5 folds of 1 groups"):
        fit_converged_heads(difference[:, :1], target[:, :1], settings=ConvergedProtocol(penalties=[1.0]), seeds=SEEDS)
    with pytest.raises(ValueError, match="penalties"):
        fit_selected(standardise(difference[0]), target, np.zeros(target.shape, dtype=int), penalties=(0.0,))
    difference[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="finite"):
        fit_selected(standardise(difference[0]), target, np.zeros(target.shape, dtype=int), penalties=(1.0,))
