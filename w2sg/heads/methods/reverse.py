"""Reverse losses: the student's own prediction weighs the logarithm of the label, so that confident errors pull less."""

from __future__ import annotations

import torch

SURE = 1e-4
"""Labels are kept so far from 0 and 1, where their logarithm has no bound."""


def reverse_cross_entropy(logits: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
    """Returns the derivative of -p log q - (1 - p) log(1 - q). Arguments as of :data:`w2sg.heads.methods.catalogue.Method`.

    Equation: (L2).
    Reference: Wang et al. 2019, Symmetric cross entropy, section 3; for weak labels Xu et al. 2025, arXiv 2505.24313.
    """
    p = torch.sigmoid(logits)
    return -p * (1 - p) * _odds(target)


def reverse_divergence(logits: torch.Tensor, target: torch.Tensor, progress: float) -> torch.Tensor:
    """Returns the derivative of KL(p || q): (L2) and the entropy of p. Arguments as of :data:`w2sg.heads.methods.catalogue.Method`.

    Equation: (L3).
    Reference: Yao et al. 2025, arXiv 2502.11107.
    """
    p = torch.sigmoid(logits)
    return p * (1 - p) * (logits - _odds(target))


def _odds(target: torch.Tensor) -> torch.Tensor:
    """Logarithm of the odds of labels that are kept from 0 and 1."""
    return torch.logit(target.clamp(SURE, 1 - SURE))
