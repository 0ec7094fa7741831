"""File locks that the system frees when their holder dies, however it dies. Standard library only.

Some are shared, which the locks of the package filelock are not; and where a file system knows no locks, the files that it
puts in their place outlive a killed holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Returns a descriptor that holds the lock of a file (made if need be), or None if another process holds it.

    The lock is free again when the descriptor is closed. Children that are started with ``exec`` do not inherit it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def share_lock(path: Path) -> int | None:
    """Returns a descriptor that holds a share of the lock of an existing file, or None where there is no such file.

    Any number of processes share it; while one does, :func:`is_locked` says so.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextlib.contextmanager
def first_free(paths: Sequence[Path], *, poll: float = 0.2) -> Iterator[int]:
    """Yields the position of the first lock, by preference, that could be taken, and holds it meanwhile.

    While all are taken it waits, ``poll`` seconds between two rounds; the folder of the files exists.
    """
    while True:
        for position, path in enumerate(paths):
            descriptor = try_lock(path)
            if descriptor is not None:
                try:
                    yield position
                finally:
                    os.close(descriptor)
                return
        time.sleep(poll)


def is_locked(path: Path) -> bool:
    """Returns whether a process holds the lock of a file, or a share of it; one that is not there, nobody.

    Needs the right to read the file only, as one has of another user's study.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
