"""Times probe, ceiling and W2SG heads of one 7B-wide revision: all layers, seeds and learning rates, both protocols.

    python benchmarks/heads.py                 writes benchmarks/results/heads.tsv (33 layers; needs 15 GB of disk)
    python benchmarks/heads.py --layers 2      the first and the last layer only, printed

The features are synthetic but as ill-conditioned as real ones: covariance eigenvalues fall like 1/j, a few coordinates
are thirty times as large as the others, both texts of a pair share half of their variance (the prompt), and the pairs'
true order follows a utility that leading directions carry. From layer to layer more of the variance is the texts' own
meaning and less is noise. The supervisor is trained by this package on features that show it half of that meaning.

``ours`` runs ``workflow/scripts/train_heads.py`` on a feature file, reading and intervals included. The loop that
it replaces trains one head after the other (torch's Adam on a linear layer; scikit-learn's logistic regression for
each fold and penalty; the last fit at the chosen penalty is left out), computes no metric, and is timed in the last
layer on a part of its heads, which take equally long; its figures are scaled to all heads and layers by their number.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pandas as pd
import scipy.fft
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow" / "scripts")]

import train_heads  # noqa: E402 (the path is set above)

from w2sg.activations.features import ID_BYTES, Features, open_features, split_features  # noqa: E402
from w2sg.heads.supervision import trained  # noqa: E402
from w2sg.study.protocols import FIELDS, SOURCES, SPLITS  # noqa: E402
from w2sg.study.sections import Heads, Intervals, Probe  # noqa: E402
from w2sg.tables import schemas  # noqa: E402
from w2sg.tables.files import read_table, write_table  # noqa: E402
from w2sg.tables.schemas import PAIRS  # noqa: E402

WIDTH, PAIRS_EACH, LAYERS = 4096, 4000, 33
WEAK_WIDTH = 2048
KEYS = {"model": "strong", "revision": "last", "dataset": "synthetic"}
MADE = {"made": {"datasets.synthetic": "made up"}}
DISTINCT = 11
"""Layers drawn; in deeper models they come again, and are computed with again."""
SEEDS, FOLDS, RATES = 3, 5, 5


def meanings(rng: np.random.Generator) -> np.ndarray:
    """Returns what the texts mean, (pairs, 2, width), chosen first: unit normal, half of it common to a pair."""
    n = PAIRS_EACH * len(SPLITS)
    g = rng.standard_normal((n, 2, WIDTH), dtype=np.float32)
    g += rng.standard_normal((n, 1, WIDTH), dtype=np.float32)
    g *= np.float32(0.5**0.5)
    direction = np.arange(1, WIDTH + 1) ** -0.8 * rng.standard_normal(WIDTH)
    utility = g @ direction.astype(np.float32)
    gap = utility[:, 0] - utility[:, 1]
    first = rng.random(n) < 1 / (1 + np.exp(-3.0 * gap / gap.std()))
    g[~first] = g[~first, ::-1]
    return g


def states(g: np.ndarray, rng: np.random.Generator, *, share: float, width: int = WIDTH) -> torch.Tensor:
    """Returns states that show ``share`` of the meaning, bfloat16, (2, pairs, width)."""
    h = rng.standard_normal((*g.shape[:2], width), dtype=np.float32)
    h *= np.float32((1 - share**2) ** 0.5)
    h += np.float32(share) * g[:, :, :width]
    h *= (np.arange(1, width + 1) ** -0.5 * rng.choice([-1, 1], width)).astype(np.float32)
    h = scipy.fft.dct(h, norm="ortho", axis=2, overwrite_x=True)  # a rotation without a product
    large = rng.permutation(width)[:4]
    h[:, :, large] = 30 * h[:, :, large] + rng.normal(0, 30 * h.std(), 4).astype(np.float32)
    return torch.from_numpy(h).bfloat16().transpose(0, 1)


def write_inputs(folder: Path, layers: int) -> None:
    """Writes pairs, the supervisor's labels, and the feature file of ``layers`` layers."""
    rng = np.random.default_rng(0)
    g = meanings(rng)
    ids = np.array([f"pair{index:06d}" for index in range(len(g))])
    split = np.repeat(SPLITS, PAIRS_EACH)
    empty = dict.fromkeys((*FIELDS, *SOURCES), "")
    pairs = pd.DataFrame({"row_id": ids, "split": split, "position": np.tile(np.arange(PAIRS_EACH), len(SPLITS))})
    write_table(pairs.assign(dataset="synthetic", **empty), folder / "pairs.parquet", PAIRS, provenance=MADE)
    weak = states(g, rng, share=0.8, width=WEAK_WIDTH).float().numpy()[:, None]
    tokens = np.ones((2, len(ids)), dtype=np.int32)
    features = Features(chosen=weak[0], rejected=weak[1], row_ids=ids, tokens=tokens, layers=(0,), metadata={})
    made = trained.supervise(split_features(features, pairs.assign(**empty)), heads=Heads(), intervals=Intervals())
    origin = {"model": "weak", "revision": "last", "commit": "0" * 40} | MADE
    write_table(made.labels, folder / "labels.parquet", schemas.LABELS, provenance=origin)
    size = layers * len(g) * WIDTH
    both = [
        torch.from_file(str(folder / name), shared=True, size=size, dtype=torch.bfloat16).view(layers, len(g), WIDTH)
        for name in ("chosen", "rejected")
    ]
    for layer, share in enumerate(np.linspace(0.3, 0.95, min(layers, DISTINCT))):
        for kept, part in zip(both, states(g, rng, share=float(share)), strict=True):
            kept[layer::DISTINCT] = part
    tensors = {
        "chosen": both[0],
        "rejected": both[1],
        "tokens": torch.from_numpy(tokens),
        "layers": torch.arange(layers),
        "row_ids": torch.from_numpy(ids.astype(f"S{ID_BYTES}").view(np.uint8).reshape(len(ids), ID_BYTES).copy()),
    }
    metadata = {"w2sg": json.dumps(KEYS | {"commit": "0" * 40} | MADE)}
    save_file(tensors, folder / "features.safetensors", metadata=metadata)
    for name in ("chosen", "rejected"):
        (folder / name).unlink()


def _ours(folder: Path, workers: int) -> dict[str, float]:
    train_heads.main(
        features=str(folder / "features.safetensors"),
        labels=str(folder / "labels.parquet"),
        pairs=str(folder / "pairs.parquet"),
        other_features=[],
        other_pairs=[],
        weak_features=None,
        output=str(folder / f"metrics{workers}.parquet"),
        predictions=str(folder / f"predictions{workers}.parquet"),
        keys=KEYS,
        sections={"heads": Heads().model_dump(), "probe": Probe().model_dump(), "intervals": Intervals().model_dump()},
        recipe=0,
        threads=workers,
        log=str(folder / "log"),
    )
    return {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def _apart(function: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Returns wall and processor seconds, and what the function returns, of a call in a process of its own."""

    def run(queue: Any) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        found = function(*arguments)
        queue.put({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu} | found)

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=run, args=(queue,))
    process.start()
    found = queue.get(timeout=3600)
    process.join()
    return found


def _layer(folder: Path, position: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns chosen and rejected states of each split in one layer."""
    part = open_features(folder / "features.safetensors").read(slice(position, position + 1))
    return {
        name: (part.chosen[0, low : low + PAIRS_EACH], part.rejected[0, low : low + PAIRS_EACH])
        for name, low in zip(SPLITS, range(0, PAIRS_EACH * len(SPLITS), PAIRS_EACH), strict=True)
    }


def adam_loop(difference: np.ndarray, target: np.ndarray, rate: float) -> None:
    """Trains one head of the paper's protocol as most people write it."""
    x, y = torch.from_numpy(difference), torch.from_numpy(target.astype(np.float32))
    head = torch.nn.Linear(x.shape[1], 1, bias=False)
    torch.nn.init.zeros_(head.weight)
    optimiser = torch.optim.Adam(head.parameters(), lr=rate)
    batches = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(16)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(batches))
    for rows in batches:
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(x[rows])[:, 0], y[rows])
        loss.backward()
        optimiser.step()
        schedule.step()


def logistic_loop(x: np.ndarray, labels: np.ndarray, penalty: float, weights: np.ndarray | None) -> None:
    """Fits one logistic regression with scikit-learn on scaled rows, to its default tolerance."""
    model = LogisticRegression(C=1 / (penalty * PAIRS_EACH), fit_intercept=weights is None, max_iter=1000)
    model.fit(StandardScaler(with_mean=weights is None).fit_transform(x), labels, sample_weight=weights)


def time_loop(folder: Path, layers: int) -> list[dict[str, Any]]:
    """Returns the loop's seconds for all heads and layers, each scaled from a few heads of the last layer."""
    split = _layer(folder, layers - 1)
    chosen, rejected = split[SPLITS[0]]
    difference = chosen - rejected
    labels = read_table(folder / "labels.parquet", schemas.LABELS)
    soft = labels[(labels["split"] == SPLITS[1]) & (labels["seed"] == 0) & (labels["protocol"] == "converged")]
    target = 1 / (1 + np.exp(-soft.sort_values("row_id")["margin"].to_numpy()))
    weak = split[SPLITS[1]][0] - split[SPLITS[1]][1]
    train = np.arange(PAIRS_EACH) % FOLDS > 0
    texts = np.concatenate((chosen, rejected))
    side, held = np.arange(len(texts)) < PAIRS_EACH, np.arange(len(texts)) % 5 > 0
    twice = np.concatenate((weak[train], weak[train]))
    share = np.concatenate((target[train], 1 - target[train]))
    turn = np.where(np.arange(PAIRS_EACH) % 2, 1, -1)  # scikit-learn wants both classes
    ones, sign = np.ones(train.sum()), turn[:, None].astype(np.float32)
    fits = SEEDS * layers
    tasks: list[tuple[str, int, Callable[[], None]]] = [
        ("paper heads", 2 * fits * RATES, lambda: adam_loop(weak, target, 1e-3)),
        ("probe", 2 * fits, lambda: logistic_loop(texts[held], side[held], Probe().penalty, None)),
    ]
    for penalty in Heads().converged.penalties:
        tasks += [
            (f"ceiling fold, penalty {penalty:g}", fits * FOLDS, lambda p=penalty: logistic_loop(
                (difference * sign)[train], turn[train] > 0, p, ones)),
            (f"W2SG fold, penalty {penalty:g}", fits * FOLDS, lambda p=penalty: logistic_loop(
                twice, np.repeat((1, 0), train.sum()), p, share)),
        ]  # fmt: skip
    rows = []
    for name, count, task in tasks:
        wall, cpu = time.perf_counter(), time.process_time()
        with threadpool_limits(1):  # with two threads it needs twice the processor time
            task()
        rows.append(
            {
                "contestant": "one by one",
                "what": name,
                "workers": 1,
                "seconds": count * (time.perf_counter() - wall),
                "cpu_seconds": count * (time.process_time() - cpu),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measures both contestants and writes the table, unless only some layers are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--folder", type=Path, help="where inputs are kept for another run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        if not (folder / "features.safetensors").exists():
            _apart(lambda: write_inputs(folder, options.layers) or {})
        rows: list[dict[str, Any]] = []
        for workers in (2, 1):
            rows.append({"contestant": "ours", "what": "all", "workers": workers} | _apart(_ours, folder, workers))
            print(rows[-1], flush=True)
        loop = time_loop(folder, options.layers)
        total = {key: sum(row[key] for row in loop) for key in ("seconds", "cpu_seconds")}
        rows += [*loop, {"contestant": "one by one", "what": "all", "workers": 1} | total]
        for row in rows:
            row["ratio"] = row["cpu_seconds"] / rows[0]["cpu_seconds"]
    table = pd.DataFrame(rows)
    print(table.to_string())
    if options.layers == LAYERS:
        facts = machine.describe(("torch", "numpy", "scikit-learn"))
        machine.save(table, "heads", machine=facts, command="python benchmarks/heads.py")


if __name__ == "__main__":
    main()
