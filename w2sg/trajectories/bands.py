"""Acceptance bands of the embedded study: what three trial seeds of the design showed, with room for another seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd

from w2sg.study.sections import Statistics
from w2sg.trajectories.levels import trajectory
from w2sg.trajectories.transitions import late_revisions

DATASET = "newsgroups_tech"
"""Dataset on which the bands were measured."""

EARLY_STEP = 128
"""Up to this step W2SG must be absent."""


def judge_nano(
    metrics: pd.DataFrame, *, families: Sequence[str], dataset: str = DATASET, late_share: float = Statistics().late
) -> pd.DataFrame:
    """Returns the acceptance table of the embedded study, from METRICS; without families an empty one.

    Returns:
        Columns family, protocol, criterion, expected, measured, holds.
    """
    rows = []
    for family, protocol in product(families, ("converged", "paper")):
        table = trajectory(metrics, family=family, dataset=dataset, protocol=protocol)
        early, late = table[table["step"] <= EARLY_STEP], table.tail(late_revisions(len(table), late_share))
        first, last = f"up to step {EARLY_STEP}", f"of the last {len(late)}"
        highest, distance = early["w2s"].max(), (early["weak"] - early["w2s"]).min()
        gain, weak, ceiling = late["gain"], table["weak"].iloc[0], table["ceiling"].iloc[-1]
        probe, loss = (table[name].corr(table["w2s"]) ** 2 for name in ("probe", "loss"))
        checks = [
            (f"largest W2SG accuracy {first}", "< 0.62", highest, highest < 0.62),
            (f"smallest distance below the supervisor {first}", ">= 0.10", distance, distance >= 0.10),
            (f"smallest gain {last}", "> 0", gain.min(), gain.min() > 0),
            (f"mean gain {last}", ">= 0.015", gain.mean(), gain.mean() >= 0.015),
            ("supervisor accuracy", "0.70 to 0.79", weak, 0.70 <= weak <= 0.79),
            ("ceiling at the end", "0.79 to 0.84", ceiling, 0.79 <= ceiling <= 0.84),
            ("R² of probe accuracy", ">= 0.93", probe, probe >= 0.93),
            ("R² of probe accuracy less that of loss", ">= 0.15", probe - loss, probe - loss >= 0.15),
        ]
        rows += [(family, protocol, *check) for check in checks]
    return pd.DataFrame(rows, columns=["family", "protocol", "criterion", "expected", "measured", "holds"])
