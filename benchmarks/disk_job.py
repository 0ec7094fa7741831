"""One job of the simulated sweep: sleeps where a real one transfers or computes, and fails or dies where it is told to.

Places on the disk and the device are taken by the same functions as in a real sweep.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from w2sg.revisions.scratch import Store
from w2sg.runtime.jobs import log_to
from w2sg.runtime.locks import first_free


def times(number: int, mean: float, jitter: float, kind: str) -> float:
    """Returns the seconds of a download or computation: uniform within ``jitter`` of the mean, the same in every run."""
    return mean * random.Random(f"{kind} {number}").uniform(1 - jitter, 1 + jitter)


def work(kind: str, number: int, seconds: float, faults: dict[int, str]) -> None:
    """Sleeps; in the middle of it the job fails, or is killed, if a fault of this kind is set for its number."""
    time.sleep(seconds / 2)
    fault = faults.get(number, "")
    if fault == f"fail-{kind}":
        raise RuntimeError("injected failure")
    if fault == f"kill-{kind}":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(seconds / 2)


def main(arguments: argparse.Namespace, faults: dict[int, str]) -> None:
    """Runs the fetch, the extraction, or both in one (fused)."""
    number, output = arguments.number, Path(arguments.output)
    store = Store(root=Path(arguments.scratch), limit=arguments.snapshots, poll=0.02)

    def fetch(folder: Path) -> None:
        (folder / "weights").write_bytes(b"x")
        with first_free([store.root / "line.lock"], poll=0.01):  # one stream fills it: downloads add up
            work("fetch", number, times(number, arguments.download, arguments.jitter, "fetch"), faults)

    def extract() -> None:
        with first_free([store.root / "device.lock"], poll=0.01):
            work("extract", number, times(number, arguments.compute, arguments.jitter, "extract"), faults)
        output.write_text("done\n", encoding="utf-8")

    steps: dict[str, Callable[[], None]] = {
        "fused": lambda: _fused(store, number, fetch, extract),
        "fetch": lambda: _fetch(store, number, fetch, output),
        "extract": lambda: _extract(store, Path(arguments.ticket), extract),
    }
    steps[arguments.step]()


def _fused(store: Store, number: int, fetch: Callable[[Path], None], extract: Callable[[], None]) -> None:
    with store.snapshot("simulated", f"step{number}", size=1) as folder:
        fetch(folder)
        extract()


def _fetch(store: Store, number: int, fetch: Callable[[Path], None], ticket: Path) -> None:
    with store.snapshot("simulated", f"step{number}", size=1, keep=True) as folder:
        fetch(folder)
        ticket.write_text(str(folder.resolve()), encoding="utf-8")


def _extract(store: Store, ticket: Path, extract: Callable[[], None]) -> None:
    with store.take(Path(ticket.read_text(encoding="utf-8"))):
        extract()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("step")
    for name in ("scratch", "output", "ticket", "faults", "log"):
        parser.add_argument(f"--{name}", default="")
    for name in ("number", "snapshots"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("download", "compute", "jitter"):
        parser.add_argument(f"--{name}", type=float)
    given = parser.parse_args()
    pairs = [item.split(":") for item in given.faults.split(",") if ":" in item]
    with log_to(given.log, working=given.step != "fetch"):
        main(given, {int(position): fault for position, fault in pairs})
    sys.exit(0)
