"""What a study concludes, in one long table: levels, gain and controls, onset, and what predicts W2SG accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
import pandas as pd

from w2sg.measures.estimates import Estimate, difference, undefined
from w2sg.measures.verdicts import decide, pool_seeds
from w2sg.study.protocols import protocols_in
from w2sg.study.sections import Statistics
from w2sg.trajectories.late.levels import Levels, measure_levels
from w2sg.trajectories.onset import GAP, UNPLACED
from w2sg.trajectories.prediction import COMPARED, RISING
from w2sg.trajectories.selection import CASE, INTERVAL, headline_statistics, rows_with
from w2sg.trajectories.series import Listed
from w2sg.trajectories.sigmoid import open_note
from w2sg.trajectories.transitions import WITHIN_RUN

COLUMNS = [*CASE, "quantity", *INTERVAL, "level", "n", "note", "verdict"]
"""Columns of the table of conclusions."""

TAKEN = {
    "w2s_late": ("transitions", {"estimate": "saturation"}),
    "w2s_late_shared": ("transitions", {"estimate": "saturation_shared"}),
    "gain": ("transitions", {"estimate": "saturation_gain"}),
    "gain_shared": ("transitions", {"estimate": "saturation_gain_shared"}),
    "pgr": ("transitions", {"estimate": "pgr"}),
    "pgr_shared": ("transitions", {"estimate": "pgr_shared"}),
    "onset_step": ("transitions", {"estimate": "onset_step"}),
    "onset_tokens": ("transitions", {"estimate": "onset_tokens"}),
    "onset_tokens_shared": ("transitions", {"estimate": "onset_tokens_shared"}),
    "onset_step_crossing": ("transitions", {"estimate": "onset_step_crossing"}),
    "onset_tokens_crossing": ("transitions", {"estimate": "onset_tokens_crossing"}),
    "saturation_tokens": ("transitions", {"estimate": "saturation_tokens"}),
    "fluctuation": ("transitions", {"estimate": "fluctuation"}),
    **{f"error_{name}": ("prediction", {"predictor": name}) for name in (*RISING, *COMPARED)},
    "r2_probe": ("correlations", {"predictor": "probe", "statistic": "r2"}),
    "r2_loss": ("correlations", {"predictor": "loss", "statistic": "r2"}),
    "rho_probe": ("correlations", {"predictor": "probe", "statistic": "spearman"}),
    "rho_loss": ("correlations", {"predictor": "loss", "statistic": "spearman"}),
}
"""Quantities taken from the tables of statistics, over all revisions."""

LATE_STATISTICS = [name for name in TAKEN if name in ("w2s_late", "gain", "pgr") or name.endswith(WITHIN_RUN)]
"""Those of them that are levels of the late revisions, and what seeds are pooled by."""

DESCRIPTIVE = ("fluctuation", "r2_probe", "r2_loss", "rho_probe", "rho_loss")
"""Quantities of which several seeds give a mean and no interval."""

COUNTS = ("revisions", "last_step", "seeds")
"""Quantities that are counted."""

JUDGED = (
    "gain", "gain_first", "weak_on_weak_gain", "gain_beyond_weak_on_weak", "permuted_gain", "systematic_cost",
    "error_probe_minus_loss", "error_probe_minus_step", "error_probe_minus_subspace",
)  # fmt: skip
"""Quantities that are compared with zero."""

OWN_ERROR = ("weak", "w2s_first", "gain_first", "weak_on_weak_gain")
"""Quantities whose interval within a run is mostly that of the pairs, so that all seeds share its error."""

ONSETS = ("onset_step", "onset_tokens")
"""Positions whose interval within a run tests all revisions together; what seeds share is known apart from it."""


@dataclass(kw_only=True)
class Conclusions:
    """What is concluded for one family, dataset and head protocol."""

    found: dict[str, Estimate]
    """Every quantity."""
    shared: dict[str, float]
    """Half widths by what pairs make of all revisions alike, of quantities that have another error too; where the gain crosses zero."""
    last_tokens: float
    """Tokens of the last revision, in billions."""


def summarize(
    metrics: pd.DataFrame,
    *,
    correlations: pd.DataFrame,
    transitions: pd.DataFrame,
    prediction: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    settings: Statistics,
    confidence: float,
    listed: Mapping[str, Listed] | None = None,
) -> pd.DataFrame:
    """Returns the table of conclusions, a row per family, dataset, head protocol and quantity.

    Args:
        metrics: Schema METRICS.
        correlations: Schema CORRELATIONS.
        transitions: Schema TRANSITIONS.
        prediction: Schema PREDICTION.
        groups: Families that are pre-training seeds of one model, by the group's name; they keep rows of their own.
        settings: Section ``statistics``.
        confidence: Coverage of the intervals of ``metrics``.
        listed: What the revisions of adaptive sweeps were chosen from, by family.

    Returns:
        ``COLUMNS``. Level ``revisions``: within one run; ``one seed``: the same of a group's member; ``seeds``: over
        pre-training seeds, of which two at least were measured; ``family`` is the group's name. Of ``JUDGED`` the verdict says
        on which side of zero the interval lies; of others it is empty.
    """
    tables = {
        "correlations": rows_with(correlations, span="all"),
        "transitions": transitions,
        "prediction": rows_with(prediction, held_out="revision"),
    }
    taken = {column: headline_statistics(tables[name], **cells) for column, (name, cells) in TAKEN.items()}
    runs: dict[tuple[str, str, str], Conclusions] = {}
    students = rows_with(metrics, head="w2s", metric="accuracy")
    for family, dataset in sorted(set(zip(students["family"], students["dataset"], strict=True))):
        for protocol in protocols_in(rows_with(students, family=family, dataset=dataset)["protocol"]):
            case = {"family": family, "dataset": dataset, "protocol": protocol}
            statistics = {column: _only(table, case, column) for column, table in taken.items()}
            known = {name: statistics.pop(name) for name in LATE_STATISTICS}
            chosen = (listed or {}).get(family)
            levels = measure_levels(
                metrics, case=case, known=known, settings=settings, confidence=confidence, listed=chosen
            )
            runs[family, dataset, protocol] = _conclude(levels, statistics)
    over = headline_statistics(rows_with(prediction, held_out="seed"))
    rows, pooled = [], set()
    for name, members in groups.items():
        for dataset, protocol in dict.fromkeys(key[1:] for key in runs if key[0] in members):
            seeds = [key for member in members if (key := (member, dataset, protocol)) in runs]
            if len(seeds) < 2:  # it speaks for itself
                continue
            pooled |= set(seeds)
            errors = rows_with(over, family=name, dataset=dataset, protocol=protocol)
            found = pool_runs([runs[key] for key in seeds], settings.confidence) | {
                f"error_{row.predictor}": _estimate(row) for row in errors.itertuples()
            }
            rows += _rows((name, dataset, protocol), found, "seeds")
    each = [
        row for key, one in runs.items() for row in _rows(key, one.found, "one seed" if key in pooled else "revisions")
    ]
    table = pd.DataFrame(each + rows, columns=COLUMNS)
    return table.assign(**{name: table[name].map(lambda value: float(f"{value:.6g}")) for name in INTERVAL})


def read_summary(path: str | PathLike[str]) -> pd.DataFrame:
    """Returns :func:`summarize`'s table from its CSV file, in which a note that is empty is text, not a number."""
    return pd.read_csv(path, keep_default_na=False, na_values={name: [""] for name in INTERVAL})


def _rows(key: tuple[str, str, str], found: Mapping[str, Estimate], level: str) -> Iterator[tuple[object, ...]]:
    for name, one in found.items():
        verdict = decide(one.low, one.high, one.note) if name in JUDGED else ""
        yield (*key, name, one.value, one.low, one.high, level, one.n, one.note, verdict)


def _conclude(levels: Levels, statistics: Mapping[str, Estimate]) -> Conclusions:
    counts = {"revisions": levels.revisions, "last_step": levels.last_step, "seeds": 1}
    counted = {name: Estimate(value=float(value), n=levels.revisions) for name, value in counts.items()}
    return Conclusions(
        found={**levels.found, **statistics, **counted}, shared=levels.pairs, last_tokens=levels.last_tokens
    )


def pool_runs(seeds: Sequence[Conclusions], confidence: float) -> dict[str, Estimate]:
    """Returns every quantity over pre-training seeds; errors of prediction are pooled in another way where they are computed."""
    pooled = {}
    for name in seeds[0].found:
        found = [one.found[name] for one in seeds]
        if name in COUNTS:
            most = float(max(one.value for one in found))
            pooled[name] = Estimate(value=float(len(seeds)) if name == "seeds" else most, n=len(seeds))
        elif name in ONSETS:
            pooled[name] = _pool_onset(name, found, seeds, confidence)
        elif name == "saturation_tokens":
            pooled[name] = _pool_saturation(name, found, seeds, confidence)
        elif name in DESCRIPTIVE:
            mean = pool_seeds(found, confidence=confidence)
            note = "mean over seeds, without interval" if np.isfinite(mean.value) else mean.note
            pooled[name] = Estimate(value=mean.value, n=mean.n, note=note)
        else:
            pooled[name] = pool_seeds(found, shared=_shared(name, found, seeds), confidence=confidence)
    twins = {one.found["w2s_first"].note for one in seeds}
    if len(twins) == 1:  # whether the first revision is a random twin holds of all seeds
        for name in ("w2s_first", "gain_first"):
            pooled[name] = replace(
                pooled[name], note="; ".join(dict.fromkeys(filter(None, [*twins, pooled[name].note])))
            )
    beyond = difference(pooled["gain"], pooled["weak_on_weak_gain"], n=len(seeds))
    note = pooled["weak_on_weak_gain"].note if np.isnan(beyond.value) else pooled["gain"].note
    return pooled | {"gain_beyond_weak_on_weak": replace(beyond, note=note)}


def _pool_positions(name: str, found: Sequence[Estimate], seeds: Sequence[Conclusions], confidence: float) -> Estimate:
    """Returns a position over seeds, the mean in doublings."""
    with np.errstate(divide="ignore"):
        logs = [replace(one, **{end: float(np.log2(getattr(one, end))) for end in INTERVAL}) for one in found]
        one = pool_seeds(logs, shared=_shared(name, logs, seeds), confidence=confidence)
    return replace(one, **{end: float(np.exp2(getattr(one, end))) for end in INTERVAL})


def _pool_onset(name: str, found: Sequence[Estimate], seeds: Sequence[Conclusions], confidence: float) -> Estimate:
    """Returns the onset over seeds; its note says of how many seeds it is no crossing, and with how many it cannot be placed well."""
    count, start = len(seeds), sum(one.value == 0.0 for one in found)
    if start:
        return undefined(f"{UNPLACED}: with {start} of {count} seeds it may lie before any training", count)
    places = [one.shared[f"{name}_crossing"] for one in seeds]
    moved = [one if np.isnan(at) else replace(one, value=at) for one, at in zip(found, places, strict=True)]
    one, rest = _pool_positions(name, moved, seeds, confidence), int(np.isnan(places).sum())
    if np.isnan(one.value):
        return one
    if gaps := [each.note for each in found if GAP in each.note]:
        return replace(one, note=f"{len(gaps)} of {count} seeds: {'; '.join(dict.fromkeys(gaps))}")
    if rest == count:
        return one
    some = f" ({rest} of {count} seeds: the first revision after)" if rest else ""
    return replace(one, note=f"where the gains cross zero{some}: {one.note}")


def _pool_saturation(name: str, found: Sequence[Estimate], seeds: Sequence[Conclusions], confidence: float) -> Estimate:
    """Returns the saturation over seeds; an interval that passes the last revision is open there."""
    one = _pool_positions(name, found, seeds, confidence)
    if not one.high > max(each.last_tokens for each in seeds):
        return one
    return replace(one, high=float("nan"), note=f"{one.note}; {open_note(['above'])}")


def _shared(name: str, found: Sequence[Estimate], seeds: Sequence[Conclusions]) -> tuple[float, float]:
    """Returns the half widths, below and above, of the error that all seeds share: means over the seeds' own."""
    half = np.array([one.shared.get("onset_tokens" if name in ONSETS else name, 0.0) for one in seeds])
    own = np.array([(one.value - one.low, one.high - one.value) for one in found])
    if name in ONSETS:  # where there is no slope, no crossing, or an end is open, it is that of the run
        crossed = np.isfinite([one.shared[f"{name}_crossing"] for one in seeds])
        known = np.isfinite(half) & crossed & ~np.isnan(own).any(1)
        own = np.where(known[:, None], half[:, None], own)
    below, above = own.mean(0) if name in (*OWN_ERROR, *ONSETS) else (half.mean(), half.mean())
    return float(below), float(above)


def _estimate(row: object) -> Estimate:
    return Estimate(**{name: getattr(row, name) for name in (*INTERVAL, "n", "note")})


def _only(table: pd.DataFrame, case: Mapping[str, str], column: str) -> Estimate:
    """Returns the one row of a case; ValueError where there is another number of them."""
    chosen = rows_with(table, **case)
    if len(chosen) != 1:
        raise ValueError(f"statistics hold {len(chosen)} rows of {dict(case) | TAKEN[column][1]}; one is expected")
    return next(_estimate(row) for row in chosen.itertuples())
