"""Pairs, model and protocol of a revision's students, and grids of students over rates and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from w2sg.activations.features import TEST
from w2sg.activations.tokens import ReadPairs
from w2sg.measures.sources import pair_clusters
from w2sg.runtime.files import atomic_path
from w2sg.students.kinds import Trainable
from w2sg.students.scorer import Scorer
from w2sg.students.training import Course, Task, Texts, present, train_student
from w2sg.study.protocols import SPLITS, StudentKind
from w2sg.study.sections import Heads, Intervals, Students

SELECTED = "selected"
"""Setting of the student at the rate that was chosen without test data."""


@dataclass(frozen=True, kw_only=True)
class SplitTexts:
    """The pairs of one split as a model reads them."""

    chosen: Texts
    """Token ids of the preferred text of each pair, or of a labelled text of the positive class; else none."""
    rejected: Texts
    """Of the other one, or of a text of the other class."""
    row_ids: tuple[str, ...]
    """Id of each pair."""
    clusters: np.ndarray
    """Group of each pair, (n,)."""

    @property
    def classes(self) -> np.ndarray | None:
        """As :attr:`w2sg.activations.features.Features.classes`."""
        held = np.array([[text is not None for text in side] for side in (self.chosen, self.rejected)])
        return held[0].astype(np.int64) if (held.sum(0) == 1).all() else None

    def task(self, target: np.ndarray) -> Task:
        """Returns the pairs with labels, (n,); those whose label is NaN are left out."""
        held = np.flatnonzero(~np.isnan(target)).tolist()
        first, second = ([side[row] for row in held] for side in (self.chosen, self.rejected))
        return Task(first=first, second=second, target=target[held])


@dataclass(frozen=True, kw_only=True)
class TrainedStudent:
    """What is kept of a student: its margins and what was seen of its training."""

    margins: np.ndarray
    """s(chosen) - s(rejected) of the test pairs, (n,); zeros if the training diverged."""
    progressive_loss: float
    """As of :class:`w2sg.students.training.Course`."""
    watched: Mapping[int, float]
    """Accuracy on the first test pairs by the number of steps done."""


Kept = Callable[[Mapping[str, Any], Callable[[], TrainedStudent]], TrainedStudent]
"""Returns the student that goes by the given keys: an earlier attempt's, or the function's."""


def split_texts(read: ReadPairs, pairs: pd.DataFrame, *, most: int | None) -> dict[str, SplitTexts]:
    """Returns the texts of each split.

    Args:
        read: What the model reads of these pairs, in their order.
        pairs: Columns split, row_id and the sources of both texts.
        most: Training pairs of a split at most, the first ones; all test pairs are kept.
    """
    found, held = {}, read.lengths.reshape(-1) > 0
    texts: list[Sequence[int] | None] = [None] * len(held)
    for place, ids in zip(np.flatnonzero(held), read.ids, strict=True):
        texts[place] = ids
    sides = texts[: len(pairs)], texts[len(pairs) :]
    for name in SPLITS:
        places = np.flatnonzero((pairs["split"] == name).to_numpy())
        places = places if name == TEST else places[:most]
        rows = pairs.iloc[places]
        found[name] = SplitTexts(
            chosen=[sides[0][place] for place in places],
            rejected=[sides[1][place] for place in places],
            row_ids=tuple(rows["row_id"]),
            clusters=pair_clusters(rows),
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Classroom:
    """A model, pairs and a protocol: what all students of a revision on a dataset share."""

    scorer: Scorer
    """The model."""
    trained: Trainable
    """What of it is trained."""
    kind: StudentKind
    """Name of that."""
    texts: Mapping[str, SplitTexts]
    """Pairs by split."""
    settings: Students
    """Section of the configuration, as the two that follow."""
    heads: Heads
    """Its loss and margin are the students' too."""
    intervals: Intervals
    """Of all metrics."""
    batch_tokens: int
    """Rows of a forward pass without gradients."""
    weights: Path | None = None
    """Folder in which trained students stay, each in one of its own; None: nothing of them does."""
    kept: Kept = lambda keys, train: train()
    """What keeps trained students over a kill."""

    def train(self, head: str, task: Task, *, rate: float, seed: int) -> TrainedStudent:
        """Returns a student of the given labels, trained now or by an earlier attempt."""
        keys = {"kind": self.kind, "head": head, "rate": rate, "seed": seed}
        loss = "soft" if head == "ceiling" else self.heads.loss

        def train() -> TrainedStudent:
            course: Course = train_student(
                self.scorer,
                self.trained,
                task,
                settings=self.settings,
                rate=rate,
                seed=seed,
                loss=loss,
                margin=self.heads.margin if self.texts[TEST].classes is None else "pair",
                watch=self._watch,
            )
            margins = self._margins(len(self.texts[TEST].row_ids))
            last = _accuracy(margins[: self.settings.watched])
            if self.weights is not None:
                self._save(self.weights / f"{self.kind}-{head}-lr{rate:g}-seed{seed}")
            whole = np.isfinite(margins).all() and np.isfinite(course.progressive_loss)
            return TrainedStudent(
                margins=margins if whole else np.zeros_like(margins),
                progressive_loss=course.progressive_loss if whole else np.inf,
                watched={**course.watched, len(course.losses): last},
            )

        return self.kept(keys, train)

    def _save(self, folder: Path) -> None:
        """Writes what was trained, and the head's weights beside it."""
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            self.trained.save(temporary)
            save_file({"weight": self.scorer.head.weight.detach().cpu()}, temporary / "head.safetensors")

    def _margins(self, most: int) -> np.ndarray:
        test = self.texts[TEST]
        ids, places = present(test.chosen[:most], test.rejected[:most])
        scores = np.zeros(2 * len(test.chosen[:most]))
        scores[places] = self.scorer.score(ids, batch_tokens=self.batch_tokens)
        return scores[: len(scores) // 2] - scores[len(scores) // 2 :]

    def _watch(self) -> float:
        return _accuracy(self._margins(self.settings.watched))

    def grid(self, head: str, target: np.ndarray, split: Literal["ground_truth", "weak_supervision"]) -> StudentGrid:
        """Returns students at every rate and seed, the labels being (S, n).

        Raises:
            FloatingPointError: If the training of a seed diverges at every rate.
        """
        rates, seeds = getattr(self.settings.learning_rates, self.kind), self.settings.seeds
        students = [
            [self.train(head, self.texts[split].task(row), rate=rate, seed=seed) for rate in rates]
            for seed, row in zip(seeds, target, strict=True)
        ]
        made = StudentGrid(head=head, rates=tuple(rates), seeds=tuple(seeds), students=students)
        if not np.isfinite(made.losses).any(axis=1).all():
            raise FloatingPointError(
                f"students of kind {self.kind} ({head}) diverge at every rate of {rates}; add smaller ones"
            )
        return made


def _accuracy(margins: np.ndarray) -> float:
    return float(np.mean(0.5 * (1.0 + np.sign(margins))))


@dataclass(frozen=True, kw_only=True)
class StudentGrid:
    """Students of one kind of labels, at K rates; a control has one rate for each seed, which counts as none, K = 0."""

    head: str
    """``ceiling``, ``w2s``, ``permuted`` or ``weak_on_weak``."""
    rates: tuple[float, ...]
    """K learning rates."""
    seeds: tuple[int, ...]
    """S seeds."""
    students: list[list[TrainedStudent]]
    """Each seed's, one for each rate."""

    @property
    def losses(self) -> np.ndarray:
        """Progressive losses, (S, max(K, 1))."""
        return np.array([[one.progressive_loss for one in row] for row in self.students])

    @property
    def selected(self) -> np.ndarray:
        """Place of the student with the smallest progressive loss, (S,)."""
        return self.losses.argmin(1)

    def chosen_rates(self) -> list[float]:
        """Returns each seed's selected rate."""
        return [self.rates[place] for place in self.selected]

    def settings(self) -> list[str]:
        """Returns the name of each of the K + 1 settings."""
        return [*(f"lr={rate:g}" for rate in self.rates), SELECTED]

    def with_selected(self, values: np.ndarray) -> np.ndarray:
        """Returns values of all students, (S, K, ...), and those of the selected ones, (1, S, K + 1, ...)."""
        own = values[np.arange(len(self.seeds)), self.selected][:, None]
        return (np.concatenate([values, own], axis=1) if self.rates else own)[None]

    def margins(self) -> np.ndarray:
        """Returns margins on the test pairs, (1, S, K + 1, n)."""
        return self.with_selected(np.array([[one.margins for one in row] for row in self.students]))

    def extras(self) -> dict[str, np.ndarray]:
        """Returns the scalars of the training, (1, S, K + 1) each."""
        found = {"progressive_loss": self.with_selected(self.losses)}
        rates = np.broadcast_to(self.rates, self.losses.shape) if self.rates else None
        return found if rates is None else found | {"learning_rate": self.with_selected(rates)}
