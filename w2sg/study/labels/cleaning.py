"""What is done about weak labels before students learn them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from w2sg.study.fields import Count, KeyMistake, Positive, Section, Share
from w2sg.study.protocols import CleaningMethod


class Cleaning(Section):
    """What is done about weak labels that the student's own features contradict, final layer, before students learn them."""

    by: CleaningMethod
    """What estimates a pair's label from other pairs: the mean of its nearest neighbours (knn), or a logistic probe of the other
    folds (probe).
    """
    action: Literal["relabel", "filter"] = "relabel"
    """relabel: students learn the estimates; filter: they learn the labels that are nearest to them."""
    neighbours: Count | None = None
    """Of knn: number of neighbours; default 20."""
    penalty: Positive | None = None
    """Of probe: L2 penalty on standardised features; default 0.01."""
    keep: Share | None = None
    """Of filter: share of the pairs that are kept; default 0.5."""

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        fits = {"neighbours": self.by == "knn", "penalty": self.by == "probe", "keep": self.action == "filter"}
        for key, meant in fits.items():
            if getattr(self, key) is not None and not meant:
                raise KeyMistake(key, f"cleaning by {self.by} with action {self.action} has none; remove {key}")
        return self

    @property
    def nearest(self) -> int:
        """Number of neighbours."""
        return self.neighbours or 20

    @property
    def strength(self) -> float:
        """Penalty of the probe."""
        return self.penalty or 1e-2

    def kept_of(self, n: int) -> int:
        """Returns how many of n pairs are learned."""
        return max(1, round(n * (self.keep or 0.5))) if self.action == "filter" else n
