"""Folders of revisions: what identifies their content, and whether it is what was published. Free of PyTorch."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

WEIGHT_PATTERNS = ("*.safetensors", "*.bin")
"""Weight files by preference: one format is used, safetensors where a revision has it."""


class RevisionError(RuntimeError):
    """A revision that is missing, incomplete or not what was published."""


@dataclass(frozen=True, kw_only=True)
class RevisionFolder:
    """A revision on disk, ready to load."""

    path: Path
    """Folder with config, tokenizer and weights."""
    commit: str
    """What identifies the content: the Hub's commit hash, or ``sha256:`` and the hash of the weight files."""


def weight_files(folder: Path) -> list[Path]:
    """Returns the weight files of a revision in one format, sorted by name.

    Raises:
        RevisionError: If the folder is missing or holds no weights.
    """
    for pattern in WEIGHT_PATTERNS:
        found = sorted(folder.glob(pattern))
        if found:
            return found
    kind = "holds no weight files" if folder.is_dir() else "does not exist"
    raise RevisionError(
        f"revision folder {folder} {kind} (looked for {' or '.join(WEIGHT_PATTERNS)}). If the workflow trained this model, "
        "delete manifest.tsv beside the folder and run snakemake again: only what is missing is made anew."
    )


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_weights(folder: Path) -> str:
    """Returns the SHA-256 of a folder's weight files: of the file if there is one, else of their hashes in name order."""
    digests = [file_sha256(path) for path in weight_files(folder)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def check_published(manifest: Path, folder: Path, revision: str) -> None:
    """Raises :class:`RevisionError` unless a folder holds the weights that a manifest lists for the revision."""
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = {row["revision"]: row for row in csv.DictReader(file, delimiter="\t")}
    if revision not in rows:
        raise RevisionError(f"{manifest} lists no revision {revision!r}; it has {', '.join(rows)}")
    if rows[revision]["sha256"] != hash_weights(folder):
        raise RevisionError(
            f"weights in {folder} are not those that {manifest} lists (SHA-256 differs); "
            f"delete {manifest.name} and run snakemake again to make them anew"
        )
