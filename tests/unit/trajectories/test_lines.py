"""Fitted lines against scipy, and where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from w2sg.trajectories.lines import fit_line


def test_the_line_is_the_least_squares_line_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    points = pd.DataFrame({"step": np.arange(20), "x": x, "value": 0.3 * x + 0.1 * rng.normal(size=20)})
    expected = stats.linregress(x, points["value"])
    for order in (points, points.sample(frac=1.0, random_state=0)):
        line = fit_line(order, confidence=0.95)
        np.testing.assert_allclose(line["value"], expected.intercept + expected.slope * line["x"], rtol=1e-10)
        assert ((line["low"] <= line["value"]) & (line["value"] <= line["high"])).all()


def test_no_line_is_fitted_to_a_constant_or_to_two_points():
    constant = pd.DataFrame({"step": [0, 1, 2], "x": [1.0, 1.0, 1.0], "value": [0.1, 0.2, 0.3]})
    assert fit_line(constant, confidence=0.95).empty
    assert fit_line(constant.assign(x=[0.0, 1.0, np.nan]), confidence=0.95).empty
