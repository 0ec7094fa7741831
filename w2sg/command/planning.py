"""The plan of a study in words: what it costs in units that suit it, what bounds its time, and what the numbers rest on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg.command.ending import duration, file_size
from w2sg.command.places import usable_cores
from w2sg.command.state import measured_time
from w2sg.runtime.files import folder_size
from w2sg.study.costs import BOUNDS, COLUMNS, PlannedStudy, add_own, cost_table, count_jobs, read_models, read_rates

_LARGE = 1e9
"""Parameters from which nobody sweeps a model on CPUs."""


PER_CORE = ("heads", "cpu_forward", "cpu_train", "cpu_start")
"""Rates of one core."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a plan knows of the machine that it is made on."""

    cores: int
    gpu: bool
    """Whether one is seen; a login node shows none of its cluster's."""
    free: int
    """Bytes that are free where the study works."""
    written: int = 0
    """Bytes of what the study keeps that are written already."""

    @classmethod
    def here(cls, models: Iterable[str] = ()) -> Machine:
        """Returns this machine; ``models`` are those whose features, and revisions if trained here, a study keeps."""
        kept = [Path("results", folder, name) for folder in ("activations", "pretrained") for name in models]
        return cls(
            cores=usable_cores(),
            gpu=shutil.which("nvidia-smi") is not None,
            free=shutil.disk_usage(Path()).free,
            written=sum(map(folder_size, kept)),
        )


@dataclass(frozen=True, kw_only=True)
class Bound:
    """How long a study takes, and why not less."""

    hours: float
    """NaN where the number of texts is unknown, or what a model costs."""
    device: str
    """``GPU`` or ``CPU``."""
    bottleneck: str
    """What bounds the time or forbids the study: ``download``, ``GPU``, ``CPU`` or ``disk``."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The costs of a study."""

    table: pd.DataFrame
    """A row per model and their total, see :func:`w2sg.study.costs.cost_table`."""
    text: str
    """The same for a terminal, with what it rests on."""
    bound: Bound


def make_plan(
    study: PlannedStudy,
    *,
    costs: Path,
    rates: Path,
    audits: Mapping[str, pd.DataFrame],
    benchmarks: Mapping[str, Sequence[str]],
) -> Plan:
    """Returns the plan of a study on this machine.

    Args:
        study: What is planned.
        costs: ``resources/costs/models.tsv``.
        rates: ``resources/costs/rates.tsv``.
        audits: Audit per model, schema AUDIT, where there are any.
        benchmarks: What Snakemake measured of the study's jobs, files by rule; missing ones are left out.
    """
    models = add_own(read_models(costs, audits, study.repos), study.own)
    assumed, machine = scale_rates(read_rates(rates), core_speed()), Machine.here(study.used)
    if study.rate:
        told = {"value": f"{study.rate * 1e6:g}", "status": "told", "source": "fetch.rate of the configuration"}
        assumed = [row | told if row["name"] == "download" else row for row in assumed]
    seconds = core_seconds(benchmarks, min(study.threads, machine.cores))
    cases = {case: study.at(case) for case in BOUNDS}
    tables = {case: cost_table(one, models, assumed, seconds) for case, one in cases.items()}
    expected, table = cases["expected"], tables["expected"]
    text = plan_text(expected, models, table, assumed, machine)
    if study.adaptive:
        hours = {case: bound_of(cases[case], models, one, machine).hours for case, one in tables.items()}
        text = f"{bounds_text(study, tables, hours)}\n\nexpected:\n{text}"
    return Plan(table=table, text=text, bound=bound_of(expected, models, table, machine))


def core_speed() -> float:
    """Returns how fast one core of this machine multiplies matrices, FLOP/s in float32: the best of a few trials, a tenth of a second."""
    size, trials = 512, 8
    matrix = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    took = []
    with threadpool_limits(1):
        for _ in range(trials):
            start = time.perf_counter()
            np.matmul(matrix, matrix)
            took.append(time.perf_counter() - start)
    return 2 * size**3 / min(took)


def scale_rates(rates: Sequence[Mapping[str, str]], speed: float) -> list[dict[str, str]]:
    """Returns rates as a core of another speed has them: those per core by the ratio of both, all others as they are.

    Args:
        rates: Rows of ``resources/costs/rates.tsv``; ``core`` is the speed of the core that they were measured on.
        speed: From :func:`core_speed`.
    """
    ratio = speed / next(float(row["value"]) for row in rates if row["name"] == "core")
    found = []
    for row in map(dict, rates):
        if row["name"] == "core":
            row |= {"value": f"{speed:.3g}", "source": "this machine, just now; the rates of one core are scaled by it"}
        elif row["name"] in PER_CORE:
            value = float(row["value"]) * (ratio if row["unit"] == "FLOP/s" else 1.0 / ratio)
            row |= {"value": f"{value:.3g}", "status": f"{row['status']}, times {ratio:.2f} in speed"}
        found.append(row)
    return found


def bounds_text(study: PlannedStudy, tables: Mapping[str, pd.DataFrame], hours: Mapping[str, float]) -> str:
    """Returns least, expected and most cost of a study with adaptive families, beside that of all revisions listed.

    Args:
        study: What is planned.
        tables: Costs by case of :data:`w2sg.study.costs.BOUNDS`.
        hours: How long the study takes, by case.
    """
    names = ", ".join(f"{name} ({numbers['all listed']} revisions listed)" for name, numbers in study.adaptive.items())
    totals = pd.DataFrame({case: table.iloc[-1] for case, table in tables.items()}).T
    shown = pd.DataFrame(
        {
            "adaptive": list(totals.index),
            COLUMNS["revisions"]: totals["revisions"].map("{:,.0f}".format).tolist(),
            COLUMNS["download_tb"]: [file_size(value * 1e12) if value else "-" for value in totals["download_tb"]],
            COLUMNS["gpu_hours"]: [_hours(value) for value in totals["gpu_hours"]],
            "time": [_hours(hours[case]) for case in totals.index],
        }
    )
    return f"adaptive: {names}; in rounds, each a run of its own\n{shown.to_string(index=False)}"


def _hours(value: float) -> str:
    return "unknown" if value != value else duration(value * 3600)


def bound_of(study: PlannedStudy, models: pd.DataFrame, table: pd.DataFrame, machine: Machine) -> Bound:
    """Returns the time of a study whose download, forward passes and heads overlap, and which of them it waits for.

    A GPU is counted where one is seen, or a model is too large for anything else.
    """
    total = table.iloc[-1]
    largest = float(models["parameters"].max()) if len(models) else 0.0
    if machine.gpu or largest > _LARGE:
        device, times = (
            "GPU",
            {"GPU": total["gpu_hours"] + total["students_hours"], "CPU": total["heads_hours"] / machine.cores},
        )
    else:
        worked = total["cpu_hours"] + total["students_cpu_hours"] + total["heads_hours"]
        device, times = "CPU", {"CPU": worked / machine.cores}
    times["download"] = total["download_hours"]
    longest = max(times, key=lambda name: (times[name] != times[name], times[name]))
    full = disk_needed(study, table) > machine.free + machine.written
    known = set(study.used) <= set(models.index)
    return Bound(
        hours=float(times[longest]) if known else float("nan"), device=device, bottleneck="disk" if full else longest
    )


def disk_needed(study: PlannedStudy, table: pd.DataFrame) -> float:
    """Returns the most bytes on the disk at once: snapshots, features, and the revisions of models that are trained here."""
    total = table.iloc[-1].fillna(0)
    return float(study.snapshots * total["snapshot_gb"] + total["features_gb"]) * 1e9


def plan_text(
    study: PlannedStudy,
    models: pd.DataFrame,
    table: pd.DataFrame,
    rates: Sequence[Mapping[str, str]],
    machine: Machine,
) -> str:
    """Returns the plan for a terminal: the table, jobs, peak disk, time and its bottleneck, and every assumption behind the numbers."""
    jobs = ", ".join(f"{name} {number:,}" for name, number in count_jobs(study).items() if number)
    peak = study.snapshots * float(table["snapshot_gb"].fillna(0).max())
    lines = [_cells(study, table), "", f"jobs: {jobs}, and a few per study"]
    if peak:
        lines.append(
            f"peak on the scratch disk: {file_size(peak * 1e9)} ({study.snapshots} snapshots of the largest model)"
        )
    if table.iloc[-1]["features_gb"] == table.iloc[-1]["features_gb"]:
        there = f", of which {file_size(machine.written)} are written" if machine.written else ""
        lines.append(
            f"disk in all: {file_size(disk_needed(study, table))}{there}; free here: {file_size(machine.free)}"
        )
    lines.append(_time_text(study, bound_of(study, models, table, machine), table, machine))
    if uncounted := [f"datasets.{name}.pairs" for name, pairs in study.pairs.items() if pairs is None]:
        lines.append(f"unknown without {', '.join(uncounted)}: hours of GPU and CPU; what is kept")
    if unknown := [name for name in study.used if name not in models.index]:
        lines.append(f"without a cost here (not in resources/costs/models.tsv): {', '.join(unknown)}")
    lines += [_holes_text(name, holes) for name, holes in study.holes.items() if holes]
    lines += ["", "These numbers rest on:"]
    for name, model in models.iterrows():
        number = model["parameters"]
        shown = f"{number / 1e9:.2f} billion" if number >= 1e8 else f"{number / 1e6:.2f} million"
        lines.append(f"  {name}: {shown} parameters, {model['source']}")
    lines += [f"  {row['name']}: {row['value']} {row['unit']}, {row['status']}: {row['source']}" for row in rates]
    return "\n".join(lines) + "\n"


def _cells(study: PlannedStudy, table: pd.DataFrame) -> str:
    def size(unit: float) -> Any:
        return lambda value: "unknown" if value != value else file_size(value * unit) if value else "-"

    formats: dict[str, Any] = {"revisions": "{:,.0f}".format, "jobs": "{:,.0f}".format}
    formats |= {"download_tb": size(1e12), "snapshot_gb": size(1e9), "features_gb": size(1e9)}
    formats |= dict.fromkeys(("gpu_hours", "students_hours"), _hours)
    formats |= dict.fromkeys(
        ("cpu_hours", "students_cpu_hours", "heads_hours"),
        lambda value: "unknown" if value != value else f"{value:,.3g}",
    )
    left_out = ["download_hours", *([] if study.trained else ["students_hours", "students_cpu_hours"])]
    shown = table.drop(columns=left_out)
    cells = shown.assign(**{name: shown[name].map(form) for name, form in formats.items() if name in shown})
    return cells.rename(columns=COLUMNS).to_string(index=False)


def _time_text(study: PlannedStudy, bound: Bound, table: pd.DataFrame, machine: Machine) -> str:
    where = f"one {bound.device}" if bound.device == "GPU" else f"{machine.cores} cores"
    if bound.hours != bound.hours:
        return "time: unknown"
    reason = {
        "download": f"the download ({duration(float(table.iloc[-1]['download_hours']) * 3600)} at the rate below) is the bottleneck",
        "GPU": "the GPU is the bottleneck; several share the work",
        "CPU": "the CPU is the bottleneck",
        "disk": f"the disk is the bottleneck: {file_size(disk_needed(study, table))} are needed, {file_size(machine.free)} free",
    }[bound.bottleneck]
    return f"time: about {duration(bound.hours * 3600)} on {where}; {reason}"


def _holes_text(name: str, holes: Sequence[tuple[int, int]]) -> str:
    named = ", ".join(f"{before:,} and {after:,}" for before, after in holes[:5])
    more = f", and in {len(holes) - 5} more places" if len(holes) > 5 else ""
    return f"the list of {name} lacks revisions between steps {named}{more}"


def core_seconds(files: Mapping[str, Sequence[str]], threads: int) -> dict[str, dict[str, float]]:
    """Returns the mean core seconds of jobs that earlier runs measured, by rule and model: their wall time on each core they held.

    ``files``: benchmark files by rule; ``threads``: cores of an extraction.
    """
    cores = {"extract_activations": threads, "pretrain_family": 1}
    found: dict[str, dict[str, list[float]]] = {}
    for rule, paths in files.items():
        for path in map(Path, paths):
            seconds = measured_time(path) if rule in cores else None
            if seconds is not None:
                model = path.stem if rule == "pretrain_family" else path.parent.name
                found.setdefault(rule, {}).setdefault(model, []).append(seconds * cores[rule])
    return {rule: {model: sum(all_) / len(all_) for model, all_ in models.items()} for rule, models in found.items()}
