"""The log-confidence loss: predictions are drawn to the labels and, more and more, to what they are already."""

from __future__ import annotations

import torch

CONFIDENCE, WARMUP = 0.5, 0.2
"""Final weight of the hardened predictions, and the share of the steps over which it rises from zero."""


def log_confidence(logits: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
    """Returns p - (1 - a) q - a r, r being the batch's predictions hardened at the class balance of its labels.

    A quantile commutes with the sigmoid up to interpolation, so logits serve. Arguments as of
    :data:`w2sg.heads.methods.catalogue.Method`.

    Equation: (L1).
    Reference: Burns et al. 2024, section 4.3.
    """
    share = CONFIDENCE * min(1.0, progress / WARMUP)
    ordered = logits.sort(dim=-1).values
    place = ((1 - target.mean(-1)) * (logits.shape[-1] - 1)).expand(logits.shape[:-1])[..., None]  # (..., 1)
    low = ordered.gather(-1, place.floor().long())
    high = ordered.gather(-1, place.ceil().long())
    hardened = logits >= low + (high - low) * (place - place.floor())
    return torch.sigmoid(logits) - (1 - share) * target - share * hardened
