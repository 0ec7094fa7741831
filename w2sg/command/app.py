"""The command ``w2sg``: each subcommand calls what is there, Snakemake above all, and adds nothing to a result."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from w2sg import __version__
from w2sg.command import begin, frames, places
from w2sg.command.partial import newest_summary, write_partial
from w2sg.command.places import CommandError, asked, find_run
from w2sg.command.state import Status, status_of
from w2sg.command.subcommands import sharing

app = typer.Typer(
    name="w2sg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Weak-to-strong generalization across pre-training. A thin layer over Snakemake: "
    "`snakemake --cores 8 --configfile STUDY.yaml` does the same as `w2sg run STUDY.yaml`.",
)

ROUNDS_APART = 15.0
"""Seconds without a run after which a watched study is over."""

PASS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What a subcommand does not know goes to Snakemake."""

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[STUDY.yaml]... [TARGETS]... [SNAKEMAKE OPTIONS]...",
        help="Configuration files, laid over the shipped study; then anything that Snakemake takes, targets before its options: "
        "some of these take every word that follows.",
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option("--directory", "-d", help="Folder of the workflow (its Snakefile); default the present one."),
]
Cores = Annotated[int | None, typer.Option("--cores", "-c", help="Cores to use; default all of this machine.")]
Profile = Annotated[str, typer.Option(help="A folder of profiles/: default, slurm, kubernetes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


def enter() -> None:
    """Runs the command; an error that a user can correct is one message and exit status 1."""
    try:
        app(prog_name="w2sg")
    except CommandError as error:
        if str(error):
            print(error, file=sys.stderr)
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"w2sg {__version__}")
        raise typer.Exit


@app.callback()
def entry(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Takes what stands before the subcommand."""


@app.command()
def init(
    models: Annotated[str | None, typer.Option(help="Folder of checkpoints, or owner/name on the Hub.")] = None,
    weak: Annotated[str | None, typer.Option(help="Folder or owner/name of the weak supervisor.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="File or folder of pairs: prompt, chosen, rejected.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study and of its file.")] = None,
    tokens_per_step: Annotated[
        float | None, typer.Option(help="Training tokens of a step, where no name says them.")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Text for the evaluation loss; default the shipped one.")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16: type of the forward passes.")] = "float32",
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Megabytes per second of your line, for plans; default 125.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a new study (and the revision list of a Hub repository); what is not given is asked for."""
    needed = {"--models": models, "--weak": weak, "--pairs": pairs}
    open_questions = [key for key, value in needed.items() if value is None]
    if open_questions and not sys.stdin.isatty():
        raise CommandError(f"nobody to ask: give {', '.join(open_questions)}")
    new = begin.NewStudy(
        strong=models or typer.prompt("Checkpoints of the strong model (a folder, or owner/name on the Hub)"),
        weak=weak or typer.prompt("Weak supervisor (a folder, or owner/name on the Hub)"),
        pairs=pairs or Path(typer.prompt("Preference pairs (a file or folder with prompt, chosen, rejected)")),
        name=name or (typer.prompt("Name of the study", default="my-study") if open_questions else "my-study"),
        tokens_per_step=tokens_per_step,
        text=text,
        dtype=dtype,
        rate=rate,
    )
    files = begin.write_study(new, output)
    following = [f"w2sg {word} {files[0]}" for word in ("check", "plan", "run")]
    if as_json:
        _print({"study": str(files[0]), "files": [str(file) for file in files], "next": following})
    else:
        print("wrote " + ", ".join(map(str, files)), *(f"next: {line}" for line in following), sep="\n")


@app.command(context_settings=PASS)
def check(words: Words = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """Say in about a minute what a run would stop at: revisions, disk, rate limits, one text through one revision."""
    given = asked(directory, words or [])
    command = given.command("check", options=places.QUIET)
    done = subprocess.run(command, cwd=given.project, stdout=subprocess.PIPE, text=True, env=places.environment())
    kinds = ("ok: ", "note: ", "fault: ")
    lines = [line.partition(": ") for line in done.stdout.splitlines() if line.startswith(kinds)]
    if as_json:
        _print([{"state": state, "text": text} for state, _, text in lines])
    else:
        print(*(f"{state:<6}{text}" for state, _, text in lines), sep="\n")
    raise typer.Exit(done.returncode)


@app.command(context_settings=PASS)
def plan(words: Words = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """Show what a study costs before it runs: revisions, jobs, download, disk, hours, and what bounds it."""
    given = asked(directory, words or [])
    said = given.call(given.command("plan", cores=1, options=places.QUIET), quiet=True)
    if as_json:
        _print(_table(given.results / "plan.tsv"))
    else:
        print(said, end="")


@app.command(context_settings=PASS)
def run(
    words: Words = None,
    directory: Directory = None,
    cores: Cores = None,
    profile: Profile = "default",
    as_json: AsJson = False,
) -> None:
    """Run a study, or go on with it: `snakemake` with the profile, and whatever else is given."""
    given, begun = asked(directory, words or []), time.time()
    _start(given, [], cores=cores, profile=profile, as_json=as_json)
    if as_json:
        _print(_state(given, begun))


@app.command(context_settings=PASS)
def show(
    words: Words = None,
    directory: Directory = None,
    cores: Cores = None,
    profile: Profile = "default",
    as_json: AsJson = False,
) -> None:
    """Run what is missing of a study, then print its result; of an archive that `w2sg export` wrote, print it."""
    if words and words[0].endswith(".zip"):
        sharing.show_archive(Path(words[0]), as_json=as_json)
        return
    given = asked(directory, words or [])
    _start(given, ["show"], cores=cores, profile=profile, as_json=as_json)
    if as_json:
        _print(_table(given.results / "tables" / "summary.csv"))


@app.command()
def status(
    study: Annotated[str, typer.Argument(help="Name of a study; default the one that ran last.")] = "",
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Folder in which the study works.")] = Path(),
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again until it ends.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Write report and figures of what is there by now.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Show how far a study is, while it runs or after; reads files only, and takes no lock."""
    path, found = _look(directory, study)
    made = _partial(directory, found.study) if html else None
    if as_json:
        _print(asdict(found) | ({"partial": str(made)} if made else {}))
        return
    console = Console()
    if watch and console.is_terminal:
        live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        with live, contextlib.suppress(KeyboardInterrupt):
            for one in _watched(directory, found, every):
                summary = Text(newest_summary(path.parent, one), no_wrap=True, overflow="ellipsis")
                live.update(Group(frames.status_frame(one), summary), refresh=True)
    else:
        console.print(frames.status_frame(found))
        console.print(newest_summary(path.parent, found), soft_wrap=True, markup=False, highlight=False)
        for one in islice(_watched(directory, found, every), 1, None) if watch else ():
            console.print(frames.head_line(one))
    if made:
        console.print(f"partial report: {made / 'report.html'}", soft_wrap=True)


@app.command(context_settings=PASS)
def report(
    words: Words = None,
    directory: Directory = None,
    cores: Cores = None,
    profile: Profile = "default",
    partial: Annotated[bool, typer.Option("--partial", help="On what is there by now, also beside a run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run what is missing of a study, and print the path of its report; of two finished studies, a page that compares them."""
    if two := sharing.compared(words or [], directory or Path()):
        place = sharing.write_comparison(two, Path("compared.html"))
        return _print({"report": str(place)}) if as_json else print(place)
    given = asked(directory, words or [])
    if partial:
        place = _partial(given.folder, given.study, project=given.project) / "report.html"
    else:
        _start(given, [], cores=cores, profile=profile, as_json=as_json, quiet=True)
        place = given.results / "report.html"
    _print({"report": str(place)}) if as_json else print(place)


@app.command(context_settings=PASS)
def verify(words: Words = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """Compare every file of a study with its configuration; computes nothing."""
    given = asked(directory, words or [])
    try:
        said = given.call(given.command("verify", cores=1, options=places.QUIET), quiet=True)
    except CommandError as error:
        if as_json:
            _print({"verified": False, "said": str(error)})
        raise
    _print({"verified": True, "said": said.strip()}) if as_json else print(said, end="")


@app.command()
def revisions(
    repo: Annotated[str, typer.Argument(help="owner/name on the Hub.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    pattern: Annotated[str | None, typer.Option(help="Regular expression with the group step; tokens, seed.")] = None,
    tokens_per_step: Annotated[float | None, typer.Option(help="Training tokens of a step.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the revision list of a repository from its branches, as `python -m w2sg.revisions.list` does."""
    from w2sg.revisions.list import write_list
    from w2sg.study.lists.rows import read_revisions

    given = {"--pattern": pattern, "--tokens-per-step": tokens_per_step, "--output": output}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    if write_list([repo, *options]):
        raise typer.Exit(1)
    if as_json:
        _print({"output": str(output), "revisions": len(read_revisions(output))})


app.command()(sharing.export)


def _start(
    given: places.Asked, targets: list[str], *, cores: int | None, profile: str, as_json: bool, quiet: bool = False
) -> None:
    """Runs; where that fails, exits with Snakemake's status, with ``as_json`` after printing how far the study is."""
    begun = time.time()
    if failed := places.start(given, targets, cores=cores, profile=profile, as_json=as_json or quiet):
        if as_json:
            _print(_state(given, begun))
        raise typer.Exit(failed)


def _state(given: places.Asked, begun: float) -> dict[str, Any] | None:
    """Returns how far the study is; None if no run of it has begun since, as where its configuration is refused or after ``-n``."""
    with contextlib.suppress(CommandError):
        found = _look(given.folder, given.study)[1]
        return asdict(found) if found.started >= begun else None
    return None


def _look(folder: Path, study: str, *, disk: bool = True) -> tuple[Path, Status]:
    """The file of a study's last run, and how far it is."""
    path, known = find_run(folder, study)
    return path, status_of(known, path, folder=folder, disk=disk)


def _watched(folder: Path, found: Status, every: float) -> Iterator[Status]:
    yield found
    seen = time.monotonic() if found.alive else -math.inf
    while time.monotonic() - seen < ROUNDS_APART:  # an adaptive study's next round begins a moment later
        time.sleep(every)
        new = _look(folder, found.study, disk=time.time() % 60 < every)[1]  # once a minute
        found = replace(new, disk=new.disk or found.disk)
        seen = time.monotonic() if found.alive else seen
        yield found


def _partial(folder: Path, study: str, *, project: Path | None = None) -> Path:
    _, known = find_run(folder, study)
    return write_partial(project or Path(known.project), known, folder=folder)


def _table(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    if not path.is_file():
        raise CommandError(f"no {path}: the run made none")
    frame = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    return json.loads(frame.to_json(orient="records"))


def _print(value: Any) -> None:
    print(json.dumps(value, indent=1))
