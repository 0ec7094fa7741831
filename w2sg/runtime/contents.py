"""What a file is by its content, where that is not what its name says: a pointer, a web page, a part of a file."""

from __future__ import annotations

import gzip
import json
import pickletools
import tarfile
import zipfile
import zlib
from pathlib import Path

from w2sg.runtime import zeros

_LOOK = 512
"""Bytes of the beginning that are looked at."""

_POINTER = b"version https://git-lfs.github.com/spec/v1"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml")
_ZIP, _PARQUET, _GZIP = b"PK\x03\x04", b"PAR1", b"\x1f\x8b"

_LEGACY = b"\x80\x02\x8a\x0a"
"""Beginning of what ``torch.save`` wrote before version 1.6."""

_PICKLES = 5
"""Pickles of such a file: its mark, version, system, tensors and their order; the numbers follow."""

_KINDS = {
    _ZIP: "a zip archive",
    _PARQUET: "a parquet file",
    _GZIP: "a gzip file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF",
}
"""What other files begin with."""

_TEXTS = (".json", ".jsonl", ".csv", ".tsv", ".txt")
_TORCH = (".bin", ".pt", ".pth")

_MOST_HEADER = 100_000_000
"""Bytes that the header of a safetensors file may have, by its format."""


def content_fault(path: Path) -> str:
    """Returns what is wrong with a file, in words that follow its name; empty where it is what its suffix says.

    Reads the beginning and the end, of a ``.gz`` file also the beginning of what is packed, and a ``.json`` file whole. Cut files
    of ``.safetensors``, torch's archives, ``.parquet`` and ``.json`` are told, and weights of ``.safetensors`` that end in zeros; a
    cut ``.gz`` file, text or old torch file only by whoever reads all of it.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_LOOK)
        return _common_fault(path, size, start) or _own_fault(path, size, start)
    except IsADirectoryError:
        return "is a folder, expected a file"
    except FileNotFoundError:
        return "is a link that leads nowhere" if path.is_symlink() else "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _common_fault(path: Path, size: int, start: bytes) -> str:
    """What any file may be instead of itself."""
    if not size:
        return "is empty (0 bytes): it was not written or copied whole"
    if not start.strip(b"\0"):
        return "begins with zeros only: a copy that was not finished"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_POINTER):
        return f"is a Git LFS pointer of {size} bytes, not the file itself: run `git lfs pull` in its folder, or download it"
    if text.startswith(_PAGES) and path.suffix not in (".html", ".htm", ".xml"):
        return (
            "is a web page, not the file itself: a login or error page was saved, or the page that shows the file; "
            "download it again (on the Hub from the address with /resolve/, not /blob/)"
        )
    return ""


def _own_fault(path: Path, size: int, start: bytes) -> str:
    """What is wrong with a file of the format that its suffix names."""
    suffix = path.suffix.lower()
    if suffix in _TEXTS:
        kind = _kind(start)
        if kind:
            return f"is {kind} by its content, expected text; unpack it, or give it its own suffix"
        if coding := _coding(start):
            return f"seems to be in {coding}, expected UTF-8; save it again with that encoding"
        return _json_fault(path) if suffix == ".json" else ""
    if suffix == ".safetensors":
        return _safetensors_fault(path, size, start)
    if suffix in _TORCH:
        return _torch_fault(path, start)
    if suffix == ".parquet":
        return _parquet_fault(path, start)
    return _gzip_fault(path, start) if suffix in (".gz", ".tgz") else ""


def _gzip_fault(path: Path, start: bytes) -> str:
    if not start.startswith(_GZIP):
        return f"is {_kind(start) or _quoted(start)} by its content, expected a gzip file; correct its suffix"
    try:
        with gzip.open(path) as file:
            inner = file.read(_LOOK)
    except (OSError, EOFError, zlib.error) as error:
        return f"was cut or is damaged: not even its beginning can be unpacked ({error})"
    held = path.with_suffix("")
    fault = _common_fault(held, len(inner), inner)
    if not fault and held.suffix.lower() in _TEXTS:
        if kind := _kind(inner):
            fault = f"is {kind} by its content, expected text"
        elif coding := _coding(inner):
            fault = f"seems to be in {coding}, expected UTF-8; save it again with that encoding"
    return f"(unpacked) {fault}" if fault else ""


def _kind(start: bytes) -> str:
    return next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")


def _coding(start: bytes) -> str:
    """Which encoding of Unicode a text has by its mark, or by the zeros of its first letters; empty if none but UTF-8."""
    found, first = json.detect_encoding(start[:4]), start[:16]
    marked = found in ("utf-16", "utf-32")
    zeros_told = not found.startswith("utf-8") and 3 * first.count(0) >= len(first)  # not a single stray one
    return found[:6].upper() if marked or zeros_told else ""


def _quoted(start: bytes) -> str:
    return f"something that begins with {start[:12]!r}"


def _json_fault(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return f"is no UTF-8 text ({error.reason} at byte {error.start})"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            return f"was cut: it ends in the middle of its JSON ({error.msg}: {place})"
        lines = "; name it .jsonl if it has one object per line" if error.msg == "Extra data" else ""
        return f"is not JSON ({error.msg}: {place}){lines}"
    except RecursionError:
        return "is not a JSON of any use: it is nested too deeply"
    return ""


def _safetensors_fault(path: Path, size: int, start: bytes) -> str:
    if size <= 8:
        return f"was cut: it has {size} bytes"
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or length > _MOST_HEADER:
        return f"is {_kind(start) or _quoted(start)} by its content, expected a safetensors file"
    with path.open("rb") as file:
        header = file.read(8 + length)[8:]
    if len(header) < length:
        return f"was cut: it has {size:,} bytes, its header alone ends at {8 + length:,}"
    try:
        found = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in found.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "has a damaged header, expected that of a safetensors file"
    if size < whole:
        return f"was cut: it has {size:,} of {whole:,} bytes"
    if size > whole:
        return f"has {size:,} bytes, its header says {whole:,}: it is damaged"
    try:
        odd = zeros.safetensors_zeros(path, 8 + length, found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return "has a damaged header, expected that of a safetensors file"
    return zeros.say(odd) if odd else ""


def _torch_fault(path: Path, start: bytes) -> str:
    if start.startswith(_ZIP):
        return "" if zipfile.is_zipfile(path) else "was cut: the end of its archive is missing"
    if start.startswith(_LEGACY):
        return _legacy_fault(path)
    if tarfile.is_tarfile(path):
        return "has the format of torch before 0.2 (tar): load it with that version and save it again, as safetensors"
    return f"is {_kind(start) or _quoted(start)} by its content, expected what torch.save writes"


def _legacy_fault(path: Path) -> str:
    """Walks over the pickles before the numbers without carrying them out."""
    try:
        with path.open("rb") as file:
            for _ in range(_PICKLES):
                for _ in pickletools.genops(file):
                    pass
    except Exception:  # ValueError by its documentation; more for bytes that are no pickle
        return "was cut or is damaged: the description of its tensors cannot be read"
    return ""


def _parquet_fault(path: Path, start: bytes) -> str:
    if not start.startswith(_PARQUET):
        return f"is {_kind(start) or _quoted(start)} by its content, expected a parquet file"
    with path.open("rb") as file:
        file.seek(-min(4, path.stat().st_size), 2)
        end = file.read()
    return "" if end == _PARQUET and path.stat().st_size >= 12 else "was cut: the end of a parquet file is missing"
