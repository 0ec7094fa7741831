"""Names that the study's design fixes: parts of a dataset, texts of a pair, settings of head protocols."""

from __future__ import annotations

from typing import Literal

SPLITS = ("ground_truth", "weak_supervision", "test")
"""The three disjoint parts of a dataset, in the order in which they are used."""

FIELDS = ("prompt", "chosen", "rejected")
"""The three texts of a pair."""

SOURCES = ("chosen_source", "rejected_source", "chosen_label", "rejected_label")
"""What the two responses of a pair were taken from, and its classes."""

Loss = Literal["soft", "hard", "logconf"]
"""Loss of W2SG heads on soft labels."""

HEADLINE_SETTINGS = {"paper": "selected", "converged": "cv"}
"""Headline setting of each head protocol: chosen without test data."""
