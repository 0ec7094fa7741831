"""Folders of revisions: what identifies their content, and whether it is what was published. Free of PyTorch."""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from w2sg.runtime.contents import content_fault
from w2sg.runtime.files import file_sha256, sha256

WEIGHTS = (
    re.compile(r"model(?:-(\d{5})-of-(\d{5}))?\.safetensors"),
    re.compile(r"pytorch_model(?:-(\d{5})-of-(\d{5}))?\.bin"),
)
"""Names of weight files per format, in order of preference; the numbers are those of a shard and of all shards."""

ADAPTER = "adapter_config.json"
"""What says that a folder holds an adapter. The library lays it over weights beside it, whose hash knows nothing of it."""

IS_ADAPTER = f"{ADAPTER} says that it holds an adapter; merge it into the weights first, and leave its files out"

SIDE_FILES = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|merges\.txt|vocab\.txt|(tokenizer|spiece|sentencepiece\.bpe)\.model|chat_template\.jinja"
)
"""What a model needs besides its weights. No code and no pickles: ``*.py`` and other ``*.bin`` files are never fetched."""

CONFIGURATIONS = ("config.json", "generation_config.json")
"""Those of them that are a model's own also where its tokenizer is another repository's."""


class RevisionError(RuntimeError):
    """A revision that is missing, incomplete or not what was published."""


@dataclass(frozen=True, kw_only=True)
class RevisionFolder:
    """A revision on disk, ready to load."""

    path: Path
    """Folder with config, tokenizer and weights."""
    commit: str
    """What identifies the content: the Hub's commit hash, or ``sha256:`` and the hash of the weight files."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 per weight file, where they were hashed here."""


def choose_weights(names: Collection[str]) -> list[str]:
    """Returns the weight files among a revision's files, in one format: one file, or every shard of a set; maybe none.

    Optimizer states, adapters and pickles of other kinds are no weights, whatever their ending.

    Raises:
        RevisionError: If shards are missing or belong to several sets; the message names them.
    """
    for pattern in WEIGHTS:
        matches = {name: match for name in sorted(names) if (match := pattern.fullmatch(name))}
        whole = [name for name, match in matches.items() if not match[1]]
        if whole:
            return whole
        if not matches:
            continue
        totals = sorted({int(match[2]) for match in matches.values()})
        if len(totals) > 1:
            raise RevisionError(f"weight files of several sets, of {' and of '.join(map(str, totals))} files")
        present = {int(match[1]) for match in matches.values()}
        missing = [str(number) for number in range(1, totals[0] + 1) if number not in present]
        if missing:
            raise RevisionError(f"of {totals[0]} weight files, number {', '.join(missing)} is missing")
        return list(matches)
    return []


def folder_fault(folder: Path) -> str:
    """Returns why a user's folder holds no model, or leaves open which weights are meant, in words; empty text if neither."""
    if not folder.is_dir():
        return f"no folder {folder}"
    names = sorted(path.name for path in folder.iterdir())
    if ADAPTER in names:
        return IS_ADAPTER
    if not names:
        return "the folder is empty"
    if "config.json" not in names:
        held = f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        return f"no config.json; the folder holds {held}, expected what save_pretrained writes: configuration, weights, tokenizer"
    if not (folder / "config.json").is_file():
        return f"config.json {content_fault(folder / 'config.json')}"
    for pattern in WEIGHTS:
        found = sorted(name for name in names if pattern.fullmatch(name))
        shards = [name for name in found if "-of-" in name]
        if found != shards and shards:
            return f"weight files of two sets, {found[-1]} and {', '.join(shards[:3])}; remove those that are not meant"
        if found:
            break  # another format is never read
    return ""


def is_tokenizer(name: str) -> bool:
    """Returns whether a file of this name is a part of a tokenizer."""
    return bool(SIDE_FILES.fullmatch(name)) and name not in CONFIGURATIONS


def link_files(target: Path, model: Path, tokenizer: Path) -> None:
    """Makes a folder of links: to a revision's files but its tokenizer's, and to those of the tokenizer in another folder."""
    for folder, wanted in ((model, False), (tokenizer, True)):
        for path in folder.iterdir():
            if path.is_file() and is_tokenizer(path.name) == wanted:
                (target / path.name).symlink_to(path.resolve())


def is_weights(name: str) -> bool:
    """Returns whether a file of this name holds a model's weights, in whatever format."""
    return any(pattern.fullmatch(name) for pattern in WEIGHTS)


def weight_files(folder: Path) -> list[Path]:
    """Returns the weight files of a revision in one format, sorted by name.

    Raises:
        RevisionError: If the folder is missing, holds no weights, not all of them, or an adapter.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if ADAPTER in names:
        raise RevisionError(f"revision folder {folder}: {IS_ADAPTER}")
    try:
        found = choose_weights(names)
    except RevisionError as error:
        raise RevisionError(f"revision folder {folder}: {error}") from None
    if found:
        return [folder / name for name in found]
    kind = "holds no weight files" if folder.is_dir() else "does not exist"
    wanted = "model.safetensors, pytorch_model.bin, or their shards such as model-00001-of-00002.safetensors"
    text = f"revision folder {folder} {kind}, expected {wanted}"
    if (folder.parent / "manifest.tsv").is_file():
        text += (
            ". The workflow trained this model: delete manifest.tsv beside the folder and run snakemake again; the training is "
            "repeated, with the same result"
        )
    raise RevisionError(text)


def check_weights(folder: Path) -> None:
    """Raises :class:`RevisionError` unless each weight file is by its content what its name says, and whole; reads little."""
    for path in weight_files(folder):
        _check_content(path)


def check_side_files(folder: Path) -> None:
    """Raises :class:`RevisionError` if a file besides the weights is a pointer, a web page, cut or otherwise no such file."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if SIDE_FILES.fullmatch(path.name):
            check_side_file(path)


def check_side_file(path: Path) -> None:
    """Raises :class:`RevisionError` if one such file is not what its name says."""
    _check_content(path)
    if path.suffix == ".json" and _first_bytes(path).removeprefix(BOM_UTF8).lstrip()[:1] != b"{":
        raise RevisionError(f"{path} holds no JSON object")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _check_content(path: Path) -> None:
    fault = content_fault(path)
    if fault:
        raise RevisionError(f"{path} {fault}")


def hash_weights(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of each of a folder's weight files, by name and in that order."""
    return {path.name: file_sha256(path) for path in weight_files(folder)}


def combine_digests(digests: Sequence[str]) -> str:
    """Returns one digest for several files: that of the only file, or the SHA-256 of all digests in the given order."""
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode())


def check_published(manifest: Path, folder: Path, revision: str, digest: str) -> None:
    """Raises :class:`RevisionError` unless a manifest lists the digest of a folder's weights for this revision."""
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = {row["revision"]: row for row in csv.DictReader(file, delimiter="\t")}
    if revision not in rows:
        raise RevisionError(f"{manifest} lists no revision {revision!r}; it has {', '.join(rows)}")
    if rows[revision]["sha256"] != digest:
        raise RevisionError(
            f"weights in {folder} are not those that {manifest} lists (SHA-256 differs); "
            f"delete {manifest.name} and run snakemake again to make them"
        )
