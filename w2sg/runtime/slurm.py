"""The jobs that an earlier Snakemake left in a Slurm queue: a killed driver's jobs go on without it. Standard library only.

``python -m w2sg.runtime.slurm wait`` in the study's folder returns when none is left, ``cancel`` ends them first, ``list`` shows them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

RUN_NAME = re.compile(r"(\S+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What Snakemake calls its jobs: a prefix from the profile and the UUID of the run. Nobody else's jobs look like that."""

FIELDS = "%i|%t|%j|%Z"
"""The columns of squeue that are read: number, state, name, working directory (the last, for it may hold any letter)."""

STATES = "PENDING,CONFIGURING,RUNNING,SUSPENDED"
"""Those of jobs that will still write. A completing job writes no more, and may be shown for minutes."""


class QueueError(RuntimeError):
    """Slurm's queue could not be read, or still holds jobs of an earlier run."""


def queued_jobs(folder: Path) -> dict[str, str]:
    """Returns the state (``PD``, ``R``, ...) of this user's Snakemake jobs that wait or run for a study's folder, by number.

    Raises:
        QueueError: If squeue fails; the message quotes it.
    """
    answer = _call("squeue", "--me", "--noheader", "--states", STATES, "--format", FIELDS)
    lines = sorted(line.split("|", 3) for line in answer.splitlines())
    there = folder.resolve()
    return {n: state for n, state, name, place in lines if RUN_NAME.fullmatch(name) and Path(place).resolve() == there}


def refuse_leftovers(folder: Path) -> None:
    """Raises an error while jobs of an earlier run are queued for this folder: submitted again, their work is done twice.

    Raises:
        QueueError: If there are such jobs, with the commands that help, or if the queue cannot be read.
    """
    jobs = queued_jobs(folder)
    if jobs:
        raise QueueError(
            f"{_count(jobs)} of an earlier run of this folder still in Slurm's queue: {_numbers(jobs)}. Wait for them "
            "with `python -m w2sg.runtime.slurm wait`, or end them with `python -m w2sg.runtime.slurm cancel`; then start again"
        )


def await_leftovers(folder: Path, *, poll: float = 10.0) -> None:
    """Returns when no job of an earlier run is queued for this folder; ``poll``: seconds between two looks."""
    shown = 0
    while jobs := queued_jobs(folder):
        if len(jobs) != shown:
            sys.stderr.write(f"waiting for {_count(jobs)} of an earlier run: {_numbers(jobs)}\n")
            shown = len(jobs)
        time.sleep(poll)


def _count(jobs: dict[str, str]) -> str:
    return f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}"


def _numbers(jobs: dict[str, str]) -> str:
    names = [f"{number} {state}" for number, state in jobs.items()]
    return ", ".join([*names[:10], *(["..."] if len(names) > 10 else [])])


def _call(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except FileNotFoundError:
        raise QueueError(f"{command[0]} was not found: this is no machine from which jobs are submitted") from None
    except subprocess.CalledProcessError as error:
        raise QueueError(f"{command[0]} failed: {error.stderr.strip()}") from None
    except subprocess.TimeoutExpired:
        raise QueueError(f"{command[0]} gave no answer within two minutes; is Slurm's controller up?") from None
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m w2sg.runtime.slurm", description=__doc__)
    parser.add_argument("action", choices=["list", "wait", "cancel"])
    parser.add_argument("--folder", type=Path, default=Path(), help="the study's working directory; default: this one")
    parser.add_argument("--poll", type=float, default=10.0, help="seconds between two looks")
    options = parser.parse_args(arguments)
    try:
        if options.action == "list":
            sys.stdout.writelines(f"{number} {state}\n" for number, state in queued_jobs(options.folder).items())
            return 0
        if options.action == "cancel" and (jobs := queued_jobs(options.folder)):
            _call("scancel", *jobs)
        await_leftovers(options.folder, poll=options.poll)
    except QueueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
