"""Which pre-training steps are published: Pythia's own schedule, for any length of training."""

from __future__ import annotations

LAST_POWER = 512
"""Up to this step the published steps are 0 and the powers of two; beyond it they are evenly spaced."""


def pythia_schedule(steps: int, every: int) -> tuple[int, ...]:
    """Returns the published steps, ascending: 0, 1, 2, 4, ..., 512, then multiples of ``every`` to ``steps``.

    Multiples of ``every`` below 512 are not added, as in Pythia. The last step is always published, so that a
    training never ends in a state nobody can load.

    Args:
        steps: Optimiser steps of the whole training.
        every: Distance between published steps after step 512.

    Raises:
        ValueError: If a number is not a positive integer, or the schedule would not end at ``steps``.

    Source: Biderman et al. 2023, arXiv 2304.01373, section 2.2; 154 steps for ``steps=143000, every=1000``.
    """
    for name, value in (("steps", steps), ("every", every)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: got {value!r}, allowed: an integer of at least 1")
    early = [0]
    power = 1
    while power <= min(steps, LAST_POWER):
        early.append(power)
        power *= 2
    first = (LAST_POWER // every + 1) * every
    schedule = (*early, *range(first, steps + 1, every))
    if schedule[-1] != steps:
        raise ValueError(
            f"steps: got {steps}, allowed: a power of two up to {LAST_POWER}, or above it a multiple of "
            f"every={every}; the published steps would end at {schedule[-1]}"
        )
    return schedule


def revision_name(step: int) -> str:
    """Returns the name under which a step is published, as on Pythia's branches: ``step{N}``.

    Args:
        step: Optimiser steps taken, 0 or more.

    Raises:
        ValueError: If ``step`` is negative.
    """
    if step < 0:
        raise ValueError(f"step: got {step}, allowed: 0 or more")
    return f"step{step}"
