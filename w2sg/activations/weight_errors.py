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
from w2sg.runtime import zeros
from w2sg.runtime.contents import content_fault

_FLOATS = ("F", "BF")
"""How safetensors calls types of floating point: F32, F8_E4M3, BF16, ...; a complex one is C64."""

EMPTY_ROWS = 0.1
"""Largest share of the tokenizer's ids whose rows of an embedding may be zeros."""

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


def check_zeros(folder: Path, model: torch.nn.Module) -> None:
    """Raises :class:`RevisionError` if a weight that was loaded is zeros and cannot mean it (:mod:`w2sg.runtime.zeros`).

    Args:
        folder: The revision.
        model: What was loaded of it.
    """
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    odd = zeros.odd_zeros(
        {name: (one.shape, _has_run(one)) for name, one in weights.items()}, lambda name: not weights[name].any()
    )
    if odd:
        files = weight_files(folder)
        held = (
            path for path in files for name, _, _ in _stored_types(path) if name.endswith(odd) or odd.endswith(name)
        )
        raise RevisionError(f"{next(held, folder)} {zeros.say(odd)}")


def _has_run(weight: torch.Tensor) -> bool:
    """Returns whether a weight ends in zeros, or has a run of them; runs that lie across two parts of it need twice the length."""
    flat = weight.reshape(-1)
    parts = flat[: len(flat) // zeros.RUN * zeros.RUN].reshape(-1, zeros.RUN)
    return not (parts.any(dim=1).all() and flat[-zeros.END :].any())


def check_embeddings(folder: Path, inner: torch.Tensor, outer: torch.Tensor | None) -> None:
    """Raises :class:`RevisionError` if many rows of an embedding are zeros; of padding and of ids that no text has they may be.

    Args:
        folder: The revision.
        inner: Rows of the input embedding for the tokenizer's ids, (ids, width).
        outer: The same of the output embedding, all of which may be zeros, as an initialisation; None if there is none.
    """
    for name, rows in (("input", inner), ("output", outer)):
        if rows is None:
            continue
        empty = len(rows) - int(rows.any(dim=1).sum())
        if empty > EMPTY_ROWS * len(rows) and not (name == "output" and empty == len(rows)):
            text = f"{empty} of {len(rows)} rows of its {name} embedding that the tokenizer has ids of are zeros"
            raise RevisionError(f"{folder}: {text}: a weight file was not copied whole, or has holes; copy it again")


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
