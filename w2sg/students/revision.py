"""All students of one revision: each kind on each dataset, from a folder with weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from w2sg.activations import extraction
from w2sg.activations.check import check_model
from w2sg.activations.models import context_of, load_model, read_model_config
from w2sg.activations.tokens import load_tokenizer, read_pairs
from w2sg.runtime.files import sha256
from w2sg.students.classroom import Classroom, split_texts
from w2sg.students.kept import KeptStudents
from w2sg.students.kinds import KINDS
from w2sg.students.measure import Taught, teach, teach_weak
from w2sg.students.memory import check_memory, weight_type
from w2sg.students.scorer import Scorer
from w2sg.study.protocols import trained_kinds
from w2sg.study.sections import Heads, Intervals, Students

ROLES = {"strong": teach, "weak": teach_weak}
"""What is trained of a strong revision, and of a supervisor's own model."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A dataset and what its supervisor says of it."""

    pairs: pd.DataFrame
    """Schema PAIRS."""
    labels: pd.DataFrame
    """Schema LABELS, as of :func:`w2sg.heads.cleaning.labels.clean_labels`."""
    entry: Mapping[str, Any]
    """The dataset's entry: how its texts are made."""


def teach_revision(
    folder: Path,
    lessons: Mapping[str, Lesson],
    *,
    role: str,
    sections: Mapping[str, Any],
    settings: extraction.Settings,
    device: str,
    drawn: bool,
    kept: Path,
    made: Mapping[str, Mapping[str, Any]],
    weights: Mapping[str, Path] | None = None,
) -> Iterator[tuple[str, Taught]]:
    """Yields each dataset with what its students of all kinds reached.

    Args:
        folder: A revision's folder.
        lessons: Datasets by name.
        role: A name in :data:`ROLES`.
        sections: Sections students, heads and intervals of the configuration.
        settings: How forward passes are run.
        device: Where the model is trained.
        drawn: Whether weights are drawn instead of read.
        kept: Folder of students that are trained already.
        made: What decides the students of each dataset.
        weights: Folder for the weights of each dataset's students; None: nothing of them stays.

    Raises:
        MemoryError: If a training would not fit.
        ValueError: If LoRA's targets are not in the model, or a label is missing.
    """
    students = Students.model_validate(sections["students"])
    shared: Any = {"settings": students, "heads": Heads.model_validate(sections["heads"])}
    shared["intervals"] = Intervals.model_validate(sections["intervals"])
    found: dict[str, list[Taught]] = {dataset: [] for dataset in lessons}
    config = read_model_config(folder)
    fault = extraction.check_config(config, settings, name=str(folder))
    tokenizer = load_tokenizer(folder)
    read = {
        dataset: read_pairs(tokenizer, one.pairs, one.entry, max_tokens=min(settings.max_tokens, context_of(config)))
        for dataset, one in lessons.items()
    }
    lengths = [len(ids) for one in read.values() for ids in one.ids]
    kinds = trained_kinds(students.kinds)
    for kind in kinds:
        check_memory(config, kind, lengths, swept=settings.dtype, device=device, settings=students)
    decided = {name: [one.facts["ids"], _label_hash(lessons[name].labels)] for name, one in read.items()}
    for kind in kinds:
        dtype = weight_type(kind, settings.dtype)
        model = check_model(load_model(folder, dtype=dtype, device=device, drawn=drawn), fault=fault)
        for one in read.values():
            model.check_used(one.ids)
        options = {name: getattr(students, name) for name in ("mixed_precision", "checkpointing")}
        trained, scorer = KINDS[kind](model, students), Scorer(model, **options)
        for dataset, lesson in lessons.items():
            keys = {"dataset": dataset, "read": decided[dataset], **made[dataset]}
            room = Classroom(
                **shared,
                scorer=scorer,
                trained=trained,
                kind=kind,
                texts=split_texts(read[dataset], lesson.pairs, most=students.pairs),
                batch_tokens=settings.rows(model.device),
                weights=weights[dataset] if weights else None,
                kept=KeptStudents(folder=kept, made=keys),
            )
            found[dataset].append(ROLES[role](room, lesson.labels, layer=model.depth))
        del model, trained, scorer, room  # before the next kind's is there
        gc.collect()
        if device != "cpu":
            torch.cuda.empty_cache()
    for dataset, parts in found.items():
        yield (
            dataset,
            Taught(
                metrics=pd.concat([one.metrics for one in parts], ignore_index=True),
                predictions=pd.concat([one.predictions for one in parts], ignore_index=True),
            ),
        )


def _label_hash(labels: pd.DataFrame) -> str:
    """Returns a hash of a supervisor's labels: those of other weights are others, whatever the configuration says."""
    return sha256(pd.util.hash_pandas_object(labels, index=False).to_numpy().tobytes())
