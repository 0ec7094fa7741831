"""How far a study is: read from the files that its jobs leave, beside a run or after it. Standard library only, no lock of Snakemake.

A job's log is locked while the job runs, its benchmark says how long it took, and its traceback why it failed.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from w2sg.command.record import Job, Run, is_alive
from w2sg.runtime.files import folder_size
from w2sg.runtime.locks import is_locked

STATES = ("done", "running", "failed", "waiting")
"""What a job can be."""

STAGES = {
    "fetch_corpus": "text",
    "fetch_pairs": "pairs",
    "measure_floors": "floors",
    "train_tokenizer": "tokenizer",
    "pretrain_family": "pre-training",
    "choose_revisions": "rounds",
    "audit_revisions": "audit",
    "fetch_revision": "download",
    "extract_activations": "activations",
    "train_supervisor": "supervisor",
    "train_chain": "supervisor",
    "join_supervisors": "supervisor",
    "read_labels": "supervisor",
    "train_heads": "heads",
    "train_weak_students": "supervisor's students",
    "train_students": "trained students",
    "simulate_experiment": "theory",
    "simulate_landscape": "theory",
    "simulate_phase": "theory",
    "simulate_first_phase": "theory",
}
"""Stages of a study by rule."""

JOINING = "tables and report"
"""The stage of all other rules, which join, draw or write."""

_STOPPED = ("w2sg.runtime.jobs.JobTerminated", "KeyboardInterrupt")
"""How the error of a job begins that was told to end."""

_SHORT = 5.0
"""Seconds that a job without a benchmark is taken to last; these stages are short."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A job that failed in this run."""

    rule: str
    name: str
    """What tells it from the others of its rule."""
    reason: str
    """The error in one line."""
    log: str

    @property
    def title(self) -> str:
        """Returns rule and name."""
        return f"{self.rule} {self.name}".strip()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The jobs of one stage that are about one family or model."""

    stage: str
    subject: str
    """Family or model; empty if all."""
    counts: Mapping[str, int]
    """Jobs by state."""
    seconds: float | None
    """Mean seconds of a job, measured; None if none was."""
    hourly: float | None
    """Jobs an hour in this run; None before its first one."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """A study at one moment."""

    study: str
    started: float
    """Seconds since 1970."""
    alive: bool
    """Whether its run goes on."""
    planned_hours: float | None
    stages: Sequence[Stage]
    counts: Mapping[str, int]
    """Jobs by state."""
    left: float | None
    """Seconds until all is done (once a run is over with its failed jobs), from measured times; None where none is there."""
    at_least: bool
    """Whether a stage that is not done was not measured, so that it takes longer."""
    failures: Sequence[Failure]
    running: Sequence[tuple[str, str]]
    """Name of each running job, and the last line of its log."""
    disk: Mapping[str, int] = field(default_factory=dict)
    """Bytes by folder, and what is free."""


def status_of(run: Run, path: Path, *, folder: Path = Path(), disk: bool = True) -> Status:
    """Returns how far a run is; it was left at ``path``, and its files are relative to ``folder``, where it works.

    ``disk``: whether the study's folders are measured too, which takes a second or two for large ones.
    """
    alive = is_alive(path)
    states = [job_state(job, run, folder, alive=alive) for job in run.jobs]
    measured = [measured_time(folder / job.benchmark) if job.benchmark else None for job in run.jobs]
    stages: dict[tuple[str, str], list[int]] = {}
    for index, job in enumerate(run.jobs):
        stage = STAGES.get(job.rule, JOINING)
        stages.setdefault((stage, "" if stage == JOINING else job.subject), []).append(index)
    own = [
        index
        for index, job in enumerate(run.jobs)
        if job.wanted and states[index] == "done" and measured[index] is not None
    ]
    finished_here = set(own)
    elapsed = max((time.time() if alive else _last_end(run, folder)) - run.started, 1.0)
    rows = []
    for (stage, subject), members in _in_order(stages):
        finished = [index for index in members if index in finished_here]
        rows.append(
            Stage(
                stage=stage,
                subject=subject,
                counts=_counted(states[index] for index in members),
                seconds=_mean(measured[index] for index in members),
                hourly=len(finished) / elapsed * 3600 if finished else None,
            )
        )
    again = states if alive else ["waiting" if state == "failed" else state for state in states]
    left, at_least = _time_left(run, again, measured, at_once=sum(measured[i] or 0 for i in own) / elapsed)
    return Status(
        study=run.study,
        started=run.started,
        alive=alive,
        planned_hours=run.hours,
        stages=rows,
        counts=_counted(states),
        left=left,
        at_least=at_least,
        failures=[_failure(job, run, folder) for job, state in zip(run.jobs, states, strict=True) if state == "failed"],
        running=[
            (f"{STAGES.get(job.rule, job.rule)} {job.name}".strip(), last_line(folder / job.log))
            for job, state in zip(run.jobs, states, strict=True)
            if state == "running"
        ],
        disk=_disk(run, folder) if disk else {},
    )


def job_state(job: Job, run: Run, folder: Path, *, alive: bool) -> str:
    """Returns the state of a job: one of :data:`STATES`.

    A job that was killed leaves no traceback: it failed if its run goes on without it, or said so at its end, and waits for the
    next one otherwise.
    """
    if not job.wanted:
        return "done"
    log = folder / job.log
    if all(_written(folder / path) >= run.started - 1 for path in job.output):
        return "done"
    if not {*run.failed}.isdisjoint(job.output):
        return "failed"
    begun = _begun(job, run, folder)
    if not begun:
        return "waiting"
    if job.benchmark and _written(folder / job.benchmark) >= begun:
        return "done"  # what it made was temporary
    if alive and (_is_locked(log) or (run.executor != "local" and not error_in(log))):
        return "running"
    if error := error_in(log):
        return "waiting" if error.startswith(_STOPPED) else "failed"
    return "failed" if alive else "waiting"


def error_in(log: Path) -> str:
    """Returns the first line of the error whose traceback ends a log; empty text if none does."""
    last = _tail(log).rpartition("Traceback (most recent call last):\n")[2]
    found = re.match(r"(?:[ \t].*\n|\n)+(\S.*)", last)
    return found[1] if found else ""


def last_line(log: Path) -> str:
    """Returns the last line of a log that is not empty, such as a job's progress."""
    lines = _tail(log).split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def reason_in(log: Path) -> str:
    """Returns why a job failed, in one line: the error that ends its log, without the name of its module."""
    error = error_in(log)
    if error.startswith(_STOPPED):
        return "it was told to end, such as at its time limit"
    return re.sub(r"^(\w+\.)+", "", error) or "it was killed, such as by the system where memory is short"


def _begun(job: Job, run: Run, folder: Path) -> float:
    """When a job began to write its log in this run; 0 if it has not, or has none."""
    begun = _written(folder / job.log) if job.log else 0.0
    return begun if begun >= run.started - 1 else 0.0


def _failure(job: Job, run: Run, folder: Path) -> Failure:
    reason = reason_in(folder / job.log) if _begun(job, run, folder) else "it left no log; that of Snakemake says more"
    return Failure(rule=job.rule, name=job.name, reason=reason, log=job.log or ".snakemake/log")


def _in_order(stages: Mapping[tuple[str, str], list[int]]) -> list[tuple[tuple[str, str], list[int]]]:
    order = [*dict.fromkeys(STAGES.values()), JOINING]
    return sorted(stages.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))


def _time_left(
    run: Run, states: Sequence[str], measured: Sequence[float | None], *, at_once: float
) -> tuple[float | None, bool]:
    """Seconds that are left if as many jobs work at once as until now, and whether some of the jobs were never measured."""
    known: dict[tuple[str, str], list[float]] = {}
    for job, seconds in zip(run.jobs, measured, strict=True):
        if seconds is not None:
            for key in ((job.rule, job.subject), (job.rule, "")):
                known.setdefault(key, []).append(seconds)
    if not known:
        return None, True
    total, at_least = 0.0, False
    for job, state in zip(run.jobs, states, strict=True):
        if state in ("running", "waiting"):
            own = known.get((job.rule, job.subject), [])
            each = _mean(own or known.get((job.rule, ""), [])) if job.benchmark else _SHORT
            at_least |= bool(job.benchmark) and not own  # other models' times may be far from its own
            total += (each or 0.0) * (0.5 if state == "running" else 1.0)
    return total / (at_once or max(states.count("running"), 1)), at_least


def _counted(states: Iterable[str]) -> dict[str, int]:
    found = Counter(states)
    return {state: found[state] for state in STATES}


def measured_time(path: Path) -> float | None:
    """Returns the seconds that a benchmark of Snakemake says a job took; None if it is not there, or not whole."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return float(lines[1].split("\t")[0])
    except (OSError, IndexError, ValueError):
        return None


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return math.fsum(found) / len(found) if found else None


def _last_end(run: Run, folder: Path) -> float:
    """When the last job of a run that is over ended, or began."""
    return max((_written(folder / job.log) for job in run.jobs if job.wanted and job.log), default=run.started)


def _written(path: Path) -> float:
    """When a file was last written; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_locked(path: Path) -> bool:
    try:
        return is_locked(path)
    except OSError:
        return False


def _tail(path: Path, size: int = 16384) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - size, 0))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _disk(run: Run, folder: Path) -> dict[str, int]:
    folders = [f"results/{run.study}", "results/activations", "results/pretrained", run.config.get("scratch", "")]
    used = {name: size for name in folders if name and (size := folder_size(folder / name))}
    facts = os.statvfs(folder)
    return used | {"free": facts.f_bavail * facts.f_frsize}
