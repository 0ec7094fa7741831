"""The figures of the sweep branch: name, title and category of each, and how they name a coverage. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SweepFigure:
    """A figure; its caption is ``workflow/report/<name>.rst``."""

    title: str
    """What it shows, without the family and the dataset."""
    category: str = "Trajectories"
    """Section of Snakemake's report."""


FIGURES = {
    "trajectory": SweepFigure(title="W2SG against pre-training"),
    "probe": SweepFigure(title="linear probe against pre-training"),
    "recovery": SweepFigure(title="recovered gap and calibration"),
    "prediction": SweepFigure(title="what predicts W2SG accuracy", category="Prediction"),
    "layers": SweepFigure(title="every layer and revision", category="Layers"),
}
"""Every figure by its name in rules and files; each is drawn per family and dataset."""


GROUP_FIGURES = ("trajectory", "prediction")
"""Those that are drawn of all pre-training seeds of a family together, too."""


def as_percent(share: float) -> str:
    """Returns a share such as a coverage in percent, exactly: ``99.5 %`` for 0.995, which must not become 100 %."""
    return f"{100 * share:.10g} %"
