"""The subcommand ``export``, ``show`` of what it wrote, and ``report`` of two studies."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from w2sg.command.places import CommandError, find_run
from w2sg.runtime.files import atomic_path

_SUMMARY = Path("tables", "summary.csv")


def export(
    study: Annotated[str, typer.Argument(help="Name of a study; default the one that ran last.")] = "",
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Folder in which the study works.")] = Path(),
    output: Annotated[Path | None, typer.Option(help="File to write; default STUDY.zip.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the results, as the Hub names it: cc-by-4.0.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")] = False,
) -> None:
    """Pack report, tables, predictions, configuration and origin of a study into one archive, without features."""
    from w2sg.sharing.archive import ArchiveError, pack_study

    named = directory / "results" / study
    results = named if study and named.is_dir() else find_run(directory, study)[0].parent
    try:
        made = pack_study(results, output or Path(f"{results.resolve().name}.zip"), licence=licence)
    except ArchiveError as error:
        raise CommandError(str(error)) from None
    size = made.path.stat().st_size
    if as_json:
        print(json.dumps({"archive": str(made.path), "study": made.study, "files": len(made.files), "bytes": size}))
    else:
        print(f"{made.path}: {len(made.files)} files, {size / 1e6:.1f} MB; w2sg show {made.path} opens it anywhere")


def show_archive(path: Path, *, as_json: bool = False) -> None:
    """Prints what an archive concludes, and puts its report where a browser can open it.

    Raises:
        CommandError: If the file is no archive of a study, or is damaged.
    """
    from w2sg.sharing.archive import SUMMARY, ArchiveError, open_archive

    try:
        found = open_archive(path)
    except ArchiveError as error:
        raise CommandError(str(error)) from None
    report = Path(tempfile.mkdtemp(prefix="w2sg-")) / f"{found.study}.html"
    with atomic_path(report) as temporary:
        temporary.write_bytes(found.read("report.html"))
    said, code = found.read(SUMMARY).decode(), found.origin.get("code") or "unknown"
    if as_json:
        print(json.dumps({"study": found.study, "code": code, "summary": said, "report": str(report)}, indent=1))
    else:
        print(said.rstrip(), "", f"study {found.study}, code {code}, {len(found.files)} files as packed", sep="\n")
        print(f"report: {report}")


def compared(words: list[str], directory: Path) -> list[Path]:
    """Returns the folders of the two finished studies that words name, by folder or by name; none if they are options or files.

    Raises:
        CommandError: If one of two names is that of no finished study.
    """
    if len(words) != 2 or any(word.startswith("-") or "=" in word or Path(word).is_file() for word in words):
        return []
    found = []
    for word in words:
        places = [place for place in (Path(word), directory / "results" / word) if (place / _SUMMARY).is_file()]
        if not places:
            known = sorted(place.parents[1].name for place in directory.glob(f"results/*/{_SUMMARY}"))
            raise CommandError(f"{word}: no finished study; here are {', '.join(known) or 'none'}")
        found.append(places[0])
    return found


def write_comparison(places: list[Path], output: Path) -> Path:
    """Writes one page on two studies, from the tables in their folders; returns its path.

    Raises:
        CommandError: If they have nothing in common.
    """
    from w2sg.report.html.compare import Compared, render_comparison
    from w2sg.tables import schemas
    from w2sg.tables.files import read_table
    from w2sg.trajectories.coverage import exclude_flagged
    from w2sg.trajectories.selection import shown_rows
    from w2sg.trajectories.summary import read_summary

    def opened(name: str, place: Path) -> Compared:
        tables = place / "tables"
        origin = json.loads((tables / "summary.json").read_text("utf-8"))
        metrics = read_table(tables / "metrics.parquet", schemas.METRICS, where=shown_rows())
        if json.loads(origin["config"])["audit"]["exclude"]:
            metrics = exclude_flagged(metrics, read_table(tables / "audit.parquet", schemas.AUDIT))
        return Compared(name=name, metrics=metrics, summary=read_summary(place / _SUMMARY), origin=origin)

    names = [place.resolve().name for place in places]
    names = names if len(set(names)) == 2 else [str(place) for place in places]
    try:
        page = render_comparison(list(map(opened, names, places)))
    except ValueError as error:
        raise CommandError(str(error)) from None
    with atomic_path(output) as path:
        path.write_text(page, encoding="utf-8")
    return output
