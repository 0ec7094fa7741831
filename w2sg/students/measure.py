"""The students of one revision on one dataset: ceiling, student and control of each kind, and their metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK
from w2sg.heads.controls import permute
from w2sg.heads.rows import accuracy_rows, head_rows
from w2sg.heads.sides import chosen_probability
from w2sg.students.classroom import SELECTED, Classroom, StudentGrid


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What is measured of the students of a revision on a dataset."""

    metrics: pd.DataFrame
    """Schema RESULTS without model, revision, commit, dataset and tested_on."""
    predictions: pd.DataFrame
    """Schema PREDICTIONS without model, revision, commit and dataset; the supervisor's margins are among them."""


def teach(room: Classroom, labels: pd.DataFrame, *, layer: int) -> Taught:
    """Trains ceiling, student and the student of permuted labels, which has the student's rate.

    Args:
        room: Model, pairs and protocol.
        labels: The supervisor's view of the pairs, schema LABELS.
        layer: Name of the final hidden state in the tables.
    """
    soft, supervisor = supervision(room, labels)
    ceiling = room.grid("ceiling", np.ones((len(soft), len(room.texts[TRAIN].row_ids))), TRAIN)
    student = room.grid("w2s", soft, WEAK)
    permuted = _controls(room, student, permute(soft, list(room.settings.seeds)))
    rows = [
        _rows(room, ceiling, layer=layer, weak=supervisor),
        _rows(room, student, layer=layer, weak=supervisor, ceiling=ceiling),
    ]
    grids = [ceiling, student]
    if np.isfinite(permuted.losses).all():  # a control that diverges at the student's rate says nothing of errors
        rows += [
            _rows(room, permuted, layer=layer, weak=supervisor),
            _systematic_cost(room, permuted, student, layer=layer),
        ]
        grids.append(permuted)
    shown = {"weak": supervisor} | {grid.head: grid.margins()[0, :, -1] for grid in grids}
    return Taught(
        metrics=pd.concat([*rows, *(_courses(room, grid, layer=layer) for grid in grids)], ignore_index=True),
        predictions=pd.concat([_predictions(room, *one) for one in shown.items()], ignore_index=True),
    )


def teach_weak(room: Classroom, labels: pd.DataFrame, *, layer: int) -> Taught:
    """Trains the supervisor's own model on the supervisor's labels: what is gained without a stronger one.

    Arguments as of :func:`teach`. The supervisor's own rows are among the metrics, under the kind's name.
    """
    soft, supervisor = supervision(room, labels)
    student = room.grid("weak_on_weak", soft, WEAK)
    axes = ([layer], list(student.seeds), [SELECTED])
    given: Any = {"intervals": room.intervals, "clusters": room.texts[TEST].clusters, "extras": {}}
    given["classes"] = room.texts[TEST].classes
    keys = {"head": "weak", "protocol": room.kind}
    rows = [
        head_rows(supervisor[None, :, None], axes, keys=keys, **given),
        _rows(room, student, layer=layer, weak=supervisor),
        _courses(room, student, layer=layer),
    ]
    shown = {"weak": supervisor, "weak_on_weak": student.margins()[0, :, -1]}
    return Taught(
        metrics=pd.concat(rows, ignore_index=True),
        predictions=pd.concat([_predictions(room, *one) for one in shown.items()], ignore_index=True),
    )


def supervision(room: Classroom, labels: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Returns P(chosen > rejected) of the training pairs, (S, n), and the supervisor's margins on the test pairs, (S, n).

    Raises:
        ValueError: If the supervisor did not label a pair.
    """
    soft, margins = [], []
    for seed in room.settings.seeds:
        own = labels[
            (labels["protocol"] == room.settings.supervisor) & (labels["seed"] == seed) & (labels["half"] == 0)
        ]
        for name, found in ((WEAK, soft), (TEST, margins)):
            rows = own[own["split"] == name].set_index("row_id").reindex(list(room.texts[name].row_ids))
            if rows["margin"].isna().any():
                missing = rows.index[rows["margin"].isna()][0]
                raise ValueError(f"the supervisor has no label of pair {missing} of split {name}, seed {seed}")
            found.append(
                chosen_probability(rows.astype({"swapped": bool})) if name == WEAK else rows["margin"].to_numpy()
            )
    return np.stack(soft), np.stack(margins)


def _controls(room: Classroom, student: StudentGrid, target: np.ndarray) -> StudentGrid:
    """Returns students of permuted labels, (S, n), at the rates that the student has."""
    rates, texts = student.chosen_rates(), room.texts[WEAK]
    made = [
        room.train("permuted", texts.task(row), rate=rate, seed=seed)
        for row, rate, seed in zip(target, rates, student.seeds, strict=True)
    ]
    return StudentGrid(head="permuted", rates=(), seeds=student.seeds, students=[[one] for one in made])


def _rows(
    room: Classroom, grid: StudentGrid, *, layer: int, weak: np.ndarray, ceiling: StudentGrid | None = None
) -> pd.DataFrame:
    axes, keys = ([layer], list(grid.seeds), grid.settings()), {"head": grid.head, "protocol": room.kind}
    given: Any = {"intervals": room.intervals, "clusters": room.texts[TEST].clusters, "weak": weak}
    given["classes"] = room.texts[TEST].classes
    above = None if ceiling is None else ceiling.margins()
    return head_rows(grid.margins(), axes, keys=keys, ceiling=above, extras=grid.extras(), **given)


def _systematic_cost(room: Classroom, permuted: StudentGrid, student: StudentGrid, *, layer: int) -> pd.DataFrame:
    axes, keys = ([layer], list(permuted.seeds), permuted.settings()), {"head": "permuted", "protocol": room.kind}
    given: Any = {"intervals": room.intervals, "clusters": room.texts[TEST].clusters}
    cost = accuracy_rows(permuted.margins(), axes, keys=keys, minus=student.margins()[:, :, -1:], **given)
    return cost.assign(metric="systematic_cost")


def _predictions(room: Classroom, head: str, margins: np.ndarray) -> pd.DataFrame:
    """Returns the rows of margins, (S, n), of one head."""
    ids, own = list(room.texts[TEST].row_ids), {"protocol": room.kind, "head": head}
    seeds = zip(room.settings.seeds, margins, strict=True)
    return pd.concat([pd.DataFrame({**own, "seed": seed, "row_id": ids, "margin": row}) for seed, row in seeds])


def _courses(room: Classroom, grid: StudentGrid, *, layer: int) -> pd.DataFrame:
    """Returns the accuracies along the epoch, rows as of the metrics."""
    own = {"layer": layer, "protocol": room.kind, "head": grid.head, "low": np.nan, "high": np.nan}
    names, n = grid.settings()[:-1] or grid.settings(), min(room.settings.watched, len(room.texts[TEST].row_ids))
    rows = [
        {**own, "setting": setting, "seed": seed, "metric": f"accuracy_step_{step}", "value": value, "n": n}
        for seed, students in zip(grid.seeds, grid.students, strict=True)
        for setting, one in zip(names, students, strict=True)
        for step, value in one.watched.items()
    ]
    return pd.DataFrame(rows)
