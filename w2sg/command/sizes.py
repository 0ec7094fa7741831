"""What a plan knows of a revision that is not on the Hub, from its configuration. Standard library and the study's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2sg.revisions.folders import is_weights
from w2sg.study.pretraining import pythia_schedule


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
