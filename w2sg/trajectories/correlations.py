"""How well probe accuracy and evaluation loss predict W2SG accuracy over revisions, and which of them does better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from w2sg.measures.bootstrap import (
    FEWEST,
    TOO_SHORT,
    best_block,
    draw_counts,
    effective_number,
    is_constant,
    lag_one,
    longest_block,
)
from w2sg.measures.estimates import Estimate, difference, undefined
from w2sg.measures.ranks import weight_below
from w2sg.study.sections import Statistics
from w2sg.trajectories.selection import MEAN_SEED, rows_with
from w2sg.trajectories.series import Series

STATISTIC_NAMES = ("r2", "spearman", "r2_given_log_tokens")
"""Statistics of a predictor."""


@dataclass(frozen=True, kw_only=True)
class Association:
    """One statistic of one predictor, with what the difference of two predictors needs."""

    magnitude: Estimate
    """The statistic; of Spearman's rho its absolute value."""
    signed: Estimate
    """The statistic with its sign."""
    draws: np.ndarray
    """Magnitude in every resample, (B,); empty without an interval."""
    p_naive: float = float("nan")
    """p-value as if revisions were independent."""
    n_effective: float = float("nan")
    """Revisions corrected for autocorrelation; NaN for a trend, whose revisions are no sample."""


def correlate_all(
    series: Iterable[Series], transitions: pd.DataFrame, settings: Statistics
) -> Iterator[dict[str, Any]]:
    """Yields the rows of CORRELATIONS of all series; their saturation is taken from TRANSITIONS."""
    points = rows_with(transitions, estimate="saturation_tokens", seed=MEAN_SEED)
    for one in series:
        point = rows_with(points, **one.keys).iloc[0]
        yield from correlate(one, settings, saturation=float(point["value"]), reason=point["note"])


def correlate(series: Series, settings: Statistics, *, saturation: float, reason: str = "") -> Iterator[dict[str, Any]]:
    """Yields the rows of CORRELATIONS of one series; a span that holds all revisions is not repeated.

    Args:
        series: Trajectories of one layer under one protocol.
        settings: Section ``statistics``.
        saturation: Tokens (billions) from which the accuracy counts as saturated; NaN where there is no such point.
        reason: Why there is none.
    """
    spans = {
        "all": np.ones(len(series.steps), dtype=bool),
        f"first_{settings.first}": np.arange(len(series.steps)) < settings.first,
        "before_saturation": series.tokens < saturation,
    }
    for span, inside in spans.items():
        if span != "all" and inside.all():
            continue
        missing = f"no saturation point: {reason}" if span == "before_saturation" and np.isnan(saturation) else ""
        for statistic in STATISTIC_NAMES:
            for predictor, found in compare_predictors(series, settings, inside, statistic, missing).items():
                keys = series.keys | {"span": span, "predictor": predictor, "statistic": statistic}
                yield keys | asdict(found.signed) | {"p_naive": found.p_naive, "n_effective": found.n_effective}


def compare_predictors(
    series: Series, settings: Statistics, inside: np.ndarray, statistic: str, missing: str = ""
) -> dict[str, Association]:
    """Returns one statistic of the predictors ``probe`` and ``loss``, and their ``difference`` from the same resamples.

    Args:
        series: Trajectories of one layer under one protocol.
        settings: Section ``statistics``.
        inside: Which revisions enter, bool, (n,).
        statistic: One of ``STATISTIC_NAMES``; given log tokens, revisions without tokens (step 0) stay out.
        missing: Why nothing can be computed; empty if it can.
    """
    predictors = {"probe": series.probe, "loss": series.loss}
    if missing:
        return {name: _nothing(missing) for name in (*predictors, "difference")}
    measured = {name: values for name, values in predictors.items() if np.isfinite(values[inside]).any()}
    controlled = statistic == "r2_given_log_tokens"
    used = np.logical_and.reduce([inside, *map(np.isfinite, measured.values()), (series.tokens > 0) | (not controlled)])
    target, control = series.curves[0].accuracy[used], series.doublings[used] if controlled else None
    memory = max([0.0, *(_memory(x[used], target) for x in measured.values())])
    asked = settings.block or best_block(len(target), memory)
    found = {
        name: associate(measured[name][used], target, statistic, settings, block=asked, control=control)
        if name in measured
        else _nothing(f"{name} was not measured", len(target))
        for name in predictors
    }
    return found | {"difference": _compare(found["probe"], found["loss"])}


def _memory(predictor: np.ndarray, target: np.ndarray) -> float:
    """Returns the autocorrelation of what a linear fit leaves; it decides the length of blocks."""
    if len(target) < 3 or is_constant(predictor):
        return 0.0
    return lag_one(_residuals(target, predictor), fitted=2)


def _residuals(values: np.ndarray, regressor: np.ndarray) -> np.ndarray:
    """Returns what a linear fit of values on one regressor leaves, (n,)."""
    centred, x = values - values.mean(), regressor - regressor.mean()
    return centred - x * (x @ centred) / (x @ x)


def associate(
    predictor: np.ndarray,
    target: np.ndarray,
    statistic: str,
    settings: Statistics,
    *,
    block: int,
    control: np.ndarray | None = None,
) -> Association:
    """Returns one statistic with an interval by a block bootstrap on Fisher's scale.

    The bootstrap gives the standard error s of z = atanh r; the interval is z ± t s, with Student's t for as many
    degrees of freedom as there are blocks less one, taken back by tanh (and squared). Percentiles of r² cover
    too seldom where blocks are few: see docs/statistics.md.

    Args:
        predictor: Values x of n revisions in order, (n,).
        target: Values y, (n,).
        statistic: One of ``STATISTIC_NAMES``.
        settings: Resamples, confidence, seed.
        block: Revisions per block that are asked for; more than :func:`longest_block` are cut, and the estimate says so.
        control: Values held constant (partial correlation), (n,); None for none.
    """
    n, ranked, columns = len(target), statistic == "spearman", [target, predictor]
    columns += [] if control is None else [control]
    if ranked:  # means over seeds that are equal may differ in their last digit, and are ties
        columns = [np.round(values, 12) for values in columns]
    if n <= len(columns):
        return _nothing(f"{n} revisions; at least {len(columns) + 1} are needed", n)
    for name, values in zip(("W2SG accuracy", "predictor", "tokens"), columns, strict=False):
        if is_constant(values):
            return _nothing(f"{name} is constant", n)
    r = float(_correlation(columns, np.ones((1, n)), ranked)[0])
    if np.isnan(r):
        return _nothing("the predictor or W2SG accuracy is a linear function of log tokens", n)
    left = columns if control is None else [_residuals(values, control) for values in columns[:2]]
    half, draws, note = _resample(columns, ranked, block, settings)
    most = _largest(n, ranked)
    centre = float(np.arctanh(np.clip(r, -most, most)))
    low, high = np.tanh(np.maximum(abs(centre) - half, 0.0)), np.tanh(abs(centre) + half)
    if ranked:
        magnitude = Estimate(value=abs(r), low=float(low), high=float(high), n=n, note=note)
        low, high = np.tanh(centre - half), np.tanh(centre + half)
        signed = Estimate(value=r, low=float(low), high=float(high), n=n, note=note)
    else:
        magnitude = signed = Estimate(value=r * r, low=float(low**2), high=float(high**2), n=n, note=note)
    return Association(
        magnitude=magnitude,
        signed=signed,
        draws=np.abs(draws) if ranked else draws**2,
        p_naive=_p_value(r, n - len(columns)),
        n_effective=effective_number(*[stats.rankdata(x) if ranked else x for x in left[:2]]),
    )


def _resample(
    columns: list[np.ndarray], ranked: bool, block: int, settings: Statistics
) -> tuple[float, np.ndarray, str]:
    """Returns half the width of the interval on Fisher's scale, the correlation in every resample, and a note.

    Without an interval the width is NaN and there are no resamples. Resamples in which a series is constant do not count
    unless they are many.
    """
    n, nothing = len(columns[0]), np.empty(0)
    if n < FEWEST:
        return float("nan"), nothing, f"no interval: {n} revisions, {FEWEST} are needed"
    kept, most = min(block, longest_block(n)), _largest(n, ranked)
    counts = draw_counts(n, resamples=settings.resamples, seed=settings.seed, block=kept)
    drawn = _correlation(columns, counts, ranked).astype(np.float64)
    known = np.isfinite(drawn)
    if known.mean() < settings.confidence:
        return float("nan"), nothing, "no interval: a series is constant in too many resamples"
    if np.ptp(np.clip(drawn[known], -most, most)) < 1e-9:
        return float("nan"), nothing, "no interval: all resamples agree"
    spread = float(np.arctanh(np.clip(drawn[known], -most, most)).std())
    half = float(stats.t.ppf(0.5 + settings.confidence / 2, max(2.0, n / kept - 1.0))) * spread
    short = f"{TOO_SHORT}: blocks of {block} revisions are asked for, of {n} at most {kept} are possible"
    return half, drawn, "" if kept == block else short


def _largest(n: int, ranked: bool) -> float:
    """Returns the largest correlation that Fisher's transform is given: ranks that agree might just not have."""
    return 1.0 - 6.0 / (n**3 - n) if ranked else 1.0 - 1e-12


def _compare(probe: Association, loss: Association) -> Association:
    """Returns probe minus loss, of magnitudes, with the correlation of both over the same resamples."""
    first, second = probe.magnitude, loss.magnitude
    if np.isnan(first.value) or np.isnan(second.value):
        return _nothing(first.note or second.note, min(first.n, second.n))
    joint = _correlation_of_errors(probe.draws, loss.draws)
    found = difference(first, second, correlation=joint, n=first.n)
    found = replace(found, note=probe.signed.note or loss.signed.note)
    return Association(magnitude=found, signed=found, draws=np.empty(0))


def _correlation_of_errors(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the correlation of two statistics over the same resamples; 0 where one of them does not vary."""
    if not len(first) or not len(second):
        return 0.0
    both = np.isfinite(first) & np.isfinite(second)
    if np.ptp(first[both]) < 1e-9 or np.ptp(second[both]) < 1e-9:
        return 0.0
    return float(np.corrcoef(first[both], second[both])[0, 1])


def _nothing(note: str, n: int = 0) -> Association:
    return Association(magnitude=undefined(note, n), signed=undefined(note, n), draws=np.empty(0))


def _p_value(r: float, degrees: int) -> float:
    """Returns the two-sided p-value of a correlation by Student's t."""
    if abs(r) >= 1.0:
        return 0.0
    return float(2.0 * stats.t.sf(abs(r) * np.sqrt(degrees / (1.0 - r * r)), degrees))


def _correlation(columns: list[np.ndarray], weight: np.ndarray, ranked: bool) -> np.ndarray:
    """Returns the correlation of the first two columns, of their ranks, or given a third, under each weighting, (B,).

    Equation: r₁₂.₃ = (r₁₂ - r₁₃ r₂₃) / √((1 - r₁₃²)(1 - r₂₃²)).
    """
    if ranked:
        return _rank_correlation(columns[0], columns[1], weight)
    scaled = np.stack([(x - x.mean()) / x.std() for x in columns])  # (k, n)
    k = len(scaled)
    total = weight.sum(1)
    means = weight @ scaled.T / total[:, None]  # (B, k)
    pairs = [(i, j) for i in range(k) for j in range(i, k)]
    products = weight @ np.stack([scaled[i] * scaled[j] for i, j in pairs], axis=1) / total[:, None]
    moments = {(i, j): products[:, at] - means[:, i] * means[:, j] for at, (i, j) in enumerate(pairs)}

    def pearson(i: int, j: int) -> np.ndarray:
        return _ratio(moments[i, j], moments[i, i] * moments[j, j])

    if k == 2:
        return pearson(0, 1)
    first, second = pearson(0, 2), pearson(1, 2)
    return _ratio(pearson(0, 1) - first * second, (1.0 - first**2) * (1.0 - second**2))


def _ratio(top: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Returns top over the root of a product of variances, kept in [-1, 1]; NaN where the product is rounding error."""
    result = np.full_like(top, np.nan)
    known = squared > 1e-20
    result[known] = np.clip(top[known] / np.sqrt(squared[known]), -1.0, 1.0)
    return result


def _rank_correlation(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns Spearman's rho with mid-ranks within each weighting, (B,)."""
    columns = np.ascontiguousarray(weight.T)  # (n, B)
    total = columns.sum(0)

    def centred_ranks(values: np.ndarray) -> np.ndarray:
        order = np.argsort(values, kind="stable")
        ranks = np.empty_like(columns)
        ranks[order] = weight_below(columns[order], values[order])
        return ranks / total - 1.0  # twice the mid-rank over the total: its weighted mean is one

    def moment(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.einsum("ib,ib,ib->b", columns, left, right) / total

    a, b = centred_ranks(x), centred_ranks(y)
    return _ratio(moment(a, b), moment(a, a) * moment(b, b))
