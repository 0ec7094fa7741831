"""Job log, atomic files, progress and device claim: everything a script needs from the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from w2sg import runs
from w2sg.locks import first_free

_KEEP = {-1: -1, -4: 0, -8: 1}
"""Settings of ``mallopt``: trim nothing (M_TRIM_THRESHOLD), map no array by itself (M_MMAP_MAX), one pool (M_ARENA_MAX)."""
_UMASK = os.umask(0)
os.umask(_UMASK)  # there is no way to read it but to set it
_TERMINAL: list[TextIO] = []
"""The stream that was standard error before :func:`log_to` took it; progress is shown there too."""


class JobTerminated(SystemExit):
    """Raised inside a job on SIGTERM, so that ``finally`` blocks run before the process ends."""


def _terminate(signum: int, frame: Any) -> None:
    raise JobTerminated(128 + signum)


@contextlib.contextmanager
def log_to(path: str | os.PathLike[str], *, working: bool = True) -> Iterator[TextIO]:
    """Yields the open log of a job; stdout, stderr, warnings and the traceback go there.

    The last line of an error is repeated on the terminal, so that a user sees the reason without opening the log.
    SIGTERM (a scheduler's notice) becomes an exception: clean-up code runs and the exit status is 143.

    Args:
        path: Log file; its folder is created. An existing log is replaced.
        working: Whether the job counts as work in progress, see :func:`w2sg.runs.working`; one that waits does not.

    Yields:
        The log stream, line buffered, UTF-8.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = runs.working() if working else contextlib.nullcontext()
    with shown, target.open("w", encoding="utf-8", buffering=1) as log:
        terminal = sys.stderr
        _TERMINAL.append(terminal)
        previous = _install_sigterm()
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                warnings.simplefilter("default")
                try:
                    yield log
                except BaseException as error:
                    traceback.print_exc(file=log)
                    facts = "".join(f"  {note}\n" for note in getattr(error, "__notes__", ()))
                    terminal.write(f"{type(error).__name__}: {error}\n{facts}  full traceback: {target}\n")
                    # The traceback is already where the user is sent; a second copy would bury the reason.
                    raise SystemExit(error.code if isinstance(error, SystemExit) else 1) from None
        finally:
            _TERMINAL.pop()
            if previous is not None:
                signal.signal(signal.SIGTERM, previous)


def _install_sigterm() -> Any:
    try:
        return signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread: tests may call a script's main from a worker
        return None


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


def pin_threads(threads: int) -> None:
    """Fixes the CPU threads of array libraries, whatever the machine offers: sums then have the same order everywhere."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)


@contextlib.contextmanager
def claim_device(device: str) -> Iterator[str]:
    """Yields the device for the block: one GPU, held so that forward passes of other jobs wait while their downloads go on.

    The lock is one file per GPU in the machine's temporary folder: it holds across working directories, and the system
    frees it when the job dies. On a CPU nothing is claimed, for Snakemake shares out its cores already.

    Args:
        device: ``cpu`` or ``cuda``.

    Yields:
        ``cpu``, or the claimed GPU as ``cuda:1``; that number must be given to what loads a model, for libraries take
        plain ``cuda`` to mean the first one.
    """
    if device != "cuda":
        yield device
        return
    import torch

    folder = Path(tempfile.gettempdir()) / f"w2sg-devices-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with first_free([folder / f"{name}.lock" for name in _device_names()]) as position:
        torch.cuda.set_device(position)
        yield f"cuda:{position}"


def _device_names() -> list[str]:
    """Returns a name for each GPU that this process sees, the same in all processes: a scheduler may show every job a GPU 0."""
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(visible) == count and all(name.startswith("MIG-") for name in visible):
        names = visible  # parts of one GPU, whose UUID they may share
    else:
        names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(count)]
    return [re.sub("[^A-Za-z0-9-]", "_", name) for name in names]


def keep_memory() -> None:
    """Lets the C library keep what arrays leave behind: large ones come and go in numerical jobs.

    By default memory of each large array goes back to the kernel and comes again page by page, which took a fifth of
    the time of heads of a 7B-wide model. A limit of threads' own memory to one pool lets them share it. Where the
    library has no such settings (macOS, musl) nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in _KEEP.items():
            mallopt(setting, value)


class Progress:
    """Counter of a long job that reports rate and remaining time to the log and to the terminal.

    Args:
        label: What is being done, such as ``pretrain nano-strong``.
        total: Number of units the job has.
        unit: Name of a unit, such as ``tokens``.
        done: Units finished by an earlier, interrupted run; they do not count in the rate.
        every: Seconds between reports.
    """

    def __init__(self, label: str, total: int, unit: str, *, done: int = 0, every: float = 10.0) -> None:
        """Starts the clock; see the class for the arguments."""
        if total <= 0:
            raise ValueError(f"total must be positive, got {total}")
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.done, self._before = done, done
        self._start = self._last = time.monotonic()

    def update(self, n: int, **facts: float) -> None:
        """Adds ``n`` units, takes them back if negative; ``facts`` (``loss=5.1``) are shown when a report is due."""
        unfinished = self.done < self.total
        self.done += n
        now = time.monotonic()
        if now - self._last >= self.every or (unfinished and self.done >= self.total):
            self._last = now
            self._report(now, facts)

    def _report(self, now: float, facts: dict[str, float]) -> None:
        elapsed = max(now - self._start, 1e-9)
        rate = (self.done - self._before) / elapsed
        left = max(self.total - self.done, 0) / rate if rate > 0 else float("inf")
        share = min(100 * self.done / self.total, 100.0)
        shown = "".join(f" · {name} {value:.4g}" for name, value in facts.items())
        line = (
            f"{self.label}: {self.done:,}/{self.total:,} {self.unit} "
            f"({share:.0f} %) · {rate:,.0f} {self.unit}/s{shown} · {left:.0f} s left"
        )
        for stream in {id(s): s for s in (sys.stderr, *_TERMINAL[-1:])}.values():
            stream.write(line + "\n")
            stream.flush()
