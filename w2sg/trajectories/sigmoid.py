"""A sigmoid in log tokens fitted to a trajectory, with profile intervals of everything that its position decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats
from scipy.optimize import least_squares
from scipy.special import expit

from w2sg.measures.bootstrap import FEWEST, is_constant, lag_one, variance_factor
from w2sg.measures.estimates import Estimate

PARAMETERS = 4
"""Floor, rise, midpoint, scale."""

RISE_10_90 = 2.0 * float(np.log(9.0))
"""Scales from 10 to 90 % of the rise."""

TO_SATURATION = float(np.log(19.0))
"""Scales from the midpoint to 95 % of the rise."""

Edges = tuple[tuple[float, float], tuple[float, float]]
"""Least and largest midpoint, and logarithm of the scale, that the revisions can show."""

_COARSE, _FINE = (97, 24), (41, 25)  # midpoints by scales
_NARROWEST = 1.0 / 400.0  # smallest scale as a share of the observed range of doublings


@dataclass(frozen=True, kw_only=True)
class Sigmoid:
    """The curve floor + rise / (1 + exp(-(x - midpoint) / scale)) over x = log2 tokens."""

    midpoint: Estimate
    """x at half the rise."""
    scale: Estimate
    """Doublings of tokens over which the log odds change by one."""
    saturation: Estimate
    """x at 95 % of the rise."""
    floor: Estimate
    """Level before the rise."""
    rise: Estimate
    """Height of the rise."""
    factor: float
    """By how much the memory of the residuals inflates the variance of means."""


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Unit curves of many midpoints and scales over the same revisions."""

    midpoint: np.ndarray
    """(G,)."""
    scale: np.ndarray
    """(G,)."""
    centred: np.ndarray
    """Unit curves less their mean, (n, G)."""
    power: np.ndarray
    """Sum of squares of each, (G,)."""

    def residual_squares(self, y: np.ndarray) -> np.ndarray:
        """Returns the least sum of squares of each curve with a floor and a rise that is not negative, (G,)."""
        centred = y - y.mean()
        along = np.maximum(centred @ self.centred, 0.0)
        return centred @ centred - along**2 / self.power


def fit_sigmoid(doublings: np.ndarray, accuracy: np.ndarray, *, confidence: float, noise: float = 0.0) -> Sigmoid | str:
    """Returns the least-squares sigmoid, or why there is none.

    Revisions without tokens (x = -∞) enter with the sigmoid's limit there, its floor. For a given midpoint and scale the
    curve is linear in floor and rise, so only two parameters are searched. The interval of a function of midpoint and
    scale is its range over all pairs whose sum of squares S fulfils
    S ≤ S_min (1 + f F / (n - 4)), where f makes up for residuals with autocorrelation (:func:`variance_factor`), and F is
    the quantile of Fisher's distribution for 1 and n / f - 4 degrees of freedom.

    Args:
        doublings: log2 of the tokens, ascending, (n,).
        accuracy: W2SG accuracy, (n,).
        confidence: Coverage of the intervals.
        noise: Variance of the residuals that comes from the test pairs and has no memory.
    """
    n = len(accuracy)
    finite = doublings[np.isfinite(doublings)]
    if n < FEWEST:
        return f"{n} revisions; a sigmoid needs {FEWEST}"
    if len(finite) < 2:
        return f"{len(finite)} revisions after training began; a sigmoid needs 2"
    if is_constant(accuracy):
        return "the accuracy is constant"
    span, scales = shown_ranges(finite)
    coarse = _coarse_grid(tuple(doublings), span, scales)
    edges = (span, (float(np.log(scales[0])), float(np.log(scales[1]))))
    midpoint, scale = _refine(doublings, accuracy, coarse, edges)
    shape = expit((doublings - midpoint) / scale)
    design = np.stack([np.ones(n), shape], axis=1)
    floor, rise = level = np.linalg.lstsq(design, accuracy, rcond=None)[0]
    residuals = accuracy - design @ level
    least, constant = float(residuals @ residuals), float(((accuracy - accuracy.mean()) ** 2).sum())
    share = noise * (n - PARAMETERS) / least if least > 0 else 0.0
    factor = variance_factor(lag_one(residuals, fitted=PARAMETERS), noise=share)
    if rise <= 0 or not exceeds_noise(constant, least, n, PARAMETERS, factor, confidence):
        return "no rise of the accuracy that differs from noise"
    degrees = max(2.0, n / factor - PARAMETERS)
    allowed = least * (1.0 + factor * float(stats.f.ppf(confidence, 1, degrees)) / (n - PARAMETERS))
    ranges = _profile(doublings, accuracy, coarse, allowed, (midpoint, scale), edges)
    with np.errstate(
        invalid="ignore"
    ):  # a step between two revisions leaves its place open, and rounding a negative variance
        error = np.sqrt(factor * least / (n - PARAMETERS) * np.diag(_covariance(doublings, midpoint, scale, rise)))
    half = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * error
    return Sigmoid(
        midpoint=_open(midpoint, ranges[0], n),
        scale=_open(scale, ranges[1], n),
        saturation=_open(midpoint + TO_SATURATION * scale, ranges[2], n),
        floor=Estimate(value=float(floor), low=floor - half[0], high=floor + half[0], n=n),
        rise=Estimate(value=float(rise), low=rise - half[1], high=rise + half[1], n=n),
        factor=factor,
    )


def shown_ranges(doublings: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns the midpoints and the scales, from least to largest, that revisions at finite log2 tokens, ascending, can show."""
    first, last = float(doublings[0]), float(doublings[-1])
    return (first, last), (_NARROWEST * (last - first), 0.5 * (last - first))


def exceeds_noise(constant: float, least: float, n: int, parameters: int, factor: float, confidence: float) -> bool:
    """Returns whether a fitted change explains more than the best of n changes would explain of mere noise.

    A change can be put at n places, and the best is chosen, so that a test of the chosen one would reject far too
    often. Here each place has 1/n of the error probability (Bonferroni), which is cautious.

    Args:
        constant: Sum of squares about the mean.
        least: Sum of squares about the fitted curve.
        n: Revisions.
        parameters: Parameters of the curve.
        factor: Inflation of variances by autocorrelation.
        confidence: One less the error probability.
    """
    if least <= 1e-24 * constant:
        return constant > 0
    ratio = (constant - least) / (least / (n - parameters)) / factor
    return bool(ratio > stats.f.isf((1.0 - confidence) / n, 1, n - parameters))


def _make_grid(doublings: np.ndarray, midpoints: np.ndarray, scales: np.ndarray) -> _Grid:
    midpoint, scale = (x.ravel() for x in np.meshgrid(midpoints, scales, indexing="ij"))
    shape = expit((doublings[:, None] - midpoint) / scale)  # (n, G)
    centred = shape - shape.mean(0)
    return _Grid(midpoint=midpoint, scale=scale, centred=centred, power=np.maximum((centred**2).sum(0), 1e-300))


@lru_cache(maxsize=8)
def _coarse_grid(doublings: tuple[float, ...], span: tuple[float, float], scales: tuple[float, float]) -> _Grid:
    return _make_grid(np.array(doublings), np.linspace(*span, _COARSE[0]), np.geomspace(*scales, _COARSE[1]))


def _refine(doublings: np.ndarray, y: np.ndarray, grid: _Grid, edges: Edges) -> tuple[float, float]:
    """Returns midpoint and scale of the least sum of squares, from the best place of the grid."""
    best = int(np.argmin(grid.residual_squares(y)))
    centred = y - y.mean()

    def residuals(at: np.ndarray) -> np.ndarray:
        shape = expit((doublings - at[0]) / np.exp(at[1]))
        shape = shape - shape.mean()
        return centred - shape * max(0.0, shape @ centred) / max(shape @ shape, 1e-300)

    low, high = np.array(edges).T
    inner = 1e-9 * (high - low)
    start = np.clip([grid.midpoint[best], np.log(grid.scale[best])], low + inner, high - inner)
    found = least_squares(residuals, start, bounds=(low, high), xtol=1e-10, ftol=1e-12).x
    return float(found[0]), float(np.exp(found[1]))


def _profile(
    doublings: np.ndarray, y: np.ndarray, coarse: _Grid, allowed: float, best: tuple[float, float], edges: Edges
) -> list[tuple[float, float]]:
    """Returns the ranges of midpoint, scale and 95 % point over all pairs with an allowed sum of squares.

    Pairs are looked up on a grid over the box that holds the allowed ones of the grid before, wider by one step; the ends
    lie between the last allowed value and the next, so half a step is added.
    """
    steps = [coarse.midpoint[_COARSE[1]] - coarse.midpoint[0], np.log(coarse.scale[1] / coarse.scale[0])]
    grid = coarse
    for _ in range(3):
        box = [
            np.clip([values.min() - step, values.max() + step], *edge)
            for values, step, edge in zip(_allowed(grid, y, allowed, best), steps, edges, strict=True)
        ]
        axes = [np.linspace(ends[0], ends[1], size) for ends, size in zip(box, _FINE, strict=True)]
        grid = _make_grid(doublings, axes[0], np.exp(axes[1]))
        steps = [np.ptp(ends) / (size - 1) for ends, size in zip(box, _FINE, strict=True)]
        midpoint, scale = _allowed(grid, y, allowed, best)
        if min(np.ptp(midpoint) / steps[0], np.ptp(scale) / steps[1]) > _FINE[1] / 2:
            break
    half = [step / 2 for step in steps]
    low, high = _range(scale, half[1], edges[1])
    position = midpoint + TO_SATURATION * np.exp(scale)
    return [
        _range(midpoint, half[0], edges[0]),
        (float(np.exp(low)), float(np.exp(high))),
        _range(position, half[0], (-np.inf, edges[0][1])),
    ]


def _allowed(grid: _Grid, y: np.ndarray, allowed: float, best: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Returns midpoints and logarithms of scales whose sum of squares is allowed, the best pair among them."""
    inside = grid.residual_squares(y) <= allowed
    return np.append(grid.midpoint[inside], best[0]), np.log(np.append(grid.scale[inside], best[1]))


def _range(values: np.ndarray, half: float, edge: tuple[float, float]) -> tuple[float, float]:
    """Returns the ends of the values; NaN for one that reaches the edge of what the revisions can show."""
    low, high = float(values.min()) - half, float(values.max()) + half
    return (low if low > edge[0] else float("nan"), high if high < edge[1] else float("nan"))


def _covariance(doublings: np.ndarray, midpoint: float, scale: float, rise: float) -> np.ndarray:
    """Returns the inverse of JᵀJ for floor, rise, midpoint and scale, (4, 4)."""
    u = np.where(np.isfinite(doublings), (doublings - midpoint) / scale, 0.0)
    shape = expit((doublings - midpoint) / scale)
    slope = rise * shape * (1.0 - shape) / scale
    jacobian = np.stack([np.ones_like(u), shape, -slope, -slope * u], axis=1)
    return np.linalg.pinv(jacobian.T @ jacobian)


def _open(value: float, ends: tuple[float, float], n: int) -> Estimate:
    """Returns an estimate that says which end of its interval the revisions leave open."""
    note = open_note([side for side, end in zip(("below", "above"), ends, strict=True) if np.isnan(end)])
    return Estimate(value=value, low=ends[0], high=ends[1], n=n, note=note)


def open_note(sides: Sequence[str]) -> str:
    """Returns what says on which sides an interval is open."""
    return f"the revisions do not bound it {' or '.join(sides)}" if sides else ""
