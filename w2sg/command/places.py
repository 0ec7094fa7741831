"""Where the workflow and a study lie, and the command line of Snakemake for them. No logic of the workflow."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from w2sg.command.record import FILE, Run, read_record
from w2sg.runtime.project import installed_project
from w2sg.study.rounds import LEFT

PARTS = ("workflow/Snakefile", "workflow/rules/common.smk", "config/config.yaml")
"""What tells the project's folder from others."""

QUIET = ("--quiet", "host", "progress", "reason", "rules")
"""Options with which Snakemake says errors only; ``all`` would keep these back too."""

NOISE = (
    "Using workflow specific profile",
    "Config file ",
    "Assuming unrestricted",
    "Building DAG",
    "host: ",
    "Complete log",
    "Elapsed",
    "datasets.",
)
"""How lines of Snakemake begin that tell a user nothing."""

SHIPPED = ("datasets", "models", "config")
"""Configuration files that every study is laid over."""

_RULE = re.compile(r"^(?:use rule \w+ as|rule|checkpoint) (\w+)", flags=re.MULTILINE)
"""How a rule begins in a file of the workflow."""


class CommandError(Exception):
    """What a user can correct, in words."""


def find_project(folder: Path | None) -> Path:
    """Returns the folder of the project: the one that is given, else the present one, else that of the installed package.

    Raises:
        CommandError: If it holds no Snakefile of this workflow.
    """
    here = (folder or Path()).resolve()
    missing = [part for part in PARTS if not (here / part).is_file()]
    installed = installed_project()
    if missing and folder is None and installed is not None:
        return installed
    if missing:
        raise CommandError(
            f"{here} is not a folder of the w2sg workflow (no {missing[0]}). "
            "Go to a clone of the repository, or name it with --directory"
        )
    return here


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a user gave: configuration files, and words for Snakemake."""

    project: Path
    """Folder of the Snakefile, in which Snakemake is called."""
    files: Sequence[Path]
    """Configuration files, absolute; a later one is laid over those before it."""
    words: Sequence[str]
    """Everything else, handed on as it stands."""

    @property
    def study(self) -> str:
        """Returns the name of the study that the files describe."""
        from w2sg.study.config import lay_over

        if given := [word.partition("=")[2] for word in self.words if word.startswith("study=")]:
            return given[-1]
        return str(
            lay_over([*(self.project / "config" / f"{name}.yaml" for name in SHIPPED), *self.files], {})["study"]
        )

    @property
    def folder(self) -> Path:
        """Returns where the study works: the project's folder, or Snakemake's own --directory among the words."""
        places = [
            after for word, after in zip(self.words, self.words[1:], strict=False) if word in ("-d", "--directory")
        ]
        return (self.project / places[-1]).resolve() if places else self.project

    @property
    def results(self) -> Path:
        """Returns the folder of the study's results."""
        return self.folder / "results" / self.study

    def command(
        self, *targets: str, cores: int | None = None, profile: str = "", options: Sequence[str] = ()
    ) -> list[str]:
        """Returns Snakemake's command line; ``cores``: all of this machine by default, none with a cluster's profile."""
        chosen = ["--workflow-profile", str(self.project / "profiles" / profile)] if profile else []
        counted = ["--cores", str(cores or usable_cores())] if cores or not profile else []
        given = ["--configfile", *map(str, self.files)] if self.files else []
        # Some options take every word that follows; what is counted or chosen begins with two dashes, and ends them.
        return [sys.executable, "-m", "snakemake", *targets, *options, *counted, *chosen, *self.words, *given]

    def call(self, command: Sequence[str], *, quiet: bool = False) -> str:
        """Runs Snakemake in the project's folder; ``quiet``: returns what it prints instead of showing it.

        Raises:
            CommandError: If it ends with an error; of a quiet one with what it said.
        """
        done = subprocess.run(command, cwd=self.project, capture_output=quiet, text=True, env=environment())
        if done.returncode and quiet:
            lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise CommandError("\n".join(line for line in lines if not line.startswith(NOISE))[-4000:])
        if done.returncode:
            raise CommandError("")
        return done.stdout or ""


def asked(directory: Path | None, words: Sequence[str]) -> Asked:
    """Returns what a user gave: words that name YAML files are configuration files, behind ``--configfile`` or not.

    Raises:
        CommandError: If there is no such file, or the project's folder is none.
    """
    project = find_project(directory)
    named = [word for word in words if word.endswith((".yaml", ".yml")) and word[0] != "-" and "=" not in word]
    files = []
    for word in named:
        found = [path for path in (Path(word), project / word) if path.is_file()]
        if not found:
            folders = " or ".join(dict.fromkeys(map(str, (Path.cwd(), project))))
            raise CommandError(f"no configuration file {word}; paths are relative to {folders}")
        try:
            known = yaml.safe_load(found[0].read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise CommandError(f"{word} is no YAML: {error}") from None
        except UnicodeDecodeError as error:
            text = f"{word} is no UTF-8 text ({error.reason} at byte {error.start}); save it in UTF-8"
            raise CommandError(text) from None
        try:
            json.dumps(known, default=str, skipkeys=True)
        except (ValueError, RecursionError):
            raise CommandError(f"{word}: an alias (*) stands inside of what it means; write it out") from None
        if not isinstance(known, dict):
            raise CommandError(f"{word}: expected keys and values, as config/README.md lists them")
        files.append(found[0].resolve())
    handed_on = [word for word in words if word not in (*named, "--configfile", "--configfiles")]
    _check_targets(project, handed_on)
    if directory is None and project != Path.cwd() and not {"-d", "--directory"} & {*words}:
        handed_on += ["--directory", str(Path.cwd())]  # the workflow lies elsewhere, the study works here
    return Asked(project=project, files=files, words=handed_on)


def _check_targets(project: Path, words: Sequence[str]) -> None:
    """Refuses a name, before all options, that is neither a file nor a rule: most often a study's, where its file is expected."""
    names = [word for word in takewhile(lambda word: word[:1] != "-", words) if "/" not in word and "=" not in word]
    unknown = [name for name in names if not Path(name).exists()]
    if not unknown:
        return
    workflow = [project / PARTS[0], *(project / "workflow" / "rules").glob("*.smk")]
    rules = {name for file in workflow for name in _RULE.findall(file.read_text(encoding="utf-8"))}
    for name in unknown:
        if name not in rules:
            places = (f"{name}.yaml", f"config/{name}.yaml")
            there = (place for place in places if Path(place).is_file() or (project / place).is_file())
            raise CommandError(
                f"no file {name}; expected a study's configuration, such as {next(there, places[0])}, or a rule"
            )


def environment() -> dict[str, str]:
    """Returns the variables for Snakemake, with the commands of this interpreter found first."""
    own = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', '')}"}


def usable_cores() -> int:
    """Returns the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_slurm() -> bool:
    """Returns whether jobs can be submitted to Slurm from here."""
    return shutil.which("sbatch") is not None


def find_run(folder: Path, study: str) -> tuple[Path, Run]:
    """Returns the file of a study's last run, and the run; of the study that ran last if none is named.

    Raises:
        CommandError: If no study was begun here; it names those that were.
    """
    records = sorted(folder.glob(f"results/*/{FILE}"), key=lambda path: path.stat().st_mtime)
    if not records:
        raise CommandError(f"no study was begun in {folder.resolve()} (no results/*/{FILE}); w2sg run begins one")
    named = [path for path in records if path.parent.name == study]
    if study and not named:
        raise CommandError(f"study {study} was not begun here; there are: {', '.join(p.parent.name for p in records)}")
    path = named[0] if study else records[-1]
    try:
        return path, read_record(path)
    except ValueError as error:
        raise CommandError(str(error)) from None


def start(given: Asked, targets: Sequence[str], *, cores: int | None, profile: str, as_json: bool) -> int:
    """Hands over to Snakemake, for an adaptive study again and again, and returns its exit status.

    With ``as_json`` what it prints goes to standard error.
    """
    if not (given.project / "profiles" / profile).is_dir():
        known = sorted(path.name for path in (given.project / "profiles").iterdir())
        raise CommandError(f"--profile {profile}: expected one of {', '.join(known)}")
    if profile == "default" and has_slurm():
        print("Slurm is here: --profile slurm submits the jobs to it", file=sys.stderr)
    command = given.command(
        *targets, cores=cores, profile="" if profile == "default" else profile, options=_logger(given)
    )
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder, "left")  # a round is a run, which leaves this file where it chose more to measure
        while True:
            left.unlink(missing_ok=True)
            status = _call(command, given.project, {LEFT: str(left)}, shown=sys.stderr if as_json else None)
            if status or not left.exists():
                return status


def _call(command: Sequence[str], folder: Path, variables: Mapping[str, str], *, shown: Any) -> int:
    """Returns the exit status of a command, which is left to end by itself when it is interrupted."""
    with subprocess.Popen(command, cwd=folder, stdout=shown, env={**environment(), **variables}) as process:
        signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to both
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def _logger(given: Asked) -> list[str]:
    own = {"--logger", "-n", "--dry-run", "--dryrun", "-q", "--quiet"} & set(given.words)
    return [] if own or importlib.util.find_spec("snakemake_logger_plugin_w2sg") is None else ["--logger", "w2sg"]
