"""The study that the Slurm tests run: two revisions from a (local) Hub, two local ones of another architecture."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests import tiny
from tests.dag.conftest import Workflow, study
from tests.hub_server import Hub, serving
from tests.slurm.cluster import Cluster, Driver

STEPS = (0, 8)
LOST = ("results/activations/llama", "results/smoke/metrics/llama")
"""What the runs with a fault make again: two GPU jobs, and two tables in one submission."""
METRICS_TABLE = "results/smoke/tables/metrics.parquet"
TARGETS = tuple(f"results/smoke/metrics/llama/step{step}/mine.parquet" for step in STEPS)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Workflow]:
    """The study up to its long table, run on this machine in fused mode; tests that change it must copy it."""
    inputs = tmp_path_factory.mktemp("inputs")
    hub = Hub()
    tiny.save_revisions(inputs / "strong", "gpt_neox", list(STEPS), width=32)
    for step in STEPS:
        hub.publish("owner/strong", f"step{step}", inputs / "strong" / f"step{step}")
    listed = inputs / "strong.tsv"
    listed.write_text("revision\tstep\ttokens_billion\n" + "".join(f"step{step}\t{step}\t{step}\n" for step in STEPS))
    config = study(inputs)
    config["models"]["remote"] = {"source": "hub", "dtype": "float32", "repo": "owner/strong", "revisions": str(listed)}
    config["families"] = {
        "remote": {"strong": "remote", "weak": "small"},
        "llama": config["families"]["llama"],
    }
    config["sweep"] = {"families": ["remote", "llama"], "datasets": ["mine"]}
    with serving(hub) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", endpoint)
        patch.setenv("HF_HOME", str(inputs / "hf"))
        workflow = Workflow(folder=tmp_path_factory.mktemp("finished"), config=config)
        workflow.run("--", METRICS_TABLE, "results/smoke/tables/audit.parquet")
        yield workflow


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    made = Cluster(root=tmp_path_factory.mktemp("slurm"))
    try:
        made.control("up")
        yield made
    finally:
        made.control("down")


@pytest.fixture
def lossy(finished, tmp_path) -> Workflow:
    """The finished study without the activations and heads of one family."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    for name in LOST:
        shutil.rmtree(tmp_path / "run" / name)
    return Workflow(folder=tmp_path / "run", config=copy.deepcopy(finished.config))


@pytest.fixture
def driver(cluster) -> Iterator[Callable[..., Driver]]:
    """Starts a Snakemake that ends with the test, its jobs too."""
    started: list[Driver] = []

    def start(workflow: Workflow, *targets: str) -> Driver:
        started.append(Driver(workflow, cluster, targets))
        return started[-1]

    yield start
    for one in started:
        one.kill()
    left = cluster.jobs("RUNNING,PENDING")
    if left:
        cluster.slurm("scancel", *left)
    cluster.check_devices()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "takes minutes and needs root, slurm-wlm and the Slurm plugin: make slurm-test"
    for item in items:
        if item.path.parent.name == "slurm":
            item.add_marker(pytest.mark.slurm)
            if "SLURM_TEST" not in os.environ:
                item.add_marker(pytest.mark.skip(reason=reason))
