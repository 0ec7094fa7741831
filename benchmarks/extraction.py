"""Extraction of last-token states against what else one would use, on the same texts, in the same run.

Random weights at a Pythia shape, texts of random tokens whose lengths follow HH-RLHF helpful (``hh_lengths.tsv``: prompts
and responses are drawn independently; three first tokens are common to all texts, as a dialogue mark is). Contestants:

  engine        this project's: packed prefix trees, bfloat16, hooks
  naive         what people write: float32, batches of 16 in input order, padded, output_hidden_states, logits
  careful       sorted by length, batches of 2,048 padded tokens, bfloat16, no logits, hooks
  transformer_lens, nnsight, sentence_transformers   as their users would: sorted, bfloat16, batches of 32

    python benchmarks/extraction.py                                      # about five minutes on two cores
    python benchmarks/extraction.py --device cuda --shape pythia-6.9b    # on a GPU

The last group needs ``requirements/bench.lock`` (``make .venv/bench.stamp``); tools that are absent are left out.
``utilisation`` is the rate of the arithmetic in the engine's matrix products over the whole run, as a share of the rate of
the same products alone.
"""

from __future__ import annotations

import argparse
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
from w2sg.activations import extract_states
from w2sg.extraction import CPU_ROWS
from w2sg.loading import LoadedModel, take_apart
from w2sg.packing import pack, plan_batches

SHAPES = {  # width, blocks, heads
    "pythia-14m": (128, 6, 4),
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


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one contestant needed."""

    seconds: float
    """Time for all texts, without loading and warm-up."""
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


def timed(work: Callable[[list[list[int]]], np.ndarray], ids: list[list[int]], device: str) -> Result:
    """Returns the time of a contestant on all texts, after a warm-up on a few."""
    work(ids[:32])
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    final = work(ids)  # ends with numbers in the host's memory
    return Result(seconds=time.perf_counter() - start, final=final)


def run_engine(model: LoadedModel, rows: int) -> Callable[[list[list[int]]], np.ndarray]:
    """Returns this project's extraction of all layers."""
    layers = range(len(model.blocks) + 1)
    return lambda ids: extract_states(model, ids, layers=layers, batch_tokens=rows)[-1]


def linear_flops(ids: Sequence[Sequence[int]], shape: str, rows: int) -> tuple[float, float]:
    """Returns the arithmetic of the engine's matrix products with weights, and its rows over tokens."""
    width, blocks, _ = SHAPES[shape]
    batches = [pack([ids[row] for row in batch], torch.device("cpu")) for batch in plan_batches(ids, batch_tokens=rows)]
    total = sum(batch.size for batch in batches)
    # Per row 3 + 1 + 4 + 4 matrices of width squared; of the last block all but the first 3 see last tokens only.
    products = (12 * blocks - 9) * total + 9 * sum(len(batch.rows) for batch in batches)
    return 2.0 * width**2 * products, total / sum(map(len, ids))


def peak_rate(shape: str, rows: int, device: str) -> float:
    """Returns the operations per second of the same matrix products, run alone on a full batch of rows."""
    width = SHAPES[shape][0]
    shapes = ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width))
    make = {"dtype": torch.bfloat16, "device": device}
    cases = [(torch.randn(rows, n, **make), torch.randn(m, n, **make), torch.randn(m, **make)) for n, m in shapes]
    best = 0.0
    for _ in range(5):
        start, done = time.perf_counter(), 0
        while done < 3 or time.perf_counter() - start < 1.0:
            for case in cases:
                linear(*case)
            done += 1
            if device == "cuda":
                torch.cuda.synchronize()
        best = max(best, done * 24.0 * rows * width**2 / (time.perf_counter() - start))
    return best


def contest(options: argparse.Namespace) -> tuple[dict[str, Result], list[list[int]], float]:
    """Returns each contestant's result, the texts, and the rate of matrix products."""
    device = options.device
    ids = draw_texts(options.pairs, np.random.default_rng(0))
    rows = CPU_ROWS if device == "cpu" else GPU_ROWS
    half = build(options.shape, torch.bfloat16, device)
    engine, careful = run_engine(take_apart(half, None), rows), tools.run_careful(half, rows)
    results: dict[str, Result] = {}
    for _ in range(options.repeats):  # in turn, so that a busy moment does not meet only one of them
        for name, work in (("engine", engine), ("careful", careful)):
            result = timed(work, ids, device)
            if name not in results or result.seconds < results[name].seconds:
                results[name] = result
            sys.stderr.write(f"{name}: {result.seconds:.2f} s\n")
    rate = peak_rate(options.shape, rows, device)
    for name in ("transformer_lens", "nnsight", "sentence_transformers"):
        if importlib.util.find_spec(name):
            results[name] = timed(tools.TOOLS[name](half), ids, device)
            sys.stderr.write(f"{name}: {results[name].seconds:.2f} s\n")
    del half, engine, careful
    results["naive"] = timed(tools.run_naive(build(options.shape, torch.float32, device)), ids, device)
    return results, ids, rate


def main() -> None:
    """Runs all contestants, prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--shape", default="pythia-160m", choices=tuple(SHAPES))
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/extraction.<device>.<shape>.tsv")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        results, ids, rate = contest(options)
    ours, tokens = results["engine"].seconds, sum(map(len, ids))
    flops, share = linear_flops(ids, options.shape, CPU_ROWS if options.device == "cpu" else GPU_ROWS)
    exact = results["naive"].final
    table = pd.DataFrame(
        {
            "contestant": name,
            "seconds": result.seconds,
            "tokens_per_s": tokens / result.seconds,
            "times_engine": result.seconds / ours,
            "error": float(np.abs(result.final - exact).max() / np.abs(exact).max()),
            "sweep_hours": TEXTS / len(ids) * result.seconds / 3600,
        }
        for name, result in results.items()
    )
    facts = (
        f"{len(ids)} texts, mean {tokens / len(ids):.1f} tokens, rows per token {share:.3f}; products "
        f"{rate / 1e9:.0f} GFLOP/s alone, engine {flops / ours / 1e9:.0f} GFLOP/s, utilisation {flops / ours / rate:.3f}"
    )
    names = [
        name for name in ("transformer-lens", "nnsight", "sentence-transformers") if name.replace("-", "_") in results
    ]
    machine = describe(["torch", "transformers", *names])
    if options.device == "cuda":
        machine += f", {torch.cuda.get_device_name()}"
    sys.stdout.write(f"{machine}\n{facts}\n{table.to_string(index=False)}\n")
    if options.save:
        command = "python benchmarks/extraction.py " + " ".join(sys.argv[1:])
        save(table, f"extraction.{options.device}.{options.shape}", machine=f"{machine}; {facts}", command=command)


if __name__ == "__main__":
    main()
