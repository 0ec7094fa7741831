"""What training a model takes of memory, known before its weights are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from w2sg.activations.models import count_parameters
from w2sg.study.protocols import StudentKind
from w2sg.study.sections import Students

STATES = 17
"""Numbers that a block keeps for the way back, per row and width: 34 bytes in half precision without attention's scores, which are
not stored (Korthikanti et al. 2022, section 4.1)."""

FLOAT = 4
"""Bytes of a number in float32."""


def needed_bytes(config: Any, kind: StudentKind, *, rows: int, size: int, settings: Students, device: str) -> float:
    """Returns about how many bytes the training of a model takes on its device.

    Weights, what is kept for the way back, and for a fully trained one gradients and both moments of Adam in float32; adapters,
    Adafactor's sums and the allocator's own loss are left out.

    Args:
        config: The model's configuration.
        kind: What is trained.
        rows: Tokens of the largest batch.
        size: Bytes of a frozen weight.
        settings: Section ``students``.
        device: Where it is trained.
    """
    parameters = count_parameters(config)
    text = config.get_text_config()
    width, blocks = int(text.hidden_size), int(text.num_hidden_layers)
    number = 2 if settings.mixed_precision or (kind == "lora" and size == 2) else FLOAT
    block = rows * width * STATES * number
    kept = block + blocks * rows * width * number if settings.checkpointing else blocks * block
    # Weights, gradients and moments; and on a CPU the copy of the weights that a GPU leaves to its host.
    trained = FLOAT * ((4 if settings.optimizer == "adam" else 2) + (device == "cpu"))
    return parameters * (trained if kind == "full" else size) + kept


def memory_of(device: str) -> tuple[float, float]:
    """Returns the memory of a device in bytes: what is free, and all of it."""
    if device.startswith("cuda"):
        free, whole = torch.cuda.mem_get_info(torch.device(device))
        return float(free), float(whole)
    import psutil

    memory = psutil.virtual_memory()
    return float(memory.available), float(memory.total)


def weight_type(kind: StudentKind, swept: str) -> str:
    """Returns the type of a model's weights: float32 where all of them learn, that of the sweep beside adapters."""
    return "float32" if kind == "full" else swept


def check_memory(
    config: Any,
    kind: StudentKind,
    lengths: Sequence[int],
    *,
    swept: str,
    device: str,
    settings: Students,
    empty: bool = False,
) -> None:
    """Raises MemoryError, naming what would fit, if a training would not.

    Args:
        config: The model's configuration.
        kind: What is trained.
        lengths: Tokens of each text; the largest batch may hold the longest ones.
        swept: Type of the weights in the sweep.
        device: Where the model is trained.
        settings: Section ``students``.
        empty: Whether to look at all memory of the device, as if nothing else held any.
    """
    rows, free = sum(sorted(lengths)[-2 * settings.batch_size :]), memory_of(device)[empty]

    def needs(one: StudentKind, **changed: Any) -> float:
        size = getattr(torch, weight_type(one, swept)).itemsize
        return needed_bytes(
            config, one, rows=rows, size=size, settings=settings.model_copy(update=changed), device=device
        )

    if needs(kind) <= free:
        return
    others = {
        "students.checkpointing: true": needs(kind, checkpointing=True),
        "students.mixed_precision and checkpointing: true": needs(kind, checkpointing=True, mixed_precision=True),
        "students.mixed_precision and checkpointing: true, optimizer: adafactor": needs(
            kind, checkpointing=True, mixed_precision=True, optimizer="adafactor"
        ),
        "kind lora with checkpointing": needs("lora", checkpointing=True),
    }
    fitting = [f"{name} ({value / 1e9:.1f} GB)" for name, value in others.items() if value <= free]
    advice = f"what would fit: {', '.join(fitting)}" if fitting else "nothing of it would fit; take a smaller model"
    has = f"{free / 1e9:.1f} GB{'' if empty else ' free'}"
    raise MemoryError(
        f"training a student of kind {kind} takes about {needs(kind) / 1e9:.1f} GB on {device}, which has {has}; {advice}"
    )
