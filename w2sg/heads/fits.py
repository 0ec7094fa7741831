"""The two protocols as functions from features and labels to heads, at all their settings or at one that is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from w2sg.activations.features import Features
from w2sg.heads.converged import fit_converged_heads
from w2sg.heads.crossval import fit_given, standardise
from w2sg.heads.paper import PaperHeadSettings, train_paper_heads
from w2sg.heads.sides import harden
from w2sg.study.protocols import Loss
from w2sg.study.sections import Heads

_ALIKE: Mapping[str, dict[str, Any]] = {
    "paper": {},
    "converged": {"shared": True, "patience": 1, "search": 1e-3, "tolerance": 1e-3},
}
"""How much is saved on students of labels that are draws of one kind; accuracies are the same far below the tolerances."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Heads of one protocol."""

    settings: tuple[str, ...]
    """Name of each of the K settings; the last is the headline one."""
    weights: np.ndarray
    """(L, S, K, d)."""
    extras: Mapping[str, np.ndarray]
    """Scalars of the training itself, (L, S, K) each, such as the progressive loss."""


def _fit_paper(split: Features, target: np.ndarray, *, heads: Heads, loss: Loss = "soft") -> Trained:
    """Returns heads at each learning rate and at the selected one.

    Only students are given the loss of the configuration: true labels are certain, so that rounding them changes nothing, and
    a supervisor or ceiling must not be drawn to its own predictions.
    """
    settings = PaperHeadSettings(**heads.paper.model_dump(), loss=loss, margin=_margin(split, heads))
    options = {"settings": settings, "seeds": heads.seeds, "rows": labelled_rows(target)}
    made = train_paper_heads(split.chosen, split.rejected, np.nan_to_num(target, nan=0.5), **options)
    rates = np.array(settings.learning_rates)

    def with_selected(values: np.ndarray) -> np.ndarray:  # (L, S, K, ...) to (L, S, K + 1, ...)
        chosen = np.expand_dims(made.selected, tuple(range(2, values.ndim)))
        return np.concatenate([values, np.take_along_axis(values, chosen, axis=2)], axis=2)

    return Trained(
        settings=(*(f"lr={rate:g}" for rate in rates), "selected"),
        weights=with_selected(made.weights),
        extras={
            "progressive_loss": with_selected(made.progressive_loss),
            "learning_rate": with_selected(np.broadcast_to(rates, made.progressive_loss.shape)),
        },
    )


def _fit_converged(
    split: Features, target: np.ndarray, *, heads: Heads, loss: Loss = "soft", **options: Any
) -> Trained:
    """Returns heads at the cross-validated penalty.

    The log-confidence loss mixes in predictions as training goes; a fit to its end has no such course and takes soft labels.
    """
    states, labels = _posed(split, target, heads=heads, loss=loss)
    groups = np.arange(labels.shape[1]) % target.shape[1]
    made = fit_converged_heads(states, labels, settings=heads.converged, seeds=heads.seeds, groups=groups, **options)
    extras = {"penalty": made.penalty[:, :, None], "converged": made.converged[:, :, None].astype(float)}
    return Trained(settings=("cv",), weights=made.weights[:, :, None], extras=extras)


def labelled_rows(target: np.ndarray) -> np.ndarray:
    """Returns the pairs of each run that have a label, (R, m), of labels that are NaN for the others, (R, n).

    Raises:
        ValueError: If runs have labels of different numbers of pairs.
    """
    held = ~np.isnan(target)
    if len(set(held.sum(1))) > 1:
        raise ValueError(f"runs have labels of {held.sum(1).tolist()} pairs; allowed is the same number")
    return np.nonzero(held)[1].reshape(len(target), -1)


def _margin(split: Features, heads: Heads) -> Literal["pair", "single"]:
    """Returns what a loss is of; a labelled text is its own margin."""
    return heads.margin if split.classes is None else "pair"


def _posed(split: Features, target: np.ndarray, *, heads: Heads, loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a converged fit is posed on: differences of states, (L, n, d), and labels, (S, n).

    With the margin of single texts these are the states of all texts, chosen ones first, (L, 2n, d), and (S, 2n).
    """
    labels = harden(target) if loss == "hard" else target
    if _margin(split, heads) == "pair":
        return split.chosen - split.rejected, labels
    return np.concatenate([split.chosen, split.rejected], axis=1), np.concatenate([labels, 1.0 - labels], axis=1)


FITS: Mapping[str, Callable[..., Trained]] = {"paper": _fit_paper, "converged": _fit_converged}
"""What trains the heads of each protocol, at all settings and with the seeds of the configuration."""


def _refit_paper(
    split: Features,
    target: np.ndarray,
    rows: np.ndarray,
    like: Trained,
    *,
    heads: Heads,
    draws: Sequence[int],
    loss: Loss,
) -> np.ndarray:
    """Returns heads at the selected rate."""
    settings = PaperHeadSettings(**heads.paper.model_dump(), loss=loss, margin=_margin(split, heads))
    each = len(rows) // len(draws)
    rates = _of_runs(like.extras["learning_rate"][-1, :, -1:], len(draws), each)
    made = train_paper_heads(
        split.chosen,
        split.rejected,
        np.nan_to_num(target, nan=0.5),
        settings=settings,
        seeds=np.repeat(draws, each).tolist(),
        rows=rows,
        rates=rates,
    )
    return made.weights[0, :, 0]


def _refit_converged(
    split: Features,
    target: np.ndarray,
    rows: np.ndarray,
    like: Trained,
    *,
    heads: Heads,
    draws: Sequence[int],
    loss: Loss,
) -> np.ndarray:
    """Returns heads at the penalty that cross-validation chose."""
    states, labels = _posed(split, np.nan_to_num(target, nan=0.5), heads=heads, loss=loss)
    learned = np.zeros(target.shape, dtype=bool)
    np.put_along_axis(learned, rows, True, axis=1)
    learned = np.tile(learned, labels.shape[1] // target.shape[1])
    found = (like.extras["penalty"][-1, :, -1], like.weights[-1, :, -1])
    penalty, start = (_of_runs(values, len(draws), len(rows) // len(draws)) for values in found)
    return fit_given(standardise(states[0]), labels, learned, penalty=penalty, start=start)


def _of_runs(values: np.ndarray, draws: int, each: int) -> np.ndarray:
    """Returns values of S seeds, (S, ...), for each run of each draw, (R, ...)."""
    return np.repeat(values[np.arange(draws) % len(values)], each, axis=0)


def fit_alike(split: Features, target: np.ndarray, protocol: str, *, heads: Heads) -> Trained:
    """Returns students of labels, (S, n), that are draws of one kind, at their headline setting.

    ``paper`` heads select a rate each. ``converged`` ones share the penalty that cross-validation finds for the first draw:
    to choose one for each would take as long as all else of a wide layer.
    """
    made = FITS[protocol](split, target, heads=heads, loss=heads.loss, **_ALIKE[protocol])
    last = {name: values[:, :, -1:] for name, values in made.extras.items()}
    return Trained(settings=made.settings[-1:], weights=made.weights[:, :, -1:], extras=last)


REFITS: Mapping[str, Callable[..., np.ndarray]] = {"paper": _refit_paper, "converged": _refit_converged}
"""What trains R heads of one layer at a setting that was chosen before, such as with all pairs for halves of them, (R, d).

Arguments: features of one layer; target, (R, n); rows to learn from, (R, m); heads like which they are tuned; and by name
the configuration, the D draws, each of which has R / D runs, and the loss.
"""


def true_labels(split: Features, runs: int) -> np.ndarray:
    """Returns certainty that the chosen text is preferred, (runs, n)."""
    return np.ones((runs, len(split.row_ids)))
