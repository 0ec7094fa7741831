"""The arithmetic of the cost table."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
import yaml

from w2sg.study import costs

VALUES = {
    "gpu_forward": 1e12,
    "gpu_load": 1e9,
    "download": 1e8,
    "start": 2.0,
    "heads": 36.0,
    "tokens": 50.0,
    "gpu_train": 5e11,
    "core": 1e9,
    "cpu_forward": 1e9,
    "cpu_train": 2e9,
    "cpu_start": 10.0,
}
RATES = [{"name": name, "value": str(value)} for name, value in VALUES.items()]


def study(**changes) -> costs.PlannedStudy:
    given = {
        "families": {"f": {"strong": "s", "weak": ["w"], "revisions": 10}}, "used": {"s": 10, "w": 1}, "repos": {"s": "o/s"},
        "dtypes": {"s": "bfloat16", "w": "bfloat16"}, "pairs": {"a": 100, "b": 50}, "layers": "final", "mode": "fused", "snapshots": 3,
    }  # fmt: skip
    return costs.PlannedStudy(**(given | changes))


def known(*models: str) -> pd.DataFrame:
    cost = {"parameters": 10**9, "size": 2e9, "width": 64, "layers": 5, "source": "assumed"}
    return pd.DataFrame([cost] * len(models), index=list(models))


def test_one_model_by_hand():
    row = costs.cost_table(study(), known("s"), RATES).iloc[0]
    texts = 6 * 150
    assert row["jobs"] == 10 + 20 + 1
    assert row["download_tb"] == pytest.approx(0.02)
    assert row["download_hours"] == pytest.approx(200 / 3600)
    assert row["gpu_hours"] == pytest.approx(10 * (2e9 * texts * 50 / 1e12 + 2 + 2) / 3600)
    assert row["heads_hours"] == pytest.approx(20 * 36 / 3600)
    assert row["features_gb"] == pytest.approx(10 * texts * 64 * 2 / 1e9)
    assert costs.cost_table(study(layers="all"), known("s"), RATES)["features_gb"][0] == pytest.approx(
        5 * row["features_gb"]
    )
    assert costs.cost_table(study(layers=[1, 2]), known("s"), RATES)["features_gb"][0] == pytest.approx(
        2 * row["features_gb"]
    )


def test_trained_students_by_hand():
    rates = {"lora": [1e-3, 1e-2], "full": [1e-4]}
    section = {"kinds": ["linear", "lora", "full"], "pairs": 80, "seeds": [0, 1], "learning_rates": rates}
    section |= {"batch_size": 16, "every": 5, "watched": 30, "epochs": 1}
    planned = study(pairs={"a": 100}, students=section)
    scored = 100 + 1 * 30  # one look at step 5
    lora, full = 2 * 5 * 2 * (80 * 2 + scored), 2 * 3 * 2 * (80 * 3 + scored)
    row = costs.cost_table(planned, known("s"), RATES).iloc[0]
    assert row["students_hours"] == pytest.approx(10 * (lora + full) * 2e9 * 50 / 5e11 / 3600)
    assert row["students_cpu_hours"] == pytest.approx(row["students_hours"] * 5e11 / 2e9)
    assert costs.count_jobs(planned)["train_students"] == 10
    assert costs.cost_table(study(), known("s"), RATES)["students_hours"].iloc[0] == 0


def test_features_are_kept_in_the_models_type():
    half, single = (
        costs.cost_table(study(dtypes={"s": dtype}), known("s"), RATES)["features_gb"][0]
        for dtype in ("bfloat16", "float32")
    )
    assert single == pytest.approx(2 * half) == pytest.approx(10 * 6 * 150 * 64 * 4 / 1e9)


def test_the_total_adds_up_and_the_peak_is_that_of_the_largest():
    table = costs.cost_table(study(repos={"s": "o/s", "w": "o/w"}), known("s", "w"), RATES)
    assert table["revisions"].tolist() == [10, 1, 11]
    assert table["snapshot_gb"].tolist() == [2, 2, 2]
    both = costs.cost_table(study(layers="all"), known("s", "w"), RATES)["features_gb"]
    assert both[0] == pytest.approx(10 * 5 * both[1])  # a supervisor keeps its final layer only


def test_a_dataset_of_unknown_size_leaves_unknown_what_depends_on_it_and_nothing_else():
    given = study(pairs={"a": 100, "mine": None})
    table = costs.cost_table(given, known("s"), RATES)
    assert table[["gpu_hours", "features_gb"]].isna().all(axis=None)
    assert table["heads_hours"].tolist() == pytest.approx([20 * 36 / 3600] * 2)
    assert table["jobs"].tolist() == [31, 31]
    assert costs.count_jobs(given) == costs.count_jobs(study())


def test_listed_sizes_replace_assumed_ones(tmp_path):
    path = tmp_path / "models.tsv"
    columns = "repo\tparameters\tbytes_per_parameter\twidth\tblocks\tstatus\tsource\n"
    path.write_text(columns + "o/s\t100\t4\t8\t2\tassumed\twhy\n")
    assert costs.read_models(path, {}, {"s": "o/s", "x": "o/x"})["size"].to_dict() == {"s": 400}
    audits = {"s": pd.DataFrame({"bytes": [0, 300, 500]})}
    found = costs.read_models(path, audits, {"s": "o/s"}).loc["s"]
    assert (found["size"], found["layers"]) == (400.0, 3)
    assert "listed by the Hub" in found["source"]


def test_the_shipped_tables_cover_every_hub_model_and_say_what_they_rest_on():
    root = Path(__file__).resolve().parents[3]
    rates = costs.read_rates(root / "resources" / "costs" / "rates.tsv")
    assert {row["name"] for row in rates} == set(VALUES)
    config = yaml.safe_load((root / "config" / "models.yaml").read_text())
    repos = {name: model["repo"] for name, model in config["models"].items() if model["source"] == "hub"}
    assert set(costs.read_models(root / "resources" / "costs" / "models.tsv", {}, repos).index) == set(repos)
    for name in ("models", "rates"):
        with (root / "resources" / "costs" / f"{name}.tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        assert {row["status"] for row in rows} <= {"assumed", "measured"}
        assert all(len(row["source"]) > 10 for row in rows)


def test_models_that_are_trained_here_and_those_in_folders_count_too():
    own = {"parameters": 1000, "size": 4000.0, "width": 8, "layers": 3}
    given = study(
        used={"s": 10, "t": 5}, own={"t": own | {"trained": 6000, "saved": 7}}, dtypes={"s": "bfloat16", "t": "float32"}
    )
    models = costs.add_own(known("s"), given.own)
    table = costs.cost_table(given, models, RATES).set_index("model")
    assert table.loc["total", "revisions"] == 15
    assert table.loc["t", "jobs"] == 5 + 1  # its pre-training
    assert table.loc["t", ["download_tb", "snapshot_gb", "download_hours"]].tolist() == [0, 0, 0]
    forward = 2 * 1000 * 50 * 6 * 150 / 1e9
    assert table.loc["t", "cpu_hours"] == pytest.approx((5 * (10 + forward) + 6 * 1000 * 6000 / 2e9) / 3600)
    assert table.loc["t", "features_gb"] == pytest.approx((5 * 6 * 150 * 8 * 4 + 7 * 4000) / 1e9)
    measured = {"extract_activations": {"t": 20.0}, "pretrain_family": {"t": 100.0}}
    again = costs.cost_table(given, models, RATES, measured).set_index("model")
    assert again.loc["t", "cpu_hours"] == pytest.approx((5 * 20 + 100) / 3600)
    assert again.loc["s", "cpu_hours"] == table.loc["s", "cpu_hours"]
