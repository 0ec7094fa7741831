"""Files that are whole or not there: written beside, flushed, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

_UMASK = os.umask(0)
os.umask(_UMASK)  # there is no way to read it but to set it


def sha256(*parts: bytes | memoryview) -> str:
    """Returns the SHA-256 of bytes, given in any number of parts, as hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_size(folder: Path) -> int:
    """Returns the bytes of the files below a folder that are there at this moment; a link counts as itself."""
    total = 0
    for parent, _, names in os.walk(folder):  # rglob fails where a folder vanishes meanwhile
        for name in names:
            with contextlib.suppress(OSError):  # parts are renamed while we look
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def temporary_beside(path: Path) -> Path:
    """Returns a temporary name beside ``path`` that no output pattern matches and no other process uses."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")


def _remove_abandoned(path: Path) -> None:
    """Removes the temporary files beside ``path`` whose process, of this machine, was killed."""
    prefix = f".{path.name}.{socket.gethostname()}."
    for found in path.parent.iterdir():
        owner = found.name.removeprefix(prefix).removesuffix(".tmp")
        if found.name == f"{prefix}{owner}.tmp" and owner.isdigit() and not _is_alive(int(owner)):
            _remove(found)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return process != os.getpid()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path that replaces ``path`` when the block ends well, and vanishes when it does not.

    The file (or every file of the folder) is flushed to disk before the rename, and the parent folder after it:
    a crash leaves either the old content or the new one, never half of it. What killed processes left is removed first.

    Args:
        path: Final file or folder. A folder that exists already is removed just before the rename.

    Yields:
        The temporary path, in the same folder (same file system) as ``path``; nothing exists there yet.

    Raises:
        BaseException: What the block or the disk raises, with a note that names ``path``.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    _remove_abandoned(target)
    try:
        yield temporary
        _flush(temporary)
        if target.is_dir() and temporary.is_dir():
            _remove(target)
        os.replace(temporary, target)
        _fsync(target.parent)
    except BaseException as error:
        error.add_note(f"{target} was not written")
        raise
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    for item in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if item.is_file():
            item.chmod(0o666 & ~_UMASK)  # some libraries write for the owner alone
            _fsync(item)
    if path.is_dir():
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
