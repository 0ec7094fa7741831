"""Training one student: the paper's protocol on a backbone that learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import softplus

from w2sg.heads.methods.catalogue import METHODS
from w2sg.heads.paper import BETA1, BETA2, EPSILON
from w2sg.heads.sides import check_inputs, generator, harden, toss
from w2sg.students.kinds import Trainable
from w2sg.students.scorer import Scorer
from w2sg.study.protocols import Loss
from w2sg.study.sections import Students

Texts = Sequence[Sequence[int] | None]
"""Token ids of one side of each pair; a labelled text is a pair with one side, and the other one scores zero."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Pairs to learn."""

    first: Texts
    """Token ids of the first text of each of n pairs; none for a labelled text of the other class."""
    second: Texts
    """Of the second text."""
    target: np.ndarray
    """Probability that the first text is preferred, (n,)."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What was seen of a training."""

    losses: np.ndarray
    """Cross-entropy with the labels of each batch, before the model learned from it, nats per pair, or per text with the margin
    of single texts, (steps,)."""
    progressive_loss: float
    """Cross-entropy with the labels over the batches of the second half of the first epoch, before each was learned; infinite if
    the training diverged."""
    watched: dict[int, float]
    """What ``watch`` returned, by the number of steps done."""


def train_student(
    scorer: Scorer,
    trained: Trainable,
    task: Task,
    *,
    settings: Students,
    rate: float,
    seed: int,
    loss: Loss = "soft",
    margin: Literal["pair", "single"] = "pair",
    watch: Callable[[], float] | None = None,
) -> Course:
    """Trains a scorer in place, from the revision's weights and a head of zeros.

    As :func:`w2sg.heads.paper.train_paper_heads`: Adam (or Adafactor, Shazeer and Stern 2018) in small batches, order and sides by
    the seed, learning rate falling to zero as a cosine, no dropout. The head's rate is the larger of the backbone's and ``settings.head_rate``.

    Equation: (D2).

    Args:
        scorer: The model; it is reset first.
        trained: What of its decoder is trained.
        task: Pairs and labels.
        settings: The protocol.
        rate: Learning rate of the backbone.
        seed: Of the order, the sides, and what is drawn.
        loss: How the labels are learned.
        margin: Loss on s(first) - s(second), or on each text alone with labels p and 1 - p.
        watch: Called every ``settings.every`` steps, but after the last one.

    Raises:
        ValueError: If a target is not a probability.
    """
    check_inputs(task.target)
    trained.reset(seed)
    torch.nn.init.zeros_(scorer.head.weight)
    optimiser = _optimiser(scorer, trained, settings, rate)
    n, size = len(task.target), settings.batch_size
    steps = math.ceil(n / size)
    total = steps * settings.epochs
    labels, swapped = _labels(task, seed, loss=loss)
    order = generator(seed)
    losses, judged, watched = [], [], {}
    for epoch in range(settings.epochs):
        rows = order.permutation(n)
        for step in range(steps):
            done = epoch * steps + step
            index = rows[step * size : (step + 1) * size]
            for group in optimiser.param_groups:
                group["lr"] = group["top"] * 0.5 * (1.0 + math.cos(math.pi * done / total))
            ids, places = present([task.first[row] for row in index], [task.second[row] for row in index])
            with scorer.attending(training=True):
                with scorer.accelerator.autocast():
                    found = scorer(ids).float()
                places = torch.from_numpy(places).to(found.device)
                scores = found.new_zeros(2 * len(index)).index_copy(0, places, found)
                logits, target = _pose(scores, labels[index], swapped[index], margin=margin)
                # A function with the gradient of the method's loss: methods are given by that.
                push = METHODS[loss](logits.detach(), target, done / total)
                scorer.accelerator.backward((push * logits).mean())
            plain = (softplus(logits) - target * logits).detach().mean()
            losses.append(float(plain))
            if epoch == 0 and step >= steps // 2:
                judged.append((losses[-1], len(index)))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if watch is not None and (done + 1) % settings.every == 0 and done + 1 < total:
                watched[done + 1] = watch()
    weights = np.array(judged)
    progressive = float(np.average(weights[:, 0], weights=weights[:, 1]))
    return Course(
        losses=np.array(losses),
        progressive_loss=progressive if np.isfinite(losses).all() else math.inf,
        watched=watched,
    )


def present(first: Texts, second: Texts) -> tuple[list[Sequence[int]], np.ndarray]:
    """Returns the texts that there are on both sides of n pairs, and where each stands among the 2 n, first sides first."""
    both = [*first, *second]
    places = [place for place, text in enumerate(both) if text is not None]
    return [text for text in both if text is not None], np.array(places, dtype=np.int64)


def _labels(task: Task, seed: int, *, loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels as the loss takes them, (n,), and which pairs are shown turned round, (n,)."""
    target = harden(task.target) if loss == "hard" else task.target
    return target, toss(len(target), seed)


def _pose(
    scores: torch.Tensor, labels: np.ndarray, swapped: np.ndarray, *, margin: Literal["pair", "single"]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns logits and targets of a batch from the scores of its first texts and, after them, its second ones."""
    first, second = scores.chunk(2)
    target = torch.tensor(labels, dtype=scores.dtype, device=scores.device)
    if margin == "single":
        return scores, torch.cat((target, 1.0 - target))
    sign = torch.tensor(np.where(swapped, -1.0, 1.0), dtype=scores.dtype, device=scores.device)
    return (first - second) * sign, torch.where(sign < 0, 1.0 - target, target)


def _optimiser(scorer: Scorer, trained: Trainable, settings: Students, rate: float) -> torch.optim.Optimizer:
    groups = [
        {"params": trained.parameters(), "lr": rate, "top": rate},
        {"params": [scorer.head.weight], "lr": 0.0, "top": max(rate, settings.head_rate)},
    ]
    if settings.optimizer == "adafactor":
        from transformers.optimization import (
            Adafactor,
        )  # torch's own scales its steps by the weights, and the head's are zero

        return Adafactor(groups, lr=rate, scale_parameter=False, relative_step=False)
    return torch.optim.Adam(groups, betas=(BETA1, BETA2), eps=EPSILON, fused=True)
