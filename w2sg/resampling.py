"""What every statistic over revisions shares: settings, autocorrelation, block lengths, intervals of differences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from w2sg.metrics import draw_counts

FEWEST = 8
"""Revisions that an interval needs at least."""

TOO_SHORT = "the interval may be too short"
"""How the note of an interval begins whose blocks had to be cut."""

_LARGEST = 0.97
_FEWEST_PAIRS = 3.0
_FEWEST_NEIGHBOURS = 4


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Section ``statistics`` of the configuration."""

    resamples: int
    """Bootstrap resamples of revisions."""
    confidence: float
    """Coverage of the intervals."""
    block: int
    """Revisions per block, cut to a quarter of them all; 0 chooses by the autocorrelation."""
    first: int
    """Revisions of the span that the paper's tables use."""
    late: float
    """Share of the revisions, from the end, that count as late."""
    seed: int
    """Seed of the resamples."""

    @property
    def first_name(self) -> str:
        """Returns the name of the span of the first revisions."""
        return f"first_{self.first}"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with its interval."""

    value: float
    """Estimate; NaN where undefined."""
    low: float = float("nan")
    """Lower end; NaN where there is none."""
    high: float = float("nan")
    """Upper end; NaN where there is none."""
    n: int = 0
    """Revisions that it rests on."""
    note: str = ""
    """Why the value or an end is NaN; else empty."""


def undefined(note: str, n: int = 0) -> Interval:
    """Returns an estimate without a value, for the reason given."""
    return Interval(value=float("nan"), n=n, note=note)


def is_constant(values: np.ndarray) -> bool:
    """Returns whether values, (n,), differ by rounding at most."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def lag_one(series: np.ndarray, *, fitted: int = 1) -> float:
    """Returns the autocorrelation between neighbours, 0 to 0.97, corrected for its bias in short series.

    What p fitted parameters leave of n values has an estimate that is too small by about (p (1 + r) + 2 r) / n; for a
    mean, p = 1, this is Kendall's (1954) correction. Negative values count as none: they would make an interval
    shorter than that of independent values.

    Args:
        series: Values in order, (n,).
        fitted: Parameters p that were fitted, the mean among them.
    """
    centred = series - series.mean()
    total = float(centred @ centred)
    if len(series) < _FEWEST_NEIGHBOURS or total <= 0:
        return 0.0
    raw = float(centred[1:] @ centred[:-1]) / total
    return float(np.clip(raw + (fitted * (1.0 + raw) + 2.0 * raw) / len(series), 0.0, _LARGEST))


def variance_factor(correlation: float) -> float:
    """Returns by how much autocorrelation inflates the variance of a mean: (1 + r) / (1 - r) for a first-order process."""
    return (1.0 + correlation) / (1.0 - correlation)


def effective_number(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the number of independent pairs that n autocorrelated ones are worth in a correlation; NaN for a trend.

    Equation: n (1 - r₁ r₂) / (1 + r₁ r₂) with the lag-one autocorrelations r₁, r₂ (Bretherton et al. 1999). It holds for
    stationary series. An autocorrelation at the bound of :func:`lag_one` is that of a trend, whose revisions are no sample of
    anything: the equation would return n times a constant. So are series worth fewer than three pairs, which have no correlation.
    Of fewer than four revisions no autocorrelation can be estimated.
    """
    if len(first) < _FEWEST_NEIGHBOURS:
        return float("nan")
    memories = lag_one(first), lag_one(second)
    product = memories[0] * memories[1]
    number = len(first) * (1.0 - product) / (1.0 + product)
    return number if max(memories) < _LARGEST and number >= _FEWEST_PAIRS else float("nan")


def best_block(n: int, correlation: float) -> int:
    """Returns the block length that minimises the error of a circular block bootstrap of n values, at least 1.

    Equation: (6 r² / (1 - r²)² · n)^(1/3), Politis and White 2004 for a first-order process.
    """
    return max(1, round((6.0 * correlation**2 / (1.0 - correlation**2) ** 2 * n) ** (1.0 / 3.0)))


def block_length(n: int, correlation: float) -> int:
    """Returns :func:`best_block`, cut to :func:`longest_block`."""
    return min(best_block(n, correlation), longest_block(n))


def longest_block(n: int) -> int:
    """Returns the longest block for n revisions: a quarter of them; a block of all would make every resample the series itself."""
    return max(1, n // 4)


@lru_cache(maxsize=16)
def draw_blocks(n: int, block: int, resamples: int, seed: int) -> np.ndarray:
    """Returns the resamples of n revisions in blocks, (B, n); the same for all series of this length and block."""
    counts = draw_counts(n, resamples=resamples, seed=seed, block=block)
    counts.setflags(write=False)
    return counts


def difference(first: Interval, second: Interval, *, correlation: float = 0.0, n: int = 0) -> Interval:
    """Returns first minus second with an interval recovered from both (Zou 2007).

    Each end is as far from the estimate as the errors of both on that side add up to, as variances do:
    low = d - √(a² + b² - 2 r a b) with a = first.value - first.low, b = second.high - second.value.

    Args:
        first: Estimate with interval.
        second: Estimate with interval.
        correlation: That of their errors, r; 0 is cautious where they are positively correlated.
        n: Revisions behind the difference.
    """

    def distance(a: float, b: float) -> float:
        return float(np.sqrt(np.maximum(0.0, a * a + b * b - 2.0 * correlation * a * b)))  # NaN stays NaN

    value = first.value - second.value
    return Interval(
        value=value,
        low=value - distance(first.value - first.low, second.high - second.value),
        high=value + distance(first.high - first.value, second.value - second.low),
        n=n,
        note="; ".join(dict.fromkeys(note for note in (first.note, second.note) if note)),
    )
