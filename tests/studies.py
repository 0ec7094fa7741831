"""A made-up study with a known answer, as the long table of metrics and its floors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tests.conclusions import with_controls
from w2sg.report import page
from w2sg.runtime.provenance import origin
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.study.sections import Statistics
from w2sg.tables.reading import READINGS
from w2sg.tables.schemas import CORRELATIONS, FLOORS, METRICS, PREDICTION, TRANSITIONS
from w2sg.trajectories import bands, coverage, summary
from w2sg.trajectories.correlations import correlate_all
from w2sg.trajectories.prediction import predict_all
from w2sg.trajectories.series import collect_series
from w2sg.trajectories.transitions import estimate_transition

STEPS = [0, *(2**k for k in range(10)), *range(640, 2049, 128)]
"""The embedded study's revisions."""

WEAK = 0.74
"""Accuracy of the supervisor."""

HALF = 0.015
"""Half width of every interval."""


def made_metrics(
    *,
    effect: bool,
    steps: Sequence[int] = STEPS,
    layers: Sequence[int] = (4,),
    dataset: str = "newsgroups_tech",
    noise: float = 0.0,
) -> pd.DataFrame:
    """A study in which W2SG rises from 0.54 past the supervisor at step 1,024, or stays at 0.54.

    Lower layers rise less; ``noise`` is the standard deviation that revisions add to accuracy, gain and the rest alike.
    """
    rows = []
    rng = np.random.default_rng(0)
    for position, step in enumerate(steps):
        rise = 1 / (1 + np.exp(-(23 * position / len(steps) - 13) * 0.9)) if effect else 0.0
        key = {"step": step, "tokens": step * 1e-6, "revision": f"step{step}", "dataset": dataset}
        for layer in layers:
            share = rise * (1 + layer) / (1 + max(layers))
            for made in (_heads(share), _probes(share)):
                shift = noise * rng.standard_normal()
                rows += [key | {"layer": layer} | row | {"value": row["value"] + shift} for row in made]
        loss = {"head": "model", "protocol": "language_model", "setting": "window=64", "seed": 0, "layer": -1}
        rows.append(
            key | loss | {"metric": "nats_per_token", "value": 7.6 - 0.3 * position**0.75, "dataset": "newsgroups"}
        )
    for protocol, setting in ((name, HEADLINE_SETTINGS[name]) for name in ("paper", "converged")):
        weak = {"step": 2048, "tokens": 0.002, "revision": "step2048", "dataset": dataset, "layer": 2, "seed": 0}
        weak |= {"head": "weak", "protocol": protocol, "setting": setting}
        rows += [weak | {"metric": name, "value": value} for name, value in (("accuracy", WEAK), ("ece", 0.06))]
    frame = pd.DataFrame(rows).assign(family="nano", weak="nano-weak", weak_revision="step2048", commit="c", n=2000)
    frame["model"] = np.where(frame["head"] == "weak", "nano-weak", "nano-strong")
    frame = frame.assign(tested_on=frame["dataset"])
    return frame.assign(low=frame["value"] - HALF, high=frame["value"] + HALF)[METRICS.fields.names]


def made_floors(*, dataset: str = "newsgroups_tech") -> pd.DataFrame:
    """The two floors of that study."""
    rows = [{"floor": "longer_response", "value": 0.5}, {"floor": "tfidf", "value": 0.6}]
    frame = pd.DataFrame(rows).assign(dataset=dataset, metric="accuracy", n=2000)
    return frame.assign(low=frame["value"] - HALF, high=frame["value"] + HALF)[FLOORS.fields.names]


def without_costs(html: str) -> str:
    """Returns a report without its day and the section on time, which alone differ between two runs of the same study."""
    return re.sub("<!-- cost -->.*?<!-- /cost -->", "", html, flags=re.DOTALL)


def _heads(rise: float) -> list[dict[str, Any]]:
    rows = []
    values = {"w2s": 0.54 + 0.24 * rise, "ceiling": 0.55 + 0.26 * rise}
    gap = values["ceiling"] - WEAK
    for protocol, setting in ((name, HEADLINE_SETTINGS[name]) for name in ("paper", "converged")):
        for seed in (0, 1, 2):
            base = {"protocol": protocol, "setting": setting, "seed": seed}
            jitter = 0.001 * (seed - 1) + (0.0005 if protocol == "converged" else 0.0)
            for head, value in values.items():
                rows.append(base | {"head": head, "metric": "accuracy", "value": value + jitter})
                rows.append(base | {"head": head, "metric": "ece", "value": 0.03 + 0.02 * rise})
            for head, value in values.items():
                rows.append(base | {"head": head, "metric": "gain", "value": value + jitter - WEAK})
            pgr = (values["w2s"] - WEAK) / gap if gap > 0 else np.nan
            rows.append(base | {"head": "w2s", "metric": "pgr", "value": pgr})
    return rows


def _probes(rise: float) -> list[dict[str, Any]]:
    base = {"head": "probe", "setting": "l2=0.01"}
    plain = {"head": "probe_plain", "protocol": "first", "setting": "C=1", "metric": "accuracy"}
    norm = {"head": "subspace", "protocol": "none", "setting": "ridge=0.1", "metric": "unexplained_norm"}
    return [
        plain | {"seed": 0, "value": 0.51 + 0.2 * rise},
        norm | {"seed": 0, "value": 0.5 - 0.2 * rise},
    ] + [
        base | {"protocol": split, "metric": metric, "seed": seed, "value": start + 0.2 * rise + 0.001 * (seed - 1)}
        for split, start in (("pair", 0.52), ("text", 0.53))
        for metric in ("accuracy", "auroc")
        for seed in (0, 1, 2)
    ]


SETTINGS = Statistics(resamples=200)
"""Statistics of a made-up study; few resamples, for they cost time."""


def made_statistics(
    metrics: pd.DataFrame, settings: Statistics = SETTINGS, groups: Mapping[str, Sequence[str]] | None = None
) -> dict[str, pd.DataFrame]:
    """Transitions, correlations, prediction errors and the conclusions of a study, computed as the workflow does."""
    series = list(collect_series(metrics, confidence=0.95))
    transitions = pd.DataFrame(estimate_transition(series, settings), columns=TRANSITIONS.fields.names)
    tables = {
        "transitions": transitions,
        "correlations": pd.DataFrame(correlate_all(series, transitions, settings), columns=CORRELATIONS.fields.names),
        "prediction": pd.DataFrame(predict_all(series, groups or {}, settings), columns=PREDICTION.fields.names),
    }
    concluded = summary.summarize(metrics, **tables, groups=groups or {}, settings=settings, confidence=0.95)
    return tables | {"summary": concluded}


def made_evidence(
    *, effect: bool, layers: Sequence[int] = (4,), dataset: str = "newsgroups_tech", **changes: Any
) -> page.Evidence:
    """Everything that a report of the made-up study shows, computed from its metrics; ``changes`` replace parts."""
    metrics = with_controls(made_metrics(effect=effect, layers=layers, dataset=dataset, noise=0.003))
    tables = made_statistics(metrics[metrics["tested_on"] == metrics["dataset"]])
    parts: dict[str, Any] = {
        "metrics": metrics,
        "floors": made_floors(dataset=dataset),
        **{name: tables[name] for name in ("summary", "correlations", "transitions")},
        "bands": bands.judge_nano(metrics, families=["nano"]),
        "excluded": pd.DataFrame(columns=["model", "revision", "reason", "excluded"]),
        "completeness": coverage.completeness(metrics, {}, [], ["linear"]),
        "stages": page.stage_costs({}),
        "theory": None,
        "readings": pd.DataFrame(columns=READINGS.fields.names),
        "origin": origin("write_report", {}, config={"study": "nano"}),
        "study": {
            "study": "nano",
            "evaluation": {"corpus": "newsgroups"},
            "intervals": {"confidence": 0.95},
            "statistics": {"confidence": SETTINGS.confidence},
        },
    }
    return page.Evidence(**(parts | changes))
