"""Downloaded revisions on disk: never more than a bound, each gone as soon as it was used or its owner died.

A snapshot is a folder ``<scratch>/<model>/<revision>.<host>.<pid>`` with two files of its own: ``.lock``, locked by the
process that works with it, and ``.lease.json``, which says for whom it waits in between. Standard library only.

State   | lock held by       | ends by                            | left behind, recognised by
fetching| the fetching job   | deletion on failure, else ready    | lock free
ready   | nobody             | the extraction takes it            | its Snakemake run is gone (split mode only)
used    | the extracting job | deletion, after errors too         | lock free

On a cluster two more things hold: a job that is taken off its node leaves its snapshot ready again, and a ready one outlives a
killed Snakemake run, for its extraction may be in the queue.

Some file systems lock per machine only. A lock that another machine may hold is therefore believed to be free only when
its owner has also stopped touching the lease.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from w2sg.revisions.folders import RevisionError
from w2sg.revisions.leases import LEASE, LOCK, Lease, is_snapshot, read_lease, signs_of_life, write_lease
from w2sg.runtime.driver import is_queued, present_run, run_is_alive, somebody_works
from w2sg.runtime.files import folder_size
from w2sg.runtime.jobs import JobTerminated
from w2sg.runtime.locks import first_free, is_locked, try_lock

LOG = logging.getLogger(__name__)
ADMISSION = ".admission.lock"

SPARE = 1 << 30
"""Bytes that stay free on the scratch disk."""

SILENCE, FORGOTTEN = 600.0, 86400.0
"""Seconds without a touch of its lease from which another machine's snapshot in use is abandoned; and from which another
machine's ready one is, or a cluster's queue is not believed in any more."""


class SnapshotGone(RevisionError):
    """A snapshot that a ticket names and that is not there any more."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """The scratch folder with its bound."""

    root: Path
    """Folder of all snapshots."""
    limit: int
    """Most snapshots at once."""
    poll: float = 0.5
    """Seconds between two looks for a free place."""
    patience: float = 600.0
    """Seconds of a standstill (every place taken, nobody works) after which a job that waits for a place breaks it."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Store:
        """Returns the store of a study's configuration."""
        return cls(root=Path(config["scratch"]), limit=config["fetch"]["snapshots"])

    @contextlib.contextmanager
    def snapshot(self, model: str, revision: str, *, size: int, keep: bool = False) -> Iterator[Path]:
        """Yields an empty snapshot folder as soon as there is a place and disk space for it, and deletes it at the end.

        Args:
            model: Name of the model.
            revision: Name of the revision.
            size: Bytes that will be written.
            keep: Leave a snapshot that was filled without an error as ``ready``, for :meth:`take`.

        Raises:
            RevisionError: If the disk cannot hold it, however long one waits, or nobody makes place.
        """
        folder = self.root / model / f"{revision}.{socket.gethostname()}.{os.getpid()}"
        lock = self._admit(folder, size)
        kept = False
        try:
            with signs_of_life(folder):
                yield folder
            if keep:
                write_lease(folder, replace(read_lease(folder), state="ready"))
                kept = True
        finally:
            if not kept:
                self._delete(folder)
            os.close(lock)

    @contextlib.contextmanager
    def take(self, folder: Path, *, ticket: Path | None = None) -> Iterator[Path]:
        """Yields a ready snapshot of this store, and deletes it at the end, also after an error.

        With a ticket it is ready again after a good end, and goes when the ticket does: several jobs read it.

        A job that a scheduler takes off its node (SIGTERM) goes back into the queue and needs its input then: its
        snapshot is ready again.

        Raises:
            SnapshotGone: If it is gone, or another process works with it.
        """
        while ticket is not None and (folder / LEASE).is_file() and is_locked(folder / LOCK):
            time.sleep(self.poll)  # another of its readers is at work
        with self._alone():
            lock = try_lock(folder / LOCK) if (folder / LEASE).is_file() else None
            if lock is None:
                raise SnapshotGone(
                    f"snapshot {folder} is in use or gone (an attempt that fails leaves its place to another revision); "
                    "run snakemake again to fetch it"
                )
            before = read_lease(folder)
            write_lease(folder, replace(before, state="used", host=socket.gethostname()))
        kept = False
        try:
            with signs_of_life(folder):
                yield folder
            if ticket is not None:
                write_lease(folder, replace(before, ticket=str(ticket.resolve())))
                kept = True
        except JobTerminated:
            if is_queued():
                write_lease(folder, before)
                kept = True
            raise
        finally:
            if not kept:
                self._delete(folder)
            os.close(lock)

    def clean(self, *, ended: str = "") -> list[Path]:
        """Deletes every snapshot that no live process or run holds, and returns their folders.

        ``ended``: a run that has ended in order: nothing waits for its snapshots in a queue.
        """
        if not self.root.is_dir():
            return []
        with self._alone():
            return self._remove_abandoned(ended)

    def folders(self) -> list[Path]:
        """Returns the folders of all snapshots, whatever their state; others in the same place are not ours."""
        found = glob.glob(f"*/*/{LOCK}", root_dir=self.root)  # that of pathlib fails where a folder vanishes meanwhile
        return sorted(folder for name in found if is_snapshot(folder := (self.root / name).parent))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        admission = self.root / ADMISSION
        with first_free([admission], poll=0.02):
            admission.touch()
            yield

    def _admit(self, folder: Path, size: int) -> int:
        moved = time.monotonic()
        while True:
            with self._alone():
                self._remove_abandoned()
                others = self.folders()
                if self._has_place(size, others):
                    return _create(folder, size)
                if somebody_works() or any(is_locked(other / LOCK) for other in others):
                    moved = time.monotonic()
                elif time.monotonic() - moved > self.patience:
                    self._break_standstill(others, time.monotonic() - moved)
            time.sleep(self.poll)

    def _has_place(self, size: int, others: list[Path]) -> bool:
        if len(others) >= self.limit:
            return False
        coming = sum(max(0, read_lease(other).size - folder_size(other)) for other in others)
        free = shutil.disk_usage(self.root).free - coming - SPARE
        if size <= free:
            return True
        if others:
            return False  # each of them will be deleted, and then there is more
        raise RevisionError(
            f"{self.root.resolve()} has {(free + SPARE) / 1e9:.1f} GB free, this revision needs {size / 1e9:.1f} GB "
            f"and {SPARE / 1e9:.1f} GB stay free; free some, or set scratch to a larger disk"
        )

    def _break_standstill(self, others: list[Path], seconds: float) -> None:
        """Gives up a snapshot whose run seems gone; fails if all wait for jobs of this run that no queue delays."""
        runs = {other: read_lease(other).run for other in others}
        lost = [other for other, run in runs.items() if run != present_run() and not run_is_alive(run)]
        if lost:
            oldest = min(lost, key=lambda other: _changed(other / LEASE))
            LOG.warning("giving up the unused snapshot %s of another run", oldest)
            _remove(oldest)
        elif set(runs.values()) == {present_run()} and (not is_queued() or seconds > FORGOTTEN):
            raise RevisionError(
                f"all {len(others)} snapshots in {self.root} wait for their extraction, and no job has worked for "
                f"{seconds:.0f} s: the extractions failed before they began, or snakemake is ending; see its messages"
            )

    def _remove_abandoned(self, ended: str = "") -> list[Path]:
        gone = [folder for folder in self.folders() if self.is_abandoned(folder, ended)]
        for folder in gone:
            LOG.warning("deleting the abandoned snapshot %s", folder)
            _remove(folder)
        return gone

    def is_abandoned(self, folder: Path, ended: str = "") -> bool:
        """Returns whether no live process or run holds a snapshot; ``ended``: as for :meth:`clean`."""
        if is_locked(folder / LOCK):
            return False
        lease = read_lease(folder)
        if lease.state == "ready" and lease.ticket and not Path(lease.ticket).exists():
            return True
        waits_in_queue = lease.state == "ready" and lease.queued and lease.run != ended
        if lease.host != socket.gethostname() or waits_in_queue:
            now = (self.root / ADMISSION).stat().st_mtime  # the file server's clock, as in the lease
            silent = now - max(_changed(folder), _changed(folder / LEASE))
            return silent > (FORGOTTEN if lease.state == "ready" else SILENCE)
        return lease.state != "ready" or not run_is_alive(lease.run)

    def _delete(self, folder: Path) -> None:
        with self._alone():
            _remove(folder)


def _create(folder: Path, size: int) -> int:
    _remove(folder)  # a process of the same number, long ago
    folder.mkdir(parents=True)
    lock = try_lock(folder / LOCK)
    assert lock is not None, "nobody else can know the new folder"
    lease = Lease(state="fetching", size=size, host=socket.gethostname(), run=present_run(), queued=is_queued())
    write_lease(folder, lease)
    return lock


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def tidy(root: Path, tickets: Path) -> None:
    """Deletes what dead jobs and runs left below ``root``, and tickets without a snapshot; once more when this process ends."""
    # Snakemake ends in another working directory than its jobs.
    store, tickets = Store(root=root.resolve(), limit=1), tickets.resolve()

    def clean(ended: str = "") -> None:
        store.clean(ended=ended)
        drop_dead_tickets(tickets)

    clean()
    atexit.register(lambda: clean(present_run()))


def drop_dead_tickets(folder: Path) -> None:
    """Deletes the tickets (split mode) whose snapshot is gone, so that its revision is fetched again."""
    for path in folder.glob("*/*.json"):
        if not _snapshot_of(path).is_dir():
            path.unlink(missing_ok=True)


def is_lost(ticket: Path) -> bool:
    """Returns whether a ticket (split mode) is there without a snapshot, or with one that :func:`tidy` would delete."""
    if not ticket.exists():
        return False
    folder = _snapshot_of(ticket)
    return not folder.is_dir() or Store(root=folder.parents[1], limit=1).is_abandoned(folder)


def _snapshot_of(ticket: Path) -> Path:
    """Returns the folder that a ticket names; one that is not there if the ticket is damaged."""
    try:
        return Path(json.loads(ticket.read_text(encoding="utf-8"))["path"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ticket / "none"


def _remove(folder: Path) -> None:
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.05)  # a transfer that was told to stop may still make a file
    with contextlib.suppress(OSError):  # other revisions of the model are there
        folder.parent.rmdir()
