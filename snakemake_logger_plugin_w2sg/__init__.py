"""What Snakemake shows with ``--logger w2sg``: a panel on a terminal, plain lines elsewhere.

Snakemake imports every plugin at its start, so that nothing of the project is imported before the Snakefile has been read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from logging import WARNING, LogRecord
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

if TYPE_CHECKING:
    from w2sg.command.record import Run

QUIET = "W2SG_QUIET"
"""As :data:`w2sg.runtime.jobs.QUIET`: jobs leave the terminal to the panel, which reads their logs."""

_SILENT = {event for event in LogEvent if event not in (LogEvent.ERROR, LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR)}
"""Events of which the panel shows what they change, not what they say."""

_NOISE = (
    "Assuming unrestricted", "Building DAG", "Complete log", "Conda environments: ignored", "Elapsed time", "Execute ", "Exiting because",
    "Provided ", "RuleException", "Select jobs", "Removing output", "Shutting down", "Singularity containers", "Storing ",
    "Trying to restart", "Using shell", "WorkflowError:\nAt least one job", "host: ", "Finished job", "Touching", "Removing temp",
    "Using workflow specific profile", "Config file ",
)  # fmt: skip
"""How messages begin that say nothing to a user."""

_STOPPING = ("Terminating processes", "Will exit after", "Cancelling")
"""How messages begin once the user stops a run."""

_EVERY = 2.0
"""Seconds between two looks at the files."""


class LogHandler(LogHandlerBase):
    """Shows stages with their counts, the time that is left, running jobs with their own progress, and failures as they come."""

    def __post_init__(self) -> None:
        """Decides between panel and lines; a dry run is Snakemake's own text."""
        self.console = Console(stderr=not self.common_settings.stdout, highlight=False)
        self.panel = self.console.is_terminal and not self.common_settings.dryrun
        if self.panel:
            os.environ[QUIET] = "1"
        self._live: Live | None = None
        self._run: Run | None = None
        self._path = Path()
        self._frame: RenderableType = Text()
        self._line = ""
        self._looked = -_EVERY
        self._jobs: dict[int, Mapping[str, Any]] = {}
        self._ended = self._stopping = False
        self._last = ""

    def emit(self, record: LogRecord) -> None:
        """Shows what a record says, or what it changes."""
        event = getattr(record, "event", None)
        if self.common_settings.dryrun:
            self._say(self.format(record))
        elif path := getattr(record, "w2sg_run", None):
            self._begin(Path(path), record.getMessage())
        elif getattr(record, "w2sg_end", False):
            self._read()  # which jobs failed is known now
            self._looked = -_EVERY
            self._stop()
            self._say(record.getMessage())
            self._ended = True
        elif event == LogEvent.JOB_INFO:
            self._jobs[record.__dict__["jobid"]] = record.__dict__
            if not record.__dict__.get("output"):  # a target that prints: the terminal is its own
                self._stop()
        elif event == LogEvent.JOB_FINISHED:
            self._finished(record.__dict__.get("job_id"))
        elif event == LogEvent.JOB_ERROR:
            self._failed(record.__dict__)
        elif event not in _SILENT:
            self._message(record)

    def _begin(self, path: Path, text: str) -> None:
        self._path = path.resolve()
        self._read()
        self._say(text)
        if self.panel:
            self._live = Live(
                console=self.console, refresh_per_second=1, get_renderable=self._shown, vertical_overflow="crop"
            )
            self._live.start()

    def _read(self) -> None:
        from w2sg.command.record import read_record

        if self._path.is_file():
            self._run = read_record(self._path)

    def _shown(self) -> RenderableType:
        if time.monotonic() - self._looked > _EVERY:
            self._look()
        return self._frame

    def _look(self) -> None:
        from w2sg.command.frames import status_frame

        self._looked = time.monotonic()
        self._frame = status_frame(self._status(), failures=False)

    def _status(self) -> Any:
        from w2sg.command.state import status_of

        assert self._run is not None
        return status_of(self._run, self._path, disk=False)

    def _finished(self, number: Any) -> None:
        if self._run is None or self._ended or self.panel:  # the panel looks by itself
            return
        from w2sg.command.frames import head_line
        from w2sg.command.state import STAGES

        if time.monotonic() - self._looked > _EVERY:  # it reads the files of all jobs
            self._looked, self._line = time.monotonic(), head_line(self._status())
        job = self._jobs.get(number, {})
        if job.get("output"):
            named = f"{STAGES.get(job['rule_name'], job['rule_name'])} {_name(job)}".strip()
            self._say(f"{time.strftime('%H:%M:%S')} {named} · {self._line}")

    def _failed(self, job: Mapping[str, Any]) -> None:
        if self._stopping or self._ended:
            return
        from w2sg.command.state import reason_in

        named = f"{job['rule_name']} {_name(self._jobs.get(job['jobid'], job))}".strip()
        logs = [str(path) for path in job.get("log") or []]
        reason = reason_in(Path(logs[0])) if logs else "its rule has no log"
        self._say(f"failed: {named}: {reason}\n    {', '.join(logs)}".rstrip(), style="red")

    def _message(self, record: LogRecord) -> None:
        text = self.format(record)
        if text.startswith(_STOPPING):
            if text.startswith("Will exit after") and not self._stopping:
                self._say("stopping once the running jobs have ended; Ctrl-C ends them at once")
            self._stopping = True
        elif (
            not self._ended
            and not self._stopping
            and text.strip()
            and not text.strip().startswith(_NOISE)
            and text != self._last
        ):
            self._last = text
            self._say(text, style="yellow" if record.levelno >= WARNING else "")

    def _say(self, text: str, *, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    def _stop(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def close(self) -> None:
        """Leaves the last frame on the terminal."""
        self._stop()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Returns that it takes the place of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Returns that it writes no file."""
        return False

    @property
    def has_filter(self) -> bool:
        """Returns that Snakemake's filter is used, so that ``--quiet`` means what it says."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Returns that Snakemake's texts are used where one is shown."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Returns that it draws no graph."""
        return False


def _name(job: Mapping[str, Any]) -> str:
    from w2sg.command.record import Job

    wildcards = {key: str(value) for key, value in dict(job.get("wildcards") or {}).items()}
    return Job(rule=job["rule_name"], wildcards=wildcards, output=[]).name
