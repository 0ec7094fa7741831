"""How far a further revision would narrow the interval of a saturation."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from w2sg.trajectories.sigmoid import PARAMETERS, TO_SATURATION, Sigmoid, fit_sigmoid, shown_ranges

GRID = (41, 25)
"""Midpoints and scales of the sigmoids that measured gains allow."""

STRICTER = 5.0
"""By which the error probability of an interval is divided in rounds: these end where it is narrow, and so too often where residuals
are small by chance. Reported intervals then cover (``benchmarks/adaptive.py``)."""


def locate_saturation(doublings: np.ndarray, gain: np.ndarray, *, confidence: float) -> Sigmoid | None:
    """Returns the sigmoid of a gain, whose saturation is that of the accuracy; None without one, or with one after the last revision.

    The gain is the accuracy less a constant. Its intervals are wider than those reported, by :data:`STRICTER`, and as it is not known
    here what test pairs contribute to the residuals.

    Args:
        doublings: log2 of the tokens of the measured revisions, ascending, (m,).
        gain: Accuracy minus the supervisor's, (m,).
        confidence: Coverage of the intervals that are reported.
    """
    fitted = fit_sigmoid(doublings, gain, confidence=1.0 - (1.0 - confidence) / STRICTER)
    return None if isinstance(fitted, str) or fitted.saturation.value > doublings[-1] else fitted


class SaturationState:
    """The interval of one case's saturation, while a round is chosen.

    Sigmoids over a grid within the intervals of midpoint and scale are weighted by their likelihood, (S / S_min) to the power
    -(n - 4) / 2f, with S the sum of squares at the best floor and rise. Where curves of high and low saturation differ at a
    candidate, its measurement would tell them apart: by linear regression, saturation x and measured y leave var(x) - cov(x, y)² / var(y).

    Equation: R21 in docs/statistics.md.
    """

    def __init__(
        self, at: np.ndarray, gain: np.ndarray, fitted: Sigmoid, free: np.ndarray, *, width: float, wanted: float
    ) -> None:
        """Draws up the covariances before anything is chosen.

        Args:
            at: log2 of the tokens of the measured revisions, (m,).
            gain: Their gain, (m,).
            fitted: Their sigmoid.
            free: log2 of the tokens of the candidates, (f,).
            width: Doublings between the ends of the interval.
            wanted: Doublings below which it need not be narrowed.
        """
        midpoint, scale = _allowed(fitted, at)
        shape = expit((at[:, None] - midpoint) / scale)  # (m, G)
        mean, centred = shape.mean(0), gain - gain.mean()
        power = np.maximum(((shape - mean) ** 2).sum(0), 1e-300)
        rise = np.maximum(centred @ (shape - mean), 0.0) / power
        squares = np.maximum(centred @ centred - rise**2 * power, 1e-300)
        degrees = len(gain) - PARAMETERS
        weights = (squares / squares.min()) ** (-degrees / 2 / fitted.factor)
        curves = gain.mean() + rise * (expit((free[:, None] - midpoint) / scale) - mean)  # (f, G)
        both = np.vstack([curves, midpoint + TO_SATURATION * scale])
        # Of the candidates' gains, then of saturation, (f + 1, f + 1).
        self._covariance = np.cov(both, aweights=weights, ddof=0)
        self._noise = fitted.factor * float(squares.min()) / degrees
        self._width, self._wanted = width, wanted

    def narrowed(self) -> np.ndarray:
        """Returns by which share of the width each candidate is expected to narrow the interval, (f,)."""
        together, variance = self._covariance[:-1, -1], self._covariance[-1, -1]
        left = 1.0 - together**2 / np.maximum(variance * (np.diag(self._covariance)[:-1] + self._noise), 1e-300)
        width = self._width * np.sqrt(np.maximum(left, 0.0))
        saved = max(self._width, self._wanted) - np.maximum(width, self._wanted)
        return saved / self._width

    def take(self, place: int) -> None:
        """Measures a candidate."""
        before, own = self._covariance[-1, -1], self._covariance[place]
        self._covariance = self._covariance - np.outer(own, own) / max(own[place] + self._noise, 1e-300)
        self._width *= float(np.sqrt(max(self._covariance[-1, -1], 0.0) / max(before, 1e-300)))


def _allowed(fitted: Sigmoid, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns midpoints and scales over the grid, (G,) each; an end of an interval that is open is that of the revisions."""
    ends = np.array([[one.low, one.high] for one in (fitted.midpoint, fitted.scale)])
    low, high = np.where(np.isnan(ends), shown_ranges(at), ends).T
    midpoint, scale = np.meshgrid(np.linspace(low[0], high[0], GRID[0]), np.geomspace(low[1], high[1], GRID[1]))
    return midpoint.ravel(), scale.ravel()
