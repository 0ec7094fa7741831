"""What a study will cost, from its configuration alone: revisions, jobs, download, disk and GPU hours. No network."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

FEATURE_BYTES = {"float32": 4, "bfloat16": 2}
"""Bytes of one stored feature by the model's type."""

COLUMNS = {
    "model": "model", "revisions": "revisions", "jobs": "jobs", "download_tb": "download, TB", "snapshot_gb": "one revision, GB",
    "download_hours": "download, h", "gpu_hours": "GPU, h", "heads_hours": "heads, core h", "features_gb": "features kept, GB",
}  # fmt: skip
"""Columns of the cost table with their headings."""


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """What is known of one revision of a model."""

    parameters: int
    """Number of parameters."""
    size: float
    """Bytes of its weight files."""
    width: int
    """Width of the hidden states."""
    layers: int
    """Hidden states: the embedding and one per block."""
    source: str
    """How the size is known."""


@dataclass(frozen=True, kw_only=True)
class PlannedStudy:
    """The part of a study that costs."""

    families: Mapping[str, Mapping[str, Any]]
    """Per family: strong, weak, and the number of revisions."""
    used: Mapping[str, int]
    """Revisions per model, supervisors included."""
    repos: Mapping[str, str]
    """Repository per model that is on the Hub."""
    dtypes: Mapping[str, str]
    """Type per model that is on the Hub, in which its features are kept."""
    pairs: Mapping[str, int | None]
    """Pairs per split and dataset; None where the configuration does not say."""
    layers: str | Sequence[int]
    """``all``, ``final`` or indices."""
    mode: str
    """``fused`` or ``split``."""
    snapshots: int
    """Most snapshots on the disk."""

    @property
    def uncounted(self) -> list[str]:
        """Returns the datasets whose number of pairs is unknown."""
        return [name for name, pairs in self.pairs.items() if pairs is None]


def read_rates(path: Path) -> list[dict[str, str]]:
    """Returns the rows of ``resources/costs/rates.tsv``: name, value, unit, status, source."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def read_models(path: Path, audits: Mapping[str, pd.DataFrame], repos: Mapping[str, str]) -> dict[str, ModelCost]:
    """Returns the costs per model; sizes are those of an audit where there is one, else the table's.

    Args:
        path: ``resources/costs/models.tsv``.
        audits: Audit per model, schema AUDIT.
        repos: Repository per model; those that the table lacks are left out.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = {row["repo"]: row for row in csv.DictReader(file, delimiter="\t")}
    costs = {}
    for model, repo in repos.items():
        if repo not in rows:
            continue
        row = rows[repo]
        parameters = int(row["parameters"])
        size, source = parameters * float(row["bytes_per_parameter"]), f"{row['status']}: {row['source']}"
        listed = audits[model]["bytes"] if model in audits else pd.Series(dtype=float)
        if (listed > 0).any():
            size, source = float(listed[listed > 0].mean()), "listed by the Hub (audit)"
        width, layers = int(row["width"]), int(row["blocks"]) + 1
        costs[model] = ModelCost(parameters=parameters, size=size, width=width, layers=layers, source=source)
    return costs


def count_jobs(study: PlannedStudy) -> dict[str, int]:
    """Returns the jobs per rule that a fresh run plans, for the rules whose number grows with the study."""
    weak = {family["weak"] for family in study.families.values()}
    datasets, hub = len(study.pairs), [model for model in study.used if model in study.repos]
    counts = {
        "extract_activations": sum(study.used.values()),
        "train_supervisor": len(weak) * datasets,
        "train_heads": sum(family["revisions"] for family in study.families.values()) * datasets,
        "audit_revisions": len(hub),
    }
    if study.mode == "split":
        counts["fetch_revision"] = sum(study.used[model] for model in hub)
    return counts


def cost_table(
    study: PlannedStudy, models: Mapping[str, ModelCost], measured: Sequence[Mapping[str, str]]
) -> pd.DataFrame:
    """Returns one row per model with a known cost, and their total; columns as in :data:`COLUMNS`.

    What depends on the number of texts is NaN if that of one dataset is unknown: a sum without it would pass for the whole.

    Args:
        study: The study.
        models: From :func:`read_models`.
        measured: From :func:`read_rates`.
    """
    rates = {row["name"]: float(row["value"]) for row in measured}
    counts = [float("nan") if pairs is None else pairs for pairs in study.pairs.values()]
    texts = 6 * sum(counts)  # three splits of two texts
    trained = {name: 0 for name in study.used}
    for family in study.families.values():
        trained[family["strong"]] += family["revisions"] * len(study.pairs)
    rows = []
    for name, cost in models.items():
        number = study.used[name]
        forward = 2 * cost.parameters * texts * rates["tokens"] / rates["gpu_forward"]
        busy = forward + cost.size / rates["gpu_load"] + rates["start"]
        layers = study.layers if trained[name] else "final"  # which is all that a supervisor keeps
        kept = {"all": cost.layers, "final": 1}[layers] if isinstance(layers, str) else len(layers)
        rows.append(
            {
                "model": name,
                "revisions": number,
                "jobs": number * (1 + (study.mode == "split")) + trained[name] + 1,
                "download_tb": number * cost.size / 1e12,
                "snapshot_gb": cost.size / 1e9,
                "download_hours": number * cost.size / rates["download"] / 3600,
                "gpu_hours": number * busy / 3600,
                "heads_hours": trained[name] * rates["heads"] / 3600,
                "features_gb": number * texts * cost.width * kept * FEATURE_BYTES[study.dtypes[name]] / 1e9,
            }
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    total = frame.drop(columns=["model", "snapshot_gb"]).sum(skipna=False).to_dict() | {"model": "total"}
    return pd.concat([frame, pd.DataFrame([total | {"snapshot_gb": frame["snapshot_gb"].max()}])], ignore_index=True)


def plan_text(
    study: PlannedStudy, models: Mapping[str, ModelCost], table: pd.DataFrame, rates: Sequence[Mapping[str, str]]
) -> str:
    """Returns the plan for a terminal: the table, jobs, peak disk, and every assumption behind the numbers."""
    shown = table.rename(columns=COLUMNS)
    exact = [COLUMNS[key] for key in ("revisions", "jobs")]
    cells = pd.DataFrame(
        {
            name: shown[name]
            if name == "model"
            else [f"{value:,.0f}" if name in exact else _rounded(value) for value in shown[name]]
            for name in shown.columns
        }
    )
    jobs = count_jobs(study)
    peak = study.snapshots * float(table["snapshot_gb"].max()) if len(models) else 0.0
    lines = [cells.to_string(index=False), ""]
    lines.append("jobs: " + ", ".join(f"{name} {number:,}" for name, number in jobs.items()) + ", and a few per study")
    lines.append(f"peak on the scratch disk: {_rounded(peak)} GB ({study.snapshots} snapshots of the largest model)")
    if study.uncounted:
        keys = ", ".join(f"datasets.{name}.pairs" for name in study.uncounted)
        lines.append(f"unknown without {keys}: {COLUMNS['gpu_hours']}; {COLUMNS['features_gb']}")
    unknown = [name for name in study.used if name not in models]
    if unknown:
        lines.append(
            f"without a cost here (not on the Hub, or not in resources/costs/models.tsv): {', '.join(unknown)}"
        )
    lines += ["", "These numbers rest on:"]
    lines += [
        f"  {name}: {cost.parameters / 1e9:.2f} billion parameters, {cost.source}" for name, cost in models.items()
    ]
    lines += [f"  {row['name']}: {row['value']} {row['unit']}, {row['status']}: {row['source']}" for row in rates]
    return "\n".join(lines) + "\n"


def _rounded(value: float) -> str:
    """Returns a number with three digits that count: a laptop's gigabyte shows as well as a cluster's terabytes."""
    if math.isnan(value):
        return "unknown"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
