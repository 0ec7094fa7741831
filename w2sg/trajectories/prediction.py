"""How far off W2SG accuracy is predicted where it was held out, from each of several predictors by a monotone fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from w2sg.measures.bootstrap import FEWEST, is_constant
from w2sg.measures.estimates import Estimate, undefined
from w2sg.measures.verdicts import pool_seeds
from w2sg.study.sections import Statistics
from w2sg.trajectories.series import Series

PREDICTORS = {
    "probe": "linear probe", "loss": "evaluation loss", "step": "log step", "ceiling": "ceiling head",
    "unrelated": "probe of an unrelated concept", "plain": "probe, default settings", "subspace": "components without labels",
}  # fmt: skip
"""Predictors in words."""

RISING = {name: name not in ("loss", "subspace") for name in PREDICTORS}
"""Whether W2SG accuracy may only rise with a predictor, or only fall."""

COMPARED = {
    "probe_minus_loss": ("probe", "loss"),
    "probe_minus_step": ("probe", "step"),
    "probe_minus_subspace": ("probe", "subspace"),
}
"""Differences of the errors of two predictors."""

BLOCKS = 6
"""Blocks of neighbouring revisions whose means the interval of one run rests on."""


def predict_all(
    series: Sequence[Series], groups: Mapping[str, Sequence[str]], settings: Statistics
) -> Iterator[dict[str, Any]]:
    """Yields the rows of PREDICTION: of each run at its last layer, then of each group of pre-training seeds.

    Args:
        series: Trajectories of all families, datasets, protocols and layers.
        groups: Families that are seeds of one model, by the group's name.
        settings: Section ``statistics``.
    """
    last: dict[tuple[str, str, str], Series] = {}
    for one in sorted(series, key=lambda one: one.layer):
        last[one.family, one.dataset, one.protocol] = one
    for one in last.values():
        yield from _rows(one.keys, "revision", predict_revisions(one, confidence=settings.confidence))
    for name, members in groups.items():
        for dataset, protocol in sorted({key[1:] for key in last}):
            runs = [last[key] for member in members if (key := (member, dataset, protocol)) in last]
            if runs:
                keys = runs[0].keys | {"family": name}
                yield from _rows(keys, "seed", predict_seeds(runs, confidence=settings.confidence))


def _rows(keys: dict[str, Any], held_out: str, found: Mapping[str, Estimate]) -> Iterator[dict[str, Any]]:
    for name, estimate in found.items():
        yield keys | {"held_out": held_out, "predictor": name} | asdict(estimate)


def predictors_of(series: Series) -> dict[str, np.ndarray]:
    """Returns the values of each predictor, (n,). Monotone fits use the order, so that step 0 may count as one step."""
    found = {"probe": series.probe, "loss": series.loss, "step": np.log2(series.steps + 1.0), **series.others}
    return {name: found.get(name, np.full(len(series.steps), np.nan)) for name in PREDICTORS}


def predict_revisions(series: Series, *, confidence: float) -> dict[str, Estimate]:
    """Returns the errors of predicting each revision of one run from all others, per predictor, and their differences.

    Revisions at which a measured predictor is missing stay out, so that all errors are those of the same revisions.
    """
    values = predictors_of(series)
    measured = {name: x for name, x in values.items() if np.isfinite(x).any()}
    used = np.logical_and.reduce([np.isfinite(x) for x in measured.values()])
    target, n = series.curves[0].accuracy[used], int(used.sum())
    if n < 3:
        return dict.fromkeys([*RISING, *COMPARED], undefined(f"{n} revisions; at least 3 are needed", n))
    if is_constant(target):
        return dict.fromkeys([*RISING, *COMPARED], undefined("W2SG accuracy is constant", n))
    squares = {name: leave_one_out(x[used], target, increasing=RISING[name]) ** 2 for name, x in measured.items()}
    found = {name: _root(squares[name], confidence) if name in squares else _unmeasured(name) for name in RISING}
    for name, pair in COMPARED.items():
        missing = [one for one in pair if one not in squares]
        first, second = (squares.get(one) for one in pair)
        if first is None or second is None:
            found[name] = _unmeasured(missing[0])
        else:
            found[name] = difference_of_errors(first, second, confidence=confidence)
    return found


def predict_seeds(runs: Sequence[Series], *, confidence: float) -> dict[str, Estimate]:
    """Returns the errors of predicting each pre-training seed from all revisions of the others: means over seeds.

    Equation: (R14).
    """
    count = len(runs)
    if count < 2:
        return dict.fromkeys([*RISING, *COMPARED], undefined(f"{count} seed; at least 2 are needed", count))
    targets = [run.curves[0].accuracy for run in runs]
    values = [predictors_of(run) for run in runs]
    errors: dict[str, list[float]] = {}
    for name, increasing in RISING.items():
        if all(np.isfinite(one[name]).all() for one in values):
            errors[name] = _leave_one_seed_out([one[name] for one in values], targets, increasing=increasing)
    differences = {
        name: [a - b for a, b in zip(errors[first], errors[second], strict=True)]
        for name, (first, second) in COMPARED.items()
        if first in errors and second in errors
    }

    def pooled(values: Sequence[float]) -> Estimate:
        return pool_seeds([Estimate(value=one) for one in values], of_fits=True, confidence=confidence)

    found = {name: pooled(one) for name, one in (errors | differences).items()}
    found |= {name: replace(found[name], low=max(found[name].low, 0.0)) for name in errors}
    return {
        name: found.get(name) or _unmeasured(name, "at every revision of every seed") for name in [*RISING, *COMPARED]
    }


def _unmeasured(name: str, where: str = "") -> Estimate:
    return undefined(" ".join(filter(None, [f"predictor {name} was not measured", where])))


def leave_one_out(predictor: np.ndarray, target: np.ndarray, *, increasing: bool) -> np.ndarray:
    """Returns prediction minus target of each of n revisions, by a monotone fit on all others, (n,)."""
    errors, kept = np.empty(len(target)), np.ones(len(target), dtype=bool)
    for place in range(len(target)):
        kept[place] = False
        found = predict_monotone(predictor[kept], target[kept], predictor[place : place + 1], increasing=increasing)
        errors[place] = found[0] - target[place]
        kept[place] = True
    return errors


def _leave_one_seed_out(
    predictors: Sequence[np.ndarray], targets: Sequence[np.ndarray], *, increasing: bool
) -> list[float]:
    """Returns the root mean square error over the revisions of each seed, fitted on those of all others, (S,)."""
    errors = []
    for out in range(len(targets)):
        x, y = (np.concatenate([one for at, one in enumerate(all_) if at != out]) for all_ in (predictors, targets))
        missed = predict_monotone(x, y, predictors[out], increasing=increasing) - targets[out]
        errors.append(float(np.sqrt(np.mean(missed**2))))
    return errors


def predict_monotone(x: np.ndarray, y: np.ndarray, at: np.ndarray, *, increasing: bool) -> np.ndarray:
    """Returns what a monotone least-squares fit of y on x predicts at other values, (m,).

    Between the values of x it is linear, and beyond them constant, as scikit-learn's IsotonicRegression with
    ``out_of_bounds="clip"``, which takes ten times as long to check its input.
    """
    side = 1.0 if increasing else -1.0
    places, which = np.unique(side * x, return_inverse=True)
    weight = np.bincount(which)
    levels = isotonic_regression(np.bincount(which, y) / weight, weights=weight).x
    return np.interp(side * at, places, levels)


def difference_of_errors(first: np.ndarray, second: np.ndarray, *, confidence: float) -> Estimate:
    """Returns the root mean square error of the first predictor minus that of the second, from n squared errors each.

    Equation: √a - √b = (a - b) / (√a + √b) for mean squares a and b; the interval is that of a - b, by
    :func:`block_means`, divided by the same sum.
    """
    total = float(np.sqrt(first.mean()) + np.sqrt(second.mean()))
    if total == 0.0:
        return Estimate(value=0.0, n=len(first), note="no interval: both predict without error")
    mean = block_means(first - second, confidence=confidence)
    return replace(mean, value=mean.value / total, low=mean.low / total, high=mean.high / total)


def _root(squares: np.ndarray, confidence: float) -> Estimate:
    mean = block_means(squares, confidence=confidence)
    ends = (float(np.sqrt(max(end, 0.0))) if np.isfinite(end) else end for end in (mean.low, mean.high))
    low, high = ends
    return replace(mean, value=float(np.sqrt(mean.value)), low=low, high=high)


def block_means(values: np.ndarray, *, confidence: float) -> Estimate:
    """Returns the mean of n values in order, with Student's t interval from the means of ``BLOCKS`` blocks of neighbours.

    It allows for memory between neighbours and for values that vary more in some places than in others: t tests on
    few block means keep their level whatever the blocks' variances (Ibragimov and Müller 2010).
    """
    n = len(values)
    if n < FEWEST:
        return Estimate(value=float(values.mean()), n=n, note=f"no interval: {n} revisions, {FEWEST} are needed")
    count = min(BLOCKS, n // 2)
    means = np.array([block.mean() for block in np.array_split(values, count)])
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1) * means.std(ddof=1) / np.sqrt(count))
    value = float(values.mean())
    return Estimate(value=value, low=value - half, high=value + half, n=n)
