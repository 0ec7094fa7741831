"""What one run reaches: accuracies at its first and late revisions, the gain, and the gains of its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.measures.estimates import Estimate, difference, undefined
from w2sg.study.sections import Statistics
from w2sg.trajectories.late.estimates import count_late, late_degrees, late_factor, late_level
from w2sg.trajectories.selection import (
    INTERVAL,
    case_rows,
    final_means,
    headline_cells,
    rows_with,
    seed_means,
    trained_layers,
)
from w2sg.trajectories.series import Listed
from w2sg.trajectories.transitions import WITHIN_RUN

QUANTITIES = {
    "w2s": ("w2s", "accuracy"),
    "ceiling": ("ceiling", "accuracy"),
    "gain": ("w2s", "gain"),
    "permuted": ("permuted", "gain"),
    "cost": ("permuted", "systematic_cost"),
    "probe": ("probe", "accuracy"),
    "loss": ("model", "nats_per_token"),
}
"""Head and metric of each quantity of a trajectory."""

LATE = {
    "w2s_late": "w2s",
    "ceiling_late": "ceiling",
    "gain": "gain",
    "permuted_gain": "permuted",
    "systematic_cost": "cost",
}
"""Levels of the late revisions, with what they are the level of."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Levels of one family on one dataset under one head protocol."""

    found: dict[str, Estimate]
    """By name."""
    pairs: dict[str, float]
    """Half widths of those of the late revisions by what test and training pairs make of all of them alike; where the gain crosses zero."""
    revisions: int
    """Number of revisions."""
    last_step: int
    """Step of the last one."""
    last_tokens: float
    """Tokens of the last one, in billions."""


def trajectory(metrics: pd.DataFrame, *, family: str, dataset: str, protocol: str) -> pd.DataFrame:
    """Returns the final-layer trajectory of one family on one dataset under one head protocol, means over head seeds.

    It is selected from ``metrics``, schema METRICS.

    Returns:
        One row per revision by step: step, tokens, and value, low, high of each of ``QUANTITIES`` and of ``weak``, the
        supervisor's accuracy, as ``<quantity>[_low|_high]``; NaN where it was not measured.

    Raises:
        ValueError: If there are no rows for this selection.
    """
    rows = case_rows(metrics, family=family, dataset=dataset)
    found = {name: final_means(rows, *which, protocol) for name, which in QUANTITIES.items()}
    table = found["w2s"][["step", "tokens"]]
    for name, part in found.items():
        table = table.join(part.set_index("step")[INTERVAL].set_axis(_columns(name), axis=1), on="step")
    weak = seed_means(rows, "weak", "accuracy", protocol)[INTERVAL].mean()
    return table.assign(**dict(zip(_columns("weak"), weak, strict=True)))


def _columns(quantity: str) -> list[str]:
    return [quantity, f"{quantity}_low", f"{quantity}_high"]


def measure_levels(
    metrics: pd.DataFrame,
    *,
    case: Mapping[str, str],
    known: Mapping[str, Estimate],
    settings: Statistics,
    confidence: float,
    listed: Listed | None = None,
) -> Levels:
    """Returns the levels of one run.

    Args:
        metrics: Schema METRICS.
        case: Family, dataset and protocol.
        known: Levels that TRANSITIONS holds already, taken as they are, and what seeds are pooled by.
        settings: Section ``statistics``.
        confidence: Coverage of the intervals of ``metrics``; standard errors are taken from their width.
        listed: What the revisions were chosen from, in an adaptive sweep.
    """
    table = trajectory(metrics, **case)
    late = table.tail(count_late(table["step"].to_numpy(), settings.late, listed))
    halves = 2.0 * float(stats.norm.ppf(0.5 + confidence / 2))
    errors = {name: (late[f"{name}_high"] - late[f"{name}_low"]) / halves for name in LATE.values()}
    with np.errstate(divide="ignore"):
        doublings = np.log2(table["tokens"].to_numpy(np.float64))
    factor = late_factor(doublings, table["w2s"].to_numpy(np.float64), confidence=settings.confidence)
    degrees = late_degrees(len(late), factor)
    found = {"weak": _at(table, "weak"), "w2s_first": _first(table, "w2s"), "gain_first": _first(table, "gain")}
    for name, quantity in LATE.items():
        values = late[quantity].to_numpy(np.float64)
        found[name] = late_level(values, float(errors[quantity].mean()), degrees, settings.confidence)
        if np.isnan(values).any():
            found[name] = undefined(f"{QUANTITIES[quantity][0]} was not measured at all late revisions", len(late))
    found |= {name: one for name, one in known.items() if not name.endswith(WITHIN_RUN)}
    rows = case_rows(metrics, family=case["family"], dataset=case["dataset"])
    wide = float(stats.norm.ppf(0.5 + settings.confidence / 2))
    pairs = {name: wide * float(errors[quantity].mean()) for name, quantity in LATE.items()}
    pairs |= {name.removesuffix("_shared"): one.value for name, one in known.items() if name.endswith(WITHIN_RUN)}
    for name in ("permuted_gain", "systematic_cost"):
        half = wide * _draw_error(rows, *QUANTITIES[LATE[name]], case["protocol"], late["step"].tolist())
        found[name], pairs[name] = _widen(found[name], half), float(np.hypot(pairs[name], np.nan_to_num(half)))
    control = seed_means(rows, "weak_on_weak", "gain", case["protocol"])
    weak_on_weak = undefined("weak_on_weak was not measured", len(table))
    if len(control):
        value, low, high = control[INTERVAL].mean()
        weak_on_weak = Estimate(value=value, low=low, high=high, n=len(table))
    found |= {
        "weak_on_weak_gain": weak_on_weak,
        "gain_beyond_weak_on_weak": _minus(found["gain"], weak_on_weak),
    }
    return Levels(
        found={name: _explained(one) for name, one in found.items()},
        pairs=pairs,
        revisions=len(table),
        last_step=int(table["step"].iloc[-1]),
        last_tokens=float(table["tokens"].iloc[-1]),
    )


def _explained(one: Estimate) -> Estimate:
    """Returns an estimate that says so where single revisions have no intervals, of too few test pairs, and it has none for that reason."""
    told = any(reason in one.note for reason in ("no interval", "unbounded"))
    if told or np.isnan(one.value) or not np.isnan([one.low, one.high]).all():
        return one
    return replace(one, note="; ".join(filter(None, [one.note, "no interval: the test pairs give none"])))


def _draw_error(rows: pd.DataFrame, head: str, metric: str, protocol: str, steps: Sequence[int]) -> float:
    """Returns the standard error of a late level by the permutation, which a head seed draws for all revisions; NaN of one draw."""
    chosen = rows_with(rows, **headline_cells(head, metric, protocol))
    chosen = rows_with(chosen[chosen["step"].isin(steps)], layer=trained_layers(rows)[-1])
    drawn = chosen.groupby("seed")["value"].mean()
    return float(drawn.std(ddof=1) / np.sqrt(len(drawn))) if len(drawn) > 1 else float("nan")


def _widen(level: Estimate, half: float) -> Estimate:
    """Returns a level whose interval holds the error of the draws too; of one draw the note says that it does not."""
    if np.isnan(half):
        note = f"{TOO_SHORT}: it does not hold the error of the permutation, of which there is one draw"
        return replace(level, note="; ".join(filter(None, [level.note, note]))) if np.isfinite(level.high) else level
    below, above = level.value - level.low, level.high - level.value
    return replace(
        level, low=level.value - float(np.hypot(below, half)), high=level.value + float(np.hypot(above, half))
    )


def _at(table: pd.DataFrame, quantity: str) -> Estimate:
    """Returns a quantity at the first revision with the interval of the table."""
    value, low, high = table[_columns(quantity)].iloc[0]
    return Estimate(value=float(value), low=float(low), high=float(high), n=len(table))


def _first(table: pd.DataFrame, quantity: str) -> Estimate:
    note = "random twin: weights as they are before any training" if table["step"].iloc[0] == 0 else ""
    return replace(_at(table, quantity), note=note)


def _minus(first: Estimate, second: Estimate) -> Estimate:
    """Returns a difference of two gains. Both are measured on the same pairs; taking their errors for independent is cautious."""
    return difference(first, second, n=first.n)
