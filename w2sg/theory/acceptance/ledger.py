"""Estimates with standard errors, and the ledger that turns them into acceptance rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

SLACK = 4.0
"""Standard errors allowed where the stated tolerance is no larger than a few of them."""

Kind = Literal["theory", "agreement", "regression"]
"""What a criterion is held to, see ``tables.theory.ACCEPTANCE``: the paper, another computation, the design's own numbers."""


@dataclass(frozen=True, kw_only=True)
class RunMean:
    """A measured number."""

    value: float
    """Estimate."""
    error: float = math.nan
    """Standard error; nan where the number is exact or the extreme of several runs."""
    seeds: int = 1
    """Independent runs behind it; 0 for a deterministic number."""


def mean(values: ArrayLike) -> RunMean:
    """Returns the mean over runs (runs,) with its standard error (nan for one run)."""
    v = np.asarray(values, dtype=np.float64)
    error = float(v.std(ddof=1) / math.sqrt(len(v))) if len(v) > 1 else math.nan
    return RunMean(value=float(v.mean()), error=error, seeds=len(v))


def mean_difference(first: ArrayLike, second: ArrayLike) -> RunMean:
    """Returns mean(first) - mean(second) of two independent sets of runs."""
    a, b = mean(first), mean(second)
    return RunMean(value=a.value - b.value, error=math.hypot(a.error, b.error), seeds=min(a.seeds, b.seeds))


def extreme(values: ArrayLike, kind: Callable[[NDArray], float]) -> RunMean:
    """Returns the extreme (``np.min`` or ``np.max``) over runs: a statement about every single run."""
    v = np.asarray(values, dtype=np.float64)
    return RunMean(value=float(kind(v)), seeds=len(v))


def exact(value: float) -> RunMean:
    """Returns a number without sampling error."""
    return RunMean(value=float(value), seeds=0)


def jackknife(curves: NDArray[np.float64], statistic: Callable[[NDArray], float]) -> RunMean:
    """Returns a statistic of the mean curve (points,) with its jackknife standard error over curves (runs, points)."""
    n = len(curves)
    value = statistic(curves.mean(axis=0))
    if n == 1:
        return RunMean(value=float(value))
    left_out = np.array([statistic(np.delete(curves, k, axis=0).mean(axis=0)) for k in range(n)])
    error = math.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))
    return RunMean(value=float(value), error=error, seeds=n)


def crossing(x: NDArray[np.float64], y: NDArray[np.float64], level: float) -> float:
    """Returns where the piecewise linear curve first falls below a level; nan if it never does, x[0] if at once."""
    below = np.flatnonzero(y < level)
    if len(below) == 0:
        return math.nan
    k = int(below[0])
    if k == 0:
        return float(x[0])
    return float(x[k - 1] + (y[k - 1] - level) / (y[k - 1] - y[k]) * (x[k] - x[k - 1]))


def worst(estimates: Iterable[RunMean], kind: Callable[[list[float]], float]) -> RunMean:
    """Returns the estimate with the extreme value (``min`` or ``max``): the one that decides "for every"."""
    found = list(estimates)
    target = kind([e.value for e in found])
    return next(e for e in found if e.value == target or math.isnan(target))


def farthest(estimates: Iterable[RunMean]) -> RunMean:
    """Returns the estimate that is farthest from zero."""
    return max(estimates, key=lambda found: abs(found.value))


def steepest_rise(values: NDArray[np.float64]) -> RunMean:
    """Returns the largest step upwards between neighbours of the mean of curves (seeds, points); negative if it falls."""
    return worst(map(mean_difference, values.T[1:], values.T[:-1]), max)


@dataclass(kw_only=True)
class Ledger:
    """Collects acceptance rows of one experiment."""

    section: str
    """Section that states the criteria."""
    experiment: str
    """Experiment judged."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows in the columns of ``tables.theory.ACCEPTANCE``."""

    def below(
        self, criterion: str, estimate: RunMean, limit: float, *, slack: float = 0.0, kind: Kind = "theory"
    ) -> None:
        """Records a criterion that holds where the estimate is below the limit, plus ``slack`` standard errors."""
        holds = estimate.value < limit + _allowance(estimate, slack)
        self._add(kind, criterion, f"< {limit:.6g}" + _note(slack), estimate, holds)

    def above(self, criterion: str, estimate: RunMean, limit: float, *, kind: Kind = "theory") -> None:
        """Records a criterion that holds where the estimate is above the limit."""
        self._add(kind, criterion, f"> {limit:.6g}", estimate, estimate.value > limit)

    def within(self, criterion: str, estimate: RunMean, low: float, high: float, *, kind: Kind = "theory") -> None:
        """Records a criterion that holds where the estimate lies in [low, high]."""
        self._add(kind, criterion, f"in [{low:.6g}, {high:.6g}]", estimate, low <= estimate.value <= high)

    def near(
        self,
        criterion: str,
        estimate: RunMean,
        stated: float,
        tolerance: float,
        *,
        slack: float = 0.0,
        kind: Kind = "theory",
    ) -> None:
        """Records a criterion that holds within a tolerance, plus ``slack`` standard errors, of a stated number."""
        holds = abs(estimate.value - stated) <= tolerance + _allowance(estimate, slack)
        self._add(kind, criterion, f"{stated:.6g} +- {tolerance:.3g}" + _note(slack), estimate, holds)

    def regression(self, name: str, values: ArrayLike, stated: float) -> None:
        """Records whether a mean over runs is near the design's own simulation, itself an estimate of unknown error."""
        self.near(name, mean(values), stated, 0.05, slack=SLACK, kind="regression")

    def _add(self, kind: Kind, criterion: str, expected: str, estimate: RunMean, holds: bool) -> None:
        # An undefined measurement (no crossing) is recorded as infinite: the table admits no nan there.
        measured = estimate.value if math.isfinite(estimate.value) else math.inf
        self.rows.append(
            {
                "section": self.section,
                "experiment": self.experiment,
                "criterion": criterion,
                "kind": kind,
                "expected": expected,
                "measured": measured,
                "standard_error": estimate.error,
                "seeds": estimate.seeds,
                "holds": bool(holds),
            }
        )


def _allowance(estimate: RunMean, slack: float) -> float:
    return slack * estimate.error if slack and math.isfinite(estimate.error) else 0.0


def _note(slack: float) -> str:
    return f" (+ {slack:g} se)" if slack else ""
