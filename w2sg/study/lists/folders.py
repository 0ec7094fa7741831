"""Folders of a user's own that hold checkpoints: which of them are revisions, and what their trainer noted of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2sg.study.lists.rows import HUB_DEFAULT, LAST_STEP, Revision, check_name

NAMED = re.compile(r"(?:(?:global_)?step[-_]?(\d+)(?:-tokens(\d+)B)?|checkpoint-(\d+))")
"""Names that say a step: `step1000`, `step1000-tokens4B`, `step-1000`, `global_step1000`, and `checkpoint-1000` of a Trainer."""

_PACKED = re.compile(r"\.(tar|tar\.\w+|zip|tgz|7z|safetensors|bin|pth?|ckpt)$")
"""How names of files end that may hold a whole revision."""

HERE = "."
"""Subfolder of a revision that is the model's folder itself."""


def is_model(folder: Path) -> bool:
    """Returns whether a folder is itself what Hugging Face's libraries save of a model."""
    return (folder / "config.json").is_file()


def read_folder(folder: Path, tokens_per_step: float | None) -> tuple[Revision, ...]:
    """Returns the revisions in a folder, by step: its folders whose names say a step, or the folder itself.

    Tokens are steps x ``tokens_per_step``; without that what ``trainer_state.json`` has seen (``num_input_tokens_seen``),
    else what the name says, else NaN. A folder that holds a model beside its checkpoints, as a Trainer leaves it, is none of
    the revisions; its model can supervise as ``main``.

    Raises:
        ValueError: If there is no such folder, what is named like a revision is a file or a link that leads nowhere, or a folder in
            it holds a model, or nothing, and its name says no step, or another step than ``trainer_state.json``.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}; paths are relative to the working directory {Path.cwd()}")
    inside = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    named = [child for child in inside if NAMED.fullmatch(child.name)]
    for child in sorted(folder.iterdir()):
        name = _PACKED.sub("", child.name)
        if NAMED.fullmatch(name) and not child.is_dir() and not (folder / name).is_dir():
            fault = "a file, expected a folder; unpack" if child.exists() else "a link that leads nowhere; restore"
            raise ValueError(f"{folder}: {child.name} is {fault} or remove it")
    if is_model(folder) and not named:
        return (_revision(folder, HUB_DEFAULT, tokens_per_step, subfolder=HERE),)
    _check_others(folder, [child for child in inside if child not in named], named)
    found = [_revision(child, child.name, tokens_per_step) for child in named]
    for one in found:
        check_name(one.name)
    return tuple(sorted(found, key=lambda revision: (revision.step, revision.name)))


def _check_others(folder: Path, others: Sequence[Path], named: Sequence[Path]) -> None:
    """No model is left out without a word; what holds other things, such as a Trainer's `runs`, is no model."""
    empty = {child.name for child in others if not any(child.iterdir())}
    models = [
        f"{child.name} (empty)" if child.name in empty else child.name
        for child in others
        if child.name in empty or is_model(child)
    ]
    known = "step<N>, step<N>-tokens<M>B or checkpoint-<N>"
    listed = "give a revision list in which every revision stands (key revisions)"
    if models:
        shown = f"{', '.join(models[:10])}{', ...' if len(models) > 10 else ''}"
        text = f"{len(models)} of {len(models) + len(named)} folders in {folder} have names that say no step: {shown}"
        raise ValueError(f"{text}; rename them to {known}, remove those that are empty, or {listed}")
    if not named:
        raise ValueError(f"{folder} holds neither a model (config.json) nor folders named {known}; {listed}")


def _revision(folder: Path, name: str, tokens_per_step: float | None, subfolder: str = "") -> Revision:
    state = _trainer_state(folder / "trainer_state.json")
    match = NAMED.fullmatch(name)
    said = state.get("global_step")
    step = int(match[1] or match[3]) if match else said or 0
    if step >= LAST_STEP:
        raise ValueError(f"{folder}: step {step} is too large, allowed: at most {LAST_STEP - 1}")
    if said is not None and said != step:
        raise ValueError(f"{folder}: its name says step {step}, trainer_state.json says global_step {said}")
    seen, written = state.get("num_input_tokens_seen"), match[2] if match else None
    if tokens_per_step is not None and (match or said is not None):
        tokens = step * tokens_per_step / 1e9
    elif step == 0 and match:
        tokens = 0.0
    elif seen:
        tokens = seen / 1e9
    else:
        tokens = float(written) if written and int(written) else math.nan
    return Revision(name=name, step=step, tokens=tokens, subfolder=subfolder)


def said_step(folder: Path) -> int | None:
    """Returns the step that ``trainer_state.json`` or a folder's name says, which may be counted from elsewhere; None where neither does."""
    match = NAMED.fullmatch(folder.name)
    named = int(match[1] or match[3]) if match else None
    return _trainer_state(folder / "trainer_state.json").get("global_step", named)


def _trainer_state(path: Path) -> dict[str, Any]:
    """What a Trainer of transformers noted beside a checkpoint; nothing where it did not."""
    if not path.is_file():
        return {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        found = {key: state[key] for key in ("global_step", "num_input_tokens_seen") if state.get(key) is not None}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
    for key, value in found.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise ValueError(f"{path}: {key} is {value!r:.40}, expected an integer >= 0, less than 2^63")
    return found
