"""The plan in words: units, the bottleneck, and what is unknown."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests import tiny
from tests.unit.study.test_costs import RATES, known, study
from w2sg.command import planning, sizes
from w2sg.command.planning import Machine
from w2sg.study import costs

ROOT = Path(__file__).resolve().parents[3]
MACHINE = Machine(cores=2, gpu=False, free=10**12)


def text_of(given: costs.PlannedStudy, models: pd.DataFrame, machine: Machine = MACHINE) -> str:
    return planning.plan_text(given, models, costs.cost_table(given, models, RATES), RATES_SAID, machine)


RATES_SAID = costs.read_rates(ROOT / "resources" / "costs" / "rates.tsv")


def test_a_study_of_unknown_models_names_them():
    models = costs.read_models(ROOT / "resources" / "costs" / "models.tsv", {}, {"s": "nobody/knows"})
    assert list(costs.cost_table(study(), models, RATES)["model"]) == ["total"]
    assert "without a cost here (not in resources/costs/models.tsv): s, w" in text_of(study(), models)


def test_holes_of_a_list_are_named_and_counted():
    holes = {"s": [(n * 1000, n * 1000 + 500) for n in range(1, 8)], "w": []}
    text = text_of(study(holes=holes), known("s"))
    assert "the list of s lacks revisions between steps 1,000 and 1,500, 2,000 and 2,500" in text
    assert "and in 2 more places" in text and "the list of w" not in text


def test_numbers_have_units_and_the_peak_is_that_of_the_largest():
    text = text_of(study(repos={"s": "o/s", "w": "o/w"}), known("s", "w"))
    assert "peak on the scratch disk: 6 GB (3 snapshots of the largest model)" in text
    assert "20 GB" in text.splitlines()[1]
    assert "nan " not in text
    assert "time: unknown" in text_of(study(), known("s"))  # what w costs is not known


def test_a_dataset_of_unknown_size_leaves_unknown_what_depends_on_it_and_nothing_else():
    text = text_of(study(pairs={"a": 100, "mine": None}), known("s"))
    assert "unknown without datasets.mine.pairs" in text
    assert "time: unknown" in text
    assert "nan " not in text
    assert "unknown without" not in text_of(study(), known("s"))


@pytest.mark.parametrize(
    ("machine", "size", "bottleneck", "device"),
    [
        (Machine(cores=2, gpu=False, free=10**12), 10**8, "CPU", "CPU"),
        (Machine(cores=16, gpu=True, free=10**12), 10**7, "download", "GPU"),
        (Machine(cores=2, gpu=False, free=10**12), 10**11, "GPU", "GPU"),
        (Machine(cores=2, gpu=True, free=10**6), 10**9, "disk", "GPU"),
    ],
)
def test_what_bounds_a_study_is_named(machine, size, bottleneck, device):
    models, given = known("s").assign(parameters=size), study(used={"s": 10})
    table = costs.cost_table(given, models, RATES)
    found = planning.bound_of(given, models, table, machine)
    assert (found.bottleneck, found.device) == (bottleneck, device)
    total = table.iloc[-1]
    if bottleneck == "CPU":
        assert found.hours == pytest.approx((total["cpu_hours"] + total["heads_hours"]) / 2)
    if bottleneck == "download":
        assert found.hours == total["download_hours"]
    assert f"the {bottleneck} is the bottleneck" in text_of(given, models, machine) or bottleneck == "download"


def test_the_plan_counts_a_study_that_is_trained_here(tmp_path):
    entry = {
        "architecture": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    }
    entry["pretraining"] = {
        "steps": 64,
        "save_every": 16,
        "batch_size": 4,
        "sequence_length": 32,
        "vocabulary_size": 300,
    }
    found = sizes.trained_sizes(entry)
    assert (found["trained"], found["layers"], found["saved"]) == (64 * 4 * 32, 3, 8)
    assert found["parameters"] == 2 * 300 * 32 + 2 * (4 * 32**2 + 2 * 32 * 64)
    given = study(used={"s": 10}, repos={}, own={"s": found}, dtypes={"s": "float32"})
    Path(tmp_path, "s.tsv").write_text("s\th:m:s\n20.0\t0\n")
    Path(tmp_path, "half.tsv").write_text("s\th:m:s\n")
    plan = planning.make_plan(
        given,
        costs=ROOT / "resources" / "costs" / "models.tsv",
        rates=ROOT / "resources" / "costs" / "rates.tsv",
        audits={},
        benchmarks={"pretrain_family": [str(tmp_path / name) for name in ("s.tsv", "half.tsv", "none.tsv")]},
    )
    assert plan.table.iloc[-1]["revisions"] == 10
    assert plan.bound.hours > 20 / 3600 / planning.Machine.here().cores
    assert "peak on the scratch disk" not in plan.text


def test_a_measured_job_costs_the_wall_time_of_every_core_it_held(tmp_path):
    files = {"extract_activations": ["s/step8.tsv"], "pretrain_family": ["s.tsv"], "train_heads": ["f.tsv"]}
    for path in (tmp_path / name for names in files.values() for name in names):
        path.parent.mkdir(exist_ok=True)
        path.write_text("s\th:m:s\n3600.0\t1:00:00\n")
    placed = {rule: [str(tmp_path / name) for name in names] for rule, names in files.items()}
    seconds = planning.core_seconds(placed, threads=2)
    assert seconds == {"extract_activations": {"s": 7200.0}, "pretrain_family": {"s": 3600.0}}
    given, models = study(used={"s": 10}, threads=2), known("s").assign(parameters=10**6)
    table = costs.cost_table(given, models, RATES, seconds)
    hours = planning.bound_of(given, models, table, Machine(cores=8, gpu=False, free=10**12)).hours
    assert hours == pytest.approx((10 / 4 + 1 / 8) + table.iloc[-1]["heads_hours"] / 8)  # four extractions side by side


def test_the_rate_of_a_line_is_that_of_the_configuration():
    files = {name: ROOT / "resources" / "costs" / f"{name}.tsv" for name in ("rates", "models")}
    options = {"costs": files["models"], "rates": files["rates"], "audits": {}, "benchmarks": {}}
    given = {"used": {"pythia-6.9b": 10}, "repos": {"pythia-6.9b": "EleutherAI/pythia-6.9b"}}
    given["dtypes"] = {"pythia-6.9b": "bfloat16"}
    usual, slow = (planning.make_plan(study(**given, rate=rate), **options) for rate in (None, 12.5))
    assert slow.table["download_hours"].iloc[-1] == pytest.approx(10 * usual.table["download_hours"].iloc[-1])
    assert "download: 1.25e+07 bytes/s, told: fetch.rate" in slow.text


def test_rates_of_a_core_are_those_of_the_machine_that_plans():
    rows = {row["name"]: float(row["value"]) for row in RATES_SAID}
    scaled = {row["name"]: row for row in planning.scale_rates(RATES_SAID, rows["core"] / 2)}
    for name, factor in (
        ("cpu_forward", 0.5),
        ("cpu_train", 0.5),
        ("heads", 2.0),
        ("cpu_start", 2.0),
        ("download", 1.0),
    ):
        assert float(scaled[name]["value"]) == pytest.approx(factor * rows[name], rel=1e-2)
    assert "0.50 in speed" in scaled["cpu_forward"]["status"] and scaled["gpu_forward"]["status"] == "measured"
    assert 1e8 < planning.core_speed() < 1e13


def test_a_folder_says_its_sizes(tmp_path):
    tiny.save_revisions(tmp_path, "gpt_neox", [8])
    found = sizes.folder_sizes(tmp_path / "step8")
    assert found["width"] == tiny.SIZES["hidden_size"]
    assert found["layers"] == tiny.SIZES["num_hidden_layers"] + 1
    assert found["size"] == (tmp_path / "step8" / "model.safetensors").stat().st_size
    assert sizes.folder_sizes(tmp_path) == {}
