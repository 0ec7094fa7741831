"""When W2SG sets in over pre-training, how fast it rises, where it saturates and how much it fluctuates then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy import stats

from w2sg.measures.agreement import Answers, pair_noise
from w2sg.measures.bootstrap import FEWEST, is_constant, lag_one, variance_factor
from w2sg.measures.estimates import Estimate, difference, transform, undefined
from w2sg.study.sections import Statistics
from w2sg.trajectories import sigmoid
from w2sg.trajectories.onset import GAP, find_onset, least_late
from w2sg.trajectories.selection import MEAN_SEED
from w2sg.trajectories.series import Curve, Listed, Series

COMPARED = ("converged", "paper")
"""Protocols whose estimates are compared: first minus second."""

POSITION_NAMES = ("onset_tokens", "sigmoid_midpoint", "saturation_tokens", "change_point")
"""Estimates in tokens; they are compared in doublings."""


def late_revisions(n: int, share: float) -> int:
    """Returns how many of n revisions, from the end, count as late: a share of them, no fewer than `least_late` says."""
    return min(n, max(least_late(n), round(share * n)))


def count_late(steps: np.ndarray, share: float, listed: Listed | None) -> int:
    """Returns how many of the revisions at n steps, from the end, count as late; of an adaptive sweep, those late in its list.

    Args:
        steps: Optimiser steps, ascending, (n,).
        share: Share of the revisions that count as late.
        listed: What the revisions were chosen from, in an adaptive sweep.
    """
    if listed is None:
        return late_revisions(len(steps), share)
    return min(len(steps), max(1, int((steps >= listed.late_step).sum())))


def estimate_transition(
    series: Iterable[Series], settings: Statistics, answers: Answers | None = None
) -> Iterator[dict[str, Any]]:
    """Yields the rows of TRANSITIONS: every series by seed, then the comparison of the head protocols.

    Args:
        series: Trajectories of all families, datasets, protocols and layers.
        settings: Section ``statistics``.
        answers: What :func:`w2sg.measures.agreement.read_answers` returns, of the last layer; None without it.
    """
    means: dict[tuple[Any, ...], dict[str, dict[str, Estimate]]] = {}
    series = list(series)
    last = {(one.family, one.dataset): one.layer for one in sorted(series, key=lambda one: one.layer)}
    for one in series:
        final = last[one.family, one.dataset] == one.layer
        for curve in one.curves:
            key = (one.family, one.dataset, one.protocol, "w2s", curve.seed)
            found = estimate_curve(one, curve, settings, (answers or {}).get(key) if final else None)
            if curve.seed == MEAN_SEED:
                means.setdefault((one.family, one.dataset, one.layer), {})[one.protocol] = found
            yield from _rows(one.keys | {"seed": curve.seed}, found)
    for (family, dataset, layer), by_protocol in means.items():
        if all(name in by_protocol for name in COMPARED):
            keys = {"family": family, "dataset": dataset, "protocol": "_minus_".join(COMPARED), "layer": layer}
            found = compare(*[by_protocol[name] for name in COMPARED])
            yield from _rows(keys | {"seed": MEAN_SEED}, found)


def _rows(keys: dict[str, Any], found: dict[str, Estimate]) -> Iterator[dict[str, Any]]:
    for name, estimate in found.items():
        yield keys | {"estimate": name} | asdict(estimate)


def estimate_curve(
    series: Series, curve: Curve, settings: Statistics, right: Mapping[int, np.ndarray] | None = None
) -> dict[str, Estimate]:
    """Returns every estimate of one curve by name; units as TRANSITIONS says.

    ``right`` says by step which test pairs the student has right, (n,) each; without it sampling noise is not taken out of
    the fluctuation.
    """
    confidence = settings.confidence
    late, listed = count_late(series.steps, settings.late, series.listed), series.listed.count if series.listed else 0
    onset = find_onset(curve.gain, curve.gain_error, late=late, confidence=confidence, listed=listed)
    fitted = sigmoid.fit_sigmoid(series.doublings, curve.accuracy, confidence=confidence)
    correlation = _memory(fitted, curve.accuracy)
    onset = _tell_gap(onset, series.steps)
    last = series.steps[-late:].tolist()
    noise = pair_noise(np.stack([right[step] for step in last])) if right and set(last) <= set(right) else None
    return {
        "onset_step": _at(onset, series.steps.astype(np.float64)),
        "onset_tokens": _at(onset, series.tokens),
        **_describe_sigmoid(fitted, series),
        "change_point": _at(find_change(curve.accuracy, confidence=confidence), series.tokens),
        **describe_late(curve, late=late, autocorrelation=correlation, noise=noise, confidence=confidence),
    }


def late_memory(doublings: np.ndarray, accuracy: np.ndarray, *, confidence: float) -> float:
    """Returns the lag-one autocorrelation of what the sigmoid leaves of the accuracy, or of the accuracy without one."""
    return _memory(sigmoid.fit_sigmoid(doublings, accuracy, confidence=confidence), accuracy)


def _memory(fitted: sigmoid.Sigmoid | str, accuracy: np.ndarray) -> float:
    return lag_one(accuracy) if isinstance(fitted, str) else fitted.autocorrelation


def _tell_gap(onset: Estimate, steps: np.ndarray) -> Estimate:
    """Returns an onset (a place); of one between neighbours more than a doubling of steps apart the note says so."""
    if np.isnan(onset.low) or onset.high - onset.low > 1:
        return onset
    before, after = steps[int(onset.low)], steps[int(onset.high)]
    if after <= 2 * before:
        return onset
    note = f"the onset lies between steps {before:,} and {after:,}; {GAP}"
    return replace(onset, note=note)


def _at(index: Estimate, axis: np.ndarray) -> Estimate:
    """Returns an estimate that counts revisions on the axis of steps or tokens."""
    return transform(index, lambda place: axis[int(place)] if np.isfinite(place) else float("nan"))


def _describe_sigmoid(fitted: sigmoid.Sigmoid | str, series: Series) -> dict[str, Estimate]:
    n = len(series.steps)
    if isinstance(fitted, str):
        names = ("sigmoid_midpoint", "sigmoid_width", "sigmoid_floor", "sigmoid_rise", "saturation_tokens")
        return dict.fromkeys(names, undefined(fitted, n))
    saturation = transform(fitted.saturation, np.exp2)
    if fitted.saturation.value > series.doublings[-1]:
        saturation = undefined("not saturated by the last revision", n)
    return {
        "sigmoid_midpoint": transform(fitted.midpoint, np.exp2),
        "sigmoid_width": transform(fitted.scale, lambda scale: sigmoid.RISE_10_90 * scale),
        "sigmoid_floor": fitted.floor,
        "sigmoid_rise": fitted.rise,
        "saturation_tokens": saturation,
    }


def find_change(values: np.ndarray, *, confidence: float) -> Estimate:
    """Returns the first revision of the second of two levels that fit best, as its place from 0.

    The interval holds every place k whose sum of squares S fulfils n (S_k - S_min) / S_min ≤ f c with
    c = -2 ln(1 - √confidence), the quantile of the likelihood ratio at the true place (Hansen 2000), and
    f = (1 + r) / (1 - r) for residuals with autocorrelation r.

    Args:
        values: W2SG accuracies in order, (n,).
        confidence: Coverage.
    """
    n = len(values)
    if n < FEWEST:
        return undefined(f"{n} revisions; a change point needs {FEWEST}", n)
    if is_constant(values):
        return undefined("the accuracy is constant", n)
    places = np.arange(2, n - 1)
    squares = np.array([values[:k].var() * k + values[k:].var() * (n - k) for k in places])
    best = int(np.argmin(squares))
    split, least = int(places[best]), float(squares[best])
    residuals = np.concatenate([values[:split] - values[:split].mean(), values[split:] - values[split:].mean()])
    factor = variance_factor(lag_one(residuals, fitted=2))
    if not sigmoid.exceeds_noise(float(values.var() * n), least, n, 2, factor, confidence):
        return undefined("no change of the level that differs from noise", n)
    critical = -2.0 * np.log(1.0 - np.sqrt(confidence))
    inside = places[squares <= least * (1.0 + factor * critical / n) + 1e-15]
    return Estimate(value=split, low=int(inside[0]), high=int(inside[-1]), n=n)


def describe_late(
    curve: Curve, *, late: int, autocorrelation: float, noise: float | None = None, confidence: float
) -> dict[str, Estimate]:
    """Returns level, gain and fluctuation of the late revisions.

    The level's error has two parts: test pairs, which all revisions share, so that it does not shrink with their number,
    and fluctuation, which shrinks with their effective number m = n (1 - r) / (1 + r). Half widths add as
    variances do. The fluctuation is the standard deviation, less what test pairs alone would make it; its interval
    is that of a normal sample of size m.

    Args:
        curve: W2SG over all revisions.
        late: Number of late revisions.
        autocorrelation: Lag-one autocorrelation r between revisions.
        noise: Variance over the late revisions that comes from the test pairs (:func:`pair_noise`); None where unknown.
        confidence: Coverage.
    """
    degrees = late_degrees(late, autocorrelation)
    found = {
        name: late_level(values[-late:], errors[-late:], degrees, confidence, noise=noise or 0.0)
        for name, values, errors in (
            ("saturation", curve.accuracy, curve.accuracy_error),
            ("saturation_gain", curve.gain, curve.gain_error),
        )
    }
    if late < 2:
        return found | {"fluctuation": undefined("one revision does not fluctuate", late)}
    total = float(curve.accuracy[-late:].var(ddof=1))
    tails = stats.chi2.ppf([0.5 + confidence / 2, 0.5 - confidence / 2], degrees)
    factors = np.concatenate([[1.0], degrees / tails])
    value, low, high = np.sqrt(np.maximum(total * factors - (noise or 0.0), 0.0))
    note = "not separated from sampling noise" if noise is None else "" if value else "at the level of sampling noise"
    fluctuation = Estimate(value=float(value), low=float(low), high=float(high), n=late, note=note)
    return found | {"fluctuation": fluctuation}


def late_degrees(late: int, autocorrelation: float) -> float:
    """Returns the degrees of freedom of a mean over late revisions: their effective number less one, at least 1."""
    return max(1.0, late / variance_factor(autocorrelation) - 1.0)


def late_level(
    values: np.ndarray, errors: np.ndarray, degrees: float, confidence: float, *, noise: float = 0.0
) -> Estimate:
    """Returns the mean over late revisions; see :func:`describe_late`.

    Args:
        values: An accuracy or difference of each late revision, (m,).
        errors: Their standard errors by the test pairs, (m,).
        degrees: Degrees of freedom of the fluctuation.
        confidence: Coverage.
        noise: Variance over the revisions by the test pairs: it is no fluctuation, and in ``errors`` already.
    """
    n, value = len(values), float(values.mean())
    if n < 2:
        return Estimate(value=value, n=n, note="no interval: one revision")
    pairs = stats.norm.ppf(0.5 + confidence / 2) * errors.mean()
    spread = np.sqrt(max(float(values.var(ddof=1)) - noise, 0.0))
    moving = stats.t.ppf(0.5 + confidence / 2, degrees) * spread / np.sqrt(degrees + 1.0)
    half = float(np.hypot(pairs, moving))
    return Estimate(value=value, low=value - half, high=value + half, n=n)


def compare(first: dict[str, Estimate], second: dict[str, Estimate]) -> dict[str, Estimate]:
    """Returns first minus second of every estimate but steps; positions in doublings of tokens.

    Both protocols are measured on the same test pairs and revisions, so their errors are positively correlated; taking
    none is cautious.
    """
    found = {}
    for name in [name for name in first if name != "onset_step"]:
        pair = [_in_doublings(one[name]) if name in POSITION_NAMES else one[name] for one in (first, second)]
        found[name] = difference(*pair, n=min(one.n for one in pair))
    return found


def _in_doublings(position: Estimate) -> Estimate:
    if 0.0 in (position.value, position.low, position.high):
        return undefined("a position before any training has no logarithm", position.n)
    return transform(position, np.log2)
