"""What makes finished forward passes stale, in dry runs: what changes their numbers does, the machine and the choice of datasets do not."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from tests.dag.test_smoke import planned

COSTLY = {"fetch_pairs", "pretrain_family", "fetch_revision", "extract_activations", "train_supervisor", "train_heads"}
REVISIONS = 7
"""Extractions of the study: of its revisions and of the supervisors'."""


def costly(jobs: dict[str, int]) -> dict[str, int]:
    """The part of a plan that is more than joining tables."""
    return {name: number for name, number in jobs.items() if name in COSTLY}


def test_settings_of_the_machine_change_nothing(workflow):
    workflow.config["activations"] |= {"batch_tokens": 256, "device": "cpu", "threads": 2}
    assert planned(workflow, "--set-threads", "extract_activations=1", "train_heads=2") == {}


@pytest.mark.parametrize("datasets", [["posts", "mine"], ["mine"], ["posts"]])
def test_datasets_in_another_order_or_fewer_need_no_forward_pass(workflow, datasets):
    """Fewer datasets are fewer to transfer to: heads are trained again."""
    workflow.config["sweep"]["datasets"] = datasets
    jobs = planned(workflow)
    assert set(costly(jobs)) == (set() if len(datasets) == 2 else {"train_supervisor", "train_heads"})
    assert "write_report" in jobs


def test_a_dataset_that_was_left_out_for_a_while_costs_no_forward_pass(workflow):
    table = "results/smoke/tables/metrics.parquet"
    before = (workflow.folder / table).read_bytes()
    workflow.config["sweep"]["datasets"] = ["posts"]
    workflow.run("--", table)
    assert (workflow.folder / table).read_bytes() != before
    assert planned(workflow, "--", table) == {}
    workflow.config["sweep"]["datasets"] = ["mine", "posts"]
    assert set(costly(planned(workflow))) == {"train_supervisor", "train_heads"}
    workflow.run("--", table)
    assert (workflow.folder / table).read_bytes() == before


def change(config: dict, path: str, value: Any) -> None:
    """Sets one value of a nested configuration."""
    *sections, key = path.split("/")
    for section in sections:
        config = config[section]
    config[key] = value


@pytest.mark.parametrize(
    ("path", "value", "extractions"),
    [
        ("activations/max_tokens", 16, REVISIONS),
        ("activations/layers", "final", 5),  # a supervisor gives its final layer anyway
        ("evaluation/documents", 2, REVISIONS),
        ("datasets/posts/pool", "last", REVISIONS),
        ("models/olmo/dtype", "bfloat16", 2),
    ],
)
@pytest.mark.parametrize("datasets", [["mine", "posts"], ["posts"]])
def test_settings_that_change_numbers_are_noticed(workflow, path, value, extractions, datasets):
    change(workflow.config, path, value)
    workflow.config["sweep"]["datasets"] = datasets
    jobs = planned(workflow)
    assert jobs["extract_activations"] == extractions
    assert jobs["train_heads"] >= min(extractions, 5) * len(datasets)
    assert jobs.get("fetch_pairs", 0) == (path.startswith("datasets"))


def test_a_new_dataset_needs_every_revision_again(workflow):
    workflow.config["datasets"]["more"] = {**workflow.config["datasets"]["mine"], "pool": "mean"}
    workflow.config["sweep"]["datasets"] = ["mine", "posts", "more"]
    jobs = planned(workflow)
    assert (jobs["fetch_pairs"], jobs["extract_activations"]) == (1, REVISIONS)


@pytest.mark.parametrize(
    ("name", "other", "jobs"),
    [
        ("pairs/test.jsonl.gz", "pairs/ground_truth.jsonl.gz", {"fetch_pairs": 1, "extract_activations": REVISIONS}),
        ("olmo/step8/model.safetensors", "olmo/step0/model.safetensors", {"extract_activations": 1}),
    ],
)
def test_a_users_file_counts_by_what_it_holds_not_by_its_date(workflow, name, other, jobs):
    inputs = workflow.folder / "inputs"
    os.utime(inputs / name)
    assert planned(workflow) == {}
    shutil.copyfile(inputs / other, inputs / name)
    os.utime(inputs / name, (1.5e9, 1.5e9))  # as an unpacked archive leaves it
    assert costly(planned(workflow)).items() >= jobs.items()
    wrong = workflow.run("--", "verify", check=False) if "fetch_pairs" in jobs else ""
    assert ("resources/pairs/mine.parquet: datasets.mine.content is" in wrong) == bool(wrong)
