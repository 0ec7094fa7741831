"""Pre-training of a miniature Pythia: it can be killed at any moment, and ends with the same bytes."""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from w2sg.pretraining.state import (
    RevisionRecord,
    TrainingState,
    is_whole,
    load_state,
    save_state,
    write_manifest,
    write_revision,
)
from w2sg.pretraining.tokenizer import END_OF_TEXT, FILES, save_tokenizer
from w2sg.pretraining.tokens import Batches
from w2sg.pretraining.training import Training, one_thread
from w2sg.runtime.files import sha256
from w2sg.runtime.jobs import Progress
from w2sg.runtime.locks import first_free, is_locked
from w2sg.runtime.machine import compute_type
from w2sg.study.pretraining import Architecture, PretrainingSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is trained, on what, and where it goes; see :func:`pretrain`."""

    batches: Batches
    files: Mapping[str, bytes]
    """Tokenizer files that every revision carries, by name."""
    vocabulary: int
    architecture: Architecture
    settings: PretrainingSettings
    dtype: str
    root: Path
    label: str

    @property
    def state(self) -> Path:
        """File of the saved state."""
        return self.root / ".state" / "state.pt"


def pretrain(
    *,
    ids: np.ndarray,
    tokenizer: Any,
    architecture: Architecture,
    settings: PretrainingSettings,
    root: Path,
    recipe: int,
    label: str,
) -> list[RevisionRecord]:
    """Returns the published revisions of a model, by step, after training whatever of it is not on disk yet.

    A run that was killed continues from its last saved state. If revisions are missing or were changed on disk,
    or settings, data or libraries are others, the training begins again. In each case the folders end with the
    bytes of an uninterrupted run on the same machine, however many cores there are.

    Args:
        ids: Token stream (n,) uint16 of the training documents.
        tokenizer: Its ``tokenizers.Tokenizer``; every revision carries it.
        architecture: Sizes of the model.
        settings: Training run.
        root: Receives one Hugging Face folder ``step{N}`` per revision, their list ``manifest.tsv``, and ``.state``, which
            keeps the state between runs; no output, so that no scheduler deletes it.
        recipe: Version of the numerical recipe.
        label: Name of the model in progress reports.

    Raises:
        ValueError: If the tokenizer and the tokens do not fit each other or the settings.
        FloatingPointError: If the training diverges.
    """
    vocabulary = tokenizer.get_vocab_size()
    if vocabulary > settings.vocabulary_size:
        raise ValueError(f"tokenizer: got {vocabulary} entries, allowed: at most {settings.vocabulary_size}")
    if len(ids) and int(ids.max()) >= vocabulary:
        raise ValueError(f"ids: got token {int(ids.max())}, allowed: below the tokenizer's {vocabulary} entries")
    job = _Job(
        batches=Batches(ids, length=settings.sequence_length, batch_size=settings.batch_size, seed=settings.seed),
        files=_tokenizer_files(tokenizer, context=settings.sequence_length),
        vocabulary=vocabulary,
        architecture=architecture,
        settings=settings,
        dtype=compute_type(settings.dtype),
        root=root,
        label=label,
    )
    job.state.parent.mkdir(parents=True, exist_ok=True)
    lock = job.state.with_name("lock")
    if is_locked(lock):  # if a scheduler was killed and its job lives on, this one finds the work done
        _log.warning("another process trains in %s; waiting until it ends", root)
    with first_free([lock]), one_thread():
        records = _train(job, _digest(job, recipe))
    published = [records[step] for step in settings.schedule]
    write_manifest(root / "manifest.tsv", published, tokens_per_step=settings.tokens_per_step, dtype=job.dtype)
    return published


def _tokenizer_files(tokenizer: Any, *, context: int) -> dict[str, bytes]:
    if tokenizer.token_to_id(END_OF_TEXT) != 0:
        raise ValueError(f"tokenizer: got id {tokenizer.token_to_id(END_OF_TEXT)} for {END_OF_TEXT}, allowed: 0")
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder), context=context)
        return {name: (Path(folder) / name).read_bytes() for name in FILES}


def _digest(job: _Job, recipe: int) -> str:
    """Returns the hash of all that decides the weights; when something is saved is not part of it."""
    run = {k: v for k, v in job.settings.model_dump().items() if k not in ("save_every", "state_every", "dtype")}
    facts = {
        "recipe": recipe,
        "architecture": job.architecture.model_dump(),
        "settings": run,
        "dtype": job.dtype,
        "data": job.batches.fingerprint(),
        "files": {name: content.decode() for name, content in job.files.items()},
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
    return sha256(json.dumps(facts, sort_keys=True).encode())


def _train(job: _Job, digest: str) -> dict[int, RevisionRecord]:
    """Returns the records of all revisions, by step, after training what is missing."""
    settings, state = job.settings, _usable_state(job, digest)
    records = {record.step: record for record in state.records} if state else {}
    if state and state.training["step"] == settings.steps:
        return records
    training = Training(job.architecture, settings, vocabulary=job.vocabulary, dtype=job.dtype)
    if state:
        training.restore(state.training)
    else:
        for folder in job.root.glob("step*/"):  # none of another training may be mistaken for one of this
            shutil.rmtree(folder)
        records[0] = _publish(job, training)
    size = settings.tokens_per_step
    progress = Progress(f"pretrain {job.label}", settings.steps * size, "tokens", done=training.step * size)
    for step in range(training.step + 1, settings.steps + 1):
        loss = training.update(torch.from_numpy(job.batches.batch(step)))
        if not math.isfinite(loss):
            raise FloatingPointError(f"{job.label}: loss {loss} at step {step}; lower learning_rate")
        progress.update(size, loss=training.mean_loss or 0.0)
        if step in settings.schedule:
            records[step] = _publish(job, training)
        if step % settings.state_every == 0 or step == settings.steps:
            saved = TrainingState(digest=digest, records=list(records.values()), training=training.state())
            save_state(job.state, saved)
    return records


def _usable_state(job: _Job, digest: str) -> TrainingState | None:
    """Returns the saved state if it belongs to this training and all that was to be published is there and whole."""
    state = load_state(job.state)
    if state is None:
        return None
    if state.digest != digest:
        _log.warning("%s: another configuration was trained here; starting again", job.label)
        return None
    whole = {record.step for record in state.records if is_whole(job.root, record)}
    lost = [step for step in job.settings.schedule if step <= state.training["step"] and step not in whole]
    if lost:
        _log.warning("%s: revisions of steps %s are missing or were changed; starting again", job.label, lost)
        return None
    return state


def _publish(job: _Job, training: Training) -> RevisionRecord:
    """Writes the present weights as a revision."""
    transformers.utils.logging.disable_progress_bar()
    return write_revision(
        job.root,
        training.step,
        save=training.model.save_pretrained,
        files=job.files,
        training_loss=training.mean_loss,
    )
