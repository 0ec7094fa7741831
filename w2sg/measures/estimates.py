"""One estimate with its interval, the same in another unit, and the difference of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate with its interval, or those of H heads: its numbers are then arrays, (H,)."""

    value: Any
    """Estimate; NaN where undefined."""
    low: Any = float("nan")
    """Lower end; NaN where there is none."""
    high: Any = float("nan")
    """Upper end; NaN where there is none."""
    n: int = 0
    """Revisions, or pairs, that it rests on."""
    note: str = ""
    """Why the value or an end is NaN; else empty."""


def undefined(note: str, n: int = 0) -> Estimate:
    """Returns an estimate without a value, for the reason given."""
    return Estimate(value=float("nan"), n=n, note=note)


def transform(estimate: Estimate, unit: Callable[[float], float]) -> Estimate:
    """Returns an estimate whose value and ends went through an increasing function; NaN must stay NaN."""
    return replace(
        estimate, value=float(unit(estimate.value)), low=float(unit(estimate.low)), high=float(unit(estimate.high))
    )


def difference(first: Estimate, second: Estimate, *, correlation: float = 0.0, n: int = 0) -> Estimate:
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
    return Estimate(
        value=value,
        low=value - distance(first.value - first.low, second.high - second.value),
        high=value + distance(first.high - first.value, second.value - second.low),
        n=n,
        note="; ".join(dict.fromkeys(note for note in (first.note, second.note) if note)),
    )
