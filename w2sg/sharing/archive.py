"""A study as one zip file: report, tables, predictions, figures, configuration and origin, each with its checksum. No features."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from w2sg import __version__
from w2sg.runtime.files import atomic_path, sha256
from w2sg.sharing.card import write_card
from w2sg.tables.origins import read_origin
from w2sg.trajectories.summary import read_summary

LABELS = ("weak_labels", "chain_labels", "mean_labels", "given_labels")
"""Folders of the supervisors' labels: of models, of the middle one of a chain, means, out of a file."""

FOLDERS = (
    "tables",
    "figures",
    "predictions",
    "student_predictions",
    "weak_student_predictions",
    *LABELS,
    "selection",
)
"""Folders of a study that are packed; those of its jobs' metrics are joined in its tables."""

FILES = ("report.html", "definitions.json")
"""Files of a study that are packed."""

SUMS = "SHA256SUMS"
"""Checksums of all other files, as ``sha256sum --check`` reads them."""

SUMMARY = "tables/summary.txt"
"""What is shown of an archive."""


class ArchiveError(Exception):
    """A study that cannot be packed, or an archive that is none or is damaged, in words."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive whose files have the content that its checksums say."""

    path: Path
    """Its path."""
    study: str
    """Name of the study; the folder inside."""
    origin: Mapping[str, Any]
    """Commit of the code, configuration's hash and libraries of the study."""
    files: tuple[str, ...]
    """What it holds, below the folder of the study."""

    def read(self, name: str) -> bytes:
        """Returns the content of one of its files."""
        with zipfile.ZipFile(self.path) as packed:
            return packed.read(f"{self.study}/{name}")


def pack_study(results: Path, output: Path, *, licence: str = "") -> Archive:
    """Packs a finished study; equal files give equal bytes, whenever and wherever they are packed.

    Args:
        results: Folder of the study's results.
        output: The zip file to write.
        licence: Identifier that the card states for the results, such as ``cc-by-4.0``; empty: none.

    Raises:
        ArchiveError: If the study has no report or no summary yet.
    """
    missing = [name for name in ("report.html", SUMMARY, "tables/summary.json") if not (results / name).is_file()]
    if missing:
        raise ArchiveError(f"{results} has no {missing[0]}: only a finished study is packed, run it first")
    origin = read_origin(results / "tables" / "summary.json")
    config = json.loads(origin.pop("config"))
    contents = {str(path.relative_to(results).as_posix()): path.read_bytes() for path in _packed(results)}
    summary = read_summary(results / "tables" / "summary.csv")
    card = write_card(str(config["study"]), config, origin, summary, licence=licence, names=sorted(contents))
    contents["README.md"] = card.encode()
    contents["config.json"] = _json(config)
    contents["origin.json"] = _json(origin | {"packed_by": __version__})
    contents[SUMS] = "".join(f"{sha256(contents[name])}  {name}\n" for name in sorted(contents)).encode()
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name in sorted(contents):
            packed.writestr(_entry(f"{config['study']}/{name}"), contents[name])
    return open_archive(output)


def open_archive(path: Path) -> Archive:
    """Returns an archive, all of whose files were compared with their checksums.

    Raises:
        ArchiveError: If it is no archive of a study, a file is missing, too many or changed; it names the first.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            study = PurePosixPath(names[0]).parts[0]
            lines = [line.split("  ", 1) for line in packed.read(f"{study}/{SUMS}").decode().splitlines()]
            sums = {name: wanted for wanted, name in lines}
            inside = {name.removeprefix(f"{study}/") for name in names} - {SUMS}
            odd = sorted(inside ^ set(sums)) or [
                name for name, wanted in sorted(sums.items()) if sha256(packed.read(f"{study}/{name}")) != wanted
            ]
            origin = json.loads(packed.read(f"{study}/origin.json"))
    except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise ArchiveError(f"{path} is no archive that w2sg export wrote: {error}") from None
    if odd:
        raise ArchiveError(f"{path}: {odd[0]} is not what its checksum says; get the archive again")
    return Archive(path=path, study=study, origin=origin, files=tuple(sorted(sums)))


def _packed(results: Path) -> Iterator[Path]:
    yield from (results / name for name in FILES if (results / name).is_file())
    for folder in FOLDERS:
        for path in sorted((results / folder).rglob("*")):
            parts = path.relative_to(results).parts
            if (
                path.is_file()
                and not any(part.startswith(".") for part in parts)
                and parts[:2] != ("tables", "families")
            ):
                yield path  # of families, all rows stand in tables/metrics.parquet


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without time, owner or compression, which differ from place to place."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    return entry
