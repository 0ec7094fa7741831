"""The log of a job, its progress, and what SIGTERM does to it."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from w2sg.runtime import driver
from w2sg.runtime.locks import share_lock

QUIET = "W2SG_QUIET"
"""Environment variable that is set where the terminal is a panel's, which reads the logs."""

YOUNG = 10_000
"""New objects after which the collector of cycles looks at them in a job, where Python's own number is 700."""

_TERMINAL: list[TextIO] = []
"""The stream that was standard error before :func:`log_to` took it; progress is shown there too."""


class JobTerminated(SystemExit):
    """Raised inside a job on SIGTERM, so that ``finally`` blocks run before the process ends."""


def _terminate(signum: int, frame: Any) -> None:
    raise JobTerminated(128 + signum)


@contextlib.contextmanager
def log_to(path: str | os.PathLike[str], *, working: bool = True) -> Iterator[TextIO]:
    """Yields the open log of a job; stdout, stderr, warnings and the traceback go there.

    The last line of an error is repeated on the terminal, so that a user sees the reason without opening the log; what
    this package warns of, such as a wait, is shown there too.
    SIGTERM (a scheduler's notice) becomes an exception: clean-up code runs and the exit status is 143.
    The log is locked meanwhile, which shows that the job runs. Where a panel shows the logs themselves (:data:`QUIET`), or the
    user stops the run, nothing is repeated on the terminal. Cycles of objects are seldom looked for meanwhile.

    Args:
        path: Log file; its folder is created. An existing log is replaced.
        working: Whether the job counts as work in progress, see :func:`w2sg.runtime.driver.working`; one that waits does not.

    Yields:
        The log stream, line buffered, UTF-8.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = driver.working() if working else contextlib.nullcontext()
    with shown, contextlib.ExitStack() as ended, target.open("w", encoding="utf-8", buffering=1) as log:
        with contextlib.suppress(OSError):  # a file system without locks
            held = share_lock(target)
            if held is not None:
                ended.callback(os.close, held)
        terminal = ended.enter_context(open(os.devnull, "w", encoding="utf-8")) if os.environ.get(QUIET) else sys.stderr
        ended.enter_context(_collecting_seldom())
        _TERMINAL.append(terminal)
        previous = _install_sigterm()
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), _warnings_to(log, terminal):
                warnings.simplefilter("default")
                try:
                    yield log
                except BaseException as error:
                    traceback.print_exc(file=log)
                    facts = "".join(f"  {note}\n" for note in getattr(error, "__notes__", ()))
                    if not isinstance(error, JobTerminated | KeyboardInterrupt):
                        terminal.write(f"{type(error).__name__}: {error}\n{facts}  full traceback: {target}\n")
                    # The traceback is already where the user is sent; a second copy would bury the reason.
                    raise SystemExit(error.code if isinstance(error, SystemExit) else 1) from None
        finally:
            _TERMINAL.pop()
            if previous is not None:
                signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Lets the collector of cycles look seldom, and not once more as the process ends.

    What it visits are the objects of torch and transformers, which stay: a third of a short job's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(YOUNG, *before[1:])
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextlib.contextmanager
def _warnings_to(*streams: TextIO) -> Iterator[None]:
    package = logging.getLogger("w2sg")
    handlers = [logging.StreamHandler(stream) for stream in streams]
    for handler in handlers:
        handler.setLevel(logging.WARNING)
        package.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            package.removeHandler(handler)


def _install_sigterm() -> Any:
    try:
        return signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread: tests may call a script's main from a worker
        return None


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
