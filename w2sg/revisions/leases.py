"""What a snapshot says of itself: a file beside its weights. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

LEASE, LOCK = ".lease.json", ".lock"
BEAT = 30.0
"""Seconds between two touches of a lease."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What a snapshot's own file says."""

    state: str
    """``fetching``, ``ready`` or ``used``."""
    size: int
    """Bytes of the snapshot when whole."""
    host: str
    """Machine of the fetching job."""
    run: str
    """The Snakemake run for which it is kept (:mod:`w2sg.runtime.driver`); empty outside one."""
    queued: bool = False
    """Whether that run's jobs go through a cluster's queue, where they outlive it."""
    ticket: str = ""
    """The file whose end is that of a ready snapshot too; empty where its one reader deletes it."""


def is_snapshot(folder: Path) -> bool:
    """Returns whether a folder is one of a store: the scratch folder may hold whatever else people keep there."""
    if _parse(folder) is not None:
        return True
    try:  # killed before its lease was written
        empty = all(child.name in (LOCK, f"{LEASE}.tmp") for child in folder.iterdir())
    except OSError:  # another's, not to be read; or gone meanwhile
        return False
    return empty and re.fullmatch(r".+\.[^.].*\.\d+", folder.name) is not None


def read_lease(folder: Path) -> Lease:
    """Returns a snapshot's lease; of one whose job was killed before it wrote any, that of a fetching job."""
    return _parse(folder) or Lease(state="fetching", size=0, host=socket.gethostname(), run="")


def write_lease(folder: Path, lease: Lease) -> None:
    """Replaces a snapshot's lease."""
    temporary = folder / f"{LEASE}.tmp"
    temporary.write_text(json.dumps(asdict(lease)), encoding="utf-8")
    temporary.replace(folder / LEASE)


@contextlib.contextmanager
def signs_of_life(folder: Path) -> Iterator[None]:
    """Touches the lease now and then during the block, for other machines to see."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(folder / LEASE)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _parse(folder: Path) -> Lease | None:
    try:
        return Lease(**json.loads((folder / LEASE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # there is none, or it is another program's
        return None
