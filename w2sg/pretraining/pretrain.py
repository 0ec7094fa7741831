"""Pre-training of a miniature Pythia: it can be killed at any moment, and ends with the same bytes."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from w2sg.pretraining.optimiser import crew_of
from w2sg.pretraining.state import WEIGHTS, RevisionRecord, forget, is_whole, load_state, save_state, sole_trainer
from w2sg.pretraining.tokenizer import END_OF_TEXT, FILES, save_tokenizer
from w2sg.pretraining.tokens import Batches
from w2sg.pretraining.training import Job, Training
from w2sg.runtime.machine import compute_type
from w2sg.study.pretraining import Architecture, PretrainingSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A finished training."""

    records: tuple[RevisionRecord, ...]
    """The revisions of the schedule, by step."""
    dtype: str
    """Type in which the matrix products were computed."""


def pretrain(
    *,
    ids: np.ndarray,
    tokenizer: Any,
    architecture: Architecture,
    settings: PretrainingSettings,
    root: Path,
    state_folder: Path,
    threads: int,
    recipe: int,
    label: str,
) -> Pretrained:
    """Returns the published revisions of a model after training whatever of it is not on disk yet.

    A run that was killed continues from its last saved state. Revisions that are missing or were changed on
    disk are made anew by repeating the training up to them. Other settings, data or libraries start a new
    training. In each case the folders end with the bytes of an uninterrupted run on the same machine,
    whatever ``threads`` is.

    Args:
        ids: Token stream (n,) uint16 of the training documents.
        tokenizer: Its ``tokenizers.Tokenizer``; every revision carries it.
        architecture: Sizes of the model.
        settings: Training run.
        root: Receives one Hugging Face folder ``step{N}`` per revision.
        state_folder: Keeps the state between runs; not an output, so that no scheduler deletes it.
        threads: Processor threads to use; more than ``settings.shards`` are idle.
        recipe: Version of the numerical recipe.
        label: Name of the model in progress reports.

    Raises:
        ValueError: If the tokenizer and the tokens do not fit each other or the settings.
    """
    vocabulary = tokenizer.get_vocab_size()
    if vocabulary > settings.vocabulary_size:
        raise ValueError(f"tokenizer: got {vocabulary} entries, allowed: at most {settings.vocabulary_size}")
    if len(ids) and int(ids.max()) >= vocabulary:
        raise ValueError(f"ids: got token {int(ids.max())}, allowed: below the tokenizer's {vocabulary} entries")
    job = Job(
        batches=Batches(ids, length=settings.sequence_length, batch_size=settings.batch_size, seed=settings.seed),
        files=_tokenizer_files(tokenizer, context=settings.sequence_length),
        vocabulary=vocabulary,
        architecture=architecture,
        settings=settings,
        dtype=compute_type(settings.dtype),
        root=root,
        label=label,
    )
    with sole_trainer(root, state_folder):
        records = _complete(job, state_folder, digest=job.digest(recipe), threads=threads)
    return Pretrained(records=tuple(records[step] for step in settings.schedule), dtype=job.dtype)


def _tokenizer_files(tokenizer: Any, *, context: int) -> dict[str, bytes]:
    if tokenizer.token_to_id(END_OF_TEXT) != 0:
        raise ValueError(f"tokenizer: got id {tokenizer.token_to_id(END_OF_TEXT)} for {END_OF_TEXT}, allowed: 0")
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder), context=context)
        return {name: (Path(folder) / name).read_bytes() for name in FILES}


def _complete(job: Job, folder: Path, *, digest: str, threads: int) -> dict[int, RevisionRecord]:
    """Returns the records of all revisions, by step, after training what is missing."""
    state = load_state(folder)
    if state is not None and state.digest != digest:
        _log.warning("%s: another configuration was trained here; starting anew", job.label)
        forget(job.root, state.records)
        state = None
    records = {record.step: record for record in state.records} if state else {}
    passed = [step for step in job.settings.schedule if state and step <= state.step]
    lost = {step for step in passed if step not in records or not is_whole(job.root, records[step])}
    if state and state.step == job.settings.steps and not lost:
        return records
    with crew_of(threads) as crew:
        training = Training(job, crew)
        if state and lost:
            if _remake(job, training, lost, records):
                save_state(folder, replace(state, records=_by_step(records)))
            else:
                _log.warning("%s: this machine does not repeat the saved training bit by bit; starting anew", job.label)
                forget(job.root, tuple(records.values()))
                state, records = None, {}
            training = Training(job, crew)
        if state:
            training.restore(state)
        _finish(job, training, folder, digest=digest, records=records)
    return records


def _remake(job: Job, training: Training, lost: set[int], records: dict[int, RevisionRecord]) -> bool:
    """Returns whether repeating the training gave the published bytes; fills the gaps in ``records``."""
    repeats = True

    def visit() -> None:
        nonlocal repeats
        old = records.get(training.step)
        if training.step in lost:
            records[training.step] = training.publish()
            repeats = repeats and old in (None, records[training.step])
        elif old is not None and is_whole(job.root, old):
            repeats = repeats and training.weights_hash() == old.files[WEIGHTS]

    training.advance(max(lost), visit, job.progress("repeat", done=0, until=max(max(lost), 1)))
    return repeats


def _finish(job: Job, training: Training, folder: Path, *, digest: str, records: dict[int, RevisionRecord]) -> None:
    """Trains to the end, publishing revisions and saving states on the way."""
    settings, start = job.settings, training.step

    def visit() -> None:
        step = training.step
        if step in settings.schedule and step not in records:
            records[step] = training.publish()
        if (step % settings.state_every == 0 or step == settings.steps) and (step != start or step == 0):
            save_state(folder, training.state(digest, _by_step(records)))

    if start < settings.steps:
        progress = job.progress("pretrain", done=start, until=settings.steps)
        training.advance(settings.steps, visit, progress)


def _by_step(records: dict[int, RevisionRecord]) -> tuple[RevisionRecord, ...]:
    return tuple(records[step] for step in sorted(records))
