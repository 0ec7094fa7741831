"""Extraction of last-token states against what else one would use, on the same texts, in the same run.

Random weights at a Pythia shape, texts of random tokens whose lengths follow HH-RLHF helpful (``hh_lengths.tsv``: prompts
and responses are drawn independently; three first tokens are common to all texts, as a dialogue mark is). Contestants:

  engine           this project's: packed prefix trees, bfloat16, hooks
  engine_unshared  the same with a first token of its own for each text, so that nothing is shared
  naive            what people write: float32, batches of 16 in input order, padded, output_hidden_states, logits
  careful          sorted by length, batches of as many padded tokens as the engine's, bfloat16, no logits, hooks
  transformer_lens, nnsight, sentence_transformers   as their users would: sorted, bfloat16, batches of 32

    python benchmarks/extraction.py                                      # about five minutes on two cores
    python benchmarks/extraction.py --device cuda --shape pythia-6.9b --pairs 2000    # on a GPU of 48 GB or more

The last group needs ``requirements/bench.lock`` (``make .venv/bench.stamp``); tools that are absent are left out.
``utilisation`` is the rate of the arithmetic in the engine's matrix products over the whole run, as a share of the rate
of the same products alone. Contestants take turns for several rounds (slow ones sit out once they have had their time), and
the products run alone in each. ``seconds`` is the fastest round, ``spread`` the slowest over it; other processes only ever
add time. ``times_engine`` compares the fastest rounds, ``median_ratio`` is over contestant and engine in the same round.
``error`` is the largest difference from the naive loop's final states, over the
largest of these. ``sweep_hours`` are those of 471 revisions x 2 datasets of 24,000 texts at this shape.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import linear

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import extraction_tools as tools
from benchmarks.machine import describe, save
from w2sg.activations.extraction import CPU_ROWS
from w2sg.activations.forward import extract_states
from w2sg.activations.models import LoadedModel, take_apart
from w2sg.activations.packing import pack, plan_batches

SHAPES = {  # width, blocks, heads
    "pythia-14m": (128, 6, 4),
    "pythia-70m": (512, 6, 8),
    "pythia-160m": (768, 12, 12),
    "pythia-6.9b": (4096, 32, 32),
}
VOCABULARY = 50_304
COMMON = 3
"""First tokens that all texts share."""
TEXTS = 471 * 2 * 24_000
"""Texts of the paper's sweep: 471 revisions, two datasets of 3 x 4,000 pairs."""
GPU_ROWS = 65_536
"""Rows of a forward pass on a GPU."""

Rates = dict[torch.dtype, list[float]]
"""Operations per second of the matrix products alone, one for each round, by type."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds that pass, or that all threads of this process spend computing; the latter needs one thread and no GPU."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one contestant needed, once."""

    seconds: float
    """Time for all texts, without loading and warm-up, in seconds."""
    final: np.ndarray
    """States after the final norm, float32, (texts, width)."""


def draw_texts(pairs: int, rng: np.random.Generator) -> list[list[int]]:
    """Returns token ids of both texts of each pair, one after the other."""
    table = pd.read_csv(Path(__file__).with_name("hh_lengths.tsv"), sep="\t", comment="#")
    # Evenly spaced probabilities in random order: a small sample then has the distribution's mean.
    grid = (np.arange(pairs) + 0.5) / pairs
    prompt, first, second = (
        np.interp(rng.permutation(grid), table["quantile"], table[column]).round().astype(int)
        for column in ("prompt", "response", "response")
    )
    mark = list(range(1, COMMON + 1))
    texts = []
    for shared, *own in zip(prompt, first, second, strict=True):
        start = [*mark, *rng.integers(4, VOCABULARY, shared - COMMON).tolist()]
        texts += [[*start, *rng.integers(4, VOCABULARY, length).tolist()] for length in own]
    return texts


def build(shape: str, dtype: torch.dtype, device: str) -> Any:
    """Returns a model with random weights; the same ones for the same shape, up to the type."""
    from transformers import AutoModelForCausalLM, GPTNeoXConfig

    width, blocks, heads = SHAPES[shape]
    config = GPTNeoXConfig(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        vocab_size=VOCABULARY,
        max_position_embeddings=2048,
    )
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval().requires_grad_(False)


def timed(work: tools.Work, ids: list[list[int]], clock: Callable[[], float]) -> Run:
    """Returns the time of a contestant on some texts; its work ends with numbers in the host's memory."""
    start = clock()
    final = work(ids)
    return Run(seconds=clock() - start, final=final)


def share(name: str, ids: list[list[int]], options: argparse.Namespace) -> list[list[int]]:
    """Returns a contestant's texts: all, but the first few for the naive loop, whose batches do not depend on the rest."""
    return ids[: options.naive_texts] if name == "naive" else ids


def run_engine(model: LoadedModel, rows: int) -> tools.Work:
    """Returns this project's extraction of all layers."""
    layers = range(len(model.blocks) + 1)
    return lambda ids: extract_states(model, ids, layers=layers, batch_tokens=rows)[-1]


def run_unshared(model: LoadedModel, rows: int) -> tools.Work:
    """Returns the same extraction of texts of the same lengths that begin differently: what sharing brings."""
    work = run_engine(model, rows)
    return lambda ids: work([[VOCABULARY - 1 - place, *row[1:]] for place, row in enumerate(ids)])


def products(ids: Sequence[Sequence[int]], shape: str, rows: int) -> tuple[float, float, float]:
    """Returns the operations of the engine's and of the naive loop's products with weights, and rows per token."""
    width, blocks, _ = SHAPES[shape]
    batches = [pack([ids[row] for row in batch], torch.device("cpu")) for batch in plan_batches(ids, batch_tokens=rows)]
    total = sum(batch.size for batch in batches)
    # Per row 3 + 1 + 4 + 4 matrices of width squared; of the last block all but the first 3 see last tokens only.
    engine = (12 * blocks - 9) * total + 9 * sum(len(batch.rows) for batch in batches)
    lengths = [len(row) for row in ids]
    padded = sum(max(batch) * len(batch) for batch in (lengths[s : s + 16] for s in range(0, len(ids), 16)))
    naive = padded * (12 * blocks * width**2 + VOCABULARY * width)
    return 2.0 * width**2 * engine, 2.0 * naive, total / sum(lengths)


def peak_rate(shape: str, rows: int, device: str, dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Returns the operations per second of a block's matrix products, run alone on a full batch of rows."""
    width = SHAPES[shape][0]
    shapes = ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width))
    make: Any = {"dtype": dtype, "device": device}
    cases = [(torch.randn(rows, n, **make), torch.randn(m, n, **make), torch.randn(m, **make)) for n, m in shapes]
    best = float("inf")
    for _ in range(8):
        start = clock()
        for case in cases:
            linear(*case)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return 24.0 * rows * width**2 / best


def contestants(shape: str, device: str, rows: int) -> dict[str, Callable[[], tools.Work]]:
    """Returns what makes each contestant, by name; tools that are not installed are left out."""
    half = functools.cache(lambda: build(shape, torch.bfloat16, device))
    makers: dict[str, Callable[[], tools.Work]] = {
        "engine": lambda: run_engine(take_apart(half(), None), rows),
        "engine_unshared": lambda: run_unshared(take_apart(half(), None), rows),
        "careful": lambda: tools.run_careful(half(), rows),
        "naive": lambda: tools.run_naive(build(shape, torch.float32, device)),
    }
    for name, make in tools.TOOLS.items():
        if importlib.util.find_spec(name):
            makers[name] = functools.partial(lambda make: make(half()), make)
    return makers


def contest(options: argparse.Namespace, ids: list[list[int]], rows: int) -> tuple[dict[str, list[Run]], Rates]:
    """Returns each contestant's runs, and the rates of the products beside them.

    On a CPU they take turns, so that a busy moment does not meet only one of them. A GPU does not hold the copies of
    the weights that some tools make beside one another: there, contestants run one after the other.
    """
    clock = CLOCKS[options.clock]
    makers = contestants(options.shape, options.device, rows)
    makers = {name: make for name, make in makers.items() if name not in options.without}
    runs: dict[str, list[Run]] = {name: [] for name in makers}
    rates: Rates = {torch.bfloat16: [], torch.float32: []}
    for group in [list(makers)] if options.device == "cpu" else [[name] for name in makers]:
        works = {name: makers[name]() for name in group}
        for name, work in works.items():  # kernels are chosen, and compiled, at their first use
            work(ids[:8] if options.device == "cpu" else share(name, ids, options))
        for _ in range(options.rounds):
            for dtype, measured in rates.items():
                measured.append(peak_rate(options.shape, rows, options.device, dtype, clock))
            for name, work in works.items():
                if sum(run.seconds for run in runs[name]) < options.seconds:
                    runs[name].append(timed(work, share(name, ids, options), clock))
                    sys.stderr.write(f"{name}: {runs[name][-1].seconds:.2f} s\n")
        del works, work
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
    return runs, rates


def tabulate(runs: dict[str, list[Run]], ids: list[list[int]]) -> pd.DataFrame:
    """Returns one row for each contestant, the fastest first."""
    tokens = np.cumsum([len(row) for row in ids])
    ours, exact = [run.seconds / tokens[-1] for run in runs["engine"]], runs["naive"][0].final
    rows = []
    for name, made in runs.items():
        texts = len(made[0].final)
        each = [run.seconds / tokens[texts - 1] for run in made]  # seconds a token
        fastest = min(each)
        both = min(texts, len(exact))
        error = np.abs(made[0].final[:both] - exact[:both]).max() / np.abs(exact).max()
        rows.append(
            {
                "contestant": name,
                "texts": texts,
                "seconds": fastest * tokens[texts - 1],
                "spread": max(each) / fastest,
                "rounds": len(each),
                "texts_per_s": len(ids) / (fastest * tokens[-1]),
                "tokens_per_s": 1 / fastest,
                "times_engine": fastest / min(ours),
                "median_ratio": float(np.median([a / b for a, b in zip(each, ours, strict=False)])),
                "error": error if name != "engine_unshared" else np.nan,
                "sweep_hours": TEXTS / len(ids) * fastest * tokens[-1] / 3600,
            }
        )
    return pd.DataFrame(rows).sort_values("times_engine")


def facts(runs: dict[str, list[Run]], rates: Rates, ids: list[list[int]], *, shape: str, rows: int) -> str:
    """Returns the rates of the matrix products and the engine's share of them, in one line."""
    engine, naive, share = products(ids, shape, rows)
    half, full = max(rates[torch.bfloat16]), max(rates[torch.float32])
    ours = min(run.seconds for run in runs["engine"])
    return (
        f"{len(ids)} texts, mean {sum(map(len, ids)) / len(ids):.1f} tokens, rows per token {share:.3f}; products alone "
        f"{half / 1e9:.0f} GFLOP/s in bfloat16 (slowest round {min(rates[torch.bfloat16]) / 1e9:.0f}) and "
        f"{full / 1e9:.0f} in float32, engine {engine / ours / 1e9:.0f}, utilisation {engine / ours / half:.3f}; "
        f"naive over engine if both did nothing but products {(naive / full) / (engine / half):.1f}"
    )


def main() -> None:
    """Runs all contestants, prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--shape", default="pythia-160m", choices=tuple(SHAPES))
    parser.add_argument("--pairs", type=int, default=64, help="on a GPU 2000 or more: a batch is of 65,536 tokens")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", default="wall", choices=tuple(CLOCKS), help="cpu: where others use the machine too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="a contestant sits out once it has used so much")
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME", help="contestants that stay out")
    parser.add_argument("--naive-texts", type=int, help="only so many of the first texts for the slow naive loop")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/extraction.<device>.<shape>.tsv")
    options = parser.parse_args()
    if options.clock == "cpu" and (options.threads > 1 or options.device != "cpu"):
        parser.error(
            "--clock cpu counts the seconds of all threads and none of a GPU: it needs --threads 1 --device cpu"
        )
    torch.set_num_threads(options.threads)
    ids, rows = draw_texts(options.pairs, np.random.default_rng(0)), CPU_ROWS if options.device == "cpu" else GPU_ROWS
    with torch.inference_mode():
        runs, rates = contest(options, ids, rows)
    measured = facts(runs, rates, ids, shape=options.shape, rows=rows)
    table = tabulate(runs, ids)
    names = [name.replace("_", "-") for name in tools.TOOLS if name in runs]
    machine = describe(["torch", "transformers", *names]) + f", {options.threads} threads, {options.clock} clock"
    if options.device == "cuda":
        machine += f", {torch.cuda.get_device_name()}"
    sys.stdout.write(f"{machine}\n{measured}\n{table.to_string(index=False)}\n")
    if options.save:
        command = "python benchmarks/extraction.py " + " ".join(sys.argv[1:])
        save(table, f"extraction.{options.device}.{options.shape}", machine=f"{machine}; {measured}", command=command)


if __name__ == "__main__":
    main()
