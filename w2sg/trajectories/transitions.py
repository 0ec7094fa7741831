"""When W2SG sets in over pre-training, how fast it rises, where it saturates and how much it fluctuates then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from w2sg.measures.agreement import HEADS, Answers
from w2sg.measures.bootstrap import FEWEST, is_constant, lag_one, variance_factor
from w2sg.measures.estimates import Estimate, difference, transform, undefined
from w2sg.study.sections import Statistics
from w2sg.trajectories import sigmoid
from w2sg.trajectories.late.estimates import count_late, describe_late, late_pairs, residual_factor
from w2sg.trajectories.onset import GAP, find_onset
from w2sg.trajectories.selection import MEAN_SEED
from w2sg.trajectories.series import Curve, Series

COMPARED = ("converged", "paper")
"""Protocols whose estimates are compared: first minus second."""

UNSATURATED = "not saturated by the last revision"
"""Note of a saturation that lies after all revisions."""

POSITION_NAMES = ("onset_tokens", "sigmoid_midpoint", "saturation_tokens", "change_point")
"""Estimates in tokens; they are compared in doublings."""

WITHIN_RUN = ("_shared", "_crossing")
"""How names of estimates end that only serve to pool pre-training seeds."""

CROSSINGS = ("onset_step_crossing", "onset_tokens_crossing")
"""Where the gain crosses zero, in steps and tokens."""

FARTHEST = 1.0 + 1e-9
"""Doublings of tokens between neighbours up to which a crossing between them is placed: one, and rounding."""


def estimate_transition(
    series: Iterable[Series], settings: Statistics, answers: Answers | None = None
) -> Iterator[dict[str, Any]]:
    """Yields the rows of TRANSITIONS: every series by seed, then the comparison of the head protocols.

    Args:
        series: Trajectories of all families, datasets, protocols and layers.
        settings: Section ``statistics``.
        answers: What :func:`w2sg.measures.agreement.collect_answers` returns, of the last layer; None without it.
    """
    means: dict[tuple[Any, ...], dict[str, dict[str, Estimate]]] = {}
    series = list(series)
    last = {(one.family, one.dataset): one.layer for one in sorted(series, key=lambda one: one.layer)}
    for one in series:
        final = last[one.family, one.dataset] == one.layer
        for curve in one.curves:
            which = (one.family, one.dataset, one.protocol)
            right = {head: (answers or {}).get((*which, head, curve.seed), {}) for head in HEADS} if final else {}
            found = estimate_curve(one, curve, settings, right)
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
    series: Series, curve: Curve, settings: Statistics, right: Mapping[str, Mapping[int, np.ndarray]] | None = None
) -> dict[str, Estimate]:
    """Returns every estimate of one curve by name; units as TRANSITIONS says.

    ``right`` says by head and step which test pairs are right, (n,) each; without it what pairs decide at one revision
    only is not taken out of errors and fluctuation.
    """
    confidence = settings.confidence
    late, listed = count_late(series.steps, settings.late, series.listed), series.listed.count if series.listed else 0
    onset = _tell_gap(
        find_onset(curve.gain, curve.gain_error, late=late, confidence=confidence, listed=listed), series.steps
    )
    pairs = late_pairs(right or {}, series.steps[-late:].tolist())
    noise = float(pairs.noise[0, 0]) if pairs else 0.0
    fitted = sigmoid.fit_sigmoid(series.doublings, curve.accuracy, confidence=confidence, noise=noise)
    factor = residual_factor(fitted, curve.accuracy, noise)
    ceiling = series.others.get("ceiling") if curve.seed == MEAN_SEED else None
    levels = describe_late(curve, late=late, factor=factor, pairs=pairs, ceiling=ceiling, confidence=confidence)
    return {
        "onset_step": _at(onset, series.steps.astype(np.float64)),
        "onset_tokens": _at(onset, series.tokens),
        **_describe_sigmoid(fitted, series),
        "change_point": _at(find_change(curve.accuracy, confidence=confidence), series.tokens),
        **levels,
        "onset_tokens_shared": _moved_onset(fitted, curve, levels["saturation_gain_shared"]),
        **_crossings(onset, curve.gain, fitted, series),
    }


def _moved_onset(fitted: sigmoid.Sigmoid | str, curve: Curve, gain: Estimate) -> Estimate:
    """Returns by how many doublings an error of all gains, a half width, moves the onset, by the slope where the sigmoid crosses."""
    if isinstance(fitted, str):
        return undefined(fitted, gain.n)
    share = (float((curve.accuracy - curve.gain).mean()) - fitted.floor.value) / fitted.rise.value
    if not 0.0 < share < 1.0:
        return undefined("the sigmoid does not cross the supervisor's accuracy", gain.n)
    slope = fitted.rise.value * share * (1.0 - share) / fitted.scale.value
    return replace(gain, value=gain.value / slope)


def _crossings(onset: Estimate, gain: np.ndarray, fitted: sigmoid.Sigmoid | str, series: Series) -> dict[str, Estimate]:
    """Returns step and tokens at which the gain crosses zero, between an onset (a place) and the revision before it.

    The gain is not positive at the revision before, which would be the likelier onset. Between the two it is taken to follow the fitted
    sigmoid, stretched so that it meets both: (R22). Undefined without a sigmoid, or without a revision of at least half the tokens before.
    """
    if isinstance(fitted, str) or not onset.value >= 1:
        return dict.fromkeys(CROSSINGS, undefined(onset.note or str(fitted), onset.n))
    at = int(onset.value)
    with np.errstate(divide="ignore"):
        steps, tokens = np.log2([series.steps, series.tokens])[:, at - 1 : at + 1]
    if not (np.isfinite(steps[0]) and tokens[1] - tokens[0] <= FARTHEST):
        return dict.fromkeys(CROSSINGS, undefined("no revision of at least half the tokens before the onset", onset.n))
    levels = expit((tokens - fitted.midpoint.value) / fitted.scale.value)
    share = gain[at - 1] / (gain[at - 1] - gain[at])
    level = levels[0] + share * (levels[1] - levels[0])
    place = np.clip(fitted.midpoint.value + fitted.scale.value * logit(level), *tokens)
    places = (np.interp(place, tokens, steps), place)
    note = "where the gain crosses zero"
    return {
        name: Estimate(value=float(np.exp2(one)), n=onset.n, note=note)
        for name, one in zip(CROSSINGS, places, strict=True)
    }


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
        saturation = undefined(UNSATURATED, n)
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


def compare(first: dict[str, Estimate], second: dict[str, Estimate]) -> dict[str, Estimate]:
    """Returns first minus second of every estimate but steps; positions in doublings of tokens.

    Both protocols are measured on the same test pairs and revisions, so their errors are positively correlated; taking
    none is cautious.
    """
    found = {}
    for name in [name for name in first if name != "onset_step" and not name.endswith(WITHIN_RUN)]:
        pair = [_in_doublings(one[name]) if name in POSITION_NAMES else one[name] for one in (first, second)]
        found[name] = difference(*pair, n=min(one.n for one in pair))
    return found


def _in_doublings(position: Estimate) -> Estimate:
    if 0.0 in (position.value, position.low, position.high):
        return undefined("a position before any training has no logarithm", position.n)
    return transform(position, np.log2)
