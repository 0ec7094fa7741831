"""Killing a running study at random moments, bringing it back as the README says, and looking for what was left."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from tests.dag.conftest import Workflow

KINDS = {
    "job": "kill -9 of a job",
    "snakemake": "kill -9 of Snakemake alone, its jobs live on",
    "everything": "kill -9 of everything",
    "notice": "SIGTERM to everything, as schedulers send it before the end",
}
LASTING = (".parquet", ".safetensors", ".csv")
TOPS = ("results", "resources", "logs")
"""Where writers leave temporary files, as the Makefile names it."""


def parents() -> dict[int, int]:
    """Returns the parent of every process of this machine."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return found


def command_of(process: int) -> str:
    """Returns the command line of a process, empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def jobs_of(folder: Path) -> list[int]:
    """Returns the processes that run a script of the study in ``folder``, whether their Snakemake lives or not."""
    return sorted(p for p in parents() if f"{folder}/.snakemake/scripts/" in command_of(p))


@dataclass
class Attacked:
    """A study that is killed again and again."""

    workflow: Workflow
    targets: Sequence[str]
    """What is asked for."""
    rng: np.random.Generator
    longest: float
    """Most seconds from the first sign of a job to the blow."""

    def strike(self, kind: str) -> bool:
        """Starts or continues the study and kills a part of it; returns whether it was still running by then."""
        process = subprocess.Popen(
            self.workflow.command("--", *self.targets), cwd=self.workflow.folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and not jobs_of(self.workflow.folder):
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=float(self.rng.uniform(0, self.longest)))
        hit = process.poll() is None and self._kill(kind, process)
        process.wait(timeout=600)
        return hit

    def _kill(self, kind: str, process: subprocess.Popen) -> bool:
        if kind in ("everything", "notice"):
            os.killpg(process.pid, signal.SIGKILL if kind == "everything" else signal.SIGTERM)
        elif kind == "snakemake":
            process.kill()
        else:
            jobs = jobs_of(self.workflow.folder)
            while not jobs and process.poll() is None:
                time.sleep(0.05)
                jobs = jobs_of(self.workflow.folder)
            if not jobs:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.rng.choice(jobs)), signal.SIGKILL)
        return True

    def bring_back(self) -> None:
        """Does what the README says before the same command is typed again: ``make clean`` if the folder is locked."""
        if not any(self.workflow.folder.glob(".snakemake/locks/*")):
            return
        for step in ("--unlock", "--delete-temp-output"):
            self.workflow.run(step)
        words = ("find", *TOPS, "-name", ".*.tmp", "-prune", "-exec", "rm", "-rf", "{}", "+")
        subprocess.run(words, cwd=self.workflow.folder, stderr=subprocess.DEVNULL, check=False)

    def finished(self) -> dict[Path, int]:
        """Returns the results that are whole by Snakemake's own marks, with the time of their last change (ns).

        A training's revisions are parts of its output, which is whole with its list: what a killed training published
        after its last saved state it writes again.
        """
        marks = self.workflow.folder / ".snakemake" / "incomplete"
        named = [base64.b64decode(p.name).decode() for p in marks.rglob("*") if p.is_file()] if marks.is_dir() else []
        results = self.workflow.folder / "results"
        listed = [path.parent for path in results.glob("pretrained/*/manifest.tsv")]
        found = {}
        for path in paths_below(results):
            name = str(path.relative_to(results.parent))
            trained = name.startswith("results/pretrained/") and not any(model in path.parents for model in listed)
            if path.suffix in LASTING and "/." not in name and name not in named and not trained:
                with contextlib.suppress(FileNotFoundError):  # of a job that lives on
                    found[path] = path.stat().st_mtime_ns
        return found


def paths_below(folder: Path) -> Iterator[Path]:
    """Yields the files and folders below a folder that are there at this moment; ``rglob`` fails where one vanishes."""
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def temporary_files(folder: Path) -> list[Path]:
    """Returns the temporary files and folders of writers, as ``make clean`` finds them."""
    return [p for top in TOPS for p in paths_below(folder / top) if fnmatch(p.name, ".*.tmp")]


def left_behind(folder: Path) -> list[str]:
    """Returns what a finished run should not leave: temporary files, snapshots, marks, locks and processes."""
    found = temporary_files(folder)
    found += [p for p in folder.glob("scratch/*") if p.name != ".admission.lock"]
    found += [p for name in ("incomplete", "locks") for p in (folder / ".snakemake" / name).rglob("*") if p.is_file()]
    return [str(p) for p in found] + [command_of(p) for p in jobs_of(folder)]
