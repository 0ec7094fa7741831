"""What a study will cost, from its configuration alone: revisions, jobs, download, disk, GPU and CPU hours. No network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from w2sg.study.protocols import StudentKind, trained_kinds

FEATURE_BYTES = {"float32": 4, "bfloat16": 2, "auto": 4}
"""Bytes of one stored feature by the model's type; of auto at most."""

COLUMNS = {
    "model": "model", "revisions": "revisions", "jobs": "jobs", "download_tb": "download", "snapshot_gb": "one revision",
    "download_hours": "download", "gpu_hours": "GPU", "cpu_hours": "or CPU, core h", "students_hours": "trained students, GPU",
    "students_cpu_hours": "or CPU, students, core h",
    "heads_hours": "heads, core h", "features_gb": "kept",
}  # fmt: skip
"""Columns of the cost table (terabytes, gigabytes, hours) with their headings."""


BOUNDS = ("least", "expected", "most", "all listed")
"""Cases of what an adaptive family measures; the last one is what it would without ``adaptive``."""


@dataclass(frozen=True, kw_only=True)
class PlannedStudy:
    """The part of a study that costs."""

    families: Mapping[str, Mapping[str, Any]]
    """Per family: strong, weak (the models that true labels teach, with revision), the number of revisions, and one_model:
    whether its supervisor is a single model."""
    used: Mapping[str, int]
    """Revisions per model, supervisors included."""
    repos: Mapping[str, str]
    """Repository per model that is on the Hub."""
    dtypes: Mapping[str, str]
    """Type per model, in which its features are kept."""
    pairs: Mapping[str, float | None]
    """Pairs per split and dataset, a labelled text counting one half; None where the configuration does not say."""
    layers: str | Sequence[int]
    """``all``, ``final`` or indices."""
    mode: str
    """``fused`` or ``split``."""
    snapshots: int
    """Most snapshots on the disk."""
    rate: float | None = None
    """Millions of bytes per second of a download, where the configuration says so."""
    threads: int = 1
    """Threads of an extraction; all other jobs have one."""
    holes: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """Steps between which the list of a swept model lacks revisions."""
    own: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What is known of a revision of each model that is not on the Hub: parameters, size, width, layers as in
    :func:`read_models`; of one that is trained here its training tokens (``trained``) and the revisions it saves (``saved``).
    """
    students: Mapping[str, Any] = field(default_factory=lambda: {"kinds": ["linear"]})
    """Section ``students``."""

    adaptive: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Revisions of each adaptive family in the cases :data:`BOUNDS`."""

    def at(self, bound: str) -> PlannedStudy:
        """Returns the study with as many revisions of its adaptive families as a case of :data:`BOUNDS` says."""
        families, more = dict(self.families), dict.fromkeys(self.used, 0)
        for name, numbers in self.adaptive.items():
            strong = families[name]["strong"]
            # Families of one model share what they measure.
            more[strong] = max(more[strong], numbers[bound] - families[name]["revisions"])
            families[name] = {**families[name], "revisions": numbers[bound]}
        used = {model: number + more[model] for model, number in self.used.items()}
        return replace(self, used=used, families=families)

    @property
    def trained(self) -> list[StudentKind]:
        """Returns the kinds of students whose backbone is trained."""
        return trained_kinds(self.students["kinds"])


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
    weak = {one for family in study.families.values() for one in family["weak"]}
    datasets, hub = len(study.pairs), [model for model in study.used if model in study.repos]
    counts = {
        "extract_activations": sum(study.used.values()),
        "train_supervisor": len(weak) * datasets,
        "train_heads": sum(family["revisions"] for family in study.families.values()) * datasets,
        "audit_revisions": len(hub),
    }
    if study.trained:
        counts["train_students"] = sum(family["revisions"] for family in study.families.values())
        counts["train_weak_students"] = sum(family.get("one_model", True) for family in study.families.values())
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


def add_own(models: pd.DataFrame, own: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Returns what is known of the Hub's models (:func:`read_models`), and of those trained here or in a folder."""
    rows = pd.DataFrame.from_dict(
        {name: {**facts, "source": "its configuration"} for name, facts in own.items()}, orient="index"
    )
    return pd.concat([models, rows]).infer_objects() if len(rows) else models


def cost_table(
    study: PlannedStudy,
    models: pd.DataFrame,
    measured: Sequence[Mapping[str, str]],
    seconds: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """Returns one row per model with a known cost, and their total; columns as in :data:`COLUMNS`.

    What depends on the number of texts is NaN if that of one dataset is unknown: a sum without it would pass for the whole.

    Args:
        study: What is planned.
        models: As :func:`add_own` returns it.
        measured: Rates, see :func:`read_rates`.
        seconds: Mean core seconds of a job that this machine measured before, by rule and model; they stand for the CPU rates.
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
    slow = _seconds("extract_activations", seconds, models).fillna(
        rates["cpu_start"] + forward * rates["gpu_forward"] / rates["cpu_forward"]
    )
    trained_flop = 6 * models["parameters"] * _column("trained", models)
    training = _seconds("pretrain_family", seconds, models).fillna(trained_flop / rates["cpu_train"])
    hub = models.index.isin(list(study.repos))
    saved = _column("saved", models)
    asked = {"all": models["layers"], "final": 1}[study.layers] if isinstance(study.layers, str) else len(study.layers)
    kept = 1 + (asked - 1) * (trained > 0)  # a supervisor keeps its final layer only
    bytes_each = pd.Series(study.dtypes).map(FEATURE_BYTES).reindex(models.index).astype(float)
    frame = pd.DataFrame(
        {
            "revisions": number,
            "jobs": number * (1 + hub * (study.mode == "split" or bool(study.trained)))
            + trained
            + swept * bool(study.trained)
            + (hub | (saved > 0)),  # an audit, or a pre-training
            "download_tb": number * size * hub / 1e12,
            "snapshot_gb": size * hub / 1e9,
            "download_hours": number * size * hub / rates["download"] / 3600,
            "gpu_hours": (number * busy + trained_flop / rates["gpu_train"]) / 3600,
            "cpu_hours": (number * slow + training) / 3600,
            "students_hours": swept * student_texts(study) * each / rates["gpu_train"] / 3600,
            "students_cpu_hours": swept * student_texts(study) * each / rates["cpu_train"] / 3600,
            "heads_hours": trained * rates["heads"] / 3600,
            "features_gb": (number * texts * models["width"] * kept * bytes_each + saved * size) / 1e9,
        }
    )
    frame.loc["total"] = frame.sum(skipna=False).to_dict() | {"snapshot_gb": frame["snapshot_gb"].max()}
    return frame.rename_axis("model").reset_index()


def _seconds(rule: str, seconds: Mapping[str, Mapping[str, float]] | None, models: pd.DataFrame) -> pd.Series:
    """Measured core seconds of a rule's job per model; NaN where there are none."""
    return pd.Series((seconds or {}).get(rule, {}), dtype=float).reindex(models.index)


def _column(name: str, models: pd.DataFrame) -> pd.Series:
    """What is known of models that are trained here; 0 of all others."""
    return models[name].fillna(0.0) if name in models else pd.Series(0.0, index=models.index)
