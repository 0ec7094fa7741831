"""What a training leaves on disk: its resumable state, its published revisions, and their list."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from w2sg.runtime.files import atomic_path, file_sha256
from w2sg.study.pretraining import revision_name

WEIGHTS = "model.safetensors"
"""Weight file of a revision, as Hugging Face names it."""


@dataclass(frozen=True, kw_only=True)
class RevisionRecord:
    """A published revision, as its training wrote it."""

    step: int
    """Optimiser steps taken."""
    training_loss: float | None
    """Mean loss of the last batches before the step, nats per predicted token; None for step 0."""
    files: Mapping[str, str]
    """SHA-256 of every file in the folder, by name."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Everything needed to continue a training with the same bytes."""

    digest: str
    """Hash of all that decides the weights; a state with another digest is never continued."""
    records: Sequence[RevisionRecord]
    """Revisions published so far, by step."""
    training: dict[str, Any]
    """Step, losses, weights and moments, see :meth:`w2sg.pretraining.training.Training.state`."""


def save_state(path: Path, state: TrainingState) -> None:
    """Writes the state atomically: a crash leaves the previous one."""
    with atomic_path(path) as temporary:
        torch.save(vars(state) | {"records": [vars(record) for record in state.records]}, temporary)


def load_state(path: Path) -> TrainingState | None:
    """Returns the saved state, or None if there is none that is whole. Nothing in the file is executed."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # its check sums, which torch does not look at
                return None
        content = torch.load(path, weights_only=True)
        return TrainingState(**content | {"records": [RevisionRecord(**record) for record in content["records"]]})
    except (OSError, zipfile.BadZipFile, RuntimeError, TypeError, KeyError):
        return None


def write_revision(
    root: Path,
    step: int,
    *,
    save: Callable[[Path], None],
    files: Mapping[str, bytes],
    training_loss: float | None,
) -> RevisionRecord:
    """Writes one revision as a Hugging Face folder, atomically, and returns its record.

    Args:
        root: Folder of the model's revisions.
        step: Optimiser steps taken.
        save: Writes configuration and weights into an existing folder.
        files: The other files (tokenizer) by name.
        training_loss: See :class:`RevisionRecord`.
    """
    with atomic_path(root / revision_name(step)) as temporary:
        temporary.mkdir()
        save(temporary)
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        hashes = {path.name: file_sha256(path) for path in sorted(temporary.iterdir())}
    return RevisionRecord(step=step, training_loss=training_loss, files=hashes)


def is_whole(root: Path, record: RevisionRecord) -> bool:
    """Returns whether every file of a revision is there with the bytes that were published."""
    folder = root / revision_name(record.step)
    try:
        return all(file_sha256(folder / name) == published for name, published in record.files.items())
    except OSError:
        return False


def write_manifest(path: Path, records: Sequence[RevisionRecord], *, tokens_per_step: int, dtype: str) -> None:
    """Writes the list of all published revisions atomically: tab-separated, one row per revision by step.

    Columns: revision, step, tokens (seen in training), training_loss (nats per token, empty for step 0),
    dtype (of the matrix products in training), sha256 (of the weight file).
    """
    rows = [
        {
            "revision": revision_name(record.step),
            "step": record.step,
            "tokens": record.step * tokens_per_step,
            "training_loss": record.training_loss,
            "dtype": dtype,
            "sha256": record.files[WEIGHTS],
        }
        for record in records
    ]
    with atomic_path(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, sep="\t", index=False)
