"""A pre-training of the workflow's own: its settings, and which of its steps are published."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from w2sg.study.fields import Count, KeyMistake, Natural, Positive, Rate, Section, Seed

LAST_POWER = 512
"""Up to this step the published steps are 0 and the powers of two; beyond it they are evenly spaced."""


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
            raise KeyMistake("hidden_size", f"got {self.hidden_size}, allowed: {allowed}")
        rotary = int(width * self.rotary_pct)
        if rotary < 2 or rotary % 2:
            allowed = f"a share that is an even number of a head's {width} features, at least 2; this is {rotary}"
            raise KeyMistake("rotary_pct", f"got {self.rotary_pct}, allowed: {allowed}")
        return self


class PretrainingSettings(Section):
    """One training run: AdamW, linear warm-up, cosine decay."""

    seed: Seed = 0
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
    state_every: Count = 256
    """Steps between saved states, hence the most that a killed run repeats. Does not change any revision."""

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise KeyMistake("warmup_steps", f"got {self.warmup_steps}, allowed: less than steps={self.steps}")
        pythia_schedule(self.steps, self.save_every)
        return self

    @property
    def schedule(self) -> tuple[int, ...]:
        """Published steps, ascending."""
        return pythia_schedule(self.steps, self.save_every)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of a batch."""
        return self.batch_size * self.sequence_length


def learning_rate(settings: PretrainingSettings, step: int) -> float:
    """Returns the rate of an update (1 to ``steps``): linear to the peak, then half a cosine to ``final_rate`` of it."""
    if step <= settings.warmup_steps:
        return settings.learning_rate * step / settings.warmup_steps
    done = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    share = settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * done)) / 2
    return settings.learning_rate * share


def pythia_schedule(steps: int, every: int) -> tuple[int, ...]:
    """Returns the published steps, ascending: 0, 1, 2, 4, ..., 512, then multiples of ``every`` to ``steps``.

    Multiples of ``every`` below 512 are not added, as in Pythia. The last step is always published, so that a
    training never ends in a state nobody can load.

    Raises:
        KeyMistake: If the schedule would not end at ``steps``.

    Source: Biderman et al. 2023, arXiv 2304.01373, section 2.2; 154 steps for ``steps=143000, every=1000``.
    """
    early = [step for step in (0, *(2**power for power in range(LAST_POWER.bit_length()))) if step <= steps]
    first = (LAST_POWER // every + 1) * every
    schedule = (*early, *range(first, steps + 1, every))
    if schedule[-1] != steps:
        raise KeyMistake(
            "steps",
            f"got {steps}, allowed: a power of two up to {LAST_POWER}, or above it a multiple of "
            f"every={every}; the published steps would end at {schedule[-1]}",
        )
    return schedule


def revision_name(step: int) -> str:
    """Returns the name under which a step is published, as on Pythia's branches: ``step{N}``."""
    return f"step{step}"
