"""Logistic regressions whose penalty is chosen by cross-validation inside their training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch.nn.functional import softplus

from w2sg.heads.logistic import Problems, minimise
from w2sg.heads.matrices import Basis, find_basis
from w2sg.heads.sides import check_inputs

SEARCH_TOLERANCE = 5e-5
"""Relative gradient to which the folds are solved: it leaves held-out losses near the smallest to within 1e-4."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Fits of S label sets on one feature matrix, in the features' own units; on several, arrays are (L, S, ...)."""

    weights: np.ndarray
    """Coefficients, float64, (S, d)."""
    intercept: np.ndarray
    """Intercepts, (S,); zero if none was asked for."""
    penalty: np.ndarray
    """Chosen penalty, (S,)."""
    cv_loss: np.ndarray
    """Held-out log loss of each penalty, nats per row, (S, P); NaN where the search did not go, or had nothing to
    choose."""
    converged: np.ndarray
    """Whether the norm of the final gradient fell to the tolerance, (S,)."""

    @classmethod
    def stack(cls, fits: Sequence[Fit]) -> Fit:
        """Returns the fits on L feature matrices as one."""
        return cls(**{field.name: np.stack([getattr(fit, field.name) for fit in fits]) for field in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Standardised:
    """A feature matrix ready to be fitted, as often as there are label sets."""

    x: torch.Tensor
    """Features of unit spread over all rows, float32, (n, d); with an intercept a last one is one everywhere."""
    center: torch.Tensor
    """What was taken off, float64, (d,): the mean with an intercept, else zero."""
    scale: torch.Tensor
    """What the rest was divided by, float64, (d,). Any other gives the same fits, more slowly."""
    basis: Basis
    """Of x."""
    intercept: bool
    """Whether fits have one."""


def standardise(features: np.ndarray, *, intercept: bool = False) -> Standardised:
    """Returns features, (n, d) in their own units, ready to be fitted.

    Raises:
        ValueError: If a feature is not finite.
    """
    n, d = features.shape
    check_inputs(np.zeros(0), features=features)
    center = torch.from_numpy(features.mean(0, dtype=np.float64)).float() if intercept else torch.zeros(d)
    x = torch.ones(n, d + intercept)
    inner = x[:, :d]
    torch.sub(torch.as_tensor(features, dtype=torch.float32), center, out=inner)
    scale = inner.square().mean(0).sqrt()
    scale[scale <= 1e-6 * center.abs()] = 1.0  # a constant feature leaves only rounding once it is centred
    inner /= scale
    basis = find_basis(x, intercept=intercept)
    return Standardised(x=x, center=center.double(), scale=scale.double(), basis=basis, intercept=intercept)


def deal_folds(groups: np.ndarray, *, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the fold of each row, (n,): groups are shuffled, then dealt out in turn.

    Args:
        groups: Group of each row, (n,); rows of a group share a fold.
        folds: Number of folds; of fewer groups each is a fold.
        rng: Source of the shuffle.

    Raises:
        ValueError: If there are fewer than two groups or folds.
    """
    names, members = np.unique(groups, return_inverse=True)
    if min(folds, len(names)) < 2:
        raise ValueError(
            f"{folds} folds of {len(names)} groups of training pairs; at least 2 of both are needed: use more training pairs"
        )
    return (rng.permutation(len(names)) % min(folds, len(names)))[members]


def fit_selected(
    features: Standardised,
    target: np.ndarray,
    folds: np.ndarray,
    *,
    penalties: Sequence[float],
    tolerance: float = 1e-7,
    search: float = SEARCH_TOLERANCE,
    patience: int = 2,
    same_scale: bool = False,
    shared: bool = False,
) -> Fit:
    """Returns logistic fits, each with the penalty of smallest held-out log loss.

    Features are scaled by their spread over the training rows of each fit, in cross-validation those of its
    own folds: the standard deviation with an intercept, else the root mean square, which does not depend on
    the sign a pair difference happens to have. Penalties are tried from the strongest down, each from the
    last one's solution.

    Args:
        features: Of n rows.
        target: Probability of the first class, (S, n).
        folds: Fold of each row, (S, n); -1 for a row that takes no part in a fit.
        penalties: Strengths to choose from (see :mod:`w2sg.heads.logistic`); a single one needs no choice.
        tolerance: Largest norm of the final gradient, relative to that at zero coefficients.
        search: The same of the fits of the search.
        patience: A label set's search ends after this many weaker penalties in a row that raised its loss.
        same_scale: Whether features are scaled by their spread over all rows, also those that take no part.
        shared: Whether all label sets take the penalty of the first, which alone is searched.

    Raises:
        ValueError: If a penalty is not positive, a target is no probability or shapes disagree.
    """
    x, intercept = features.x, features.intercept
    if target.shape != folds.shape or target.shape[1] != len(x):
        raise ValueError(f"{len(x)} rows of features, target {target.shape} and folds {folds.shape} disagree")
    if not len(penalties) or not all(0 < penalty < np.inf for penalty in penalties):
        raise ValueError(f"penalties is {list(penalties)}; allowed are positive numbers, at least one")
    check_inputs(target)
    labels, fold = torch.as_tensor(target, dtype=torch.float64), torch.as_tensor(folds)
    cv_loss, start = np.full((len(target), len(penalties)), np.nan), None
    chosen = np.zeros(len(target), dtype=np.int64)
    if len(penalties) > 1:
        sets = slice(1 if shared else None)
        found, start = _search_penalty(features, labels[sets], fold[sets], penalties, patience, search)
        cv_loss, start = np.broadcast_to(found, cv_loss.shape), start.expand(len(target), -1)
        # Ties go to the stronger penalty.
        order = np.argsort(penalties, kind="stable")[::-1]
        chosen = order[np.nanargmin(cv_loss[:, order], axis=1)]
    penalty = np.asarray(penalties, dtype=np.float64)[chosen]
    one, same = _distinct(target, folds, penalty)
    posed = replace(_pose(x, labels[one], fold[one] >= 0, intercept), penalty=torch.from_numpy(penalty)[one])
    if same_scale:
        posed = replace(posed, ratio=(posed.ratio > 0).to(posed.ratio))
    solution = minimise(posed, features.basis, start=None if start is None else start[one], tolerance=tolerance)
    weights = solution.coefficients[:, : len(features.scale)] / features.scale
    offset = solution.coefficients[:, -1] - weights @ features.center if intercept else weights.new_zeros(len(weights))
    return Fit(
        weights=weights[same].numpy(),
        intercept=offset[same].numpy(),
        penalty=penalty,
        cv_loss=cv_loss,
        converged=solution.converged[same].numpy(),
    )


def fit_given(
    features: Standardised,
    target: np.ndarray,
    train: np.ndarray,
    *,
    penalty: np.ndarray,
    start: np.ndarray,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Returns coefficients of logistic fits without intercept, float64, (R, d), each with its own rows and penalty.

    Args:
        features: Of n rows, without intercept.
        target: Probability of the first class, (R, n).
        train: Whether a fit learns from a row, bool, (R, n).
        penalty: Strength, (R,).
        start: Coefficients near the solution, (R, d): they save steps and change nothing else.
        tolerance: As in :func:`fit_selected`; accuracies are the same far below it.
    """
    posed = _pose(features.x, torch.as_tensor(target, dtype=torch.float64), torch.from_numpy(train), False)
    posed = replace(posed, penalty=torch.as_tensor(penalty, dtype=torch.float64))
    near = torch.as_tensor(start, dtype=torch.float64) * features.scale
    found = minimise(posed, features.basis, start=near, tolerance=tolerance)
    return (found.coefficients / features.scale).numpy()


def _distinct(target: np.ndarray, folds: np.ndarray, penalty: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns which of S fits differ, (U,), and which of these each fit is, (S,): seeds often share labels.

    Labels of pairs shown turned round are equal but for the rounding of 1 - p.
    """
    rows = np.column_stack((np.round(target, 12) + 0.0, folds >= 0, penalty))  # + 0.0 for the sign of zero
    _, one, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return torch.from_numpy(one), torch.from_numpy(same)


def _pose(x: torch.Tensor, labels: torch.Tensor, train: torch.Tensor, intercept: bool) -> Problems:
    """Returns problems on the rows marked in ``train``, (C, n), with the features' spread over those rows."""
    weight = train.double() / train.sum(1, keepdim=True)
    spread = (weight.float() @ x.square()).double()
    if intercept:
        spread -= (weight.float() @ x).double().square()
    ratio = torch.where(spread > 1e-12, spread, 1.0).sqrt()
    if intercept:
        ratio[:, -1] = 0.0
    return Problems(
        features=x, target=labels, weight=weight, ratio=ratio, penalty=weight.new_ones(len(weight)), intercept=intercept
    )


def _search_penalty(
    features: Standardised,
    labels: torch.Tensor,
    fold: torch.Tensor,
    penalties: Sequence[float],
    patience: int,
    tolerance: float,
) -> tuple[np.ndarray, torch.Tensor]:
    """Returns each penalty's held-out loss, (S, P), and the folds' mean solution at the best, (S, d)."""
    sets, parts = len(labels), int(fold.max()) + 1
    held = fold[:, None] == torch.arange(parts)[:, None]  # (S, F, n)
    train = (fold[:, None] >= 0) & ~held
    problems = _pose(features.x, labels.repeat_interleave(parts, 0), train.flatten(0, 1), features.intercept)
    column = torch.arange(sets * parts).unflatten(0, (sets, parts))
    u = torch.zeros_like(problems.ratio)  # (S F, d)
    loss = np.full((sets, len(penalties)), np.nan)
    best, start, rises = np.full(sets, np.inf), torch.zeros_like(u[:sets]), np.zeros(sets, dtype=np.int64)
    for index in np.argsort(penalties, kind="stable")[::-1]:
        live = np.flatnonzero(rises < patience)
        if not len(live):
            break
        rows = torch.from_numpy(live)
        columns = column[rows].flatten()
        posed = problems.pick(columns, penalty=float(penalties[index]))
        found = minimise(posed, features.basis, start=u[columns], tolerance=tolerance)
        u[columns] = found.coefficients
        # (S F, n), of which each fit judges what it held out.
        losses = softplus(found.logits) - posed.target * found.logits
        counted = losses.view(held[rows].shape) * held[rows]
        loss[live, index] = (counted.sum((1, 2)) / held[rows].sum((1, 2))).numpy()
        better = loss[:, index] < best  # NaN, so false, where the search has ended
        best, rises = np.where(better, loss[:, index], best), np.where(better, 0, rises + 1)
        start[torch.as_tensor(better)] = u.unflatten(0, (sets, parts)).mean(1)[torch.as_tensor(better)]
    return loss, start
