"""All methods by the name that the configuration gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from w2sg.heads.methods.confidence import log_confidence
from w2sg.heads.methods.entropy import cross_entropy
from w2sg.heads.methods.reverse import reverse_cross_entropy, reverse_divergence
from w2sg.heads.methods.window import confidence_window
from w2sg.study.protocols import Loss

Method = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
"""Returns the derivative of each pair's loss by its logit m, shape of the logits; p stands for sigmoid(m), q for the label.

Arguments: logits of a batch, (..., B); its labels, broadcast over them; the share of all steps done before this one.
"""

METHODS: dict[Loss, Method] = {
    "soft": cross_entropy,
    "hard": cross_entropy,  # of labels that were rounded before
    "logconf": log_confidence,
    "reverse_ce": reverse_cross_entropy,
    "reverse_kl": reverse_divergence,
    "window": confidence_window,
}
"""How students learn the supervisor's labels."""
