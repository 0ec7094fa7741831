"""A made-up study with a known answer, as the long table of metrics and its floors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from w2sg import summary
from w2sg.schemas import FLOORS, METRICS

STEPS = [0, *(2**k for k in range(10)), *range(640, 2049, 128)]
"""The embedded study's revisions."""

WEAK = 0.74
"""Accuracy of the supervisor."""

HALF = 0.015
"""Half width of every interval."""


def made_metrics(
    *, effect: bool, steps: Sequence[int] = STEPS, layers: Sequence[int] = (4,), dataset: str = "newsgroups_tech"
) -> pd.DataFrame:
    """A study in which W2SG rises from 0.54 past the supervisor at step 1,024, or stays at 0.54; lower layers rise less."""
    rows = []
    for position, step in enumerate(steps):
        rise = 1 / (1 + np.exp(-(23 * position / len(steps) - 13) * 0.9)) if effect else 0.0
        key = {"step": step, "tokens": step * 1e-6, "revision": f"step{step}", "dataset": dataset}
        for layer in layers:
            share = rise * (1 + layer) / (1 + max(layers))
            rows += [key | {"layer": layer} | row for row in (*_heads(share), *_probes(share))]
        loss = {"head": "model", "protocol": "language_model", "setting": "window=64", "seed": 0, "layer": -1}
        rows.append(
            key | loss | {"metric": "nats_per_token", "value": 7.6 - 0.3 * position**0.75, "dataset": "newsgroups"}
        )
    for protocol, setting in summary.SETTINGS.items():
        weak = {"step": 2048, "tokens": 0.002, "revision": "step2048", "dataset": dataset, "layer": 2, "seed": 0}
        weak |= {"head": "weak", "protocol": protocol, "setting": setting}
        rows += [weak | {"metric": name, "value": value} for name, value in (("accuracy", WEAK), ("ece", 0.06))]
    frame = pd.DataFrame(rows).assign(family="nano", weak="nano-weak", weak_revision="step2048", commit="c", n=2000)
    frame["model"] = np.where(frame["head"] == "weak", "nano-weak", "nano-strong")
    return frame.assign(low=frame["value"] - HALF, high=frame["value"] + HALF)[METRICS.fields.names]


def made_floors(*, dataset: str = "newsgroups_tech") -> pd.DataFrame:
    """The two floors of that study."""
    rows = [{"floor": "longer_response", "value": 0.5}, {"floor": "tfidf", "value": 0.6}]
    frame = pd.DataFrame(rows).assign(dataset=dataset, metric="accuracy", n=2000)
    return frame.assign(low=frame["value"] - HALF, high=frame["value"] + HALF)[FLOORS.fields.names]


def _heads(rise: float) -> list[dict[str, Any]]:
    rows = []
    values = {"w2s": 0.54 + 0.24 * rise, "ceiling": 0.55 + 0.26 * rise}
    gap = values["ceiling"] - WEAK
    for protocol, setting in summary.SETTINGS.items():
        for seed in (0, 1, 2):
            base = {"protocol": protocol, "setting": setting, "seed": seed}
            jitter = 0.001 * (seed - 1)
            for head, value in values.items():
                rows.append(base | {"head": head, "metric": "accuracy", "value": value + jitter})
                rows.append(base | {"head": head, "metric": "ece", "value": 0.03 + 0.02 * rise})
            gain = values["w2s"] + jitter - WEAK
            rows.append(base | {"head": "w2s", "metric": "gain", "value": gain})
            pgr = (values["w2s"] - WEAK) / gap if gap > 0 else np.nan
            rows.append(base | {"head": "w2s", "metric": "pgr", "value": pgr})
    return rows


def _probes(rise: float) -> list[dict[str, Any]]:
    base = {"head": "probe", "setting": "l2=0.01", "seed": 0}
    return [
        base | {"protocol": split, "metric": metric, "value": start + 0.2 * rise}
        for split, start in (("pair", 0.52), ("text", 0.53))
        for metric in ("accuracy", "auroc")
    ]
