"""One flat buffer for all parameters of a small GPT-NeoX, and the check that it is one we can compute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ALIGNMENT = 32
"""Parameters start at multiples of this many elements, at least 64 bytes: kernels always see aligned data."""


class ParameterLayout:
    """Places of a model's parameters in a flat buffer: matrices (which are decayed) first, then vectors.

    Args:
        shapes: Shape of each parameter by name, in the model's order.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Assigns the places; see the class for the arguments."""
        self.shapes = dict(sorted(shapes.items(), key=lambda item: len(item[1]) < 2))
        self.offsets: dict[str, int] = {}
        self.size = self.decayed = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = self.size
            self.size += -(-math.prod(shape) // ALIGNMENT) * ALIGNMENT
            if len(shape) > 1:
                self.decayed = self.size

    def view(self, buffer: Tensor, name: str, *, start: int = 0) -> Tensor:
        """Returns the part of a flat buffer that belongs to a parameter, in the parameter's shape.

        Args:
            buffer: Flat, covering the layout from element ``start`` on.
            name: Name of the parameter.
            start: First element of the layout that the buffer holds.
        """
        shape = self.shapes[name]
        begin = self.offsets[name] - start
        return buffer[begin : begin + math.prod(shape)].view(shape)

    def bounds(self, pieces: int) -> list[tuple[int, int, int]]:
        """Returns (start, end of the decayed part, end) of equal pieces of the buffer.

        Args:
            pieces: How many.
        """
        blocks = self.size // ALIGNMENT
        edges = [blocks * piece // pieces * ALIGNMENT for piece in range(pieces + 1)]
        return [(a, min(max(self.decayed, a), b), b) for a, b in zip(edges, edges[1:], strict=False)]


def bind_parameters(model: Any) -> tuple[ParameterLayout, Tensor]:
    """Returns the layout of a model and the float32 buffer (size,) that from now on holds its parameters.

    Args:
        model: A ``GPTNeoXForCausalLM``; its parameters become views, so saving the model saves the buffer.

    Raises:
        ValueError: If the configuration has a feature that the written-out pass does not compute.
    """
    check_architecture(model.config)
    layout = ParameterLayout({name: tuple(p.shape) for name, p in model.named_parameters()})
    flat = torch.zeros(layout.size)
    for name, parameter in model.named_parameters():
        place = layout.view(flat, name)
        place.copy_(parameter.data)
        parameter.data = place
    return layout, flat


def check_architecture(config: Any) -> None:
    """Raises ValueError if a GPT-NeoX configuration asks for what :mod:`w2sg.pretraining.neox` does not compute."""
    required = {
        "model_type": "gpt_neox",
        "hidden_act": "gelu",
        "use_parallel_residual": True,
        "attention_bias": True,
        "tie_word_embeddings": False,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
    }
    for key, wanted in required.items():
        if getattr(config, key) != wanted:
            raise ValueError(f"{key}: got {getattr(config, key)!r}, allowed in pre-training: {wanted!r}")
    if config.rope_parameters["rope_type"] != "default":
        raise ValueError(f"rope_type: got {config.rope_parameters['rope_type']!r}, allowed in pre-training: 'default'")
