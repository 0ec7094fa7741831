"""Counts how often intervals of W2SG accuracy and gain hold the truth when test pairs, training pairs and supervisor are drawn again.

    python benchmarks/coverage_pairs.py --studies 300    writes benchmarks/results/coverage_pairs.tsv

Each study trains supervisor, ceiling and student of both protocols on made-up features, as the workflow does on those of a revision.
A pair's meaning has 16 coordinates, of which the supervisor sees eight, with noise. In the design `linked`, pairs come in
groups that share half of it. The mean over the studies stands for the truth. Beside the intervals as they are: those without the
part of the training pairs, and those that take linked pairs for independent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import held
import machine
import numpy as np
import pandas as pd
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from w2sg.activations.features import Features, Splits, split_features  # noqa: E402
from w2sg.heads import evaluate  # noqa: E402
from w2sg.heads.fits import FITS  # noqa: E402
from w2sg.heads.supervision import trained  # noqa: E402
from w2sg.study.protocols import HEADLINE_SETTINGS, SPLITS  # noqa: E402
from w2sg.study.sections import ConvergedProtocol, Heads, Intervals, PaperProtocol, Probe  # noqa: E402

PAIRS, MEANING, SEEN, SIGNAL = 600, 16, 8, 0.22
HEADS = Heads(
    seeds=[0, 1, 2],
    paper=PaperProtocol(learning_rates=[1e-3, 1e-2]),
    converged=ConvergedProtocol(penalties=[0.01, 0.1]),
)
INTERVALS = Intervals(bootstrap=500)
DESIGNS = {"single pairs": 1, "linked": 3}
"""Pairs of a group."""


def draw_splits(size: int, rng: np.random.Generator) -> tuple[Splits, Splits]:
    """Returns the features of supervisor and student of one study, whose pairs come in groups of ``size``."""
    n = len(SPLITS) * PAIRS
    group = np.arange(n) // size
    shared = rng.standard_normal((n, MEANING))[group]
    own = rng.standard_normal((n, MEANING))
    meaning = SIGNAL + (np.sqrt(0.5) * (shared + own) if size > 1 else own)
    seen = meaning[:, :SEEN] + 0.5 * rng.standard_normal((n, SEEN))
    names = np.array([f"g{number}" for number in group]) if size > 1 else np.full(n, "")
    ids = np.array([f"id{place:05d}" for place in range(n)])
    pairs = pd.DataFrame(
        {"row_id": ids, "split": np.repeat(SPLITS, PAIRS), "chosen_source": names, "rejected_source": ""}
    )
    made = []
    for difference in (seen, meaning):
        prompt = rng.standard_normal(difference.shape)
        chosen, rejected = ((prompt + side * difference / 2)[None].astype(np.float32) for side in (1, -1))
        tokens = np.full((2, n), 8, dtype=np.int32)
        features = Features(
            chosen=chosen, rejected=rejected, row_ids=ids, tokens=tokens, layers=(1,), metadata={}
        )  # fmt: skip
        made.append(split_features(features, pairs))
    return made[0], made[1]


def measure(weak: Splits, strong: Splits) -> dict[Any, Any]:
    """Returns value, low and high of the student's headline metrics, mean over head seeds, by protocol and metric."""
    labels = trained.supervise(weak, heads=HEADS, intervals=INTERVALS).labels
    made = evaluate.evaluate_revision([lambda: strong], labels, heads=HEADS, probe=Probe(), intervals=INTERVALS).metrics
    rows = made[(made["head"] == "w2s") & (made["setting"] == made["protocol"].map(HEADLINE_SETTINGS))]
    rows = rows[rows["seed"] == HEADS.seeds[0]]
    return rows.set_index(["protocol", "metric"])[["value", "low", "high"]].to_dict("index")


def run_study(design: str, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yields value and interval of accuracy and gain of both protocols, with and without what is allowed for."""
    weak, strong = draw_splits(DESIGNS[design], rng)
    kinds = {"": measure(weak, strong)}
    if DESIGNS[design] > 1:
        alone = [{name: replace(split, clusters=None) for name, split in splits.items()} for splits in (weak, strong)]
        kinds[", pairs taken for independent"] = measure(*alone)
    for kind, rows in kinds.items():
        for protocol in FITS:
            for metric, spread in (("accuracy", "training_sd"), ("gain", "gain_training_sd")):
                found = {"design": design, "truth": np.nan, **rows[protocol, metric]}
                yield found | {"estimate": f"{metric}, {protocol}{kind}"}
                if kind:
                    continue
                half = float(ndtri(0.5 + INTERVALS.confidence / 2)) * rows[protocol, spread]["value"]
                for end, side in (("low", -1), ("high", 1)):
                    width = abs(found[end] - found["value"])
                    found[end] = found["value"] + side * np.sqrt(max(width**2 - half**2, 0.0))
                yield found | {"estimate": f"{metric}, {protocol}, without training pairs"}


def main() -> None:
    """Simulates the studies; the table is written after each design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    studies = parser.parse_args().studies
    where = machine.describe(["numpy", "scipy", "torch"])
    command = f"python benchmarks/coverage_pairs.py --studies {studies}"
    rng, rows = np.random.default_rng(0), []
    with threadpool_limits(1):
        for design in DESIGNS:
            rows += [row for _ in range(studies) for row in run_study(design, rng)]
            print(machine.save(held.condense(pd.DataFrame(rows)), "coverage_pairs", machine=where, command=command))


if __name__ == "__main__":
    main()
