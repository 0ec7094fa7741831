"""A made-up table of conclusions, in the shape of :func:`w2sg.trajectories.summary.summarize`, whose rows a test can change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from w2sg.trajectories import onset

COLUMNS = ["family", "dataset", "protocol", "quantity", "value", "low", "high", "level", "n", "note", "verdict"]

FOUND: dict[str, tuple[Any, ...]] = {
    "weak": (0.714, 0.694, 0.734),
    "w2s_first": (0.532, 0.51, 0.554, "random twin: step0"),
    "gain_first": (-0.182, -0.21, -0.154, "random twin: step0", "below"),
    "w2s_late": (0.756, 0.737, 0.775),
    "ceiling_late": (0.802, 0.784, 0.82),
    "gain": (0.044, 0.02, 0.068, "", "above"),
    "weak_on_weak_gain": (0.008, -0.004, 0.02, "", "unclear"),
    "gain_beyond_weak_on_weak": (0.036, 0.012, 0.06, "", "above"),
    "permuted_gain": (0.063, 0.04, 0.086, "", "above"),
    "systematic_cost": (0.019, 0.003, 0.035, "", "above"),
    "pgr": (0.48, 0.3, 0.66),
    "onset_step": (896, 768, 1664),
    "onset_tokens": (0.00367, 0.00315, 0.0068),
    "saturation_tokens": (0.005, 0.004, np.nan, "open above", "unclear"),
    "fluctuation": (0.0012, 0.0, 0.004, "at the level of sampling noise"),
    "error_probe": (0.0116, 0.009, 0.015),
    "error_loss": (0.0155, 0.012, 0.02),
    "error_step": (0.0152, 0.012, 0.019),
    "error_ceiling": (0.0102, 0.008, 0.013),
    "error_unrelated": (0.0205, 0.016, 0.025),
    "error_plain": (0.0121, 0.009, 0.016),
    "error_subspace": (0.0311, 0.02, 0.04),
    "error_probe_minus_loss": (-0.0039, -0.009, 0.001, "", "unclear"),
    "error_probe_minus_step": (-0.0036, -0.009, 0.002, "", "unclear"),
    "error_probe_minus_subspace": (-0.0195, -0.03, -0.009, "", "below"),
    "r2_probe": (0.983, 0.95, 0.99),
    "r2_loss": (0.746, 0.4, 0.9),
    "rho_probe": (0.972, 0.9, 0.99),
    "rho_loss": (-0.89, -0.95, -0.8),
    "revisions": (23, np.nan, np.nan),
    "last_step": (2048, np.nan, np.nan),
    "seeds": (1, np.nan, np.nan),
}
"""Value, low, high, note and verdict of each quantity in a study with the effect."""

ABSENT: dict[str, tuple[Any, ...]] = {
    "w2s_late": (0.54, 0.52, 0.56),
    "gain": (-0.174, -0.2, -0.15, "", "below"),
    "gain_beyond_weak_on_weak": (-0.182, -0.21, -0.155, "", "below"),
    "systematic_cost": (0.001, -0.01, 0.012, "", "unclear"),
    "pgr": (np.nan, np.nan, np.nan, "the ceiling is not above the supervisor", "undefined"),
    "onset_step": (np.nan, np.nan, np.nan, f"{onset.NEVER} (Holm over 23 revisions)", "undefined"),
    "onset_tokens": (np.nan, np.nan, np.nan, f"{onset.NEVER} (Holm over 23 revisions)", "undefined"),
    "saturation_tokens": (np.nan, np.nan, np.nan, "no rise beyond noise", "undefined"),
    "error_probe_minus_loss": (0.0, -0.001, 0.001, "", "unclear"),
}
"""What differs in one without it."""

NOISE: dict[str, tuple[Any, ...]] = {
    "weak": (0.5, 0.478, 0.522),
    "w2s_late": (0.503, 0.48, 0.526),
    "gain": (0.003, -0.02, 0.026, "", "unclear"),
    "gain_beyond_weak_on_weak": (0.002, -0.02, 0.024, "", "unclear"),
    "systematic_cost": (0.0, -0.02, 0.02, "", "unclear"),
    "onset_step": ABSENT["onset_step"],
    "pgr": (0.01, -0.08, 0.09),
}
"""What differs where the supervisor's labels are noise."""


def made_conclusions(
    changes: Mapping[str, Any] | None = None,
    *,
    family: str = "nano",
    dataset: str = "newsgroups_tech",
    protocols: tuple[str, ...] = ("paper", "converged"),
    level: str = "revisions",
) -> pd.DataFrame:
    """Returns the table of one family on one dataset; a quantity that is changed to None is missing."""
    found = {name: row for name, row in {**FOUND, **(changes or {})}.items() if row is not None}
    rows = []
    for protocol in protocols:
        for quantity, row in found.items():
            value, low, high, note, verdict = (*row, "", "")[:5] if len(row) < 5 else row
            rows.append((family, dataset, protocol, quantity, value, low, high, level, 23, note, verdict))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float, "low": float, "high": float})


def nothing() -> pd.DataFrame:
    """Returns the table of a study of which nothing was measured."""
    return made_conclusions().head(0)


def with_controls(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns the made-up METRICS with rows for its controls and the loss in bits per byte."""
    last = metrics["layer"] == metrics["layer"].max()
    taught = metrics[(metrics["head"] == "w2s") & (metrics["metric"] == "accuracy") & last]
    probes = metrics[
        (metrics["head"] == "probe") & (metrics["metric"] == "accuracy") & (metrics["protocol"] == "pair") & last
    ]
    weak = metrics[(metrics["head"] == "weak") & (metrics["metric"] == "accuracy")]
    loss = metrics[metrics["metric"] == "nats_per_token"]
    floor = weak.head(1).assign(head="floor", setting="fewer_tokens", protocol="none", layer=-1)
    parts = [
        metrics,
        _shifted(taught.assign(head="permuted"), 0.015),
        _shifted(weak.assign(head="weak_on_weak"), 0.008),
        _shifted(floor, -0.15),
        *(
            _shifted(probes.assign(head=f"probe_{name}"), -0.02 * k)
            for k, name in enumerate(("length", "group", "random"), 1)
        ),
        loss.assign(metric="bits_per_byte", value=0.35 * loss["value"], low=np.nan, high=np.nan),
    ]
    return pd.concat(parts, ignore_index=True)


def _shifted(rows: pd.DataFrame, by: float) -> pd.DataFrame:
    return rows.assign(**{name: rows[name] + by for name in ("value", "low", "high")})


def transferred(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns rows of the made-up students on the pairs of another dataset."""
    taught = metrics[(metrics["head"] == "w2s") & (metrics["metric"] == "accuracy")]
    return _shifted(taught.assign(tested_on="another"), -0.1)
