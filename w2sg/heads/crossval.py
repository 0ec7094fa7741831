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
    same_scale: bool = False,
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
        same_scale: Whether features are scaled by their spread over all rows, also those that take no part.

    Raises:
        ValueError: If a penalty is not positive, a value is not finite or shapes disagree.
    """
    if features.ndim != 2 or target.shape != folds.shape or target.shape[1:] != features.shape[:1]:
        raise ValueError(f"features {features.shape}, target {target.shape} and folds {folds.shape} disagree")
    if not len(penalties) or not all(0 < penalty < np.inf for penalty in penalties):
        raise ValueError(f"penalties is {list(penalties)}; allowed are positive numbers, at least one")
    check_inputs(target, features=features)
    x, center, scale = _scale(features, intercept)
    basis = find_basis(x, intercept=intercept)
    labels, fold = torch.as_tensor(target, dtype=torch.float64), torch.as_tensor(folds)
    cv_loss, start = np.full((len(target), len(penalties)), np.nan), None
    chosen = np.zeros(len(target), dtype=np.int64)
    if len(penalties) > 1:
        cv_loss, start = _search_penalty(x, basis, labels, fold, penalties, intercept, patience)
        # Ties go to the stronger penalty.
        order = np.argsort(penalties, kind="stable")[::-1]
        chosen = order[np.nanargmin(cv_loss[:, order], axis=1)]
    penalty = np.asarray(penalties, dtype=np.float64)[chosen]
    one, same = _distinct(target, folds, penalty)
    posed = replace(_pose(x, labels[one], fold[one] >= 0, intercept), penalty=torch.from_numpy(penalty)[one])
    if same_scale:
        posed = replace(posed, ratio=(posed.ratio > 0).to(posed.ratio))
    solution = minimise(posed, basis, start=None if start is None else start[one], tolerance=tolerance)
    weights = solution.coefficients[:, : len(scale)] / scale
    offset = solution.coefficients[:, -1] - weights @ center if intercept else weights.new_zeros(len(weights))
    return Fit(
        weights=weights[same].numpy(),
        intercept=offset[same].numpy(),
        penalty=penalty,
        cv_loss=cv_loss,
        converged=solution.converged[same].numpy(),
    )


def fit_given(
    features: np.ndarray,
    target: np.ndarray,
    train: np.ndarray,
    *,
    penalty: np.ndarray,
    start: np.ndarray,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Returns coefficients of logistic fits without intercept, float64, (R, d), each with its own rows and penalty.

    Args:
        features: Rows in their own units, (n, d), scaled as in :func:`fit_selected`.
        target: Probability of the first class, (R, n).
        train: Whether a fit learns from a row, bool, (R, n).
        penalty: Strength, (R,).
        start: Coefficients near the solution, (R, d): they save steps and change nothing else.
        tolerance: As in :func:`fit_selected`; accuracies are the same far below it.
    """
    x, _, scale = _scale(features, False)
    posed = _pose(x, torch.as_tensor(target, dtype=torch.float64), torch.from_numpy(train), False)
    posed = replace(posed, penalty=torch.as_tensor(penalty, dtype=torch.float64))
    near = torch.as_tensor(start, dtype=torch.float64) * scale
    return (minimise(posed, find_basis(x), start=near, tolerance=tolerance).coefficients / scale).numpy()


def _distinct(target: np.ndarray, folds: np.ndarray, penalty: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns which of S fits differ, (U,), and which of these each fit is, (S,): seeds often share labels.

    Labels of pairs shown turned round are equal but for the rounding of 1 - p.
    """
    rows = np.column_stack((np.round(target, 12) + 0.0, folds >= 0, penalty))  # + 0.0 for the sign of zero
    _, one, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return torch.from_numpy(one), torch.from_numpy(same)


def _scale(features: np.ndarray, intercept: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns features of unit spread over all rows, (n, d), their centre and their spread, (d,).

    Any other scale gives the same fits, more slowly. With an intercept, a last feature is one everywhere.
    """
    n, d = features.shape
    center = torch.from_numpy(features.mean(0, dtype=np.float64)).float() if intercept else torch.zeros(d)
    x = torch.ones(n, d + intercept)
    inner = x[:, :d]
    torch.sub(torch.as_tensor(features, dtype=torch.float32), center, out=inner)
    scale = inner.square().mean(0).sqrt()
    scale[scale <= 1e-6 * center.abs()] = 1.0  # a constant feature leaves only rounding once it is centred
    inner /= scale
    return x, center.double(), scale.double()


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
    x: torch.Tensor,
    basis: Basis,
    labels: torch.Tensor,
    fold: torch.Tensor,
    penalties: Sequence[float],
    intercept: bool,
    patience: int,
) -> tuple[np.ndarray, torch.Tensor]:
    """Returns each penalty's held-out loss, (S, P), and the folds' mean solution at the best, (S, d)."""
    sets, parts = len(labels), int(fold.max()) + 1
    held = fold[:, None] == torch.arange(parts)[:, None]  # (S, F, n)
    train = (fold[:, None] >= 0) & ~held
    problems = _pose(x, labels.repeat_interleave(parts, 0), train.flatten(0, 1), intercept)
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
        found = minimise(posed, basis, start=u[columns], tolerance=SEARCH_TOLERANCE)
        u[columns] = found.coefficients
        # (S F, n), of which each fit judges what it held out.
        losses = softplus(found.logits) - posed.target * found.logits
        counted = losses.view(held[rows].shape) * held[rows]
        loss[live, index] = (counted.sum((1, 2)) / held[rows].sum((1, 2))).numpy()
        better = loss[:, index] < best  # NaN, so false, where the search has ended
        best, rises = np.where(better, loss[:, index], best), np.where(better, 0, rises + 1)
        start[torch.as_tensor(better)] = u.unflatten(0, (sets, parts)).mean(1)[torch.as_tensor(better)]
    return loss, start
