"""What a plan knows of a revision that is not on the Hub, from its configuration, and of pairs in files. Standard library and the study's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2sg.data.rows import file_rows
from w2sg.revisions.folders import is_weights
from w2sg.study.pretraining import pythia_schedule
from w2sg.study.protocols import SPLITS
from w2sg.study.texts.files import data_files


def trained_sizes(model: Mapping[str, Any]) -> dict[str, float]:
    """Returns what a plan knows of a model that is trained here, see :class:`w2sg.study.costs.PlannedStudy`."""
    sizes, run = model["architecture"], model["pretraining"]
    width, blocks = sizes["hidden_size"], sizes["num_hidden_layers"]
    count = 2 * run["vocabulary_size"] * width + blocks * (4 * width**2 + 2 * width * sizes["intermediate_size"])
    return {
        "parameters": count, "size": 4 * count, "width": width, "layers": blocks + 1,
        "trained": run["steps"] * run["batch_size"] * run["sequence_length"],
        "saved": len(pythia_schedule(run["steps"], run["save_every"])),
    }  # fmt: skip


def folder_sizes(folder: Path) -> dict[str, float]:
    """Returns the same of a revision in a folder; nothing if its configuration says no sizes."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    size = weights_size(folder)
    width = next((config[key] for key in ("hidden_size", "n_embd", "d_model") if config.get(key)), None)
    blocks = next((config[key] for key in ("num_hidden_layers", "n_layer", "n_layers") if config.get(key)), None)
    if not size or width is None or blocks is None:
        return {}
    each = 2 if "16" in str(config.get("dtype") or config.get("torch_dtype")) else 4
    return {"parameters": size / each, "size": size, "width": width, "layers": blocks + 1}


def weights_size(folder: Path) -> int:
    """Returns the bytes of all weight files in a folder."""
    return sum(entry.stat().st_size for entry in os.scandir(folder) if is_weights(entry.name))


def count_pairs(name: str, spec: Mapping[str, Any]) -> float | None:
    """Returns the pairs in each split of an entry of ``datasets`` as costs count them, a labelled text for half of one.

    Where the entry says no number, rows of its files are counted, duplicates among them; None for a dataset on the Hub.

    Raises:
        RuntimeError: If a file is not there.
        ValueError: If one cannot be read.
    """
    pairs = spec.get("pairs")
    if pairs is None and spec["source"] == "files":
        split = [_count(name, path) for path in (spec.get("files") or {}).values()]
        pairs = min(split) if split else _count(name, spec["file"]) / len(SPLITS)
    return pairs / 2 if pairs and spec.get("task") == "classification" else pairs


def _count(name: str, path: str) -> int:
    return sum(1 for file in data_files(path) for _ in file_rows(Path(file), f"datasets.{name}: {file}"))
