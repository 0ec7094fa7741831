"""Counts how often the intervals of correlations and transitions hold the truth, over simulated studies that know it.

    python benchmarks/coverage.py --studies 300          writes benchmarks/results/coverage.tsv

A study is a sigmoid in log tokens plus fluctuation of the revisions (a first-order process) plus errors of the test pairs,
half of whose variance all revisions share. The probe follows the same curve, the loss a slower one. Conclusions, those over
several pre-training seeds among them, are simulated by `coverage_seeds.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import held
import machine
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from w2sg.study.sections import Statistics  # noqa: E402
from w2sg.trajectories.correlations import STATISTIC_NAMES, compare_predictors  # noqa: E402
from w2sg.trajectories.late.estimates import late_revisions  # noqa: E402
from w2sg.trajectories.series import Curve, Series  # noqa: E402
from w2sg.trajectories.sigmoid import RISE_10_90, TO_SATURATION  # noqa: E402
from w2sg.trajectories.transitions import estimate_curve  # noqa: E402

FIRST = [0, *(2**k for k in range(10))]
EMBEDDED = np.array([*FIRST, *range(640, 2049, 128)])
PYTHIA = np.array([*FIRST, *range(1000, 143001, 1000)])
SETTINGS = Statistics()
FLOOR, RISE, SUPERVISOR = 0.54, 0.25, 0.74
FLUCTUATION, PAIR_ERROR, GAIN_ERROR = 0.012, 0.009, 0.008


@dataclass(frozen=True, kw_only=True)
class Design:
    """One kind of study."""

    name: str
    """Name in the table."""
    steps: np.ndarray
    """Steps of the revisions, (n,)."""
    midpoint: float
    """Step at half the rise."""
    scale: float
    """Scale of the rise in doublings of tokens."""
    memory: float
    """Autocorrelation of the fluctuation between neighbours."""

    @property
    def doublings(self) -> np.ndarray:
        """Returns log2 of the tokens, (n,)."""
        with np.errstate(divide="ignore"):
            return np.log2(self.steps * 0.002)

    def rise(self, scale: float) -> np.ndarray:
        """Returns the unit curve, (n,)."""
        return 1.0 / (1.0 + np.exp(-(self.doublings - np.log2(self.midpoint * 0.002)) / scale))


DESIGNS = (
    Design(name="23 revisions, independent", steps=EMBEDDED, midpoint=700, scale=0.4, memory=0.0),
    Design(name="23 revisions, memory 0.5", steps=EMBEDDED, midpoint=700, scale=0.4, memory=0.5),
    Design(name="154 revisions, memory 0.5", steps=PYTHIA, midpoint=6000, scale=0.6, memory=0.5),
)


def draw_process(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Returns a first-order process of unit variance, (n,)."""
    noise = rng.standard_normal(len(design.steps))
    for t in range(1, len(noise)):
        noise[t] = design.memory * noise[t - 1] + np.sqrt(1 - design.memory**2) * noise[t]
    return noise


PREDICTORS = {"probe": (0.2, 1.0, 0.015), "loss": (-1.5, 3.0, 0.2)}
"""Height, scale relative to the accuracy's, and fluctuation of each predictor."""


def draw_study(design: Design, rng: np.random.Generator) -> tuple[Series, float]:
    """Returns a study and the error that all its revisions share."""
    n = len(design.steps)
    shared = rng.standard_normal()
    pairs = np.sqrt(0.5) * (shared + rng.standard_normal(n))
    smooth = FLOOR + RISE * design.rise(design.scale)
    fluctuation = FLUCTUATION * draw_process(design, rng)
    curve = Curve(
        seed=-1,
        accuracy=smooth + fluctuation + PAIR_ERROR * np.sqrt(0.5) * shared,
        accuracy_error=np.full(n, PAIR_ERROR * np.sqrt(0.5)),
        gain=smooth - SUPERVISOR + GAIN_ERROR * pairs,
        gain_error=np.full(n, GAIN_ERROR),
    )
    predictors = {
        name: height * design.rise(stretch * design.scale) + noise * draw_process(design, rng)
        for name, (height, stretch, noise) in PREDICTORS.items()
    }
    series = Series(
        family="f", dataset="d", protocol="paper", layer=0, steps=design.steps, tokens=design.steps * 0.002,
        curves=(curve,), probe=predictors["probe"], loss=predictors["loss"],
    )  # fmt: skip
    return series, PAIR_ERROR * float(np.sqrt(0.5)) * shared


def transition_truth(design: Design) -> dict[str, float]:
    """Returns what the estimates of a transition should be."""
    curve = FLOOR + RISE * design.rise(design.scale)
    midpoint = np.log2(design.midpoint * 0.002)
    onset, late = int(np.argmax(curve > SUPERVISOR)), late_revisions(len(curve), SETTINGS.late)
    places = range(2, len(curve) - 1)
    squares = [k * curve[:k].var() + (len(curve) - k) * curve[k:].var() for k in places]
    return {
        "onset_step": float(design.steps[onset]),
        "sigmoid_midpoint": float(np.exp2(midpoint)),
        "sigmoid_width": RISE_10_90 * design.scale,
        "sigmoid_floor": FLOOR,
        "sigmoid_rise": RISE,
        "saturation_tokens": float(np.exp2(midpoint + TO_SATURATION * design.scale)),
        "change_point": float(design.steps[places[int(np.argmin(squares))]] * 0.002),
        "saturation": float(curve[-late:].mean()),
        "saturation_gain": float(curve[-late:].mean() - SUPERVISOR),
        "fluctuation": FLUCTUATION,
    }


def correlation_truth(design: Design, statistic: str) -> dict[str, float]:
    """Returns r² of a fixed design from its covariances; nothing for ranks, which have no closed form."""
    used = design.steps > 0 if statistic == "r2_given_log_tokens" else np.ones(len(design.steps), dtype=bool)
    smooth = {"y": (RISE, 1.0, FLUCTUATION), **PREDICTORS}
    curves = np.stack([height * design.rise(stretch * design.scale) for height, stretch, _ in smooth.values()])[:, used]
    if statistic == "r2_given_log_tokens":
        control = np.stack([np.ones(used.sum()), design.doublings[used]], axis=1)
        curves = curves - (control @ np.linalg.lstsq(control, curves.T, rcond=None)[0]).T
    covariance = np.cov(curves, bias=True) + np.diag([noise**2 for *_, noise in smooth.values()])
    squared = covariance[0, 1:] ** 2 / (covariance[0, 0] * covariance.diagonal()[1:])
    return {"probe": squared[0], "loss": squared[1], "difference": squared[0] - squared[1]}


def run_study(design: Design, rng: np.random.Generator) -> list[dict[str, object]]:
    """Returns value, interval and truth of every estimate of one study."""
    series, shared = draw_study(design, rng)
    truth = transition_truth(design)
    truth["sigmoid_floor"] += shared  # its interval is for these test pairs
    found: Mapping = estimate_curve(series, series.curves[0], SETTINGS)
    rows = [(name, found[name], true) for name, true in truth.items()]
    for statistic in STATISTIC_NAMES:
        compared = compare_predictors(series, SETTINGS, np.ones(len(series.steps), dtype=bool), statistic)
        truths = {} if statistic == "spearman" else correlation_truth(design, statistic)
        rows += [(f"{statistic} {name}", x.signed, truths.get(name, np.nan)) for name, x in compared.items()]
    return [
        {"design": design.name, "estimate": name, "value": x.value, "low": x.low, "high": x.high, "truth": true}
        for name, x, true in rows
    ]


def run_stationary(rng: np.random.Generator, *, n: int = 50, memory: float = 0.6) -> list[dict[str, object]]:
    """Returns r² of a study without a trend, whose series are first-order processes: revisions that are drawn, not chosen."""
    steps = np.arange(1, n + 1)
    design = Design(name="50 revisions, no trend, memory 0.6", steps=steps, midpoint=1.0, scale=1.0, memory=memory)
    common = draw_process(design, rng)
    noise = {"probe": 0.3, "loss": 1.0, "accuracy": 0.3}
    drawn = {name: common + weight * draw_process(design, rng) for name, weight in noise.items()}
    error = np.full(n, 0.01)
    curve = Curve(seed=-1, accuracy=drawn["accuracy"], accuracy_error=error, gain=drawn["accuracy"], gain_error=error)
    series = Series(
        family="f", dataset="d", protocol="paper", layer=0, steps=steps, tokens=steps * 0.002, curves=(curve,),
        probe=drawn["probe"], loss=drawn["loss"],
    )  # fmt: skip
    squared = {name: 1.0 / ((1.0 + noise[name] ** 2) * (1.0 + noise["accuracy"] ** 2)) for name in ("probe", "loss")}
    truth = squared | {"difference": squared["probe"] - squared["loss"]}
    found = compare_predictors(series, SETTINGS, np.ones(n, dtype=bool), "r2")
    return [
        {"design": design.name, "estimate": f"r2 {name}", "truth": truth[name]}
        | {key: getattr(x.signed, key) for key in ("value", "low", "high")}
        for name, x in found.items()
    ]


def main() -> None:
    """Simulates the studies and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    studies = parser.parse_args().studies
    rng = np.random.default_rng(0)
    rows = [row for design in DESIGNS for _ in range(studies) for row in run_study(design, rng)]
    rows += [row for _ in range(studies) for row in run_stationary(rng)]
    table = held.condense(pd.DataFrame(rows))
    where = machine.describe(["numpy", "scipy"])
    print(machine.save(table, "coverage", machine=where, command=f"python benchmarks/coverage.py --studies {studies}"))


if __name__ == "__main__":
    main()
