"""Bounded disk, busy device: a simulated sweep through Snakemake in both modes, with and without faults.

Downloads and computations are sleeps of known length, one download and one computation at a time, so that the bound
max(total download, total compute) is known; everything else (Snakemake, start of each job, places, locks) is real.

    python -m benchmarks.disk             # writes benchmarks/results/disk.tsv, about twenty minutes, mostly asleep
"""

from __future__ import annotations

import argparse
import glob
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.disk_job import times
from benchmarks.machine import describe, save

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One simulated sweep."""

    mode: str
    """``fused`` or ``split``."""
    revisions: int = 60
    """Number of revisions."""
    snapshots: int = 3
    """Bound on the disk."""
    cores: int = 4
    """Snakemake's --cores."""
    download: float = 0.4
    """Mean seconds of a download."""
    compute: float = 0.5
    """Mean seconds of a computation on the only device."""
    jitter: float = 0.6
    """Half the width of both distributions, as a fraction of the mean."""
    faults: str = ""
    """``number:fault`` pairs; faults are fail-fetch, fail-extract, kill-fetch and kill-extract."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was measured."""

    wall: float
    """Seconds of the whole run."""
    bound: float
    """max(total download, total compute) in seconds; downloads one after another."""
    item: float
    """Longest single revision, download and computation, in seconds."""
    peak: int
    """Most snapshots seen on the disk at once (looked at every 5 ms)."""
    done: int
    """Revisions with results."""
    left: int
    """Snapshots on the disk after the run."""
    errors: str
    """Snakemake's messages."""


class _Watch(threading.Thread):
    """Counts the folders below the scratch folder that hold weights, independently of the store."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(daemon=True)
        self.scratch, self.peak, self.over = scratch, 0, threading.Event()

    def count(self) -> int:
        return len(glob.glob(f"{self.scratch}/*/*/weights"))  # Path.glob fails where a folder vanishes

    def run(self) -> None:
        while not self.over.wait(0.005):
            self.peak = max(self.peak, self.count())


def command(setting: Setting, folder: Path) -> list[str]:
    """Returns what runs a simulated sweep in a folder, and goes on with one that was interrupted."""
    config = {name: getattr(setting, name) for name in ("mode", "revisions", "snapshots", "download", "compute")}
    config |= {"jitter": setting.jitter, "faults": setting.faults}
    config |= {"root": str(ROOT), "here": str(folder), "python": sys.executable}
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "benchmarks" / "disk.smk")]
    start += ["--directory", str(folder), "--cores", str(setting.cores), "--scheduler", "greedy", "--keep-going"]
    start += ["--nolock", "--rerun-incomplete", "--quiet", "all", "--workflow-profile", "none"]
    start += ["--resources", "snapshots=10000", "downloads=10000"]
    return [*start, "--config", *(f"{key}={value}" for key, value in config.items())]


def simulate(setting: Setting, folder: Path) -> Outcome:
    """Returns what one simulated sweep took."""
    watch = _Watch(folder / "scratch")
    watch.start()
    started = time.monotonic()
    done = subprocess.run(command(setting, folder), capture_output=True, text=True, check=False, cwd=ROOT)
    wall = time.monotonic() - started
    watch.over.set()
    watch.join()
    spans = {
        kind: [times(n, getattr(setting, mean), setting.jitter, kind) for n in range(setting.revisions)]
        for kind, mean in (("fetch", "download"), ("extract", "compute"))
    }
    return Outcome(
        wall=wall,
        bound=max(map(sum, spans.values())),
        item=max(map(sum, zip(*spans.values(), strict=True))),
        peak=watch.peak,
        done=len(list(folder.glob("features/*.txt"))),
        left=watch.count(),
        errors=done.stderr,
    )


FAULTS = "4:fail-fetch,11:fail-extract,19:kill-fetch,28:kill-extract,37:fail-extract,45:kill-fetch,52:kill-extract"
"""Seven of sixty revisions."""

SETTINGS = [
    *(Setting(mode=mode) for mode in ("fused", "split")),
    *(Setting(mode=mode, download=0.5, compute=0.4) for mode in ("fused", "split")),
    *(Setting(mode=mode, faults=FAULTS) for mode in ("fused", "split")),
    Setting(mode="split", cores=1),
    *(Setting(mode="split", cores=cores, download=4.0, compute=5.0) for cores in (1, 2)),
    Setting(mode="fused", cores=2, download=4.0, compute=5.0),
]
"""Few cores start one job at a time, which takes 0.3 s: the share of that is seen by the two lengths of the same jobs.

A fused job holds a core while it downloads: with a single core nothing overlaps, so that mode is not shown there; with two,
two snapshots exist at once whatever the bound, and jitter is not evened out.
"""


def row(setting: Setting, outcome: Outcome) -> dict[str, object]:
    """Returns one line of the table; ``allowed_s`` is the bound, 10 % and the longest single revision."""
    return {
        "mode": setting.mode,
        "cores": setting.cores,
        "download_s": setting.download,
        "compute_s": setting.compute,
        "faults": len(setting.faults.split(",")) if setting.faults else 0,
        "bound_s": outcome.bound,
        "allowed_s": 1.1 * outcome.bound + outcome.item,
        "wall_s": outcome.wall,
        "snapshots": setting.snapshots,
        "peak": outcome.peak,
        "revisions": setting.revisions,
        "results": outcome.done,
        "left_behind": outcome.left,
    }


def main() -> None:
    """Runs every setting and writes the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = []
    for setting in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(setting, simulate(setting, Path(folder))))
        print(rows[-1], flush=True)
    save(pd.DataFrame(rows), "disk", machine=describe(["snakemake"]), command="python -m benchmarks.disk")


if __name__ == "__main__":
    main()
