"""The origin that every file of a study carries: read from any kind of file, compared, handed on to what is made of it."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from w2sg.runtime import provenance
from w2sg.study.definitions import differences
from w2sg.tables.files import TableError, read_provenance

_log = logging.getLogger(__name__)

NAMED = 6
"""Mismatches that an error names; more are counted."""

REMAKE = "delete the files that `snakemake --cores 1 verify` names, and run snakemake again"
"""What to do about files whose origin is another one."""


def read_origin(path: str | Path) -> dict[str, Any]:
    """Returns the origin that a file carries, empty if it carries none.

    Args:
        path: A table, features or tokens, a figure (svg, pdf, png), a page, or a JSON file that holds nothing else.

    Raises:
        TableError: If the file cannot be read.
    """
    path = Path(path)
    try:
        text = _READERS[path.suffix](path)
        return json.loads(text) if isinstance(text, str | bytes) else text
    except (OSError, ValueError, LookupError) as error:
        raise TableError(
            f"{path}: no origin can be read from it ({error}); delete it and run snakemake again"
        ) from error


def read_reading(loss: str | Path, datasets: Sequence[str]) -> dict[str, Any]:
    """Returns what an extraction says of how it read a revision: its tokenizer, its settings and, by dataset, its texts.

    The table of the loss is that of the last extraction. Datasets that an earlier one read, for another study or for
    another list of datasets, are asked for in their features, which lie beside it.

    Args:
        loss: The table of a revision's evaluation loss.
        datasets: Those that are wanted; no others are in the answer.

    Raises:
        TableError: If nothing there tells how a dataset was read.
    """
    read = read_origin(loss)["read"]
    known = dict(read["texts"])
    for name in datasets:
        beside = Path(loss).with_name(f"{name}.safetensors")
        if name not in known and not beside.is_file():
            raise TableError(f"{loss}: it does not say how dataset {name} was read; delete it and run snakemake again")
        known[name] = known[name] if name in known else read_origin(beside)["read"]
    return read | {"texts": {name: known[name] for name in datasets}}


def _safetensors(path: Path) -> str:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return header.get("__metadata__", {}).get("w2sg", "{}")


def _between(pattern: bytes, path: Path) -> bytes:
    found = re.search(pattern, path.read_bytes(), flags=re.DOTALL)
    return found[1] if found else b"{}"


def _markup(pattern: bytes, path: Path) -> str:
    return html.unescape(_between(pattern, path).decode())


def _pdf(path: Path) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", _between(rb"/Subject \(((?:[^\\()]|\\.)*)\)", path))


def _png(path: Path) -> bytes:
    content, name = path.read_bytes(), b"tEXtDescription\0"
    start = content.find(name)
    size = int.from_bytes(content[start - 4 : start], "big")
    return content[start + len(name) : start + 4 + size] if start > 0 else b"{}"


_READERS = {
    ".parquet": read_provenance,
    ".safetensors": _safetensors,
    ".svg": partial(_markup, rb"<dc:description>(.*?)</dc:description>"),
    ".html": partial(_markup, rb'<meta name="origin" content="(.*?)">'),
    ".pdf": _pdf,
    ".png": _png,
    ".json": Path.read_text,
}


def trace(
    stage: str,
    made: Mapping[str, Any],
    inputs: Iterable[str | Path] = (),
    *,
    config: Mapping[str, Any] | None = None,
    without: str = "",
) -> dict[str, Any]:
    """Returns the origin of what a job writes, from what it was told and from the origins of its inputs.

    Args:
        stage: Rule that the job belongs to.
        made: What decides the content: the job's own part of it, or all, by :class:`w2sg.study.definitions.Deciding`.
        inputs: Files with an origin that the job reads.
        config: The whole configuration, for a file of one study.
        without: Key of the inputs that does not decide this content.

    Raises:
        TableError: Naming file and key, if an input was made with something else than ``made`` or another input says.
    """
    made, versions, wrong = plain(made), [], []
    for path in inputs:
        origin = read_origin(path)
        found = {key: value for key, value in origin.get("made", {}).items() if key != without}
        wrong += mismatches(path, found, {key: made.get(key, value) for key, value in found.items()})
        made = found | made
        versions.append(origin.get("versions", {}))
    if wrong:
        more = [f"and {len(wrong) - NAMED} more"] if len(wrong) > NAMED else []
        raise TableError("\n  ".join(["other settings made these files:", *wrong[:NAMED], *more, REMAKE]))
    made_of = provenance.origin(stage, made, inputs=versions, config=config)
    known = {sentence for stages in versions for sentence in provenance.mixtures(stages)}
    for sentence in set(provenance.mixtures(made_of["versions"])) - known:
        _log.warning("files made with different versions are joined; %s", sentence)
    return made_of


def mismatches(path: str | Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Returns, in words, where what decided a file's content differs from what is wanted.

    Args:
        path: The file, for the message.
        found: What its origin says, as ``made``.
        wanted: What must have decided it.
    """
    if not found:
        return [f"{path}: says nothing of its origin, an earlier version made it"]
    return [f"{path}: {key} is {got!r}, wanted {want!r}" for key, want, got in differences(plain(wanted), found)]


def file_mismatches(path: str | Path, wanted: Mapping[str, Any]) -> list[str]:
    """Returns :func:`mismatches` of a file, or that it cannot be read."""
    try:
        return mismatches(path, read_origin(path).get("made", {}), wanted)
    except TableError as error:
        return [str(error)]


def plain(made: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a JSON file gives back: lists for tuples, text for keys."""
    return json.loads(json.dumps(made))
