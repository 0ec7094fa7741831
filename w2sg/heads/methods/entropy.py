"""Cross-entropy with the labels, the plain method."""

from __future__ import annotations

import torch


def cross_entropy(logits: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
    """Returns p - q: predictions are drawn to the labels. Arguments as of :data:`w2sg.heads.methods.catalogue.Method`.

    Equation: (D2).
    """
    return torch.sigmoid(logits) - target
