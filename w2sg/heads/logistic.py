"""L2-regularised logistic regression: many problems on one feature matrix, solved together.

All folds, seeds and label sets of a layer share the rows of one matrix, so one step of each of them is one
matrix product. A row that is held out has weight zero.

Problem c minimises, over coefficients u of the scaled features (and an unpenalised intercept, if asked for),

    sum_i weight[c, i] * (softplus(z_i) - target[c, i] * z_i) + penalty / 2 * sum_j (ratio[c, j] * u_j)^2

with z = x u and weights that sum to one: the mean loss plus ``penalty / 2`` times the squared norm of the
coefficients of features scaled to unit spread over the problem's own training rows. scikit-learn sums the
losses, so its ``C`` is ``1 / (penalty * training rows)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from w2sg.heads.matrices import Basis

MEMORY = 32
"""Steps remembered by the quasi-Newton method."""

SINGLE_TOLERANCE = 1e-5
"""Relative gradient that products in single precision give; for less they are computed in double."""


@dataclass(frozen=True, kw_only=True)
class Problems:
    """C problems on the n rows of one matrix; features in single precision, everything else in double."""

    features: torch.Tensor
    """Scaled features, float32, (n, d)."""
    target: torch.Tensor
    """Probability of the first class, (C, n)."""
    weight: torch.Tensor
    """Weight of each row in the mean loss, (C, n): rows sum to one, held-out rows are zero."""
    ratio: torch.Tensor
    """Spread of each feature over the problem's training rows, (C, d); zero for an intercept's constant."""
    penalty: torch.Tensor
    """Strength of the penalty, (C,)."""
    intercept: bool = False
    """Whether the last feature is the constant one."""

    def pick(self, index: torch.Tensor, *, penalty: torch.Tensor | float) -> Problems:
        """Returns the problems of the given indices with another penalty."""
        strength = torch.as_tensor(penalty, dtype=self.penalty.dtype).expand(len(index))
        weight, ratio = self.weight[index], self.ratio[index]
        return replace(self, target=self.target[index], weight=weight, ratio=ratio, penalty=strength)

    @property
    def ridge(self) -> torch.Tensor:
        """Curvature of the penalty on each coefficient, (C, d)."""
        return self.penalty[:, None] * self.ratio**2


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Minimisers of C problems."""

    coefficients: torch.Tensor
    """Coefficients of the scaled features, (C, d)."""
    logits: torch.Tensor
    """Logits of all rows, also of those held out, (C, n)."""
    gradient: torch.Tensor
    """Norm of the gradient over its norm at zero, (C,); 0 where that is zero too."""
    iterations: torch.Tensor
    """Steps taken, (C,)."""
    converged: torch.Tensor
    """Whether ``gradient`` fell to the tolerance, (C,)."""


def minimise(
    problems: Problems,
    basis: Basis,
    *,
    start: torch.Tensor | None = None,
    tolerance: float,
    max_iterations: int = 1000,
) -> Solution:
    """Returns the minimisers, by a quasi-Newton method with all problems in step.

    L-BFGS whose initial inverse Hessian is that of a logistic loss with one curvature for all rows: in the
    eigenbasis that is a division. What L-BFGS has to learn is only how unequal the rows' p (1 - p) are.
    Logits are linear in the step, so the line search needs no product with the features, and each iteration
    takes two. A solved problem stands still, so that its answer does not depend on its companions.

    Args:
        problems: What to solve.
        basis: From :func:`find_basis` of the same features.
        start: Coefficients to start from, (C, d); zero by default.
        tolerance: Largest norm of the gradient, relative to that at zero coefficients.
        max_iterations: Steps after which to give up: what has not converged then is reported as such.
    """
    x = problems.features if tolerance >= SINGLE_TOLERANCE else problems.features.double()
    ridge = problems.ridge
    u, logits = torch.zeros_like(ridge), torch.zeros_like(problems.target)  # (C, d), (C, n)
    p, residual = _residual(problems, logits)
    gradient = _gather(x, residual)
    scale = gradient.norm(dim=1)
    scale = torch.where(scale > 1e-7 * residual.abs().sum(1), scale, 1.0)  # less is rounding
    if start is not None:
        u, logits = start, _logits(x, start)
        p, residual = _residual(problems, logits)
        gradient = ridge * u + _gather(x, residual)
    history: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    steps = torch.zeros(len(u), dtype=torch.int64)
    while True:
        norm = gradient.norm(dim=1) / scale
        moving = norm > tolerance
        if not bool(moving.any()) or int(steps.max()) >= max_iterations:
            break
        curvature = (problems.weight * p * (1 - p)).sum(1, keepdim=True).clamp_min(1e-4).float()
        direction = -_apply_inverse(gradient.float(), history, problems, basis, curvature)
        change = _logits(x, direction)  # (C, n)
        direction = direction.double()
        length = _search(problems, ridge, p, logits, direction, change, gradient)
        step = torch.where(moving, length, 0.0)[:, None]
        u, logits, steps = u + step * direction, logits + step * change, steps + moving
        p, residual = _residual(problems, logits)
        before, gradient = gradient, ridge * u + _gather(x, residual)
        history = [*history[1 - MEMORY :], _remember((step * direction).float(), (gradient - before).float())]
    return Solution(coefficients=u, logits=logits, gradient=norm, iterations=steps, converged=norm <= tolerance)


def _logits(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Returns u x', (C, n), as double."""
    return (x @ u.to(x).T).T.to(torch.float64, memory_format=torch.contiguous_format)


def _gather(x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """Returns r x, (C, d), as double."""
    return (r.to(x) @ x).double()


def _residual(problems: Problems, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns probabilities, and the derivative of the weighted loss by the logits, (C, n) each."""
    p = torch.sigmoid(logits)
    return p, problems.weight * (p - problems.target)


def _remember(step: torch.Tensor, bend: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns a step, its change of gradient and one over their product, 0 where rounding has eaten it."""
    product = (step * bend).sum(1, keepdim=True)
    sound = product > 1e-10 * step.norm(dim=1, keepdim=True) * bend.norm(dim=1, keepdim=True)
    return step, bend, torch.where(sound, 1.0 / product, 0.0)


def _apply_inverse(
    gradient: torch.Tensor,
    history: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    problems: Problems,
    basis: Basis,
    curvature: torch.Tensor,
) -> torch.Tensor:
    """Returns the L-BFGS inverse Hessian times the gradient (two-loop recursion)."""
    q, along = gradient, []
    for step, bend, factor in reversed(history):
        along.append(factor * (step * q).sum(1, keepdim=True))
        q = torch.addcmul(q, along[-1], bend, value=-1)
    result = basis.divide(q, problems.penalty[:, None].to(q), curvature)
    if problems.intercept:  # orthogonal to the centred features, and not penalised
        result[:, -1:] = q[:, -1:] / curvature
    for step, bend, factor in history:
        result = torch.addcmul(result, along.pop() - factor * (bend * result).sum(1, keepdim=True), step)
    return result


def _search(
    problems: Problems,
    ridge: torch.Tensor,
    p0: torch.Tensor,
    logits: torch.Tensor,
    direction: torch.Tensor,
    change: torch.Tensor,
    gradient: torch.Tensor,
) -> torch.Tensor:
    """Returns step lengths, (C,), that leave at most 0.3 of the slope: Newton's method inside a bracket.

    The slope is the initial one plus its change: summed again, it would drown in the rounding of ``change``.
    """
    weight = problems.weight
    initial = (gradient * direction).sum(1)
    quadratic = (ridge * direction**2).sum(1)
    length = torch.ones_like(initial)
    low, high = torch.zeros_like(length), torch.full_like(length, torch.inf)
    for _ in range(8):
        p = torch.sigmoid(logits + length[:, None] * change)
        slope = initial + (weight * (p - p0) * change).sum(1) + length * quadratic
        good = slope.abs() <= 0.3 * initial.abs()
        if bool(good.all()):
            break
        low, high = torch.where(slope < 0, length, low), torch.where(slope > 0, length, high)
        newton = length - slope / ((weight * p * (1 - p) * change**2).sum(1) + quadratic)
        middle = torch.where(high.isinf(), 2 * length, (low + high) / 2)
        inside = (newton > low) & (newton < high)
        length = torch.where(good, length, torch.where(inside, newton, middle))
    return length
