"""The table of an adaptive sweep's rounds: from what is measured so far to the rows of the next round, with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from w2sg.study.lists.adaptive import Adaptive, doublings
from w2sg.study.rounds import COLUMNS, Chosen
from w2sg.trajectories.adaptive.rounds import Choice, KnownGain, Sought, choose
from w2sg.trajectories.series import Series, collect_series


@dataclass(frozen=True, kw_only=True)
class AdaptiveSweep:
    """What a round is chosen from."""

    revisions: Sequence[tuple[str, int, float]]
    """Candidates: name, step, tokens in billions; by step."""
    rule: Adaptive
    """Section ``adaptive``."""
    late_step: int
    """Step from which revisions count as late."""
    confidence: float
    """Joint coverage of an onset's interval."""

    @property
    def places(self) -> dict[str, int]:
        """Returns the place of each candidate by its name."""
        return {name: place for place, (name, _, _) in enumerate(self.revisions)}


def place_tables(tables: Mapping[tuple[str, str], Sequence[pd.DataFrame]], sweep: AdaptiveSweep) -> pd.DataFrame:
    """Returns the headline rows of several families' revisions with family, step and tokens, as METRICS has them.

    Args:
        tables: Tables by family and revision, schema RESULTS.
        sweep: What the revisions are chosen from.
    """
    parts = []
    for (family, revision), found in tables.items():
        _, step, tokens = sweep.revisions[sweep.places[revision]]
        parts += [one.assign(family=family, step=step, tokens=tokens) for one in found]
    return pd.concat(parts, ignore_index=True)


def known_gains(series: Sequence[Series], sweep: AdaptiveSweep) -> dict[str, KnownGain]:
    """Returns the gain at the measured revisions by family, dataset and protocol: last layer, mean over head seeds.

    A gain without intervals dates no onset and is left out.
    """
    steps = np.array([step for _, step, _ in sweep.revisions])
    last = {(one.family, one.dataset, one.protocol): one for one in sorted(series, key=lambda one: one.layer)}
    return {
        ", ".join(key): KnownGain(
            places=np.searchsorted(steps, one.steps), gain=one.curves[0].gain, error=one.curves[0].gain_error
        )
        for key, one in sorted(last.items())
        if np.isfinite(one.curves[0].gain_error).all()
    }


def next_round(
    chosen: Sequence[Chosen], metrics: pd.DataFrame, sweep: AdaptiveSweep, *, confidence: float
) -> pd.DataFrame:
    """Returns the table of rounds after one more: what was chosen before, then the next revisions or why there are none.

    Args:
        chosen: What was chosen before.
        metrics: What :func:`place_tables` returns of it.
        sweep: What the revisions are chosen from.
        confidence: Coverage of the intervals of ``metrics``; standard errors are taken from their width.
    """
    cases = known_gains(list(collect_series(metrics, confidence=confidence)), sweep)
    tokens, steps = (np.array([one[part] for one in sweep.revisions]) for part in (2, 1))
    choice = choose(
        np.array(doublings(tokens.tolist())), [sweep.places[row.revision] for row in chosen], list(cases.values()),
        each=min(sweep.rule.each, sweep.rule.most - len(chosen)), within=sweep.rule.within,
        saturation=sweep.rule.saturation, late=int(np.searchsorted(steps, sweep.late_step)), confidence=sweep.confidence,
    )  # fmt: skip
    number, names, rows = chosen[-1].round + 1, list(cases), list(chosen)
    for place, worth, one in zip(choice.places, choice.worth, choice.serves, strict=True):
        known = f"within {one.width:.2f} doublings" if one.bounded else "not between two revisions"
        reason = f"{one.kind} of {names[one.case]}: {known} so far"
        rows.append(Chosen(number, sweep.revisions[place][0], f"{worth:.4f}", reason))
    table = pd.DataFrame([vars(row) for row in rows])
    places = table["revision"].map(sweep.places)
    table = table.assign(step=steps[places], tokens_billion=tokens[places])
    if not choice.places:
        table.loc[len(table), ["round", "reason"]] = [number, _why_ended(choice, len(chosen), sweep)]
    return table.astype({"round": int, "step": "Int64"})[list(COLUMNS)]


def _why_ended(choice: Choice, chosen: int, sweep: AdaptiveSweep) -> str:
    if not choice.sought:
        return "ended: no revision that was measured counts, all were left out"
    onsets, saturations = ([one for one in choice.sought if one.kind == kind] for kind in ("onset", "saturation"))
    within, wanted = sweep.rule.within, sweep.rule.saturation
    if _all_within(onsets, within) and (wanted is None or _all_within(saturations, wanted)):
        known = f"ended: every onset is known within a factor of {within:g} in tokens"
        found = f"every saturation found ({len(saturations)} of {len(onsets)} cases)"
        return known if wanted is None else f"{known}, and {found} within {wanted:g}"
    if chosen >= sweep.rule.most:
        return f"ended: {chosen} revisions were measured, and most is {sweep.rule.most}"
    known = "; ".join(_widest(part) for part in (onsets, saturations) if part)
    return f"ended: no revision is expected to narrow an interval that is sought; {known}"


def _all_within(intervals: Sequence[Sought], factor: float) -> bool:
    return all(one.bounded and one.width <= np.log2(factor) for one in intervals)


def _widest(intervals: Sequence[Sought]) -> str:
    kind, open_ones = intervals[0].kind, sum(not one.bounded for one in intervals)
    if open_ones:
        return f"{open_ones} of {len(intervals)} {kind}s lie between no two revisions"
    return f"the widest of {kind}s: {max(one.width for one in intervals):.2f} doublings"
