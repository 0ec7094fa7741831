"""A small study on a real Slurm: same results as a local run, whatever happens to jobs, node, controller and driver.

Needs root, Debian's slurm-wlm and the executor plugin: `make slurm-test` installs them and runs this.
"""

from __future__ import annotations

import copy
import os
import signal
import statistics
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.dag.conftest import Workflow
from tests.slurm.cluster import Cluster, leftovers, wait_until
from tests.slurm.conftest import METRICS_TABLE, TARGETS
from w2sg.tables.files import read_table
from w2sg.tables.schemas import METRICS

SUBMISSIONS = {"extractions": 5, "floors": 1, "supervisor": 1, "tables of heads": 1, "figures, summary, report": 1}
"""What the study costs: a submission per revision, and one for each kind of small jobs."""


def rule_seconds(folder: Path, rule: str) -> list[float]:
    """Wall seconds that the jobs of a rule took without Slurm's and Snakemake's share, from their benchmarks."""
    return [pd.read_csv(path, sep="\t")["s"].item() for path in (folder / "benchmarks/runs" / rule).rglob("*.tsv")]


def show_overhead(cluster: Cluster, before: int, workflow: Workflow, wall: float) -> None:
    made = cluster.allocations()[before:]
    held = [one.seconds for one in made if one.devices]
    used = rule_seconds(workflow.folder, "extract_activations")
    print(
        f"{len(made)} submissions in {wall:.0f} s; {len(held)} extractions held a GPU for {statistics.mean(held):.1f} s"
    )
    print(
        f"each, of which {statistics.mean(used):.1f} s were the job's own: {statistics.mean(held) - statistics.mean(used):.1f} s overhead"
    )


def without_configuration(workflow: Workflow) -> dict[str, bytes]:
    """The content of all files but those that carry the whole configuration, of which the mode of fetching is a part."""
    joined = ("results/smoke/tables/", "results/smoke/figures/", "results/smoke/report.html")
    return {name: content for name, content in workflow.tables().items() if not name.startswith(joined)}


def test_the_study_equals_a_local_one_in_few_submissions(finished, tmp_path, cluster, driver):
    """Split mode: compute nodes reach no Hub, revisions are fetched where Snakemake runs."""
    probe = tmp_path / "endpoint.txt"
    cluster.slurm("sbatch", "--wait", "--output", str(probe), "--wrap", "echo $HF_ENDPOINT")
    assert probe.read_text().strip() == "http://127.0.0.1:9"

    config = copy.deepcopy(finished.config)
    config["fetch"] = {"mode": "split", "snapshots": 1}
    workflow = Workflow(folder=tmp_path / "run", config=config)
    workflow.folder.mkdir()
    before, ended = cluster.submissions(), len(cluster.allocations())
    began = time.monotonic()
    run = driver(workflow)
    most = 0
    while run.process.poll() is None:
        most = max(most, len(list(workflow.folder.glob("scratch/*/*/.lock"))))
        time.sleep(0.1)
    run.finish()
    show_overhead(cluster, ended, workflow, time.monotonic() - began)
    assert without_configuration(workflow) == without_configuration(finished)
    here, there = (read_table(one.folder / METRICS_TABLE, METRICS) for one in (workflow, finished))
    assert here.equals(there)
    assert most == 1
    assert not list(workflow.folder.glob("scratch/*/*"))
    assert cluster.submissions() - before == sum(SUBMISSIONS.values())
    used = [one.devices for one in cluster.allocations()[ended:] if one.devices]
    assert len(used) == SUBMISSIONS["extractions"]
    assert all(len(devices) == 1 for devices in used)
    assert len(set(used)) == 2, "only one of the two devices was used"


@pytest.mark.slow
def test_interrupted_it_cancels_its_jobs_and_resumes(finished, lossy, cluster, driver):
    run = driver(lossy, *TARGETS)
    run.until_gpu_jobs_run()
    os.kill(run.process.pid, signal.SIGINT)
    assert run.wait(seconds=90) == 1
    wait_until(lambda: not cluster.jobs("RUNNING,PENDING"), seconds=20, what="no job is left")
    driver(lossy, *TARGETS).finish()
    assert lossy.tables() == finished.tables()


@pytest.mark.slow
def test_a_cancelled_and_a_preempted_job_are_repeated(finished, lossy, cluster, driver):
    before = cluster.submissions()
    run = driver(lossy, *TARGETS)
    cancelled, preempted = run.until_gpu_jobs_run(2)
    cluster.slurm("scancel", cancelled)
    cluster.slurm("scontrol", "requeue", preempted)
    text = run.finish()
    assert "CANCELLED" in text
    assert lossy.tables() == finished.tables()
    assert cluster.submissions() - before == 4, "two extractions, one again, one for the heads"


@pytest.mark.slow
def test_a_lost_node_sends_its_jobs_back_into_the_queue(finished, lossy, cluster, driver):
    before = cluster.submissions()
    run = driver(lossy, *TARGETS)
    job = run.until_gpu_jobs_run()[0]
    cluster.control("stop", "slurmd")
    cluster.slurm("scontrol", "update", "nodename=testnode", "state=down", "reason=test")
    wait_until(lambda: job in cluster.jobs("PENDING"), seconds=60, what=f"job {job} is requeued")
    cluster.control("start", "slurmd")  # a node that registers again is in service again
    run.finish()
    assert lossy.tables() == finished.tables()
    assert cluster.submissions() - before == 3


@pytest.mark.slow
def test_a_restarted_controller_loses_nothing(finished, lossy, cluster, driver):
    before = cluster.submissions()
    run = driver(lossy, *TARGETS)
    run.until_gpu_jobs_run()
    cluster.control("stop", "slurmctld")
    time.sleep(7)  # long enough for a status query to fail
    cluster.control("start", "slurmctld")
    run.finish()
    assert lossy.tables() == finished.tables()
    assert cluster.submissions() - before == 3


@pytest.mark.slow
def test_a_restart_after_a_killed_driver_submits_nothing_twice(finished, lossy, cluster, driver):
    before = cluster.submissions()
    run = driver(lossy, *TARGETS)
    running = run.until_gpu_jobs_run(2)
    cluster.slurm("scontrol", "suspend", ",".join(running))  # or they might end before the next start
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    lossy.run("--unlock")
    hasty = driver(lossy, *TARGETS)
    assert hasty.wait() == 1
    assert "2 jobs of an earlier run of this folder still in Slurm's queue" in hasty.log.read_text()
    assert len(leftovers(cluster, lossy.folder, "list").splitlines()) == 2
    cluster.slurm("scontrol", "resume", ",".join(running))
    leftovers(cluster, lossy.folder, "wait")
    driver(lossy, *TARGETS).finish()
    assert lossy.tables() == finished.tables()
    assert cluster.submissions() - before == 3, "what the killed driver had submitted counts"
