"""What went wrong where weights could not be read: which file, and what it is."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from w2sg.revisions.folders import RevisionError, check_weights, weight_files
from w2sg.runtime.contents import content_fault

_FLOATS = ("F", "BF")
"""How safetensors calls types of floating point: F32, F8_E4M3, BF16, ...; a complex one is C64."""

_MEMORY = (MemoryError, torch.OutOfMemoryError)


@contextlib.contextmanager
def reading_weights(folder: Path, *, indexed: bool) -> Iterator[None]:
    """Checks a revision's weight files by their content, and turns errors of reading them into ones that name the file.

    Args:
        folder: The revision.
        indexed: Whether its reader needs the index of several weight files.

    Raises:
        RevisionError: If a weight file is a pointer, a web page, cut, damaged, no file of tensors, or cannot be read.
    """
    check_weights(folder)
    first = weight_files(folder)[0].name
    index = folder / f"{first.split('-')[0]}{Path(first).suffix}.index.json"
    if indexed and "-of-" in first and (fault := content_fault(index) or _index_fault(index)):
        raise RevisionError(f"{index} {fault}; it says which tensor lies in which of the weight files")
    try:
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


def check_types(folder: Path, weights: Collection[str] | None) -> None:
    """Raises :class:`RevisionError` if a weight is no floating-point number: its reader would take counts for values.

    Args:
        folder: The revision.
        weights: Names of weights in the files; others are buffers, such as a causal mask, of any type. None: all are weights.
    """
    for path in weight_files(folder):
        for name, kind, is_float in _stored_types(path):
            if not is_float and (weights is None or name in weights):
                text = f"{path}: {name} is of type {kind}, expected a float type; were the weights quantized"
                raise RevisionError(f"{text}, write them out as floats")


def _stored_types(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Yields name and type of a file's tensors, and whether it is one of floating point; reads no numbers."""
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                kind = file.get_slice(name).get_dtype()
                yield name, kind, kind.startswith(_FLOATS)
        return
    for name, tensor in torch.load(path, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(path)).items():
        if isinstance(tensor, torch.Tensor):
            yield name, str(tensor.dtype), tensor.is_floating_point()


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
