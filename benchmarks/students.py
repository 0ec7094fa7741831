"""Times the training of students whose backbone learns, against two loops that people write; same texts, same run.

    python benchmarks/students.py                         writes benchmarks/results/students.tsv (some ten minutes)
    python benchmarks/students.py --shapes pythia-14m --pairs 128     a part of it, printed

Random weights at a Pythia shape, pairs of random tokens whose lengths follow HH-RLHF helpful (``hh_lengths.tsv``), one epoch
in batches of 16 pairs with Adam; what is timed is processor time of one thread, the contestants in turn, after a warm-up.

``plain``    a loop as in openai/weak-to-strong: batches in the order of the input, padded to their longest text, in float32,
             the last token's state by its position.
``careful``  what accelerate's users write: batches of texts of like lengths, padded to the longest, the decoder alone, and
             automatic mixed precision where it is the faster of both.
``ours``     :func:`w2sg.students.training.train_student`: packed without padding, what both texts share computed once, the last
             block's feed-forward layer on last tokens only; mixed precision likewise.

Losses of all contestants at the first batch agree; each trains from the same weights.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.nn.functional import binary_cross_entropy_with_logits

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from extraction import SHAPES, build, draw_texts  # noqa: E402 (the path is set above)

from tests import tiny  # noqa: E402
from w2sg.activations.models import take_apart  # noqa: E402
from w2sg.students.kinds import KINDS  # noqa: E402
from w2sg.students.scorer import Scorer  # noqa: E402
from w2sg.students.training import Task, train_student  # noqa: E402
from w2sg.study.protocols import StudentKind  # noqa: E402
from w2sg.study.sections import Students  # noqa: E402

BATCH, RATE, ROUNDS = 16, 1e-4, 2
PACKAGES = ("torch", "transformers", "accelerate", "peft")

Work = Callable[[int, bool], float]
"""Trains on so many pairs, in mixed precision or not, from the same weights; returns the first batch's loss."""


def padded(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns tokens and mask, (texts, longest)."""
    longest = max(map(len, texts))
    tokens = torch.zeros(len(texts), longest, dtype=torch.int64)
    mask = torch.zeros(len(texts), longest, dtype=torch.int64)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return tokens, mask


def loop(shape: str, kind: str, texts: list[list[int]], targets: np.ndarray, *, careful: bool) -> Work:
    """Returns a contestant that pads."""

    def batches(pairs: int) -> Iterator[list[int]]:
        order = list(range(pairs))
        if careful:  # of like lengths; batches in random order
            order.sort(key=lambda pair: len(texts[2 * pair]) + len(texts[2 * pair + 1]))
        parts = [order[start : start + BATCH] for start in range(0, pairs, BATCH)]
        if careful:
            np.random.default_rng(0).shuffle(parts)
        return iter(parts)

    def work(pairs: int, mixed: bool) -> float:
        model: Any = build(shape, torch.float32, "cpu").requires_grad_(kind == "full")
        if kind == "lora":
            from peft import LoraConfig, get_peft_model

            model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
        accelerator = Accelerator(mixed_precision="bf16" if mixed else "no", cpu=True)
        head = torch.nn.Linear(SHAPES[shape][0], 1, bias=False)
        torch.nn.init.zeros_(head.weight)
        learned = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam([*learned, head.weight], lr=RATE)
        steps = -(-pairs // BATCH)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        model.train()
        first = None
        for rows in batches(pairs):
            ids, mask = padded([texts[2 * row + side] for side in (0, 1) for row in rows])
            inner = model.get_base_model() if kind == "lora" else model
            with accelerator.autocast():
                shown = {"attention_mask": mask} if careful else {}
                states = inner.base_model(input_ids=ids, use_cache=False, **shown)[0]
                last = states[torch.arange(len(ids)), mask.sum(1) - 1].float()
                scores = head(last)[:, 0]
            a, b = scores.float().chunk(2)
            target = torch.tensor(targets[rows], dtype=torch.float32)
            loss = binary_cross_entropy_with_logits(a - b, target)
            first = float(loss.detach()) if first is None else first
            optimiser.zero_grad()
            accelerator.backward(loss)
            optimiser.step()
            scheduler.step()
        assert first is not None
        return first

    return work


def ours(shape: str, kind: StudentKind, texts: list[list[int]], targets: np.ndarray) -> Work:
    """Returns this project's training."""

    def work(pairs: int, mixed: bool) -> float:
        model = take_apart(build(shape, torch.float32, "cpu"), tiny.tokenizer())
        settings = Students(kinds=["linear", "full"], batch_size=BATCH)
        task = Task(first=texts[: 2 * pairs : 2], second=texts[1 : 2 * pairs : 2], target=targets[:pairs])
        trained = KINDS[kind](model, settings)
        scorer = Scorer(model, mixed_precision=mixed)
        return float(train_student(scorer, trained, task, settings=settings, rate=RATE, seed=0).losses[0])

    return work


def run(work: Work, pairs: int, *, mixed: bool) -> float:
    """Runs a contestant as in a process of its own: accelerate keeps one precision for all of a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    return work(pairs, mixed)


def measure(shape: str, kind: StudentKind, pairs: int) -> pd.DataFrame:
    """Returns a row for each contestant at one shape and kind: seconds per 1,000 pairs, smallest of some rounds."""
    rng = np.random.default_rng(0)
    texts, targets = draw_texts(pairs, rng), rng.random(pairs)
    contestants = {
        "plain": loop(shape, kind, texts, targets, careful=False),
        "careful": loop(shape, kind, texts, targets, careful=True),
        "ours": ours(shape, kind, texts, targets),
    }
    found: dict[tuple[str, bool], list[float]] = {}
    for name, work in contestants.items():
        for mixed in (False,) if name == "plain" else (False, True):
            assert abs(run(work, BATCH, mixed=mixed) - np.log(2)) < 1e-5, "an untrained head scores zero"
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            for mixed in (False,) if name == "plain" else (False, True):
                start = time.process_time()
                run(work, BATCH, mixed=mixed)
                begun = time.process_time()
                run(work, pairs, mixed=mixed)
                # Without what building the model and the first batch take.
                taken = (time.process_time() - begun) - (begun - start)
                found.setdefault((name, mixed), []).append(taken * 1000 / (pairs - BATCH))
    rows = [
        {"shape": shape, "kind": kind, "contestant": name, "mixed_precision": mixed, "cpu_seconds": min(times)}
        for (name, mixed), times in found.items()
    ]
    table = pd.DataFrame(rows)
    best = table.loc[table["contestant"] == "ours", "cpu_seconds"].min()
    return table.assign(ratio=table["cpu_seconds"] / best)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["pythia-14m", "pythia-70m"], choices=sorted(SHAPES))
    parser.add_argument("--kinds", nargs="+", default=["full", "lora"], choices=sorted(KINDS))
    parser.add_argument("--pairs", type=int, default=0, help="pairs of an epoch; by default all are saved")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = options.pairs or 160
    table = pd.concat([measure(shape, kind, pairs) for shape in options.shapes for kind in options.kinds])
    if options.pairs:
        sys.stdout.write(table.to_string(index=False) + "\n")
        return
    command = "python benchmarks/students.py"
    path = machine.save(table, "students", machine=machine.describe(PACKAGES), command=command)
    sys.stdout.write(f"{path.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    main()
