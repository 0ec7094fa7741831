"""What a training leaves on disk: its resumable state, its published revisions, and their list."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from w2sg.runtime.files import atomic_path, file_sha256, sha256
from w2sg.runtime.locks import first_free, is_locked
from w2sg.study.pretraining import revision_name

_log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
"""Weight file of a revision, as Hugging Face names it."""

STATE = "state.safetensors"
"""State file, in the state folder."""


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
    """Everything needed to continue a training with the same bytes.

    Nothing is random after the start: initial weights and the order of the batches follow from the seed, and
    the model has no dropout. Hence there is no generator to save.
    """

    digest: str
    """Hash of all that decides the weights; a state with another digest is never continued."""
    step: int
    """Optimiser steps taken."""
    losses: tuple[float, ...]
    """Losses of the last batches, for the mean that the next revision reports."""
    records: tuple[RevisionRecord, ...]
    """Revisions published so far, by step."""
    tensors: Mapping[str, Tensor]
    """Flat parameters and moments, each (size,) float32."""


def save_state(folder: Path, state: TrainingState) -> None:
    """Writes the state atomically: a crash leaves the previous one."""
    facts = {
        "digest": state.digest,
        "step": state.step,
        "losses": state.losses,
        "records": [asdict(record) for record in state.records],
    }
    facts["content"] = _hash_content(facts, state.tensors)
    with atomic_path(folder / STATE) as temporary:
        safetensors.torch.save_file(dict(state.tensors), temporary, metadata={"w2sg": json.dumps(facts)})


def load_state(folder: Path) -> TrainingState | None:
    """Returns the saved state, or None if there is none that is whole. Nothing in the file is executed."""
    path = folder / STATE
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["w2sg"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if facts.pop("content") != _hash_content(facts, tensors):
            return None
        records = tuple(RevisionRecord(**record) for record in facts.pop("records"))
        return TrainingState(**facts | {"losses": tuple(facts["losses"])}, records=records, tensors=tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _hash_content(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    named = ((name.encode(), tensors[name].numpy().data) for name in sorted(tensors))
    return sha256(digest_of(facts).encode(), *itertools.chain.from_iterable(named))


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


def forget(root: Path, records: Sequence[RevisionRecord]) -> None:
    """Deletes the revisions of a training that is not continued, so that none is mistaken for a new one."""
    for record in records:
        shutil.rmtree(root / revision_name(record.step), ignore_errors=True)


def write_manifest(path: Path, records: Sequence[RevisionRecord], *, tokens_per_step: int, dtype: str) -> None:
    """Writes the published revision list, tab-separated, one row per revision by step.

    Columns: revision, step, tokens (seen in training), training_loss (nats per token, empty for step 0),
    dtype (of the matrix products in training), sha256 (of the weight file).

    Args:
        path: File to write, atomically.
        records: Every revision of the schedule.
        tokens_per_step: Tokens of a batch.
        dtype: Compute type that was used.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["revision", "step", "tokens", "training_loss", "dtype", "sha256"])
    for record in sorted(records, key=lambda record: record.step):
        loss = "" if record.training_loss is None else repr(record.training_loss)
        tokens = record.step * tokens_per_step
        writer.writerow([revision_name(record.step), record.step, tokens, loss, dtype, record.files[WEIGHTS]])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


@contextlib.contextmanager
def sole_trainer(root: Path, folder: Path) -> Iterator[None]:
    """Holds the lock of a training, and removes what a killed one left half written.

    A second process waits: if a scheduler was killed and its job lives on, the next one finds the work done.

    Args:
        root: Folder of the revisions; created.
        folder: Folder of the state; created.
    """
    for path in (root, folder):
        path.mkdir(parents=True, exist_ok=True)
    if is_locked(folder / "lock"):
        _log.warning("another process trains in %s; waiting until it ends", root)
    with first_free([folder / "lock"]):
        for path in (*root.glob(".*.tmp"), *folder.glob(".*.tmp")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        yield


def digest_of(facts: Mapping[str, Any]) -> str:
    """Returns the hash of JSON-serialisable facts, whatever the order of their keys."""
    return sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode())
