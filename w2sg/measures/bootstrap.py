"""Resamples of pairs and of revisions, and what decides how long blocks of revisions are: autocorrelation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FEWEST = 8
"""Revisions that an interval needs at least."""

TOO_SHORT = "the interval may be too short"
"""How the note of an interval begins whose blocks had to be cut, or that lacks a part of the error."""

_LARGEST = 0.97
_FEWEST_PAIRS = 3.0
_FEWEST_NEIGHBOURS = 4


FEWEST_GROUPS = 8
"""Groups of linked pairs that an interval needs at least."""


def draw_counts(n: int, *, resamples: int, seed: int, block: int = 1, clusters: np.ndarray | None = None) -> np.ndarray:
    """Returns how often each bootstrap resample holds each of n units, float32, (B, n).

    Rows sum to n, unless groups of several units are drawn: then to n on average, and means divide by the row's sum.
    Equal arguments are drawn once: the array is shared and cannot be written to.

    Args:
        n: Units: pairs, or revisions in order.
        resamples: Number of resamples B.
        seed: Seed of PCG64.
        block: Neighbouring units that are drawn together. Blocks go on from the last unit to the first (circular
            block bootstrap), so that all units are drawn equally often.
        clusters: Group of each unit, integers, (n,): whole groups are drawn, as many as there are. Fewer than
            :data:`FEWEST_GROUPS` tell nothing of their variance: all counts are then NaN, and so are the intervals' ends.

    Raises:
        ValueError: If there is not one group for each unit, or blocks of groups are asked for.
    """
    if clusters is None:
        return _draw(n, resamples, seed, block)
    if clusters.shape != (n,) or block != 1:
        raise ValueError(
            f"clusters has shape {clusters.shape}, block is {block}; allowed: one group for each of {n}, block 1"
        )
    return _draw_groups(np.unique(clusters, return_inverse=True)[1].astype(np.int64).tobytes(), resamples, seed)


@lru_cache(maxsize=16)
def _draw_groups(clusters: bytes, resamples: int, seed: int) -> np.ndarray:
    """Returns the counts of units, given the number of each one's group as 64-bit integers, which can be a cache's key."""
    group = np.frombuffer(clusters, dtype=np.int64)
    number = int(group.max()) + 1
    drawn = _draw(number, resamples, seed, 1).take(group, axis=1)
    if number < FEWEST_GROUPS:
        drawn[:] = np.nan
    drawn.setflags(write=False)
    return drawn


@lru_cache(maxsize=16)
def _draw(n: int, resamples: int, seed: int, block: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    within = np.arange(block)
    drawn = np.empty((resamples, n), dtype=np.float32)
    for counts in drawn:
        starts = rng.integers(0, n, -(-n // block))
        units = (starts[:, None] + within).reshape(-1)[:n] % n  # (n,)
        counts[:] = np.bincount(units, minlength=n)
    drawn.setflags(write=False)
    return drawn


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


def variance_factor(correlation: float, *, noise: float = 0.0) -> float:
    """Returns by how much autocorrelation inflates the variance of a mean: (1 + r) / (1 - r) for a first-order process.

    Noise without memory on such a process hides some of its memory: r between neighbours is the process's own times its share of
    the variance, and falls off more slowly after that. The factor is then 1 + 2 r / (1 - r / (1 - w)).

    Args:
        correlation: Lag-one autocorrelation r.
        noise: Share w of the variance that is noise without memory.
    """
    own = min(correlation / max(1.0 - noise, 1e-9), _LARGEST)
    return 1.0 + 2.0 * correlation / (1.0 - own)


def spread_factor(factor: float, *, noise: float = 0.0) -> float:
    """Returns by how much a memory that inflates the variance of a mean by f inflates that of a sample variance, which is less.

    Equation: 1 + 2 Σ r_k² over the autocorrelations r_k = (1 - w) φ^k (Bartlett 1946), with the φ for which
    f = 1 + 2 Σ r_k.

    Args:
        factor: The inflation f of the variance of a mean, at least 1.
        noise: Share w of the variance that is noise without memory; above 1 it counts as 1.
    """
    share = max(1.0 - noise, 1e-9)
    own = (factor - 1.0) / (factor - 1.0 + 2.0 * share)
    return 1.0 + 2.0 * (share * own) ** 2 / (1.0 - own**2)


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
