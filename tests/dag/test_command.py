"""A study on a (local) Hub that is watched while it runs: one revision is broken, one is slow and its job is killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from tests import tiny
from tests.dag.conftest import ROOT, Workflow, remote_study
from tests.hub_server import Fault, Hub, serving
from w2sg.command import app as command

STEPS = [0, 8, 16, 64]
BROKEN, SLOW = "step16", "step64"


@pytest.fixture
def hub(tmp_path):
    """A Hub with random models, of which one holds no weights under the name of weights."""
    made, folder = Hub(), tmp_path / "published"
    tiny.save_revisions(folder, "gpt_neox", STEPS)
    for step in STEPS:
        made.publish("owner/strong", f"step{step}", folder / f"step{step}")
    made.publish("owner/weak", "main", folder / "step0")
    made.branches["owner/strong"][BROKEN]["model.safetensors"] = b"no weights " * 1000
    return made


@pytest.fixture
def workflow(hub, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    with serving(hub) as endpoint:
        for name, value in {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}.items():
            monkeypatch.setenv(name, value)
        yield Workflow(folder=tmp_path / "run", config=remote_study(tmp_path, STEPS))


def status(workflow: Workflow) -> dict:
    found = CliRunner().invoke(command.app, ["status", "--directory", str(workflow.folder), "--json"])
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def wait_for(workflow: Workflow, run: subprocess.Popen, condition, seconds: float = 400) -> dict:
    """The first status that meets a condition, while the study runs, or at its end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and run.poll() is None:
        if list(workflow.folder.glob("results/*/run.json")) and condition(found := status(workflow)):
            return found
        time.sleep(0.5)
    if condition(found := status(workflow)):
        return found
    raise AssertionError(f"never: {found}")


def kill_job(run: subprocess.Popen, log: Path) -> None:
    for child in psutil.Process(run.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if any(Path(file.path) == log for file in child.open_files()):
                child.kill()
                return
    raise AssertionError(f"nobody writes {log}")


def by_stage(found: dict, stage: str) -> dict:
    return next(row["counts"] for row in found["stages"] if row["stage"] == stage and row["subject"] == "remote")


def test_a_running_study_is_watched_reported_and_resumed(workflow, hub, tmp_path):
    slow = hashlib.sha256(hub.branches["owner/strong"][SLOW]["model.safetensors"]).hexdigest()
    hub.fault = lambda request: Fault(kind="hang", seconds=3) if slow in request.path else None
    with (tmp_path / "output.txt").open("w") as output:
        words = workflow.command("--logger", "w2sg")
        run = subprocess.Popen(words, cwd=workflow.folder, stdout=output, stderr=subprocess.STDOUT, env=os.environ)
        try:
            found = wait_for(
                workflow,
                run,
                lambda one: by_stage(one, "heads")["done"] and any(SLOW in name for name, _ in one["running"]),
            )
            assert found["alive"]
            # A partial report is written beside the run, and says no word of a lock.
            measured = {path: path.read_bytes() for path in workflow.folder.glob("results/smoke/metrics/**/*.parquet")}
            assert "partial report beside it" in workflow.run("--config", "partial=true")  # as status --html does
            partial = workflow.folder / "results" / "smoke" / "partial"
            assert "This report is partial" in (partial / "report.html").read_text()
            assert list(partial.glob("figures/trajectory/remote/mine.svg"))
            assert {path: path.read_bytes() for path in measured} == measured
            kill_job(run, workflow.folder / "logs" / "extract_activations" / "remote" / f"{SLOW}.log")
            # Both have failed, if the run still has other jobs to do by the time one looks.
            wait_for(workflow, run, lambda one: len(one["failures"]) == 2 or not one["alive"])
            run.wait(timeout=300)
        finally:
            for process in [*psutil.Process(run.pid).children(recursive=True), run] if run.poll() is None else []:
                process.kill()
            run.wait()
    assert run.returncode == 1
    found = status(workflow)
    assert not found["alive"]
    reasons = {one["name"]: one["reason"] for one in found["failures"]}
    assert "model.safetensors" in reasons[f"remote/{BROKEN}"]
    text = (tmp_path / "output.txt").read_text()
    assert "study smoke: " in text
    assert f"failed: extract_activations remote/{BROKEN}: RevisionError" in text
    assert f"logs/extract_activations/remote/{BROKEN}.log" in text
    assert "next: the same command goes on from here" in text

    hub.fault = lambda request: None
    hub.publish("owner/strong", BROKEN, tmp_path / "published" / BROKEN)
    again = workflow.run("--logger", "w2sg")
    assert "of them done before" in again
    assert "study smoke is done: results/smoke/report.html" in again
    found = status(workflow)
    assert found["counts"]["done"] == sum(found["counts"].values())
    assert "This report is partial" not in (workflow.folder / "results/smoke/report.html").read_text()


def test_a_check_names_the_revision_that_cannot_be_run_and_tries_a_text(workflow, hub):
    del hub.branches["owner/strong"][BROKEN]["tokenizer.json"]
    text = workflow.run("--quiet", "all", "--", "check", check=False)
    assert f"fault: models.remote: revision {BROKEN}: " in text
    assert "note: models.remote: 3 of 4 revisions have weights, a configuration and a tokenizer" in text
    assert "ok: models.remote-weak: 1 of 1 revisions" in text
    assert "rate limit: the Hub names none" in text
    assert "tokens went through it on cpu" in text
    assert "needed at once" in text
    assert not list(workflow.folder.glob("results/*/run.json"))


def test_the_command_calls_the_workflow(tmp_path):
    words = [sys.executable, "-m", "w2sg.command", "plan", "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = {row["model"]: row for row in json.loads(done.stdout)}
    assert rows["nano-strong"]["revisions"] == 19
    assert rows["total"]["jobs"] == 60
    assert rows["total"]["download_tb"] == 0
