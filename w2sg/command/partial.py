"""A report on what is there by now, made beside a running study: by the workflow itself, in a folder of links that nobody else uses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from w2sg.command.places import NOISE, PARTS, QUIET, CommandError
from w2sg.command.record import Run
from w2sg.command.state import Status
from w2sg.runtime.files import atomic_path

FOLDER = "partial"
"""Folder of a study that holds its partial report."""

RULES = (
    "measure_floors", "collect_audit", "collect_readings", "collect_family", "collect_metrics", "correlate",
    "summarize_sweep", "plot_figures", "plot_groups", "write_report", "all",
)  # fmt: skip
"""Rules that may run: those that join, draw and write; what a study measures is only read."""

_JOINED = {"figures", "tables", "report.html", "partial", "theory"}
_MADE = {"results", "logs", "benchmarks"}


def write_partial(project: Path, run: Run, *, folder: Path = Path()) -> Path:
    """Writes report, figures and tables of what is there into ``results/<study>/partial``; returns that folder.

    Takes no lock of the study: the workflow runs in a temporary folder, whose files are links to the study's, so that it
    can remove none of them. Where the rounds of adaptive families stand goes to standard error.

    Args:
        project: Folder of the Snakefile.
        run: The study's last run, whose configuration holds.
        folder: Where the study works.

    Raises:
        CommandError: With the last lines of the workflow, if nothing could be made; such as where nothing was measured yet.
    """
    own = folder.resolve()
    target = own / "results" / run.study / FOLDER
    with tempfile.TemporaryDirectory(prefix="w2sg-") as temporary:
        place = Path(temporary, *"abcdefgh")  # room above, for paths that lead up
        place.mkdir(parents=True)
        config = dict(run.config) | {"partial": True}
        for path in _files_named(config, own):
            _link(place / path, own / path)
        _mirror(own, place, run.study)
        _run(project, place, run, config)
        made = place / "results" / run.study
        with atomic_path(target) as whole:
            whole.mkdir()
            for name in ("figures", "tables", "report.html"):
                shutil.move(made / name, whole / name)
    return target


def _mirror(own: Path, place: Path, study: str) -> None:
    """Links every file that the study's tables are joined from."""
    results = own / "results"
    roots = [results / "activations", results / "audit", own / "resources" / "pairs", own / "benchmarks"]
    parts = [part for part in (results / study).iterdir() if part.is_dir() and part.name not in _JOINED]
    for path in (file for root in [*roots, *parts] for file in _below(root)):
        if path.suffix in (".parquet", ".json", ".tsv"):
            _link(place / path.relative_to(own), path)


def _below(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _files_named(config: Any, own: Path) -> Iterator[str]:
    """Relative paths in a configuration that lead to something from where the study works."""
    if isinstance(config, dict | list):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _files_named(value, own)
    elif isinstance(config, str) and config and not os.path.isabs(config) and len(config) < 4096:
        try:
            if os.path.normpath(config) not in _MADE and (own / config).exists() and (own / config).resolve() != own:
                yield config
        except (OSError, ValueError):
            return


def _link(place: Path, target: Path) -> None:
    place = Path(os.path.normpath(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(place):
        place.symlink_to(target.resolve())


def _run(project: Path, place: Path, run: Run, config: dict[str, Any]) -> None:
    settings = place / "study.json"
    with atomic_path(settings) as temporary:
        temporary.write_text(json.dumps(config), encoding="utf-8")
    conda = ["--use-conda", "--conda-prefix", run.environments] if run.environments else []
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(project / PARTS[0]), "--directory", str(place)),
        *("--workflow-profile", "none", "--cores", "2", "--scheduler", "greedy", "--rerun-triggers", "mtime", *conda),
        *("--no-hooks", *QUIET, "--allowed-rules", *RULES, "--configfile", str(settings)),
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.partition("RuleException")[0].strip() or done.stderr.strip()
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith(NOISE)]
        raise CommandError("no partial report could be written:\n  " + "\n  ".join(lines[-12:]))
    sys.stderr.writelines(f"{line}\n" for line in done.stderr.splitlines() if ": adaptive: " in line)


def newest_summary(results: Path, status: Status) -> str:
    """Returns the newest summary of a study that is there, partial or whole, with its time; of one that is done the whole one."""
    texts = [results / part / "tables" / "summary.txt" for part in (FOLDER, ".")]
    there = [text for text in texts if text.is_file()]
    done = not any(count for state, count in status.counts.items() if state != "done")
    found = max(there[-1:] if done else there, key=lambda text: text.stat().st_mtime, default=None)
    if found is None:
        return "no summary yet: --html writes one of what is there"
    when = time.strftime("%a %H:%M", time.localtime(found.stat().st_mtime))
    return f"\n{found} of {when}:\n{found.read_text(encoding='utf-8').rstrip()}"
