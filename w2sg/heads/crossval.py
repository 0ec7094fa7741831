"""Logistic regressions whose penalty is chosen by cross-validation inside their training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import softplus

from w2sg.heads.logistic import Problems, minimise
from w2sg.heads.matrices import BLOCK, Basis, Short, all_finite, find_basis
from w2sg.runtime.machine import compute_type

SEARCH = ((1e-2, 1.05), (1e-3, 1.02), (5e-5, 1.0))
"""Relative gradients to which a penalty is solved, one after the other while its held-out loss is within the factor
of the best so far: one that is clearly worse is left alone early, and its loss stays rough."""

FOLDS_RANK = 128
"""Leading directions in which folds are preconditioned: they are many, solved roughly, and each pays for each direction."""

LARGE = 2**24
"""Bytes from which a matrix is read from memory in each product, and half as many bytes take half the time."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fits of S label sets on one feature matrix, in the features' own units."""

    weights: np.ndarray
    """Coefficients, float64, (S, d)."""
    intercept: np.ndarray
    """Intercepts, (S,); zero if none was asked for."""
    penalty: np.ndarray
    """Chosen penalty, (S,)."""
    cv_loss: np.ndarray
    """Held-out log loss of each penalty, nats per row, (S, P), rough where it is far from the best; NaN where
    the search did not go, or had nothing to choose."""
    gradient: np.ndarray
    """Norm of the final gradient over its norm at zero, (S,)."""
    iterations: np.ndarray
    """Steps of the final fit, (S,)."""
    converged: np.ndarray
    """Whether ``gradient`` fell to the tolerance, (S,)."""


@dataclass(frozen=True, kw_only=True)
class _Design:
    """Scaled features, float32 with a last column of ones for an intercept, and the way back."""

    x: torch.Tensor
    center: torch.Tensor
    scale: torch.Tensor
    intercept: bool
    basis: Basis
    quick: Short | None


def deal_folds(groups: np.ndarray, *, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the fold of each row, (n,): groups are shuffled, then dealt out in turn.

    Args:
        groups: Group of each row, (n,); rows of a group share a fold.
        folds: Number of folds.
        rng: Source of the shuffle.

    Raises:
        ValueError: If there are fewer groups than folds.
    """
    names, members = np.unique(groups, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise ValueError(f"folds is {folds}; allowed are 2 to the number of training groups, {len(names)}")
    return (rng.permutation(len(names)) % folds)[members]


def fit_selected(
    features: np.ndarray,
    target: np.ndarray,
    folds: np.ndarray,
    *,
    penalties: Sequence[float],
    intercept: bool = False,
    tolerance: float = 1e-7,
    patience: int = 2,
    max_iterations: int = 1000,
    device: str = "cpu",
) -> Fit:
    """Returns logistic fits, each with the penalty of smallest held-out log loss.

    Features are scaled by their spread over the training rows of each fit, in cross-validation those of its
    own folds: the standard deviation with an intercept, else the root mean square, which does not depend on
    the sign a pair difference happens to have. Penalties are tried from the strongest down, each from the
    last one's solution.

    Args:
        features: Rows in their own units, (n, d).
        target: Probability of the first class, (S, n).
        folds: Fold of each row, (S, n); -1 for a row that takes no part in a fit.
        penalties: Strengths to choose from (see :mod:`w2sg.heads.logistic`); a single one needs no choice.
        intercept: Whether to fit an unpenalised intercept.
        tolerance: Largest norm of the final gradient, relative to that at zero coefficients.
        patience: A label set's search ends after this many weaker penalties in a row that raised its loss.
        max_iterations: Steps after which a fit is given up; a final one is reported as not converged.
        device: Where to compute.

    Raises:
        ValueError: If a penalty is not positive, a value is not finite or shapes disagree.
    """
    _check(features, target, folds, penalties)
    design = _scale(features, intercept=intercept, device=device, rank=FOLDS_RANK if len(penalties) > 1 else None)
    labels = torch.as_tensor(target, dtype=torch.float64, device=device)
    fold = torch.as_tensor(folds, dtype=torch.int64, device=device)
    cv_loss, start = np.full((len(target), len(penalties)), np.nan), None
    chosen = np.zeros(len(target), dtype=np.int64)
    if len(penalties) > 1:
        cv_loss, start = _search_penalty(design, labels, fold, penalties, patience, max_iterations)
        # Ties go to the stronger penalty.
        order = np.argsort(penalties, kind="stable")[::-1]
        chosen = order[np.nanargmin(cv_loss[:, order], axis=1)]
    penalty = np.asarray(penalties, dtype=np.float64)[chosen]
    one, same = _distinct(target, folds, penalty)
    solution = minimise(
        replace(_pose(design, labels[one], fold[one] >= 0), penalty=torch.as_tensor(penalty, device=device)[one]),
        design.basis,
        start=None if start is None else start[one],
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    weights = solution.coefficients[:, : len(design.scale)] / design.scale
    offset = weights.new_zeros(len(weights))
    if intercept:
        offset = solution.coefficients[:, -1] - weights @ design.center
    return Fit(
        weights=weights[same].cpu().numpy(),
        intercept=offset[same].cpu().numpy(),
        penalty=penalty,
        cv_loss=cv_loss,
        gradient=solution.gradient[same].cpu().numpy(),
        iterations=solution.iterations[same].cpu().numpy(),
        converged=solution.converged[same].cpu().numpy(),
    )


def _distinct(target: np.ndarray, folds: np.ndarray, penalty: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns which of S fits differ, (U,), and which of these each fit is, (S,): seeds often share labels.

    Labels of pairs shown turned round are equal but for the rounding of 1 - p.
    """
    rows = np.column_stack((np.round(target, 12) + 0.0, folds >= 0, penalty))  # + 0.0 for the sign of zero
    first: dict[bytes, int] = {}
    owner = [first.setdefault(row.tobytes(), position) for position, row in enumerate(rows)]
    one = list(first.values())
    return torch.tensor(one), torch.tensor([one.index(position) for position in owner])


def _check(features: np.ndarray, target: np.ndarray, folds: np.ndarray, penalties: Sequence[float]) -> None:
    if features.ndim != 2 or target.shape != folds.shape or target.shape[1:] != features.shape[:1]:
        raise ValueError(f"features {features.shape}, target {target.shape} and folds {folds.shape} disagree")
    if not len(penalties) or not all(0 < penalty < np.inf for penalty in penalties):
        raise ValueError(f"penalties is {list(penalties)}; allowed are positive numbers, at least one")
    if not all_finite(features):
        raise ValueError("features hold values that are not finite; allowed are finite numbers")
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError("target holds values outside of [0, 1] or NaN; allowed are probabilities")


def _scale(features: np.ndarray, *, intercept: bool, device: str, rank: int | None = None) -> _Design:
    """Returns features of unit spread over all rows; any other scale gives the same fits, more slowly."""
    raw = torch.as_tensor(features, dtype=torch.float32, device=device)
    n, d = raw.shape
    center = raw.new_zeros(d)
    if intercept:
        center = (torch.stack([block.double().sum(0) for block in raw.split(BLOCK)]).sum(0) / n).to(raw)
    # Any scale will do, so short sums of single precision do.
    scale = (torch.stack([(block - center).square().sum(0) for block in raw.split(BLOCK)]).sum(0) / n).sqrt()
    # A constant feature leaves only rounding once it is centred.
    scale = torch.where(scale > 1e-6 * center.abs(), scale, 1.0)
    x = raw.new_empty(n, d + intercept)
    x[:, d:] = 1.0
    for block, made in zip(raw.split(BLOCK), x.split(BLOCK), strict=True):
        torch.div(block - center, scale, out=made[:, :d])
    quick = Short.of(x) if x.nbytes >= LARGE and _multiplies_bfloat16(device) else None
    basis = find_basis(x, intercept=intercept, dtype=(x if quick is None else quick).dtype, rank=rank)
    return _Design(x=x, center=center.double(), scale=scale.double(), intercept=intercept, basis=basis, quick=quick)


def _multiplies_bfloat16(device: str) -> bool:
    """Returns whether the device has instructions for it; where it has none, single precision is faster."""
    return torch.cuda.is_bf16_supported() if "cuda" in device else compute_type("auto") == "bfloat16"


def _pose(design: _Design, labels: torch.Tensor, train: torch.Tensor) -> Problems:
    """Returns problems on the rows marked in ``train``, (C, n), with the features' spread over those rows."""
    weight = train.double() / train.sum(1, keepdim=True)
    ratio = weight.new_ones(len(train), design.x.shape[1])
    if not bool(train.all()):
        parts = list(zip(weight.to(design.x).split(BLOCK, dim=1), design.x.split(BLOCK), strict=True))
        spread = torch.stack([part @ block.square() for part, block in parts]).double().sum(0)
        if design.intercept:
            spread -= torch.stack([part @ block for part, block in parts]).double().sum(0).square()
        ratio = torch.where(spread > 1e-12, spread, 1.0).sqrt()
    if design.intercept:
        ratio[:, -1] = 0.0
    return Problems(
        features=design.x,
        target=labels,
        weight=weight,
        ratio=ratio,
        penalty=weight.new_ones(len(weight)),
        intercept=design.intercept,
        quick=design.quick,
    )


def _search_penalty(
    design: _Design,
    labels: torch.Tensor,
    fold: torch.Tensor,
    penalties: Sequence[float],
    patience: int,
    max_iterations: int,
) -> tuple[np.ndarray, torch.Tensor]:
    """Returns each penalty's held-out loss, (S, P), and the folds' mean solution at the best, (S, d)."""
    sets, parts = len(labels), int(fold.max()) + 1
    held = fold[:, None] == torch.arange(parts, device=fold.device)[:, None]  # (S, F, n)
    train = (fold[:, None] >= 0) & ~held
    problems = _pose(design, labels.repeat_interleave(parts, 0), train.flatten(0, 1))
    column = torch.arange(sets * parts, device=fold.device).unflatten(0, (sets, parts))
    u = torch.zeros_like(problems.ratio)  # (S F, d)
    loss = np.full((sets, len(penalties)), np.nan)
    best, start, rises = np.full(sets, np.inf), torch.zeros_like(u[:sets]), np.zeros(sets, dtype=np.int64)
    for index in np.argsort(penalties, kind="stable")[::-1]:
        live = np.flatnonzero(rises < patience)
        if not len(live):
            break
        for tolerance, factor in SEARCH:
            columns = column[torch.as_tensor(live)].flatten()
            found = minimise(
                problems.pick(columns, penalty=float(penalties[index])),
                design.basis,
                start=u[columns],
                tolerance=tolerance,
                max_iterations=max_iterations,
            )
            u[columns] = found.coefficients
            loss[live, index] = _held_loss(found.logits, problems.target[columns], held[torch.as_tensor(live)])
            live = live[loss[live, index] <= factor * best[live]]
            if not len(live):
                break
        better = loss[:, index] < best  # NaN, so false, where the search has ended
        best, rises = np.where(better, loss[:, index], best), np.where(better, 0, rises + 1)
        means = u.unflatten(0, (sets, parts)).mean(1)
        start[torch.as_tensor(better)] = means[torch.as_tensor(better)]
    return loss, start


def _held_loss(logits: torch.Tensor, target: torch.Tensor, held: torch.Tensor) -> np.ndarray:
    """Returns the log loss, (S,), of rows judged by the fits that held them out; ``held`` is (S, F, n)."""
    rows = (softplus(logits) - target * logits).view(held.shape)  # (S, F, n)
    return ((rows * held).sum((1, 2)) / held.sum((1, 2))).cpu().numpy()
