"""Counts how often conclusions hold the truth, and say that equal predictors differ, over studies of one or several seeds.

    python benchmarks/coverage_seeds.py --studies 300    writes benchmarks/results/coverage_seeds.tsv

Every head's answers are drawn pair by pair, so that accuracies, gains and gaps are correlated as in a study: some pairs are
hard for all. Loss falls most before the rise, as that of the embedded study does. Two predictors more, `equal`, are the
same by construction: each sees how far training has come with an error of its own, by a curve of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import held
import machine
import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from w2sg.measures.estimates import Estimate  # noqa: E402
from w2sg.measures.verdicts import decide  # noqa: E402
from w2sg.study.sections import Statistics  # noqa: E402
from w2sg.trajectories.late.estimates import late_revisions  # noqa: E402
from w2sg.trajectories.prediction import predict_revisions, predict_seeds  # noqa: E402
from w2sg.trajectories.series import Curve, Series  # noqa: E402
from w2sg.trajectories.sigmoid import TO_SATURATION  # noqa: E402
from w2sg.trajectories.summary import Conclusions, pool_runs  # noqa: E402
from w2sg.trajectories.transitions import CROSSINGS, estimate_curve  # noqa: E402

SETTINGS = Statistics()
PAIRS, SUPERVISOR, FLOOR, TOKENS = 2000, 0.74, 0.54, 0.002
SHARED = 0.5
"""Share of a pair's difficulty that all heads have in common; half as much more is common to the strong model's heads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """One kind of study."""

    name: str
    steps: np.ndarray
    midpoint: float
    """Step at half the rise, in the mean over seeds."""
    scale: float
    """Scale of the rise in doublings."""
    rise: float = 0.25
    memory: float = 0.0
    """Autocorrelation of the fluctuation between neighbours."""
    fluctuation: float = 0.006
    shift: float = 0.15
    """Standard deviation over seeds of the midpoint, doublings."""
    level: float = 0.005
    """Standard deviation over seeds of all accuracies."""

    def curve(self, shift: float = 0.0) -> np.ndarray:
        """Returns the unit rise of a seed, (n,)."""
        return expit((np.log2(np.maximum(self.steps, 0.5)) - np.log2(self.midpoint) - shift) / self.scale)


def _process(design: Design, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(len(design.steps))
    for t in range(1, len(noise)):
        noise[t] = design.memory * noise[t - 1] + np.sqrt(1 - design.memory**2) * noise[t]
    return noise


def _answers(accuracy: np.ndarray, hard: np.ndarray, shared: float, rng: np.random.Generator) -> np.ndarray:
    """Returns which pairs are right at accuracies (R,), given what is shared of their difficulty, (n,); bool, (R, n)."""
    own = np.sqrt(1.0 - shared) * rng.standard_normal((len(accuracy), len(hard)), dtype=np.float32)
    return hard + own < norm.ppf(np.clip(accuracy, 0.01, 0.99))[:, None]


@dataclass(kw_only=True)
class Run:
    """One pre-training seed."""

    series: Series
    equal: Series
    conclusions: Conclusions
    truth: dict[str, float]


def _falling(design: Design, rise: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Returns a loss in nats: most of it is gone before the rise."""
    early = expit((u - (np.log2(design.midpoint) - 5.0)) / 1.2)
    return 7.6 - 1.8 * early - 0.8 * rise


def draw_run(design: Design, pairs: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator) -> Run:
    """Returns a seed's trajectories and conclusions; ``pairs``: difficulty for all, for strong heads, and weak answers, (n,)."""
    shift, level = design.shift * rng.standard_normal(), design.level * rng.standard_normal()
    common, strong, weak = pairs
    rise = design.curve(shift)
    smooth = FLOOR + design.rise * rise + level
    moving = design.fluctuation * _process(design, rng)
    right = _answers(smooth + moving, common + strong, 1.5 * SHARED, rng)
    ceiling = _answers(smooth + 0.02 + 0.02 * rise + moving, common + strong, 1.5 * SHARED, rng)
    difference = right - weak.astype(np.float32)
    deviations = [values.std(1, ddof=1) / np.sqrt(PAIRS) for values in (right, difference)]
    curve = Curve(
        seed=-1, accuracy=right.mean(1), accuracy_error=deviations[0], gain=difference.mean(1, dtype=np.float64),
        gain_error=deviations[1],
    )  # fmt: skip
    u = np.log2(np.maximum(design.steps, 0.5)) - shift
    seen = [u + 0.15 * _process(design, rng) for _ in range(2)]
    shapes = [expit((one - np.log2(design.midpoint)) / design.scale) for one in seen]
    series = Series(
        family="f", dataset="d", protocol="paper", layer=0, steps=design.steps, tokens=design.steps * TOKENS,
        curves=(curve,), probe=0.5 + 0.2 * rise + 0.012 * _process(design, rng),
        loss=_falling(design, rise, u) + 0.01 * _process(design, rng), others={"ceiling": ceiling.mean(1)},
    )  # fmt: skip
    equal = replace(series, probe=shapes[0], loss=_falling(design, shapes[1], seen[1]))
    answers = {"w2s": right, "ceiling": ceiling, "weak": np.broadcast_to(weak, right.shape)}
    by_step = {
        head: dict(zip(design.steps.tolist(), one.astype(np.float64), strict=True)) for head, one in answers.items()
    }
    estimates = estimate_curve(series, curve, SETTINGS, by_step)
    found = {name: estimates[taken] for taken, name in _TAKEN.items()}
    found["weak_on_weak_gain"] = Estimate(value=0.0, low=0.0, high=0.0)
    found["w2s_first"] = found["gain_first"] = Estimate(value=0.0, low=0.0, high=0.0)
    shared = {
        name: estimates[f"{taken}_shared"].value
        for taken, name in _TAKEN.items()
        if name in ("w2s_late", "gain", "pgr", "onset_tokens")
    }
    shared |= {name: estimates[name].value for name in CROSSINGS}
    return Run(
        series=series,
        equal=equal,
        conclusions=Conclusions(found=found, shared=shared, last_tokens=float(design.steps[-1] * TOKENS)),
        truth=_truth(design, shift, level),
    )


_TAKEN = {
    "saturation": "w2s_late", "saturation_gain": "gain", "pgr": "pgr", "onset_tokens": "onset_tokens", "saturation_tokens": "saturation_tokens",
    "fluctuation": "fluctuation",
}  # fmt: skip


def _truth(design: Design, shift: float, level: float) -> dict[str, float]:
    late, rise = late_revisions(len(design.steps), SETTINGS.late), design.curve(shift)
    smooth = FLOOR + design.rise * rise + level
    gain, gap = smooth[-late:].mean() - SUPERVISOR, (smooth + 0.02 + 0.02 * rise)[-late:].mean() - SUPERVISOR
    above = smooth > SUPERVISOR
    onset = design.steps[np.argmax(above)] * TOKENS if above.any() else np.nan
    saturation = design.midpoint * TOKENS * 2.0 ** (shift + TO_SATURATION * design.scale)
    if saturation > design.steps[-1] * TOKENS:
        saturation = np.nan
    truth = {
        "w2s_late": gain + SUPERVISOR,
        "gain": gain,
        "pgr": gain / gap if gap > 0 else np.nan,
        "onset_tokens": onset,
    }
    return truth | {"saturation_tokens": saturation, "fluctuation": design.fluctuation}


def _crossing(design: Design, shift: float, level: float) -> float:
    """Returns the tokens at which a seed's accuracy passes its supervisor's, between revisions too; NaN where it never does."""
    share = (SUPERVISOR - FLOOR - level) / design.rise if design.rise else np.nan
    return design.midpoint * TOKENS * 2.0 ** (shift + design.scale * float(logit(share)))


@cache
def _population(design: Design) -> dict[str, float]:
    """Returns the means over seeds; of positions those of their logarithms. An onset over seeds is no revision, but where they cross."""
    rng, many = np.random.default_rng(1), []
    for shift, level in rng.standard_normal((4000, 2)) * (design.shift, design.level):
        many.append(_truth(design, shift, level) | {"onset_tokens": _crossing(design, shift, level)})
    means = {}
    for name in many[0]:
        values = np.array([one[name] for one in many])
        known = values[np.isfinite(values)]
        # Where some seeds have no such position, neither has their mean.
        defined = len(known) == len(values) or name == "pgr" and len(known)
        means[name] = np.nan if not defined else np.exp2(np.log2(known).mean()) if "tokens" in name else known.mean()
    return means


def run_study(design: Design, seeds: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yields value, interval, truth and verdict of every conclusion of one study."""
    common = np.sqrt(SHARED) * rng.standard_normal(PAIRS, dtype=np.float32)
    strong = np.sqrt(SHARED / 2) * rng.standard_normal(PAIRS, dtype=np.float32)
    weak = _answers(np.array([SUPERVISOR]), common, SHARED, rng)[0]
    runs = [draw_run(design, (common, strong, weak), rng) for _ in range(seeds)]
    if seeds == 1:
        found, truth = runs[0].conclusions.found, runs[0].truth
        errors, equal = (
            predict_revisions(one, confidence=SETTINGS.confidence) for one in (runs[0].series, runs[0].equal)
        )
    else:
        found, truth = pool_runs([one.conclusions for one in runs], SETTINGS.confidence), _population(design)
        errors, equal = (
            predict_seeds([getattr(one, kind) for one in runs], confidence=SETTINGS.confidence)
            for kind in ("series", "equal")
        )
    judged = {name: (found[name], truth[name]) for name in truth if name in found and np.isfinite(truth[name])}
    if seeds > 1:
        judged.pop("fluctuation", None)
    # Without an effect neither predictor tells anything: they are equal too.
    judged["error_probe_minus_loss"] = (errors["probe_minus_loss"], np.nan if design.rise else 0.0)
    judged["equal: error_probe_minus_loss"] = (one := equal["probe_minus_loss"], 0.0)
    if seeds > 1:  # the interval that takes the seeds' differences for independent
        ends = {
            end: one.value + (getattr(one, end) - one.value) * np.sqrt((seeds - 1) / (seeds + 1))
            for end in ("low", "high")
        }
        judged["equal, taken for independent"] = (replace(one, **ends), 0.0)
    for name, (one, true) in judged.items():
        said = decide(one.low, one.high, one.note) in ("above", "below")
        keys = {"design": f"{design.name}, {seeds} seed{'s' * (seeds > 1)}", "estimate": name}
        yield keys | {"value": one.value, "low": one.low, "high": one.high, "truth": true, "said": said}


FIRST = [0, *(2**k for k in range(10))]
EMBEDDED = np.array([*FIRST, *range(640, 2049, 128)])
PYTHIA = np.array([*FIRST, *range(1000, 143001, 1000)])
STEEP = Design(name="steep", steps=EMBEDDED, midpoint=700, scale=0.3)
GRADUAL = Design(name="gradual, memory 0.5", steps=EMBEDDED, midpoint=300, scale=0.7, memory=0.5)
LONG = Design(name="154 revisions, memory 0.5", steps=PYTHIA, midpoint=6000, scale=0.6, memory=0.5)
SPARSE = Design(name="revisions a doubling apart", steps=EMBEDDED, midpoint=280, scale=0.3, rise=0.28)
"""Seeds cross between steps 256 and 512."""
ABSENT = Design(name="no effect", steps=EMBEDDED, midpoint=700, scale=0.3, rise=0.0)
STUDIES = [
    (STEEP, 1),
    (GRADUAL, 1),
    (LONG, 1),
    (ABSENT, 1),
    (STEEP, 3),
    (GRADUAL, 3),
    (ABSENT, 3),
    (STEEP, 8),
    (GRADUAL, 8),
    (SPARSE, 8),
]
"""Designs with their numbers of pre-training seeds."""


def main() -> None:
    """Simulates the studies; the table is written after each design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    studies = parser.parse_args().studies
    rng, rows = np.random.default_rng(0), []
    where, command = machine.describe(["numpy", "scipy"]), f"python benchmarks/coverage_seeds.py --studies {studies}"
    for design, seeds in STUDIES:
        rows += [row for _ in range(studies) for row in run_study(design, seeds, rng)]
        print(machine.save(held.condense(pd.DataFrame(rows)), "coverage_seeds", machine=where, command=command))


if __name__ == "__main__":
    main()
