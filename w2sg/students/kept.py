"""Trained students that outlive a kill: each in a small file, until the job that trains them all has written its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from w2sg.runtime.files import atomic_path, sha256
from w2sg.students.classroom import TrainedStudent


@dataclass(frozen=True, kw_only=True)
class KeptStudents:
    """A folder of trained students."""

    folder: Path
    """Where they lie."""
    made: Mapping[str, Any]
    """What decides all of them, plain values, ``dataset`` among them: those of another configuration, or of other weights, are
    not taken."""

    def __call__(self, keys: Mapping[str, Any], train: Callable[[], TrainedStudent]) -> TrainedStudent:
        """Returns the student of these keys: an earlier attempt's, or one that is trained and kept now."""
        name = sha256(json.dumps([dict(self.made), dict(keys)], sort_keys=True, default=str).encode())
        path = self.folder / f"{name}.safetensors"
        named = ", ".join([str(self.made["dataset"]), *(f"{key} {value}" for key, value in keys.items())])
        if path.is_file():
            print(f"{named}: trained by an earlier attempt")
            found = load_file(path)
            watched = dict(zip(found["steps"].tolist(), found["accuracies"].tolist(), strict=True))
            loss = float(found["progressive_loss"])
            return TrainedStudent(margins=found["margins"], progressive_loss=loss, watched=watched)
        student = train()
        print(f"{named}: trained, progressive loss {student.progressive_loss:.4f}")
        arrays = {
            "margins": student.margins,
            "progressive_loss": np.array(student.progressive_loss),
            "steps": np.array([*student.watched], dtype=np.int64),
            "accuracies": np.array([*student.watched.values()]),
        }
        with atomic_path(path) as temporary:
            save_file(arrays, temporary)
        return student
