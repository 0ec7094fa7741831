"""Times the joining of many small tables into the long one, through the scripts that the workflow runs.

    python benchmarks/collect.py --rows 10000000          writes benchmarks/results/collect.tsv

Two families of 154 and 317 revisions on two datasets, so many layers that the long table has the wanted rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow" / "scripts")]

from w2sg.tables import schemas  # noqa: E402
from w2sg.tables.files import read_table, write_table  # noqa: E402
from w2sg.trajectories.selection import shown_rows  # noqa: E402

COUNTS = {"pythia": 154, "olmo": 317}
DATASETS = ("helpful", "harmless")
METRICS = ("accuracy", "auc", "brier", "gain", "log_loss", "pgr", "tie_rate")
SETTINGS = ("cv", "lr=0.001", "lr=0.005", "lr=0.01", "lr=0.0001", "lr=1e-05", "selected")


ORIGIN = {"made": {"recipes.HEADS": 1}}
JOINED = {"made": {"recipes.HEADS": 1}, "config": {"study": "benchmark"}}


def revision_table(model: str, revision: str, dataset: str, layers: int) -> pd.DataFrame:
    """Returns metrics of every layer, head, setting and seed, schema RESULTS."""
    levels = [range(layers), ("ceiling", "probe", "w2s"), ("paper",), SETTINGS, range(3), METRICS]
    names = ["layer", "head", "protocol", "setting", "seed", "metric"]
    frame = pd.MultiIndex.from_product(levels, names=names).to_frame(index=False)
    value = np.random.default_rng(0).random(len(frame))
    keys = {"model": model, "revision": revision, "commit": "0" * 40, "dataset": dataset, "tested_on": dataset}
    return frame.assign(**keys, value=value, low=value - 0.01, high=value + 0.01, n=4000)


def write_inputs(folder: Path, layers: int) -> dict[str, dict]:
    """Writes the tables of every revision; returns the arguments of ``collect_family`` per family."""
    made = {}
    for family, count in COUNTS.items():
        revisions = [{"name": f"step{k}", "step": k, "tokens": k * 0.002} for k in range(count)]
        heads, losses = [], []
        for row in revisions:
            for dataset in (*DATASETS, "corpus"):
                path = folder / family / row["name"] / f"{dataset}.parquet"
                size = layers if dataset != "corpus" else 1
                frame = revision_table(family, row["name"], dataset, size)
                write_table(frame, path, schemas.RESULTS, provenance=ORIGIN)
                (losses if dataset == "corpus" else heads).append(str(path))
        weak = folder / family / "weak.parquet"
        write_table(revision_table(f"{family}-small", "last", "helpful", 1), weak, schemas.RESULTS, provenance=ORIGIN)
        facts = {"name": family, "strong": family, "weak": f"{family}-small", "weak_revision": "last"}
        made[family] = {
            "heads": heads,
            "losses": losses,
            "weak": [str(weak)],
            "family": facts | {"revisions": revisions},
            "output": str(folder / f"{family}.parquet"),
        }
    return made


def timed(action: str, main: Callable[..., None], arguments: dict) -> dict[str, object]:
    """Returns wall and CPU seconds and largest memory of a script's ``main`` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(main, arguments, sender))
    process.start()
    sender.close()
    wall, used = receiver.recv()
    process.join()
    cpu = round(used.ru_utime + used.ru_stime, 1)
    return {"action": action, "wall_s": round(wall, 1), "cpu_s": cpu, "memory_mb": round(used.ru_maxrss / 1024)}


def _measure(main: Callable[..., None], arguments: dict, sender) -> None:
    start = time.perf_counter()
    main(**arguments)
    sender.send((time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)))


def read_shown(path: str) -> None:
    """Reads what summary, figures and report need of the long table."""
    read_table(path, schemas.METRICS, where=shown_rows())


def main() -> None:
    """Command line; see the module."""
    import collect_family
    import collect_metrics

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    per_layer = sum(COUNTS.values()) * len(DATASETS) * 3 * len(SETTINGS) * 3 * len(METRICS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = write_inputs(folder, max(1, round(options.rows / per_layer)))
        rows = []
        for family, arguments in inputs.items():
            given = arguments | JOINED | {"log": str(folder / "log")}
            rows.append(timed(f"collect_family {family}", collect_family.main, given))
        floors = pd.DataFrame(
            {"dataset": ["x"], "floor": ["y"], "metric": ["z"], "value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
        )
        write_table(floors, folder / "floors.parquet", schemas.FLOORS, provenance=ORIGIN)
        given = {
            "families": [arguments["output"] for arguments in inputs.values()],
            "floors": [str(folder / "floors.parquet")],
            "metrics": str(folder / "metrics.parquet"),
            "all_floors": str(folder / "all_floors.parquet"),
            "completeness": str(folder / "completeness.parquet"),
            "wanted": {
                name: {row["name"]: row["step"] for row in given["family"]["revisions"]}
                for name, given in inputs.items()
            },
            "datasets": DATASETS,
            "log": str(folder / "log"),
        } | JOINED
        rows.append(timed("collect_metrics", collect_metrics.main, given))
        rows.append(timed("read headline settings", read_shown, {"path": str(folder / "metrics.parquet")}))
        total = pq.read_metadata(folder / "metrics.parquet").num_rows
        rows = [{"rows": total, **row} for row in rows]
    typed = f"python benchmarks/collect.py --rows {options.rows}"
    machine.save(pd.DataFrame(rows), "collect", machine=machine.describe(["pyarrow", "pandas"]), command=typed)


if __name__ == "__main__":
    main()
