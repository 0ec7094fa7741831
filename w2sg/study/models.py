"""Entries of ``models`` and ``families``: where revisions come from, and who supervises whom."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from w2sg.study.fields import Count, Name, Natural, Positive, Rate, Section, Text, at
from w2sg.study.schedule import pythia_schedule

Dtype = Literal["float32", "bfloat16"]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Architecture(Section):
    """Sizes of a GPT-NeoX; the rest (parallel residual, untied embeddings, biases, GELU) is Pythia's."""

    hidden_size: Count
    """Width of the residual stream."""
    num_hidden_layers: Count
    """Blocks."""
    num_attention_heads: Count
    """Heads; a divisor of `hidden_size`."""
    intermediate_size: Count
    """Width of the feed-forward layer."""
    rotary_pct: Rate = 0.25
    """Share of each head's features that carry the position."""
    initializer_range: Positive = 0.02
    """Standard deviation of the initial matrices."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        width, rest = divmod(self.hidden_size, self.num_attention_heads)
        if rest:
            allowed = f"a multiple of num_attention_heads={self.num_attention_heads}"
            raise at("hidden_size", f"got {self.hidden_size}, allowed: {allowed}")
        rotary = int(width * self.rotary_pct)
        if rotary < 2 or rotary % 2:
            allowed = f"a share that is an even number of a head's {width} features, at least 2; this is {rotary}"
            raise at("rotary_pct", f"got {self.rotary_pct}, allowed: {allowed}")
        return self


class PretrainingSettings(Section):
    """One training run: AdamW, linear warm-up, cosine decay."""

    seed: Natural = 0
    """Seed of the initial weights and of the order of the data."""
    steps: Count
    """Optimiser steps."""
    save_every: Count
    """Steps between revisions after Pythia's 0, 1, 2, 4, ..., 512. Does not change any revision."""
    batch_size: Count
    """Sequences per step."""
    sequence_length: Annotated[int, Field(ge=2)]
    """Tokens per sequence, and the model's number of positions."""
    learning_rate: Rate
    """Peak of the learning rate."""
    warmup_steps: Natural
    """Steps of linear warm-up."""
    vocabulary_size: Annotated[int, Field(ge=257)]
    """Most entries of the byte-level BPE tokenizer."""
    final_rate: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Learning rate at the last step, as a share of the peak."""
    beta1: Decay = 0.9
    """Decay of AdamW's first moment."""
    beta2: Decay = 0.95
    """Decay of AdamW's second moment."""
    weight_decay: Decay = 0.1
    """Decoupled decay of matrices; vectors are not decayed."""
    clip_norm: Positive = 1.0
    """Largest Euclidean norm of the mean gradient."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the matrix products; auto: bfloat16 where the processor is fast at it, which changes the weights."""
    shards: Count = 2
    """Parts into which each batch is cut, and most threads that can be used. Fixes the order of all sums."""
    state_every: Count = 256
    """Steps between saved states, hence the most that a killed run repeats. Does not change any revision."""

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise at("warmup_steps", f"got {self.warmup_steps}, allowed: less than steps={self.steps}")
        if self.batch_size % self.shards:
            raise at("shards", f"got {self.shards}, allowed: a divisor of batch_size={self.batch_size}")
        try:
            pythia_schedule(self.steps, self.save_every)
        except ValueError as error:
            raise at("steps", str(error).removeprefix("steps: ")) from None
        return self

    @property
    def schedule(self) -> tuple[int, ...]:
        """Published steps, ascending."""
        return pythia_schedule(self.steps, self.save_every)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of a batch."""
        return self.batch_size * self.sequence_length

    def rate_at(self, step: int) -> float:
        """Returns the learning rate of an update: linear to the peak, then half a cosine to ``final_rate`` of it.

        Args:
            step: Number of the update, 1 to ``steps``.
        """
        if step <= self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        done = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        share = self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * share


class _Model(Section):
    """What every model says."""

    dtype: Dtype = "float32"
    """Type in which forward passes compute and features are kept."""


class PretrainedModel(_Model):
    """A GPT-NeoX that the workflow trains itself."""

    source: Literal["pretrain"]
    """Where its revisions come from: a training run of the workflow's own."""
    corpus: Name
    """Corpus whose training part is read."""
    architecture: Architecture
    pretraining: PretrainingSettings


class LocalModel(_Model):
    """Folders on the disk."""

    source: Literal["local"]
    """Where its revisions come from: a folder."""
    path: Text
    """Folder that holds one Hugging Face folder per revision."""
    revisions: Text | None = None
    """Revision list (TSV: revision, step, tokens_billion); default the step<N> folders."""
    tokens_per_step: Positive | None = None
    """Training tokens per step; needed where there is no list, but for a supervisor."""


class HubModel(_Model):
    """A repository of the Hugging Face Hub with a branch per revision."""

    source: Literal["hub"]
    """Where its revisions come from: the Hugging Face Hub."""
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    """owner/name on the Hub."""
    revisions: Text | None = None
    """Revision list (TSV: revision, step, tokens_billion); without one only main can be used, as a supervisor."""


Model = Annotated[PretrainedModel | LocalModel | HubModel, Field(discriminator="source")]
"""An entry of ``models``."""


class Selection(Section):
    """Which of the published revisions are swept; default all."""

    first: Count | None = None
    """The earliest ones, all taken."""
    stride: Count | None = None
    """Distance between those taken afterwards."""
    count: Count | None = None
    """Total number; the rest is spaced evenly to the end."""
    last: Count | None = None
    """Position at which the list is cut."""
    thin: Count = 1
    """Keep every n-th of the selected ones and the last."""
    add: list[str] = []
    """Names taken in any case."""


class FamilyEntry(Section):
    """A strong model, its weak supervisor, and the revisions to sweep."""

    strong: Name
    """Name from models."""
    weak: Name
    """Name from models."""
    weak_revision: str = "last"
    """Revision of the supervisor: last, that of its list; main, the final one of any Hub model; or a name."""
    select: Selection = Selection()
