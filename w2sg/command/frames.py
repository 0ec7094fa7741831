"""What a terminal shows of a study: a table of stages, running jobs with their own progress, failures. Drawn with rich."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from w2sg.command.ending import duration, file_size, in_words, time_left
from w2sg.command.state import Failure, Stage, Status

_RUNNING, _FAILED = 6, 5
"""Running jobs and failures that are shown one by one."""


def status_frame(status: Status, *, failures: bool = True) -> RenderableType:
    """Returns all of a status: head, stages, running jobs, failures (unless they are shown elsewhere) and disk."""
    parts: list[RenderableType] = [_head(status), stage_table(status.stages)]
    shown = status.failures if failures else []
    parts += [text for text in (running_lines(status.running), failure_lines(shown)) if text]
    if status.disk:
        parts.append(Text("disk: " + ", ".join(f"{name} {file_size(size)}" for name, size in status.disk.items())))
    return Group(*parts)


def _head(status: Status) -> Text:
    began = time.strftime("%a %H:%M", time.localtime(status.started))
    state = f"runs since {began}" if status.alive else f"does not run (last begun {began})"
    planned = "" if status.planned_hours is None else f" · planned {duration(status.planned_hours * 3600)}"
    head = Text(f"study {status.study} ", style="bold")
    head.append(f"{state}{planned}\n", style="none")
    return head.append(head_line(status), style="none")


def head_line(status: Status) -> str:
    """Returns the counts of all jobs and the time that is left, in one line."""
    return f"{sum(status.counts.values()):,} jobs: {in_words(status.counts)} · {time_left(status)}"


def stage_table(stages: Sequence[Stage]) -> Table:
    """Returns a row per stage and family or model: a bar, the counts, a job's measured time and jobs an hour."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    table.add_column("of", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("", width=8)
    for name in ("done", "running", "failed", "each", "/h"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in stages:
        total, done, failed = sum(stage.counts.values()), stage.counts["done"], stage.counts["failed"]
        table.add_row(
            stage.stage,
            stage.subject,
            ProgressBar(total=total, completed=done, width=8, finished_style="green"),
            f"{done:,}/{total:,}",
            f"{stage.counts['running']:,}" if stage.counts["running"] else "",
            Text(f"{failed:,}", style="red") if failed else "",
            "" if stage.seconds is None else duration(stage.seconds),
            "" if stage.hourly is None else f"{stage.hourly:,.0f}",
            style="dim" if done == total else "none",
        )
    return table


def running_lines(running: Sequence[tuple[str, str]]) -> Text:
    """Returns the running jobs, each with the last line of its log."""
    lines = []
    for name, line in running[:_RUNNING]:
        lines.append(f"  {name}  {line}".rstrip())
    if len(running) > _RUNNING:
        lines.append(f"  and {len(running) - _RUNNING} more")
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis", style="cyan")


def failure_lines(failures: Sequence[Failure]) -> Text:
    """Returns the failures, each with its reason and its log."""
    text = Text()
    for one in failures[:_FAILED]:
        text.append(f"failed: {one.title}: {one.reason}\n", style="red")
        text.append(f"    {one.log}\n")
    if len(failures) > _FAILED:
        text.append(f"and {len(failures) - _FAILED} more: w2sg status --json\n")
    text.rstrip()
    return text
