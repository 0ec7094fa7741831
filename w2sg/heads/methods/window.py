"""The confidence window: only pairs of which the student is not sure yet are learned."""

from __future__ import annotations

import torch

RADIUS = 0.15
"""A prediction further than this from one half is sure."""


def confidence_window(logits: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
    """Returns p - q where |p - 1/2| is smaller than the radius, else zero. Arguments as of :data:`w2sg.heads.methods.catalogue.Method`.

    Equation: (L4).
    Reference: EleutherAI/w2s, w2s/loss.py, which has the same radius.
    """
    p = torch.sigmoid(logits)
    return (p - target) * ((p - 0.5).abs() < RADIUS)
