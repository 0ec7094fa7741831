"""A model in training: initial weights, the walk through its steps, and the publication of a revision."""

from __future__ import annotations

import math
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from w2sg.pretraining.optimiser import Crew, TrainingStep
from w2sg.pretraining.parameters import bind_parameters
from w2sg.pretraining.state import WEIGHTS, RevisionRecord, TrainingState, digest_of, write_revision
from w2sg.pretraining.tokens import Batches
from w2sg.runtime.files import file_sha256
from w2sg.runtime.jobs import Progress
from w2sg.study.pretraining import Architecture, PretrainingSettings, learning_rate

LOSS_WINDOW = 32
"""Batches over which the published training loss is averaged; fixed, so that it depends on the step alone."""


def build_model(architecture: Architecture, *, vocabulary: int, length: int, seed: int) -> Any:
    """Returns a ``GPTNeoXForCausalLM`` with initial weights that depend on the seed alone.

    Args:
        architecture: Sizes.
        vocabulary: Entries of the tokenizer.
        length: Number of positions.
        seed: Seed of the initial weights.
    """
    config = transformers.GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=architecture.hidden_size,
        num_hidden_layers=architecture.num_hidden_layers,
        num_attention_heads=architecture.num_attention_heads,
        intermediate_size=architecture.intermediate_size,
        max_position_embeddings=length,
        initializer_range=architecture.initializer_range,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": architecture.rotary_pct,
        },
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=False,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.GPTNeoXForCausalLM(config)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained, on what, and where it goes."""

    batches: Batches
    """Training data, by step."""
    files: Mapping[str, bytes]
    """Tokenizer files that every revision carries, by name."""
    vocabulary: int
    """Entries of the tokenizer."""
    architecture: Architecture
    """Sizes of the model."""
    settings: PretrainingSettings
    """Training run."""
    dtype: str
    """Type of the matrix products, float32 or bfloat16."""
    root: Path
    """Receives one folder per revision."""
    label: str
    """Name of the model in progress reports."""

    def digest(self, recipe: int) -> str:
        """Returns the hash of all that decides the weights; when something is saved is not part of it."""
        run = {k: v for k, v in self.settings.model_dump().items() if k not in ("save_every", "state_every", "dtype")}
        facts = {
            "recipe": recipe,
            "architecture": self.architecture.model_dump(),
            "settings": run,
            "dtype": self.dtype,
            "data": self.batches.fingerprint(),
            "files": {name: content.decode() for name, content in self.files.items()},
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "processor": torch.backends.cpu.get_cpu_capability(),
        }
        return digest_of(facts)

    def progress(self, what: str, *, done: int, until: int) -> Progress:
        """Returns a report on the tokens of the steps ``done`` to ``until``."""
        size = self.settings.tokens_per_step
        return Progress(f"{what} {self.label}", until * size, "tokens", done=done * size)


class Training:
    """A model in training; starts at step 0.

    Args:
        job: What is trained.
        crew: Threads to use.
    """

    def __init__(self, job: Job, crew: Crew) -> None:
        """Builds model and buffers; see the class for the arguments."""
        settings = job.settings
        self._job, self.step = job, 0
        self._losses: deque[float] = deque(maxlen=LOSS_WINDOW)
        self._model = build_model(
            job.architecture, vocabulary=job.vocabulary, length=settings.sequence_length, seed=settings.seed
        )
        layout, flat = bind_parameters(self._model)
        self._stepper = TrainingStep(
            self._model.config,
            layout,
            flat,
            dtype=getattr(torch, job.dtype),
            batch_size=settings.batch_size,
            length=settings.sequence_length,
            shards=settings.shards,
            betas=(settings.beta1, settings.beta2),
            crew=crew,
        )

    def restore(self, state: TrainingState) -> None:
        """Continues where a state was saved."""
        self.step = state.step
        self._losses = deque(state.losses, maxlen=LOSS_WINDOW)
        self._stepper.load(state.tensors)

    def state(self, digest: str, records: Sequence[RevisionRecord]) -> TrainingState:
        """Returns what is needed to continue from here; its tensors are the live ones."""
        return TrainingState(
            digest=digest,
            step=self.step,
            losses=tuple(self._losses),
            records=tuple(records),
            tensors=self._stepper.tensors(),
        )

    def advance(self, until: int, visit: Callable[[], None], progress: Progress) -> None:
        """Trains up to a step, calling ``visit`` before the first update and after each."""
        settings = self._job.settings
        visit()
        while self.step < until:
            self.step += 1
            loss = self._stepper.run(
                torch.from_numpy(self._job.batches.batch(self.step)),
                step=self.step,
                rate=learning_rate(settings, self.step),
                decay=settings.weight_decay,
                clip=settings.clip_norm,
            )
            if not math.isfinite(loss):
                raise FloatingPointError(f"{self._job.label}: loss {loss} at step {self.step}; lower learning_rate")
            self._losses.append(loss)
            progress.update(settings.tokens_per_step, loss=math.fsum(self._losses) / len(self._losses))
            visit()

    def publish(self) -> RevisionRecord:
        """Writes the present weights as a revision."""
        loss = math.fsum(self._losses) / len(self._losses) if self._losses else None
        transformers.utils.logging.disable_progress_bar()
        return write_revision(
            self._job.root,
            self.step,
            save=self._model.save_pretrained,
            files=self._job.files,
            training_loss=loss,
        )

    def weights_hash(self) -> str:
        """Returns the SHA-256 that the weight file of the present weights has."""
        with tempfile.TemporaryDirectory() as folder:
            self._model.save_pretrained(folder)
            return file_sha256(Path(folder) / WEIGHTS)
