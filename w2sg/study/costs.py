"""What a study will cost, from its configuration alone: revisions, jobs, download, disk and GPU hours. No network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

FEATURE_BYTES = {"float32": 4, "bfloat16": 2}
"""Bytes of one stored feature by the model's type."""

COLUMNS = {
    "model": "model", "revisions": "revisions", "jobs": "jobs", "download_tb": "download, TB", "snapshot_gb": "one revision, GB",
    "download_hours": "download, h", "gpu_hours": "GPU, h", "students_hours": "trained students, GPU h", "heads_hours": "heads, core h",
    "features_gb": "features kept, GB",
}  # fmt: skip
"""Columns of the cost table with their headings."""


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
    pairs: Mapping[str, float | None]
    """Pairs per split and dataset, a labelled text counting one half; None where the configuration does not say."""
    layers: str | Sequence[int]
    """``all``, ``final`` or indices."""
    mode: str
    """``fused`` or ``split``."""
    snapshots: int
    """Most snapshots on the disk."""
    holes: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """Steps between which the list of a swept model lacks revisions."""
    students: Mapping[str, Any] = field(default_factory=lambda: {"kinds": ["linear"]})
    """Section ``students``."""

    @property
    def trained(self) -> list[str]:
        """Returns the kinds of students whose backbone is trained."""
        return [kind for kind in self.students["kinds"] if kind != "linear"]


def read_rates(path: Path) -> list[dict[Any, str]]:
    """Returns the rows of ``resources/costs/rates.tsv``: name, value, unit, status, source."""
    return pd.read_csv(path, sep="\t", dtype=str).to_dict("records")


def read_models(path: Path, audits: Mapping[str, pd.DataFrame], repos: Mapping[str, str]) -> pd.DataFrame:
    """Returns what is known of one revision of each model; sizes are those of an audit where there is one, else the table's.

    Args:
        path: ``resources/costs/models.tsv``.
        audits: Audit per model, schema AUDIT.
        repos: Repository per model; those that the table lacks are left out.

    Returns:
        A row per model with parameters (their number), size (bytes of the weight files), width (of the hidden states),
        layers (hidden states: the embedding and one per block), source (how the size is known).
    """
    table = pd.read_csv(path, sep="\t", index_col="repo")
    table = table.assign(
        size=table["parameters"] * table["bytes_per_parameter"].astype(float),
        layers=table["blocks"] + 1,
        source=table["status"] + ": " + table["source"],
    )
    # Repositories of further pre-training seeds hold models of the same size.
    alike = {model: repo if repo in table.index else re.sub(r"-seed\d+$", "", repo) for model, repo in repos.items()}
    known = {model: repo for model, repo in alike.items() if repo in table.index}
    rows = table.loc[list(known.values())].set_axis(list(known))
    for model in rows.index.intersection(list(audits)):
        listed = audits[model].query("bytes > 0")["bytes"]
        if len(listed):
            rows.loc[model, ["size", "source"]] = [listed.mean(), "listed by the Hub (audit)"]
    return rows[["parameters", "size", "width", "layers", "source"]]


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
    if study.trained:
        counts["train_students"] = sum(family["revisions"] for family in study.families.values())
        counts["train_weak_students"] = len(study.families)
    if study.mode == "split" or study.trained:
        counts["fetch_revision"] = sum(study.used[model] for model in hub)
    return counts


BACKWARD = {"lora": 1.0, "full": 2.0}
"""What the way back costs, in forward passes: gradients of states alone, or of weights too."""


def student_texts(study: PlannedStudy) -> float:
    """Returns what the trained students of one revision cost on all datasets, in forward passes of one text.

    Ceiling and student at each rate, the control at one, each with its epochs, looks at test pairs and all of these at the end.
    """
    own, total = study.students, 0.0
    for pairs in study.pairs.values():
        tested = float("nan") if pairs is None else pairs
        learned = min(tested, own["pairs"]) if own.get("pairs") else tested
        for kind in study.trained:
            trainings = len(own["seeds"]) * (2 * len(own["learning_rates"][kind]) + 1)
            looks = learned * own["epochs"] / own["batch_size"] / own["every"]
            scored = tested + looks * min(own["watched"], tested)
            total += trainings * 2 * (learned * own["epochs"] * (1 + BACKWARD[kind]) + scored)
    return total


def cost_table(study: PlannedStudy, models: pd.DataFrame, measured: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Returns one row per model with a known cost, and their total; columns as in :data:`COLUMNS`.

    What depends on the number of texts is NaN if that of one dataset is unknown: a sum without it would pass for the whole.
    """
    rates = {row["name"]: float(row["value"]) for row in measured}
    counts = [float("nan") if pairs is None else pairs for pairs in study.pairs.values()]
    texts = 6 * sum(counts)  # three splits of two texts
    families = pd.DataFrame(list(study.families.values()))
    swept = families.groupby("strong")["revisions"].sum().reindex(models.index, fill_value=0)
    trained = swept * len(study.pairs)
    number, size = pd.Series(study.used).reindex(models.index), models["size"]
    each = 2 * models["parameters"] * rates["tokens"]
    forward = each * texts / rates["gpu_forward"]
    busy = forward + size / rates["gpu_load"] + rates["start"]
    asked = {"all": models["layers"], "final": 1}[study.layers] if isinstance(study.layers, str) else len(study.layers)
    kept = 1 + (asked - 1) * (trained > 0)  # a supervisor keeps its final layer only
    bytes_each = pd.Series(study.dtypes).map(FEATURE_BYTES).reindex(models.index).astype(float)
    frame = pd.DataFrame(
        {
            "revisions": number,
            "jobs": number * (1 + (study.mode == "split" or bool(study.trained)))
            + trained
            + swept * bool(study.trained)
            + 1,
            "download_tb": number * size / 1e12,
            "snapshot_gb": size / 1e9,
            "download_hours": number * size / rates["download"] / 3600,
            "gpu_hours": number * busy / 3600,
            "students_hours": swept * student_texts(study) * each / rates["gpu_train"] / 3600,
            "heads_hours": trained * rates["heads"] / 3600,
            "features_gb": number * texts * models["width"] * kept * bytes_each / 1e9,
        }
    )
    frame.loc["total"] = frame.sum(skipna=False).to_dict() | {"snapshot_gb": frame["snapshot_gb"].max()}
    return frame.rename_axis("model").reset_index()


def plan_text(
    study: PlannedStudy, models: pd.DataFrame, table: pd.DataFrame, rates: Sequence[Mapping[str, str]]
) -> str:
    """Returns the plan for a terminal: the table, jobs, peak disk, and every assumption behind the numbers."""
    formats = dict.fromkeys(COLUMNS.values(), _rounded) | dict.fromkeys(("revisions", "jobs"), "{:,.0f}".format)
    del formats["model"]
    if not study.trained:
        del formats[COLUMNS["students_hours"]]
        table = table.drop(columns="students_hours")
    cells = table.rename(columns=COLUMNS).to_string(index=False, formatters=formats, na_rep="unknown")
    jobs = ", ".join(f"{name} {number:,}" for name, number in count_jobs(study).items())
    peak = study.snapshots * float(table["snapshot_gb"].fillna(0).max())
    lines = [
        cells,
        "",
        f"jobs: {jobs}, and a few per study",
        f"peak on the scratch disk: {_rounded(peak)} GB ({study.snapshots} snapshots of the largest model)",
    ]
    if uncounted := [f"datasets.{name}.pairs" for name, pairs in study.pairs.items() if pairs is None]:
        lines.append(f"unknown without {', '.join(uncounted)}: {COLUMNS['gpu_hours']}; {COLUMNS['features_gb']}")
    if unknown := [name for name in study.used if name not in models.index]:
        lines.append(
            f"without a cost here (not on the Hub, or not in resources/costs/models.tsv): {', '.join(unknown)}"
        )
    lines += [_holes_text(name, holes) for name, holes in study.holes.items() if holes]
    lines += ["", "These numbers rest on:"]
    for name, model in models.iterrows():
        lines.append(f"  {name}: {model['parameters'] / 1e9:.2f} billion parameters, {model['source']}")
    lines += [f"  {row['name']}: {row['value']} {row['unit']}, {row['status']}: {row['source']}" for row in rates]
    return "\n".join(lines) + "\n"


def _holes_text(name: str, holes: Sequence[tuple[int, int]]) -> str:
    named = ", ".join(f"{before:,} and {after:,}" for before, after in holes[:5])
    more = f", and in {len(holes) - 5} more places" if len(holes) > 5 else ""
    return f"the list of {name} lacks revisions between steps {named}{more}"


def _rounded(value: float) -> str:
    """Returns a number with three digits that count: a laptop's gigabyte shows as well as a cluster's terabytes."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
