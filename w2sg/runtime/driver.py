"""The Snakemake run that a job belongs to: whether it lives, and whether any of its jobs works. Standard library only.

A run is a file that the main process keeps locked; beside it lies another one on which every working job has a share.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from w2sg.runtime.locks import is_locked, share_lock, try_lock

RUN_VARIABLE = "W2SG_RUN"
"""Environment variable that names the Snakemake run to its jobs: a file that the run keeps locked."""

QUEUE_VARIABLE = "W2SG_QUEUE"
"""Environment variable that is set where jobs pass through a cluster's queue, in which nothing shows that they will come."""


def announce_run(root: Path) -> None:
    """Makes this process, Snakemake itself, the owner of the snapshots that its jobs leave ready.

    The lock is held until the process ends; its jobs learn of it from the environment.
    """
    folder = root / ".runs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{socket.gethostname()}.{os.getpid()}"
    if try_lock(path) is not None:
        _shared(path).touch()
        os.environ[RUN_VARIABLE] = str(path.resolve())
        atexit.register(_end_run, path)


def _end_run(path: Path) -> None:
    path.unlink(missing_ok=True)
    _shared(path).unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _shared(path: Path) -> Path:
    return path.with_name(f"{path.name}.working")


def present_run() -> str:
    """Returns the name of the run that this job belongs to; empty outside one."""
    return os.environ.get(RUN_VARIABLE, "")


def run_is_alive(run: str) -> bool:
    """Returns whether the run that announced itself under this name still runs."""
    return bool(run) and Path(run).exists() and is_locked(Path(run))


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Shows, for the block, that a job of the present run works, so that those who wait for a place have patience."""
    descriptor = share_lock(_shared(Path(present_run()))) if present_run() else None
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def somebody_works() -> bool:
    """Returns whether any job of the present run is inside :func:`working`."""
    return bool(present_run()) and is_locked(_shared(Path(present_run())))


def announce_queue() -> None:
    """Tells the present run's jobs that others go through a cluster's queue."""
    os.environ[QUEUE_VARIABLE] = "1"


def is_queued() -> bool:
    """Returns whether jobs of the present run wait in a cluster's queue before they start."""
    return bool(os.environ.get(QUEUE_VARIABLE))
