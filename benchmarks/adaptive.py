"""Simulates adaptive sweeps beside exhaustive ones: how many revisions they measure, how wide their intervals are, and what these hold.

    python benchmarks/adaptive.py --studies 300    writes benchmarks/results/adaptive.tsv and adaptive.svg

Lists are real ones. A study has 2,000 test pairs, whose error all revisions share by half, and revisions that fluctuate with a
memory of 0.5; where the gain crosses zero is drawn from study to study. Designs that the table holds already are not run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import machine
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.signal import lfilter
from scipy.special import expit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from w2sg.measures.verdicts import decide  # noqa: E402
from w2sg.plotting.style import STYLE  # noqa: E402
from w2sg.study.lists.adaptive import Adaptive, candidates, doublings, first_round, late_places  # noqa: E402
from w2sg.study.lists.rows import read_revisions  # noqa: E402
from w2sg.study.lists.selection import Selection, select  # noqa: E402
from w2sg.study.sections import Statistics  # noqa: E402
from w2sg.trajectories.adaptive.rounds import KnownGain, choose  # noqa: E402
from w2sg.trajectories.late.estimates import count_late  # noqa: E402
from w2sg.trajectories.prediction import predict_revisions  # noqa: E402
from w2sg.trajectories.series import Curve, Listed, Series  # noqa: E402
from w2sg.trajectories.transitions import estimate_curve  # noqa: E402

SETTINGS = Statistics()
FLOOR, RISE, SUPERVISOR, ERROR, FLUCTUATION, MEMORY = 0.54, 0.25, 0.74, 0.008, 0.006, 0.5
LISTS = {
    "154": ("pythia", Selection()),
    "317": ("OLMo-7B", Selection(first=100, count=317)),
    "558": ("OLMo-7B", Selection()),
}
"""Revision lists by the number of revisions that an exhaustive sweep measures."""

RULES = {"adaptive": Adaptive(), "adaptive, saturation within 2": Adaptive(saturation=2.0)}
"""Sweeps beside the exhaustive one; saturation is sought for single cases only, to save time."""

SHAPES = ("steep", "gradual", "two-step", "absent")
CASES = {**dict.fromkeys(SHAPES, 1), "four cases": 4}
"""Designs with the number of cases (datasets and protocols) whose onsets are sought together."""


def _process(n: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(n)
    noise[1:] *= np.sqrt(1 - MEMORY**2)
    return lfilter([1.0], [1.0, -MEMORY], noise)


def draw_curve(shape: str, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the student's accuracy without noise at log2 tokens x, (n,)."""
    middle = rng.uniform(x[-1] - 6.5, x[-1] - 2.5)
    if shape == "absent":  # it ends at most as high as its supervisor
        return FLOOR + (SUPERVISOR - FLOOR - rng.uniform(0.0, 0.05)) * expit((x - middle) / 0.4)
    if shape == "two-step":
        return FLOOR + RISE * (0.6 * expit((x - middle + 2.0) / 0.25) + 0.4 * expit((x - middle) / 0.25))
    return FLOOR + RISE * expit((x - middle) / {"steep": 0.2, "gradual": 0.8}[shape])


def draw_series(
    shape: str, steps: np.ndarray, tokens: np.ndarray, rng: np.random.Generator
) -> tuple[Series, np.ndarray]:
    """Returns a study of all revisions, and its accuracy without noise; its predictors are equal by construction."""
    n, x = len(tokens), np.array(doublings(tokens.tolist()))
    smooth = draw_curve(shape, x, rng)
    moving, shared = FLUCTUATION * _process(n, rng), rng.standard_normal()
    pairs = np.sqrt(0.5) * (shared + rng.standard_normal(n))
    curve = Curve(
        seed=-1, accuracy=smooth + moving + ERROR * pairs, accuracy_error=np.full(n, ERROR),
        gain=smooth - SUPERVISOR + moving + ERROR * pairs, gain_error=np.full(n, ERROR),
    )  # fmt: skip
    seen = [np.interp(x + 0.15 * _process(n, rng), x, smooth) for _ in range(2)]
    series = Series(
        family="f", dataset="d", protocol="paper", layer=0, steps=steps, tokens=tokens, curves=(curve,), probe=seen[0],
        loss=3.0 - 2.0 * seen[1],
    )  # fmt: skip
    return series, smooth


def part_of(series: Series, places: np.ndarray, listed: Listed) -> Series:
    """Returns a series at some of its revisions."""
    names = ("steps", "tokens", "probe", "loss")
    curve = series.curves[0]
    values = ("accuracy", "accuracy_error", "gain", "gain_error")
    one = Curve(seed=-1, **{name: getattr(curve, name)[places] for name in values})
    return replace(series, **{name: getattr(series, name)[places] for name in names}, curves=(one,), listed=listed)


def sweep(many: list[Series], rule: Adaptive) -> tuple[np.ndarray, Listed, int]:
    """Returns the places that an adaptive sweep measures for several cases, what they were chosen from, and its rounds."""
    tokens, curves = many[0].tokens.tolist(), [one.curves[0] for one in many]
    among = np.array(candidates(tokens, SETTINGS.late, rule.within))
    taken = np.flatnonzero(np.isin(among, first_round(tokens, SETTINGS.late)))
    start = late_places(len(tokens), SETTINGS.late)[0]
    x, late, rounds = np.array(doublings(tokens))[among], int(np.searchsorted(among, start)), 1
    while (left := rule.most - len(taken)) > 0:
        at = among[taken]
        cases = [KnownGain(places=taken, gain=curve.gain[at], error=curve.gain_error[at]) for curve in curves]
        chosen = choose(
            x,
            taken.tolist(),
            cases,
            each=min(rule.each, left),
            within=rule.within,
            saturation=rule.saturation,
            late=late,
            confidence=SETTINGS.confidence,
        )
        if not chosen.places:
            break
        taken, rounds = np.sort(np.append(taken, chosen.places)), rounds + 1
    return among[taken], Listed(count=len(among), late_step=int(many[0].steps[start])), rounds


def judge(series: Series, whole: Series, smooth: np.ndarray, *, one_rise: bool) -> dict[str, float]:
    """Returns what one sweep says of a study, and whether it is so; saturation's place is known where there is ``one_rise``."""
    found = estimate_curve(series, series.curves[0], SETTINGS)
    above, late = smooth > SUPERVISOR, count_late(whole.steps, SETTINGS.late, None)
    onset, gain, saturation = found["onset_tokens"], found["saturation_gain"], found["saturation_tokens"]
    first = whole.tokens[np.argmax(above)] if above.any() else np.nan
    low, high = np.nan_to_num(onset.low, nan=-1.0), onset.high
    start = max(low, float(whole.tokens[whole.tokens > 0][0]) / 2.0)  # of an open interval, a doubling before the list
    level = float(smooth[-late:].mean()) - SUPERVISOR
    rise = smooth - smooth[0]
    place = int(np.argmax(rise >= 0.95 * RISE)) if one_rise else 1
    before, full = whole.tokens[place - 1], whole.tokens[place]  # between these 95 % of the rise are reached
    equal = predict_revisions(series, confidence=SETTINGS.confidence)["probe_minus_loss"]
    return {
        "revisions": len(series.steps),
        "found": float(np.isfinite(high)),
        "width": float(np.log2(high / start)),
        "held": float(low < first <= high) if np.isfinite(high) and above.any() else np.nan,
        "level_held": float(gain.low <= level <= gain.high),
        "level_width": gain.high - gain.low,
        "saturation_held": float(not (saturation.high < before or saturation.low > full))
        if one_rise and np.isfinite(saturation.value)
        else np.nan,
        "saturation_width": float(np.log2(saturation.high / saturation.low)),
        "equal_told": float(decide(equal.low, equal.high, equal.note) in ("above", "below")),
    }


def run_design(name: str, shape: str, studies: int) -> Iterator[dict[str, object]]:
    """Yields what adaptive and exhaustive sweep say of every case of every study of a design."""
    listed, rule = LISTS[name]
    revisions = select(read_revisions(ROOT / "resources" / "revisions" / f"{listed}.tsv"), rule)
    steps, tokens = (np.array([getattr(one, key) for one in revisions]) for key in ("step", "tokens"))
    rng = np.random.default_rng([int(name), list(CASES).index(shape)])
    for study in range(studies):
        shapes = [shape] if shape in SHAPES else rng.choice(SHAPES, CASES[shape])
        drawn = [draw_series(str(one), steps, tokens, rng) for one in shapes]
        rules = {way: rule for way, rule in RULES.items() if len(shapes) == 1 or rule.saturation is None}
        swept = {way: sweep([one for one, _ in drawn], rule) for way, rule in rules.items()}
        for kind, (series, smooth) in zip(shapes, drawn, strict=True):
            parts = {"exhaustive": (series, 1)}
            parts |= {way: (part_of(series, places, listed), rounds) for way, (places, listed, rounds) in swept.items()}
            for way, (part, rounds) in parts.items():
                keys: dict[str, object] = {"list": name, "design": shape, "study": study, "sweep": way}
                keys |= {"true": float(kind != "absent")}
                one_rise = str(kind) in ("steep", "gradual")
                yield keys | {"rounds": rounds} | judge(part, series, smooth, one_rise=one_rise)


def condense(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the mean of every column per list, design and sweep; widths where both sweeps have one."""
    rows = rows.assign(
        missed=(1.0 - rows["found"]).where(rows["true"] == 1), false=rows["found"].where(rows["true"] == 0)
    )
    both = rows.groupby(["list", "design", "study", "true"], sort=False)["width"].transform(
        lambda one: one.notna().all()
    )
    rows = rows.assign(width=rows["width"].where(both))
    keys, means = (
        ["list", "design", "sweep"],
        "rounds missed false held width level_held level_width saturation_held saturation_width equal_told",
    )
    table = rows.groupby(keys, sort=False).agg(
        studies=("study", "nunique"), revisions=("revisions", "mean"), most=("revisions", "max"),
        **{name: (name, "mean") for name in means.split()},
    ).reset_index()  # fmt: skip
    table.insert(5, "share", table["revisions"] / table["list"].astype(float))
    wide = table.groupby(["list", "design"], sort=False)["width"].transform(lambda one: one / one.iloc[0])
    table.insert(11, "times_as_wide", wide)
    table.loc[table["sweep"] == "exhaustive", "rounds"] = 1
    return table


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draws share of revisions and width of each design beside the exhaustive sweep's, with the goals."""
    plt.style.use(STYLE)
    part = table[table["sweep"] == "adaptive"]
    part = part.assign(times_as_wide=part["times_as_wide"].where(part["design"] != "absent"))
    figure, axes = plt.subplots(1, 3, figsize=(9.0, 2.6), layout="constrained")
    for offset, (name, rows) in enumerate(part.groupby("list", sort=False)):
        places = np.arange(len(rows)) + 0.25 * (offset - 1)
        for axis, column in zip(axes, ("revisions", "times_as_wide", "held"), strict=True):
            axis.plot(places, rows[column], "o", label=f"{name} revisions")
            axis.set_xticks(range(len(rows)), rows["design"], rotation=30, ha="right")
    axes[0].set(ylabel="revisions measured", ylim=(0, None))
    axes[1].axhline(1.2, color="grey", lw=0.8)
    axes[1].set(ylabel="onset interval, doublings:\ntimes the exhaustive sweep's", ylim=(0.9, 1.3))
    axes[2].axhline(SETTINGS.confidence, color="grey", lw=0.8)
    axes[2].set(ylabel="onset intervals\nthat hold the truth", ylim=(0.9, 1.005))
    axes[0].legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Simulates the studies; table and figure are written after each design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--name", default="adaptive", help="name of table and figure")
    given = parser.parse_args()
    where, command = machine.describe(["numpy", "scipy"]), f"python benchmarks/adaptive.py --studies {given.studies}"
    path = machine.RESULTS / f"{given.name}.tsv"
    known = pd.read_csv(path, sep="\t", comment="#", dtype={"list": str}) if path.exists() else pd.DataFrame()
    parts = (
        [part for _, part in known[known["studies"] == given.studies].groupby(["list", "design"])] if len(known) else []
    )
    done = {(part["list"].iloc[0], part["design"].iloc[0]) for part in parts}
    for name in LISTS:
        for shape in CASES:
            if (name, shape) not in done:
                parts.append(condense(pd.DataFrame(run_design(name, shape, given.studies))))
                table = pd.concat(parts).sort_values(["list", "sweep"], kind="stable", ascending=[True, False])
                print(machine.save(table, given.name, machine=where, command=command), name, shape, flush=True)
    draw(pd.read_csv(path, sep="\t", comment="#", dtype={"list": str}), path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
