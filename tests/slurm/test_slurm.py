"""The tiny study on a real Slurm: same results as a local run, whatever happens to jobs, node, controller and driver.

Needs root, Debian's slurm-wlm and the executor plugin: `make slurm-test` installs them and runs this.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.dag.conftest import ROOT, Workflow

CLUSTER = Path(__file__).with_name("cluster.sh")
PROFILE = ROOT / "profiles" / "slurm"
LOST = ("results/activations/olmo", "results/metrics/olmo")
"""What the runs with a fault make anew: two GPU jobs, and four tables in one submission."""

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        "SLURM_TEST" not in os.environ, reason="takes minutes and needs root, slurm-wlm and the Slurm plugin: make slurm-test"
    ),
]  # fmt: skip


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.2)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running test cluster."""

    root: Path
    """Folder with its configuration, logs and ledger."""

    def control(self, *arguments: str) -> None:
        subprocess.run([str(CLUSTER), arguments[0], str(self.root), *arguments[1:]], check=True, timeout=60)

    def slurm(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.root / "slurm.conf")}

    def jobs(self, state: str, *, partition: str = "cpu,gpu") -> list[str]:
        """Ids of the jobs in one state."""
        return self.slurm("squeue", "-h", "-o", "%i", "-t", state, "-p", partition).split()

    def submissions(self) -> int:
        log = (self.root / "log" / "slurmctld.log").read_text()
        return len(re.findall(r"_slurm_rpc_submit_batch_job: JobId=\d+", log))

    def gpu_intervals(self) -> list[tuple[float, float, str]]:
        """Start, end and device of every job that had a GPU."""
        begun, intervals = {}, []
        for line in (self.root / "ledger").read_text().splitlines():
            moment, event, job, devices = line.split()
            if devices != "-" and event == "start":
                begun[job] = float(moment)
            elif devices != "-" and job in begun:
                intervals += [(begun.pop(job), float(moment), device) for device in devices.split(",")]
        return intervals


@dataclass
class Run:
    """A Snakemake that drives the cluster."""

    workflow: Workflow
    cluster: Cluster
    process: subprocess.Popen = field(init=False)

    def start(self) -> Run:
        command = self.workflow.command(
            "--slurm-status-command", "squeue",  # the test cluster keeps no accounts
            "--slurm-init-seconds-before-status-checks", "2",
            "--latency-wait", "10",
        )  # fmt: skip
        command[command.index("--workflow-profile") + 1] = str(PROFILE)
        place = command.index("--cores")
        del command[place : place + 2]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.workflow.folder, env=self.cluster.environment(),
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return self

    @property
    def log(self) -> Path:
        return self.workflow.folder / "driver.log"

    def wait(self, *, seconds: float = 600) -> int:
        try:
            return self.process.wait(timeout=seconds)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def finish(self) -> str:
        """Returns what the driver wrote, after a run that must succeed."""
        code = self.wait()
        text = self.log.read_text()
        assert code == 0, text[-6000:]
        return text

    def until_a_gpu_job_runs(self) -> str:
        running: list[str] = []

        def found() -> bool:
            running[:] = self.cluster.jobs("RUNNING", partition="gpu")
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            return bool(running)

        wait_until(found, seconds=120, what="a GPU job runs")
        return running[0]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    made = Cluster(root=tmp_path_factory.mktemp("slurm"))
    try:
        made.control("up")
        yield made
    finally:
        made.control("down")


@pytest.fixture
def lossy(finished, tmp_path) -> Workflow:
    """The finished study without the results of two families."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    for name in LOST:
        shutil.rmtree(tmp_path / "run" / name)
    return Workflow(folder=tmp_path / "run", config=copy.deepcopy(finished.config))


@pytest.fixture
def driver(cluster) -> Iterator[Callable[[Workflow], Run]]:
    """Starts a Snakemake that ends with the test, its jobs too."""
    started: list[Run] = []

    def start(workflow: Workflow) -> Run:
        started.append(Run(workflow, cluster).start())
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
    left = cluster.jobs("RUNNING,PENDING")
    if left:
        cluster.slurm("scancel", *left)


def test_a_whole_study_equals_the_local_one_in_few_submissions(finished, tmp_path, cluster, driver):
    workflow = Workflow(folder=tmp_path, config=copy.deepcopy(finished.config))
    before = cluster.submissions()
    driver(workflow).finish()
    assert workflow.tables() == finished.tables()
    extractions = len(list((tmp_path / "results" / "activations").glob("*/*/loss.parquet")))
    # One per revision; the 16 tables of heads, the 4 supervisors and the 6 figures make one or two each as they come due.
    others = {
        "tokenizer": 1,
        "pretraining": 2,
        "floors": 2,
        "supervisors": 2,
        "heads": 4,
        "figures": 1,
        "summary, report": 2,
    }
    made = cluster.submissions() - before
    print(f"{extractions} extractions, {made} submissions")
    assert extractions < made <= extractions + sum(others.values()), made
    devices = cluster.gpu_intervals()
    assert len(devices) == extractions
    for start, end, device in devices:
        sharing = [other for other in devices if other[2] == device and start < other[0] < end]
        assert not sharing, f"device {device} had two jobs at once"
    assert len({device for _, _, device in devices}) == 2


def test_interrupted_it_cancels_its_jobs_and_resumes(finished, lossy, cluster, driver):
    run = driver(lossy)
    run.until_a_gpu_job_runs()
    os.kill(run.process.pid, signal.SIGINT)
    assert run.wait(seconds=90) == 1
    wait_until(lambda: not cluster.jobs("RUNNING,PENDING"), seconds=20, what="no job is left")
    driver(lossy).finish()
    assert lossy.tables() == finished.tables()


def test_a_cancelled_and_a_preempted_job_are_repeated(finished, lossy, cluster, driver):
    run = driver(lossy)
    cluster.slurm("scancel", run.until_a_gpu_job_runs())
    cluster.slurm("scontrol", "requeue", run.until_a_gpu_job_runs())
    text = run.finish()
    assert "CANCELLED" in text
    assert lossy.tables() == finished.tables()


def test_a_lost_node_sends_its_jobs_back_into_the_queue(finished, lossy, cluster, driver):
    run = driver(lossy)
    job = run.until_a_gpu_job_runs()
    cluster.control("stop", "slurmd")
    cluster.slurm("scontrol", "update", "nodename=testnode", "state=down", "reason=test")
    wait_until(lambda: job in cluster.jobs("PENDING"), seconds=60, what=f"job {job} is requeued")
    cluster.control("start", "slurmd")  # a node that registers again is in service again
    run.finish()
    assert lossy.tables() == finished.tables()


def test_a_restarted_controller_loses_nothing(finished, lossy, cluster, driver):
    before = cluster.submissions()
    run = driver(lossy)
    run.until_a_gpu_job_runs()
    cluster.control("stop", "slurmctld")
    time.sleep(5)  # long enough for a status query to fail
    cluster.control("start", "slurmctld")
    run.finish()
    assert lossy.tables() == finished.tables()
    assert cluster.submissions() - before <= 8
