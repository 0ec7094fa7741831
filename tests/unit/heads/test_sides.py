"""The coin, labels behind it, and rounding."""

from __future__ import annotations

import numpy as np
import pytest

from w2sg.heads import sides


def test_the_coin_is_fair():
    tosses = np.mean([sides.toss(1000, seed) for seed in range(50)])
    assert abs(tosses - 0.5) < 4 * (0.25 / 50_000) ** 0.5


def test_weak_labels_keep_the_supervisors_probability():
    margins = np.random.default_rng(0).standard_normal(500) * 20
    labels = sides.label_weakly(margins, seed=2)
    assert 0 < labels.swapped.mean() < 1
    np.testing.assert_allclose(sides.chosen_probability(labels), 1 / (1 + np.exp(-margins)), rtol=1e-9, atol=1e-15)
    swapped = labels.swapped
    np.testing.assert_allclose(labels.probability[swapped], 1 / (1 + np.exp(margins[swapped])), rtol=1e-6, atol=1e-15)
    zero = sides.label_weakly(np.zeros(4), seed=0)
    assert (zero.probability == 0.5).all()


def test_rounding_leaves_one_half():
    assert sides.harden(np.array([0.0, 0.4, 0.5, 0.6, 1.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_a_negative_seed_is_named():
    with pytest.raises(ValueError, match="seed is -1"):
        sides.toss(3, -1)
