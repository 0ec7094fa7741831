"""Names that the study's design fixes: parts of a dataset, texts of a pair, settings of head protocols."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

SPLITS = ("ground_truth", "weak_supervision", "test")
"""The three disjoint parts of a dataset, in the order in which they are used."""

FIELDS = ("prompt", "chosen", "rejected")
"""The three texts of a pair."""

SOURCES = ("chosen_source", "rejected_source", "chosen_label", "rejected_label")
"""What the two responses of a pair were taken from, and its classes."""

Loss = Literal["soft", "hard", "logconf", "reverse_ce", "reverse_kl", "window"]
"""How students learn soft labels."""

CleaningMethod = Literal["knn", "probe"]
"""What estimates a pair's label from the student's own features: its nearest neighbours, or a logistic probe."""

LINEAR = "linear"
"""Kind of the students on frozen activations."""

StudentKind = Literal["lora", "full"]
"""What of a backbone is trained: low-rank adapters, or all of it."""

HEADLINE_SETTINGS = {"paper": "selected", "converged": "cv", "lora": "selected", "full": "selected"}
"""Headline setting of each protocol of heads on frozen activations and of each kind of trained student: chosen without test
data."""


def trained_kinds(kinds: Iterable[str]) -> list[StudentKind]:
    """Returns those of the kinds of students whose backbone is trained."""
    return [kind for kind in get_args(StudentKind) if kind in set(kinds)]


def protocol_title(protocol: str) -> str:
    """Returns what a protocol's heads or students are called."""
    return {"lora": "LoRA students", "full": "fully trained students"}.get(protocol, f"{protocol} heads")


def protocols_in(names: Iterable[str]) -> list[str]:
    """Returns the protocols of :data:`HEADLINE_SETTINGS` that are among the names, in their order."""
    found = set(names)
    return [name for name in HEADLINE_SETTINGS if name in found]
