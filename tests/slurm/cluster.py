"""A real single-node Slurm for tests, and a Snakemake that drives it with the shipped profile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.dag.conftest import ROOT, Workflow

SCRIPT = Path(__file__).with_name("cluster.sh")
PROFILE = ROOT / "profiles" / "slurm"


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.2)


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What one Slurm job held, from prolog to epilog."""

    job: str
    start: float
    """Seconds since the epoch."""
    end: float
    devices: tuple[str, ...]
    """Numbers of its GPUs."""

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running test cluster."""

    root: Path
    """Folder with its configuration, logs and ledger."""

    def control(self, *arguments: str) -> None:
        subprocess.run([str(SCRIPT), arguments[0], str(self.root), *arguments[1:]], check=True, timeout=60)

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

    def allocations(self) -> list[Allocation]:
        """Every allocation that has ended, by start; a requeued job has several."""
        begun: dict[str, tuple[float, tuple[str, ...]]] = {}
        ended = []
        for line in (self.root / "ledger").read_text().splitlines():
            moment, event, job, devices = line.split()
            if event == "start":
                begun[job] = float(moment), tuple(devices.split(",")) if devices != "-" else ()
            elif job in begun:
                start, held = begun.pop(job)
                ended.append(Allocation(job=job, start=start, end=float(moment), devices=held))
        return sorted(ended, key=lambda one: one.start)

    def check_devices(self) -> None:
        """Asserts that no device was ever held by two jobs at once."""
        held = [one for one in self.allocations() if one.devices]
        for one in held:
            for other in held:
                if other is not one and set(one.devices) & set(other.devices):
                    assert other.end <= one.start or other.start >= one.end, (one, other)


@dataclass
class Driver:
    """A Snakemake that drives the cluster."""

    workflow: Workflow
    cluster: Cluster
    targets: Sequence[str] = ()
    process: subprocess.Popen = field(init=False)

    def __post_init__(self) -> None:
        command = self.workflow.command(
            "--slurm-status-command", "squeue",  # the test cluster keeps no accounts
            "--slurm-init-seconds-before-status-checks", "5",
            "--latency-wait", "10",
            "--", *self.targets,
        )  # fmt: skip
        command[command.index("--workflow-profile") + 1] = str(PROFILE)
        place = command.index("--cores")
        del command[place : place + 2]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.workflow.folder, env=self.cluster.environment(),
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                # A test run started in the background would hand down that interrupts are ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    @property
    def log(self) -> Path:
        return self.workflow.folder / "driver.log"

    def wait(self, *, seconds: float = 400) -> int:
        try:
            return self.process.wait(timeout=seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def finish(self) -> str:
        """Returns what the driver wrote, after a run that must succeed."""
        code = self.wait()
        text = self.log.read_text()
        assert code == 0, text[-6000:]
        return text

    def until_gpu_jobs_run(self, number: int = 1) -> list[str]:
        running: list[str] = []

        def found() -> bool:
            running[:] = self.cluster.jobs("RUNNING", partition="gpu")
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            return len(running) >= number

        wait_until(found, seconds=120, what=f"{number} GPU jobs run")
        return running


def leftovers(cluster: Cluster, folder: Path, action: str) -> str:
    """What the command for the jobs of a killed driver says.

    A step that was asked for while its job was suspended may be asked for again only after minutes.
    """
    done = subprocess.run(
        [sys.executable, "-m", "w2sg.runtime.slurm", action, "--folder", str(folder), "--poll", "0.5"],
        cwd=ROOT, env=cluster.environment(), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout
