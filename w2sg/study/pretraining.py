"""Settings of a pre-training: sizes, optimiser, schedule, compute type; all checked before any compute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from w2sg.study.schedule import pythia_schedule

DTYPES = ("auto", "float32", "bfloat16")
"""Compute types of the matrix products; see :func:`compute_type`."""


def _check(name: str, value: Any, allowed: str, fine: bool) -> None:
    if not fine:
        raise ValueError(f"{name}: got {value!r}, allowed: {allowed}")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of a GPT-NeoX; the rest (parallel residual, untied embeddings, biases, GELU) is Pythia's."""

    hidden_size: int
    """Width of the residual stream."""
    num_hidden_layers: int
    """Blocks."""
    num_attention_heads: int
    """Heads; a divisor of ``hidden_size``."""
    intermediate_size: int
    """Width of the feed-forward layer."""
    rotary_pct: float = 0.25
    """Share of each head's features that carry the position."""
    initializer_range: float = 0.02
    """Standard deviation of the initial matrices."""

    def __post_init__(self) -> None:
        """Raises ValueError if the sizes do not fit each other."""
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
            value = getattr(self, name)
            _check(name, value, "an integer of at least 1", _is_count(value, 1))
        heads, width = self.num_attention_heads, self.hidden_size // self.num_attention_heads
        _check(
            "hidden_size",
            self.hidden_size,
            f"a multiple of num_attention_heads={heads}",
            self.hidden_size % heads == 0,
        )
        fine = _is_number(self.rotary_pct) and 0 < self.rotary_pct <= 1
        _check("rotary_pct", self.rotary_pct, "a number above 0, at most 1", fine)
        rotary = int(width * self.rotary_pct)
        pairs = f"a share that is an even number of a head's {width} features, at least 2; this is {rotary}"
        _check("rotary_pct", self.rotary_pct, pairs, rotary >= 2 and rotary % 2 == 0)
        fine = _is_number(self.initializer_range) and self.initializer_range > 0
        _check("initializer_range", self.initializer_range, "a number above 0", fine)


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """One training run; AdamW, linear warm-up, cosine decay."""

    seed: int
    """Seed of the initial weights and of the order of the data."""
    steps: int
    """Optimiser steps."""
    save_every: int
    """Steps between revisions after Pythia's 0, 1, 2, 4, ..., 512. Does not change any revision."""
    batch_size: int
    """Sequences of a step."""
    sequence_length: int
    """Tokens of a sequence, and the model's number of positions."""
    learning_rate: float
    """Peak learning rate."""
    warmup_steps: int
    """Steps of linear warm-up."""
    vocabulary_size: int
    """Largest number of tokenizer entries."""
    final_rate: float = 0.1
    """Learning rate at the last step, as a share of the peak."""
    beta1: float = 0.9
    """Decay of AdamW's first moment."""
    beta2: float = 0.95
    """Decay of AdamW's second moment."""
    weight_decay: float = 0.1
    """Decoupled decay of matrices; vectors are not decayed."""
    clip_norm: float = 1.0
    """Largest Euclidean norm of the mean gradient."""
    dtype: str = "auto"
    """Type of the matrix products: float32, bfloat16, or auto: bfloat16 where the processor is fast at it."""
    state_every: int = 256
    """Steps between saved states, hence the most that a killed run repeats. Does not change any revision."""

    def __post_init__(self) -> None:
        """Raises ValueError if a value is out of range or the values contradict each other."""
        least = {
            "seed": 0,
            "steps": 1,
            "save_every": 1,
            "batch_size": 1,
            "sequence_length": 2,
            "warmup_steps": 0,
        }
        for name, bound in {**least, "vocabulary_size": 257, "state_every": 1}.items():
            value = getattr(self, name)
            _check(name, value, f"an integer of at least {bound}", _is_count(value, bound))
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _check(name, value, "a number above 0", _is_number(value) and value > 0)
        for name in ("beta1", "beta2", "weight_decay"):
            value = getattr(self, name)
            _check(name, value, "a number from 0 to below 1", _is_number(value) and 0 <= value < 1)
        _check("final_rate", self.final_rate, "0 to 1", _is_number(self.final_rate) and 0 <= self.final_rate <= 1)
        _check("dtype", self.dtype, ", ".join(DTYPES), self.dtype in DTYPES)
        _check("warmup_steps", self.warmup_steps, f"less than steps={self.steps}", self.warmup_steps < self.steps)
        pythia_schedule(self.steps, self.save_every)

    @property
    def schedule(self) -> tuple[int, ...]:
        """Published steps, ascending."""
        return pythia_schedule(self.steps, self.save_every)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of a batch."""
        return self.batch_size * self.sequence_length


def learning_rate(settings: PretrainingSettings, step: int) -> float:
    """Returns the learning rate of an update: linear to the peak, then half a cosine to ``final_rate`` of it.

    Args:
        settings: The run.
        step: Number of the update, 1 to ``settings.steps``.
    """
    if step <= settings.warmup_steps:
        return settings.learning_rate * step / settings.warmup_steps
    done = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    share = settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * done)) / 2
    return settings.learning_rate * share


def read_settings(model: Mapping[str, Any]) -> tuple[Architecture, PretrainingSettings]:
    """Returns the settings of a model's entry in the configuration.

    Args:
        model: Holds the sections ``architecture`` and ``pretraining``.

    Raises:
        ValueError: If a section is missing, or a key is unknown, missing or out of range.
    """
    try:
        return Architecture(**model["architecture"]), PretrainingSettings(**model["pretraining"])
    except KeyError as error:
        raise ValueError(f"model: lacks the section {error}, allowed: architecture and pretraining") from None
    except TypeError as error:
        raise ValueError(f"model: {str(error).split('.__init__() ')[-1]}") from None
