"""A study whose supervisors are no single models: several of them, a chain, and labels out of a file; with trained students."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from tests.dag.conftest import Workflow, study
from w2sg.tables import schemas
from w2sg.tables.files import read_table


@pytest.fixture(scope="module")
def supervised(tmp_path_factory) -> Workflow:
    """Two revisions under a list of supervisors, a chain and a mean of model and file, of which pairs are left out."""
    folder = tmp_path_factory.mktemp("supervised")
    config = study(folder / "inputs")
    strong = config["models"]["olmo"] | {"path": str(folder / "inputs" / "olmo" / "step8")}  # itself a revision
    Path(strong["path"], "trainer_state.json").write_text('{"global_step": 0}')
    config |= {
        "study": "told",
        "models": {"one": strong, "small": config["models"]["small"], "llama": config["models"]["llama"]},
        "supervisors": {
            "people": {"source": "labels", "files": {"mine": "labels.csv"}},
            "agreed": {"source": "mean", "of": ["people", "small"], "keep": 0.75},
            "chained": {"source": "chain", "weak": "agreed", "middle": "llama"},
        },
        "families": {
            name: {"strong": "one", "weak": weak}
            for name, weak in {
                "list": ["small", "llama"],
                "people": "people",
                "agreed": "agreed",
                "chain": "chained",
            }.items()
        },
        "sweep": {"families": ["list", "people", "agreed", "chain"], "datasets": ["mine"]},
    }
    rates = {"lora": [1.0e-3]}
    config["students"] = {"kinds": ["linear", "lora"], "learning_rates": rates, "batch_size": 8, "every": 2}
    made = Workflow(folder=folder, config=config)
    (folder / "labels.csv").write_text("row_id,probability\n0,0.5\n")
    made.run("--keep-going", "resources/pairs/mine.parquet")
    pairs = read_table(folder / "resources/pairs/mine.parquet", schemas.PAIRS).query("split != 'ground_truth'")
    told = pairs[["row_id"]].assign(probability=np.round(np.random.default_rng(0).beta(4, 2, len(pairs)), 3))
    assert "no pair of the dataset; expected" in made.run("-n", check=False)
    told.iloc[:-1].to_csv(folder / "labels.csv", index=False)
    assert f"labels.csv: 1 of {len(told)} pairs have no label, such as row id {told['row_id'].iloc[-1]}" in made.run(
        "-n", check=False
    )
    told.to_csv(folder / "labels.csv", index=False)
    made.run()
    return made


def table(workflow: Workflow, kind: str, supervisor: str, schema=schemas.LABELS) -> pd.DataFrame:
    (path,) = (workflow.folder / "results/told" / kind / supervisor).glob("*/mine.parquet")
    return read_table(path, schema).set_index(["protocol", "seed", "half", "split", "row_id"]).sort_index()


def chosen(labels: pd.DataFrame) -> pd.Series:
    return labels["probability"].where(~labels["swapped"], 1 - labels["probability"])


def test_a_list_of_supervisors_is_the_mean_of_their_probabilities(supervised):
    joined, small, llama = (
        table(supervised, *where)
        for where in (("mean_labels", "small-and-llama"), ("weak_labels", "small"), ("weak_labels", "llama"))
    )
    expected = (chosen(small) + chosen(llama)) / 2
    pd.testing.assert_series_equal(chosen(joined), expected, check_names=False)
    np.testing.assert_allclose(joined["margin"], logit(expected))
    weak = read_table(supervised.folder / "results/told/tables/metrics.parquet", schemas.METRICS)
    weak = weak.query(
        "family == 'list' and head == 'weak' and metric == 'accuracy' and protocol == 'converged' and seed == 1"
    )
    right = 0.5 + 0.5 * np.sign(joined.loc[("converged", 1, 0, "test"), "margin"])
    assert weak["value"].item() == pytest.approx(right.mean()) and weak["weak"].item() == "small-and-llama"


def test_labels_of_a_file_are_those_of_the_file(supervised):
    labels = table(supervised, "given_labels", "people")
    told = pd.read_csv(supervised.folder / "labels.csv").set_index("row_id")["probability"]
    found = chosen(labels)
    np.testing.assert_allclose(found, told.reindex(found.index.get_level_values("row_id")))
    assert set(labels.index.get_level_values("half")) == {0, 1, 2}


def test_pairs_on_which_supervisors_disagree_are_left_out(supervised):
    agreed, people, small = (
        table(supervised, *where)
        for where in (("mean_labels", "agreed"), ("given_labels", "people"), ("weak_labels", "small"))
    )
    cell = ("half == 0 and split == 'weak_supervision'",)
    far = (chosen(people) - chosen(small)).abs().to_frame("far").query(*cell)["far"].groupby("row_id").mean()
    out = agreed.query(*cell)["probability"].eq(-1).groupby("row_id").agg(["min", "max"])
    assert (out["min"] == out["max"]).all() and (~out["max"]).sum() == 18  # of 24
    assert far[~out["max"]].max() < far[out["max"]].min()
    assert not agreed.query("split == 'test'")["probability"].eq(-1).any()


def test_every_family_has_its_students_and_the_controls_that_are_defined(supervised):
    rows = read_table(supervised.folder / "results/told/tables/metrics.parquet", schemas.METRICS)
    heads = rows.groupby("family")["head"].agg(set)
    assert all({"w2s", "ceiling", "permuted", "weak", "probe"} <= found for found in heads)
    assert {name for name, found in heads.items() if "weak_on_weak" in found} == {"chain"}
    assert {name for name, found in heads.items() if "subspace" in found} == {"chain"}
    students = rows[(rows["head"] == "w2s") & (rows["metric"] == "accuracy")]
    assert (
        students.groupby("family")["protocol"].agg(set).map(lambda found: found == {"paper", "converged", "lora"}).all()
    )
    teachers = rows[(rows["head"] == "weak") & (rows["metric"] == "accuracy")]
    assert (
        teachers.groupby("family")["protocol"].agg(set).map(lambda found: found == {"paper", "converged", "lora"}).all()
    )
    assert rows.loc[~rows["metric"].isin(["pgr", "auroc"]), "value"].notna().all()
    assert "weak on weak" in next(supervised.folder.glob("results/told/report.html")).read_text()
    assert "files were made with this configuration" in supervised.run("--keep-going", "verify")
    assert "Nothing to be done" in supervised.run("-n")
