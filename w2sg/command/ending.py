"""What a run says when it begins, and when it ends otherwise than well: lines of text for every logger. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from w2sg.command.record import Run, leave_failed
from w2sg.command.state import Status, status_of

_MOST = 10
"""Failures that are named one by one."""


def beginning(run: Run) -> str:
    """Returns the line at the start of a run: the study, its jobs, how many were done before, and the planned hours."""
    before = sum(not job.wanted for job in run.jobs)
    done = f", {before:,} of them done before" if before else ""
    planned = "" if run.hours is None else f"; planned for the whole study: {duration(run.hours * 3600)}"
    return f"study {run.study}: {len(run.jobs):,} jobs{done}{planned}"


def ending(path: Path, failed: Iterable[str] = ()) -> str:
    """Returns what to do after a run that did not end well: which jobs failed, why, where their logs are, and what to type.

    Args:
        path: The file that the run left.
        failed: Files that its failed jobs were to make; none where it was stopped.
    """
    status = status_of(leave_failed(path, failed), path, disk=False)
    again = "the same command goes on from here and repeats nothing that is done"
    counts = f"{status.counts['done']:,} of {sum(status.counts.values()):,} jobs of study {status.study} are done"
    if not status.failures:
        return f"ended before all was done: {counts}; {again}"
    named = [f"  {one.title}: {one.reason}\n    {one.log}" for one in status.failures[:_MOST]]
    more = len(status.failures) - _MOST
    return "\n".join(
        [
            f"{len(status.failures)} job{'s' * (len(status.failures) > 1)} failed, {counts}:",
            *named,
            *([f"  and {more} more: w2sg status"] if more > 0 else []),
            f"next: {again}, and tries these once more;",
            "      w2sg status --html (or --config partial=true) writes a report on what is there by now",
        ]
    )


def time_left(status: Status) -> str:
    """Returns in words how long a study goes on."""
    if not status.counts["waiting"] and not status.counts["running"]:
        return "nothing is left to do" if not status.failures else "nothing else is left to do"
    if status.left is None:
        return "time left: not known before the first job is measured"
    return f"{'at least' if status.at_least else 'about'} {duration(status.left)} left"


def duration(seconds: float) -> str:
    """Returns a length of time with a unit that suits it: ``40 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    for most, size, unit in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h"), (float("inf"), 86400, "days")):
        if seconds < most:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 10 or size < 3600 else f"{value:.1f} {unit}"
    return "unknown"


def file_size(size: float) -> str:
    """Returns a number of bytes with a unit that suits it: ``300 MB``, ``1.4 GB``, ``10.9 TB``."""
    for unit, of in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)):
        if size < 1000 * of or unit == "TB":
            return f"{size / of:.3g} {unit}"
    return ""


def in_words(counts: Mapping[str, int]) -> str:
    """Returns how many jobs are in which state: ``40 done, 2 running, 1 failed, 47 waiting``; states without one are left out."""
    return ", ".join(
        f"{counts[state]:,} {state}" for state in ("done", "running", "failed", "waiting") if counts[state]
    )
