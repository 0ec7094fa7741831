"""What went wrong where weights could not be read: which file, and what it is."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from w2sg.revisions.folders import RevisionError, check_weights, weight_files
from w2sg.runtime import zeros
from w2sg.runtime.contents import content_fault

_FLOATS = ("F", "BF")
"""How safetensors calls types of floating point: F32, F8_E4M3, BF16, ...; a complex one is C64."""

LARGEST = 2.0**20
"""Largest number of a weight; bytes of something else, read as floats, soon exceed it or are not finite."""

_SPAN = 256
"""Numbers of an embedding's row that are looked at together: a page of a file without numbers covers some of them wholly."""

EMPTY_ROWS = 0.01
"""Largest share of the tokenizer's ids, special ones aside, whose rows of an embedding may hold zeros, if no text has them."""

NOT_WHOLE = "a weight file was not copied whole, or has holes; copy it again"

_MEMORY = (MemoryError, torch.OutOfMemoryError)


@contextlib.contextmanager
def reading_weights(folder: Path, *, indexed: bool) -> Iterator[None]:
    """Checks a revision's weight files by their content, and turns errors of reading them into ones that name the file.

    Args:
        folder: The revision.
        indexed: Whether its reader needs the index of several weight files.

    Raises:
        RevisionError: If a weight file is a pointer, a web page, cut, damaged, no file of tensors, or cannot be read; or if the index
            names other files, or another file for a tensor.
    """
    check_weights(folder)
    first = weight_files(folder)[0].name
    index = folder / f"{first.split('-')[0]}{Path(first).suffix}.index.json"
    if indexed and "-of-" in first and (fault := content_fault(index) or _index_fault(index)):
        raise RevisionError(f"{index} {fault}; it says which tensor lies in which of the weight files")
    try:
        if indexed and "-of-" in first:
            _check_places(index, folder)
        yield
    except (RevisionError, *_MEMORY):
        raise
    except Exception as error:
        for path in weight_files(folder):
            if fault := _bin_fault(path) if path.suffix == ".bin" else _header_fault(path):
                raise RevisionError(f"{path} {fault}") from None
        raise RevisionError(
            f"{folder}: no model can be made of its config.json and weight files ({type(error).__name__}: {error})"
        ) from error


def check_report(folder: Path, report: Mapping[str, Any], kind: str) -> None:
    """Raises :class:`RevisionError` if weights were missing, left over or of another shape, naming the first three of each.

    Args:
        folder: The revision.
        report: What the library says of its load.
        kind: Class of the model.
    """
    shapes = [f"{name} is {tuple(a)}, by config.json {tuple(b)}" for name, a, b in report["mismatched_keys"]]
    found = {key: sorted(report[key]) for key in ("missing_keys", "unexpected_keys")} | {"shapes": sorted(shapes)}
    wrong = [f"{key}: {', '.join(names[:3])} ({len(names)} in all)" for key, names in found.items() if names]
    if wrong:
        raise RevisionError(f"weights in {folder} do not fit {kind}; {'; '.join(wrong)}")


def check_types(folder: Path, tensors: Iterable[Stored], weights: Collection[str] | None) -> None:
    """Raises :class:`RevisionError` if a weight is no floating-point number: its reader would take counts for values.

    Args:
        folder: The revision.
        tensors: What is stored there.
        weights: Names of weights in the files; others are buffers, such as a causal mask, of any type. None: all are weights.
    """
    for one in tensors:
        if not one.is_float and (weights is None or one.name in weights):
            text = f"{folder / one.file}: {one.name} is of type {one.kind}, expected a float type; were the weights quantized"
            raise RevisionError(f"{text}, write them out as floats")


def check_names(folder: Path, tensors: Iterable[Stored], prefix: str) -> None:
    """Raises :class:`RevisionError` if a weight stands twice in the files: its reader would take one of them without a word.

    Args:
        folder: The revision.
        tensors: What is stored there.
        prefix: Regular expression of what the reader takes away from the beginning of names.
    """
    found: dict[str, Stored] = {}
    for one in tensors:
        bare = re.sub(f"^(?:{prefix})+", "", one.name)
        if (other := found.setdefault(bare, one)) is not one:
            text = f"{one.name} is the same weight as {other.name} in {other.file}, expected each once"
            raise RevisionError(f"{folder / one.file}: {text}; remove the one that is not meant")


def check_numbers(folder: Path, model: torch.nn.Module) -> None:
    """Raises :class:`RevisionError` if a file holds something else where the numbers of a loaded weight are expected.

    That is zeros that cannot be meant (:mod:`w2sg.runtime.zeros`), numbers that are not finite, or beyond :data:`LARGEST`.

    Args:
        folder: The revision.
        model: What was loaded of it.
    """
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    for name, weight in weights.items():
        if weight.numel() and not all(abs(float(end)) <= LARGEST for end in torch.aminmax(weight)):
            text = f"{_file_of(folder, name)} holds something else where numbers of {name} are expected"
            raise RevisionError(f"{text} (some are not finite, or beyond 2^20): it was damaged; copy it again")
    odd = zeros.odd_zeros(
        {name: (one.shape, _has_run(one)) for name, one in weights.items()}, lambda name: not weights[name].any()
    )
    if odd:
        raise RevisionError(f"{_file_of(folder, odd)} {zeros.say(odd)}")


def _file_of(folder: Path, weight: str) -> Path:
    """Returns the file that holds a weight; the folder where it has another name in them all."""
    held = (one.file for one in stored(folder) if one.name.endswith(weight) or weight.endswith(one.name))
    return folder / next(held, "")


def _has_run(weight: torch.Tensor) -> bool:
    """Returns whether a weight ends in zeros, or has a run of them; runs that lie across two parts of it need twice the length."""
    flat = weight.reshape(-1)
    parts = flat[: len(flat) // zeros.RUN * zeros.RUN].reshape(-1, zeros.RUN)
    return not (parts.any(dim=1).all() and flat[-zeros.END :].any())


def empty_rows(inner: torch.Tensor, outer: torch.Tensor | None) -> frozenset[int]:
    """Returns the numbers of rows that hold zeros in an embedding; of padding, and of ids that no text has, they may.

    Args:
        inner: The input embedding, (ids, width).
        outer: The output embedding, all of which may be zeros, as an initialisation; None if there is none.
    """
    found: set[int] = set()
    for rows in (inner, outer):
        if rows is None or not rows.any():
            continue
        span = min(_SPAN, rows.shape[1])
        parts = rows[:, : rows.shape[1] // span * span].unflatten(1, (-1, span))
        found |= set(torch.nonzero(~parts.any(-1).all(-1))[:, 0].tolist())
    return frozenset(found)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor in a weight file, without its numbers."""

    file: str
    """Name of the file."""
    name: str
    """Its name there."""
    kind: str
    """Its type, as the format calls it."""
    is_float: bool
    """Whether that is one of floating point."""
    shape: tuple[int, ...]
    """Its shape."""


def stored(folder: Path) -> Iterator[Stored]:
    """Yields the tensors of a revision's weight files; reads no numbers, except for ``.bin`` files from before torch 1.6."""
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    part = file.get_slice(name)
                    kind, shape = part.get_dtype(), tuple(part.get_shape())
                    yield Stored(file=path.name, name=name, kind=kind, is_float=kind.startswith(_FLOATS), shape=shape)
            continue
        held = torch.load(path, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(path))
        for name, one in held.items():
            if isinstance(one, torch.Tensor):
                kind, shape = str(one.dtype), tuple(one.shape)
                yield Stored(file=path.name, name=name, kind=kind, is_float=one.is_floating_point(), shape=shape)


def _check_places(index: Path, folder: Path) -> None:
    """The library opens the files that an index names; the identity of a revision is that of its weight files."""
    said = {name: str(file) for name, file in json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"].items()}
    files = [path.name for path in weight_files(folder)]
    if others := sorted(set(said.values()).difference(files)):
        raise RevisionError(f"{index} names {others[0]}, which is none of the weight files {', '.join(files)}")
    tensors = list(stored(folder))
    check_names(folder, tensors, prefix="")
    for one in tensors:
        if (other := said.get(one.name, one.file)) != one.file:
            raise RevisionError(f"{index}: {one.name} is said to lie in {other}, and lies in {one.file}")


def _index_fault(path: Path) -> str:
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    keys = ("metadata", "weight_map")
    whole = isinstance(found, dict) and all(isinstance(found.get(key), dict) for key in keys)
    return "" if whole else f"is no JSON object with {' and '.join(keys)}"


def _header_fault(path: Path) -> str:
    """What is wrong with a safetensors file; empty if it is not this one."""
    try:
        with safe_open(path, framework="pt"):
            return ""
    except (SafetensorError, OSError) as error:
        return f"is damaged ({error})"


def _bin_fault(path: Path) -> str:
    """What is wrong with a torch file that may not be loaded; empty if it is not this one."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except _MEMORY:
        raise
    except Exception as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if named:
            return (
                f"holds more than tensors ({named[1]}), which could run code, and is not opened; where you trust it, "
                "load it with torch elsewhere and save its tensors as model.safetensors"
            )
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f"was cut or is damaged, or is no file of tensors ({lines[0]})"
    return ""
