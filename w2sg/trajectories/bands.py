"""Acceptance bands of the embedded study: what trials with other seeds showed, with room for another seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from w2sg.study.sections import Statistics
from w2sg.trajectories.late.estimates import late_revisions
from w2sg.trajectories.late.levels import trajectory


@dataclass(frozen=True, kw_only=True)
class Bands:
    """What is expected on a dataset."""

    gain: float
    """Least mean gain of the late revisions."""
    supervisor: tuple[float, float]
    """Least and largest accuracy of the supervisor."""
    ceiling: tuple[float, float]
    """Least and largest accuracy of the ceiling at the end."""
    early: float = 0.62
    """What W2SG accuracy stays below early."""
    distance: float = 0.10
    """Least distance below the supervisor early."""
    probe: tuple[float, float] | None = None
    """Least R² of probe accuracy, and least lead over that of the loss; None where it is not expected."""


BANDS = {
    "newsgroups_tech": Bands(gain=0.015, supervisor=(0.70, 0.79), ceiling=(0.79, 0.84), probe=(0.93, 0.15)),
    "newsgroups_order": Bands(gain=0.03, supervisor=(0.75, 0.90), ceiling=(0.87, 1.0), early=0.75),
}
"""By dataset."""

EARLY_STEP = 128
"""Up to this step W2SG must be absent."""


def judge_nano(
    metrics: pd.DataFrame, *, families: Sequence[str], late_share: float = Statistics().late
) -> pd.DataFrame:
    """Returns the acceptance table of the embedded study, from METRICS; of cases without rows or bands nothing.

    Returns:
        Columns family, dataset, protocol, criterion, expected, measured, holds.
    """
    rows = []
    heads = metrics[metrics["head"] == "w2s"]
    measured = set(zip(heads["family"], heads["dataset"], strict=True))
    for family, dataset, protocol in product(families, BANDS, ("converged", "paper")):
        if (family, dataset) not in measured:
            continue
        band = BANDS[dataset]
        table = trajectory(metrics, family=family, dataset=dataset, protocol=protocol)
        early, late = table[table["step"] <= EARLY_STEP], table.tail(late_revisions(len(table), late_share))
        first, last = f"up to step {EARLY_STEP}", f"of the last {len(late)}"
        highest, distance = early["w2s"].max(), (early["weak"] - early["w2s"]).min()
        gain, weak, ceiling = late["gain"], table["weak"].iloc[0], table["ceiling"].iloc[-1]
        checks = [
            (f"largest W2SG accuracy {first}", f"< {band.early}", highest, highest < band.early),
            (
                f"smallest distance below the supervisor {first}",
                f">= {band.distance:.2f}",
                distance,
                distance >= band.distance,
            ),
            (f"smallest gain {last}", "> 0", gain.min(), gain.min() > 0),
            (f"mean gain {last}", f">= {band.gain}", gain.mean(), gain.mean() >= band.gain),
            ("supervisor accuracy", _between(band.supervisor), weak, band.supervisor[0] <= weak <= band.supervisor[1]),
            ("ceiling at the end", _between(band.ceiling), ceiling, band.ceiling[0] <= ceiling <= band.ceiling[1]),
        ]
        if band.probe is not None:
            probe, loss = (table[name].corr(table["w2s"]) ** 2 for name in ("probe", "loss"))
            least, lead = band.probe
            checks += [
                ("R² of probe accuracy", f">= {least}", probe, probe >= least),
                ("R² of probe accuracy less that of loss", f">= {lead}", probe - loss, probe - loss >= lead),
            ]
        rows += [(family, dataset, protocol, *check) for check in checks]
    return pd.DataFrame(rows, columns=["family", "dataset", "protocol", "criterion", "expected", "measured", "holds"])


def _between(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.2f} to {ends[1]:.2f}"
