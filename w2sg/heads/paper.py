"""Reward heads on frozen activations: the paper's protocol; the other one is in :mod:`w2sg.heads.converged`.

A head is a vector w without bias that scores a text with w . h; its margin on a pair is s(first) -
s(second), and sigmoid(margin) is its probability that the first text is preferred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import softplus

from w2sg.heads.matrices import BLOCK
from w2sg.heads.methods.catalogue import METHODS
from w2sg.heads.sides import check_inputs, generator, harden, toss
from w2sg.study.protocols import Loss
from w2sg.study.sections import PaperProtocol

CHUNK = 2**17
"""Weights updated together, in numbers: they and the optimiser's moments stay in the cache."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's decay rates of the mean gradient and of the mean square, and its constant in the denominator."""


class PaperHeadSettings(PaperProtocol):
    """The paper's protocol: Adam in small batches, learning rate falling to zero as a cosine; with the task of the heads."""

    loss: Loss = "soft"
    """How the targets are learned, a name in :data:`w2sg.heads.methods.catalogue.METHODS`."""
    margin: Literal["pair", "single"] = "pair"
    """Loss on s(first) - s(second), or on the logit of each text with labels p and 1 - p."""


@dataclass(frozen=True, kw_only=True)
class PaperHeads:
    """Heads of L layers, S seeds and K learning rates."""

    weights: np.ndarray
    """Weights in the units of the activations, float32, (L, S, K, d)."""
    progressive_loss: np.ndarray
    """Cross-entropy with the training labels in nats per pair, or per text if ``single``, (L, S, K)."""
    selected: np.ndarray
    """Index of the learning rate with the smallest progressive loss, (L, S)."""


def train_paper_heads(
    first: np.ndarray,
    second: np.ndarray,
    target: np.ndarray,
    *,
    settings: PaperHeadSettings,
    seeds: Sequence[int],
    rows: np.ndarray | None = None,
    rates: np.ndarray | None = None,
) -> PaperHeads:
    """Returns one head for each layer, seed and learning rate, all trained side by side.

    Every batch of the first epoch is judged before the heads learn from it, so its loss is an honest held-
    out ("progressive") estimate; its mean over the last half of that epoch selects the learning rate. A
    seed gives the order of the batches, the sides on which texts are shown, and the default initial
    weights; nothing of that depends on the number of layers or learning rates.

    Equation: (D2), with ``loss="soft"`` and ``margin="pair"``.

    Args:
        first: States of the first texts, (L, n, d).
        second: States of the second texts, (L, n, d).
        target: Probability that ``first`` is preferred, one row for each seed, (S, n).
        settings: The protocol.
        seeds: S seeds.
        rows: Rows that each seed learns from, (S, m); all by default.
        rates: Learning rates of each seed, (S, K); those of the settings by default.

    Raises:
        ValueError: If shapes disagree, a state is not finite or a target is not a probability.
    """
    if first.ndim != 3 or first.shape != second.shape or target.shape != (len(seeds), first.shape[1]):
        raise ValueError(
            f"first {first.shape}, second {second.shape} and target {target.shape} disagree; allowed are "
            f"(L, n, d), (L, n, d) and (S, n) with S = {len(seeds)} seeds"
        )
    check_inputs(target, first=first, second=second)
    layers, n, d = first.shape
    rows = np.broadcast_to(np.arange(n), (len(seeds), n)) if rows is None else rows
    given = np.tile(settings.learning_rates, (len(seeds), 1)) if rates is None else rates
    rate = torch.tensor(given, dtype=torch.float32)
    plan = _plan(target, settings, seeds, rows)
    size = max(1, CHUNK // (rate.numel() * d))
    trained = []
    for low in range(0, layers, size):
        a, b = (torch.as_tensor(x[low : low + size], dtype=torch.float32) for x in (first, second))
        states = (a - b)[:, :, None] if settings.margin == "pair" else torch.stack((a, b), dim=2)
        trained.append(_train(states, plan, settings, seeds, rate))  # states: (layers, n, 1 or 2, d)
    weights, loss = (np.concatenate(parts) for parts in zip(*trained, strict=True))
    selected = np.where(np.isfinite(loss), loss, np.inf).argmin(-1)
    return PaperHeads(weights=weights, progressive_loss=loss, selected=selected)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What one step sees, the same for every layer and learning rate."""

    index: torch.Tensor
    """Rows of each seed, (S, B)."""
    sign: torch.Tensor
    """-1 where a difference is turned round, broadcast over (S, 1, B T)."""
    target: torch.Tensor
    """Labels, (S, 1, B T), with T texts or differences of a pair."""
    progress: float
    """Share of all steps done before this one."""
    judged: bool
    """Whether its loss counts for the progressive estimate."""


def _plan(target: np.ndarray, settings: PaperHeadSettings, seeds: Sequence[int], rows: np.ndarray) -> list[_Batch]:
    """Returns the batches of all epochs in order."""
    n, m = target.shape[1], rows.shape[1]
    if settings.loss == "hard":
        target = harden(target)
    if settings.margin == "pair":
        swapped = np.stack([toss(n, seed) for seed in seeds])
        labels = np.where(swapped, 1.0 - target, target)[:, :, None]
        sign = np.where(swapped, -1.0, 1.0)[:, :, None]
    else:  # both texts are in the batch, in whichever order
        labels = np.stack((target, 1.0 - target), axis=2)
        sign = np.ones_like(labels)
    streams = [generator(seed) for seed in seeds]
    size = settings.batch_size
    steps = math.ceil(m / size)
    batches = []
    for epoch in range(settings.epochs):
        order = np.stack([own[stream.permutation(m)] for own, stream in zip(rows, streams, strict=True)])
        for step in range(steps):
            index = order[:, step * size : (step + 1) * size]
            label, turn = (np.take_along_axis(x, index[:, :, None], axis=1) for x in (labels, sign))  # (S, B, T)
            batches.append(
                _Batch(
                    index=torch.from_numpy(index),
                    sign=torch.tensor(turn, dtype=torch.float32).flatten(1)[:, None],
                    target=torch.tensor(label, dtype=torch.float32).flatten(1)[:, None],
                    progress=(epoch * steps + step) / (settings.epochs * steps),
                    judged=epoch == 0 and step >= steps // 2,
                )
            )
    return batches


def _train(
    states: torch.Tensor, plan: list[_Batch], settings: PaperHeadSettings, seeds: Sequence[int], given: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights, (L, S, K, d), and the progressive loss, (L, S, K), of some layers."""
    start = _initial(states.shape[-1], settings, seeds).to(states)
    weights = start.expand(len(states), -1, given.shape[1], -1).clone()
    rates = given[:, :, None]  # (S, K, 1)
    mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
    total, rows = torch.zeros_like(weights[..., 0], dtype=torch.float64), 0
    for step, batch in enumerate(plan, start=1):
        # Twice as fast as indexing with a table.
        chosen = states.index_select(1, batch.index.flatten())
        inputs = chosen.unflatten(1, batch.index.shape).flatten(2, 3)  # (L, S, B T, d)
        logits = (weights @ inputs.mT) * batch.sign  # (L, S, K, B T)
        if batch.judged:
            total += (softplus(logits) - batch.target * logits).mean(-1) * batch.index.shape[1]
            rows += batch.index.shape[1]
        residual = METHODS[settings.loss](logits, batch.target, batch.progress) * batch.sign / logits.shape[-1]
        gradient = residual @ inputs  # (L, S, K, d)
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        spread = square.sqrt().div_(math.sqrt(1 - BETA2**step)).add_(EPSILON)
        rate = rates * (0.5 * (1 + math.cos(math.pi * batch.progress)) / (1 - BETA1**step))
        weights.sub_(spread.reciprocal_().mul_(mean).mul_(rate))
    return weights.numpy(), (total / rows).numpy()


def _initial(d: int, settings: PaperHeadSettings, seeds: Sequence[int]) -> torch.Tensor:
    """Returns initial weights, (S, 1, d)."""
    if settings.init == "zero":
        return torch.zeros(len(seeds), 1, d)
    bound = 1.0 / math.sqrt(d)
    return torch.from_numpy(np.stack([generator(seed, "init").uniform(-bound, bound, (1, d)) for seed in seeds]))


def score_pairs(weights: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns margins s(first) - s(second), float64, (L, ..., n); exactly zero where both states are equal.

    Equation: (D1).

    Args:
        weights: Heads, (L, ..., d).
        first: States, (L, n, d).
        second: States, (L, n, d).
    """
    margins = []
    for w, a, b in zip(weights, first, second, strict=True):
        turned = w.reshape(-1, w.shape[-1]).astype(np.float64).T
        rows = (slice(low, low + BLOCK) for low in range(0, len(a), BLOCK))
        margins.append(np.concatenate([(a[part].astype(np.float64) - b[part]) @ turned for part in rows]).T)
    return np.stack(margins).reshape(*weights.shape[:-1], first.shape[1])
