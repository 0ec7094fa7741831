"""What a run of Snakemake is about to do, left in a file, so that anybody can see how far it is. Standard library only.

The main process holds a share of the file's lock until it ends, however it ends: whether a run lives is read from that.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from w2sg.runtime.files import atomic_path
from w2sg.runtime.locks import is_locked, share_lock

FILE = "run.json"
"""Name of the file in the folder of a study."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a study, whether or not this run has to do it."""

    rule: str
    """Its rule."""
    wildcards: Mapping[str, str]
    """Model, family, revision, dataset and the like."""
    output: Sequence[str]
    """Its files."""
    log: str = ""
    """Its log; empty if its rule has none."""
    benchmark: str = ""
    """Where Snakemake writes how long it took; empty if its rule has none."""
    wanted: bool = True
    """Whether this run has to do it; else it was done before."""

    @property
    def subject(self) -> str:
        """Returns the family or the model that it is about; empty if all."""
        return self.wildcards.get("family") or self.wildcards.get("model") or ""

    @property
    def name(self) -> str:
        """Returns what tells it from the others of its rule: ``nano/step512/newsgroups_tech``."""
        keys = ("family", "model", "revision", "dataset", "corpus", "experiment")
        known = [self.wildcards[key] for key in keys if key in self.wildcards]
        return "/".join(known) or "/".join(value for key, value in self.wildcards.items() if key != "study")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a study."""

    study: str
    """Its name."""
    started: float
    """Seconds since 1970."""
    cores: int | None
    """Cores of the run; None where a cluster gives each job its own."""
    executor: str
    """Snakemake's executor: ``local``, ``slurm``, ``kubernetes``."""
    project: str
    """Folder of the Snakefile."""
    environments: str = ""
    """Folder of the environments where conda makes them; empty: the jobs run in the environment of Snakemake."""
    hours: float | None = None
    """Planned hours of the whole study; None where they are unknown."""
    jobs: Sequence[Job] = field(default_factory=list)
    """Every job that leaves files, the stages in the order of their first job."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The checked configuration."""
    failed: Sequence[str] = field(default_factory=list)
    """Files that failed jobs were to make, as Snakemake says at the end of a run that did not end well."""


def describe_jobs(dag: Any) -> list[Job]:
    """Returns the jobs of Snakemake's graph that leave files, in an order in which they could run.

    What has no reason to run was done before.
    """
    return [
        Job(
            rule=job.rule.name,
            wildcards=dict(job.wildcards_dict),
            output=[str(path) for path in job.output],
            log=str(job.log[0]) if job.log else "",
            benchmark=str(job.benchmark or ""),
            wanted=bool(dag.reason(job)),
        )
        for level in dag.toposorted()
        for job in sorted(level, key=lambda job: (job.rule.name, str(job.output)))
        if job.output
    ]


def leave_record(folder: Path, run: Run) -> Path:
    """Writes a run's file into the folder of its study, holds its lock until this process ends, and returns its path.

    Where the disk takes no file the run goes on without: it cannot be watched then, and its jobs say what is wrong.
    """
    path = folder / FILE
    with contextlib.suppress(OSError):  # also a file system without locks
        _write(path, run)
        _HELD[path.resolve()] = share_lock(path)
    return path


def leave_failed(path: Path, failed: Iterable[str]) -> Run:
    """Adds to a run's file which files its failed jobs were to make, and returns the run, which is over."""
    run = replace(read_record(path), failed=sorted(failed))
    with contextlib.suppress(OSError):
        _write(path, run)  # a new file, which nobody locks
    return run


def _write(path: Path, run: Run) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(run)) + "\n", encoding="utf-8")


_HELD: dict[Path, int | None] = {}
"""Descriptors by file, closed when the process ends."""


def is_own(path: Path) -> bool:
    """Returns whether this process left a file; one that only reads a study has no run."""
    return path.resolve() in _HELD


def read_record(path: Path) -> Run:
    """Returns the run that left a file.

    Raises:
        ValueError: If the file is none of these.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Run(**values | {"jobs": [Job(**job) for job in values["jobs"]]})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not what a run leaves ({error}); run the study again") from None


def is_alive(path: Path) -> bool:
    """Returns whether the run that left a file still runs; False where the file system knows no locks."""
    try:
        return is_locked(path)
    except OSError:
        return False
