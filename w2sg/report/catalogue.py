"""The figures of the sweep branch: name, title and category of each, and how they name a coverage. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SweepFigure:
    """A figure by name; its caption is ``workflow/report/<name>.rst``."""

    name: str
    """Name in rules and files."""
    title: str
    """What it shows, without the family and the dataset."""
    category: str
    """Section of Snakemake's report."""


FIGURES = {
    figure.name: figure
    for figure in (
        SweepFigure(name="trajectory", title="W2SG against pre-training", category="Trajectories"),
        SweepFigure(name="probe", title="linear probe against pre-training", category="Trajectories"),
        SweepFigure(name="recovery", title="recovered gap and calibration", category="Trajectories"),
        SweepFigure(name="prediction", title="what foretells W2SG accuracy", category="Prediction"),
        SweepFigure(name="layers", title="every layer and revision", category="Layers"),
    )
}
"""Every figure by name; each is drawn per family and dataset."""


def as_percent(share: float) -> str:
    """Returns a share such as a coverage in percent, exactly: ``99.5 %`` for 0.995, which must not become 100 %."""
    return f"{100 * share:.10g} %"
