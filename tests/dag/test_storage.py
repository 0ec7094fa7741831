"""Disks, clocks and memory that fail: a clear error that names the file, or the same tables; nothing that was whole is lost."""

from __future__ import annotations

import copy
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import faults
from tests.dag.conftest import ROOT, Workflow
from tests.dag.kills import jobs_of, left_behind

STRONG = "results/activations/smoke-strong"
HEADS = "results/smoke/metrics/smoke"
TABLE = f"{HEADS}/step8/posts.parquet"
"""What is made again; what is joined from it is the same then."""


@pytest.fixture
def on_small_disk(finished, tmp_path) -> Iterator[Workflow]:
    """A copy whose results lie on a file system of their own; only root can make one."""
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("results"))
    (folder / "results").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder / "results")]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    shutil.copytree(finished.folder / "results", folder / "results", dirs_exist_ok=True, symlinks=True)
    yield Workflow(folder=folder, config=copy.deepcopy(finished.config))
    subprocess.run(["umount", str(folder / "results")], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def damage(path: Path, content: bytes) -> None:
    """Another content with the same time stamps: nothing that looks at dates notices."""
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_files_that_are_not_what_they_should_be_are_named_and_made_again(workflow):
    """Cut, foreign and empty files in turn; after each error the named file is deleted, as the message says."""
    before = workflow.tables()
    features = {name: workflow.folder / STRONG / name / "posts.safetensors" for name in ("step0", "step8")}
    labels = next(workflow.folder.glob("results/smoke/weak_labels/smoke-weak/*/posts.parquet"))
    family = workflow.folder / "results/smoke/tables/families/smoke.parquet"
    floors = (workflow.folder / "results/smoke/floors/posts.parquet").read_bytes()
    heads = [f"{HEADS}/{name}/posts.parquet" for name in features]
    metrics = "results/smoke/tables/metrics.parquet"
    cut, foreign = features["step0"].read_bytes()[:-100], features["step0"].read_bytes()
    rounds = [
        ([metrics], {family: (floors, "other columns")}),
        (heads, {features["step0"]: (cut, "not a whole feature file"), features["step8"]: (foreign, "revision is 'step0', expected 'step8'")}),
        (heads, {labels: (b"", "not a whole parquet file")}),
    ]  # fmt: skip
    for lost, damaged in rounds:
        for name in lost:
            (workflow.folder / name).unlink(missing_ok=True)
        for path, (content, _) in damaged.items():
            damage(path, content)
        text = workflow.run("--", *lost, check=False)
        for path, (_, message) in damaged.items():
            assert message in text
            assert str(path.relative_to(workflow.folder)) in text
            path.unlink()
    workflow.run("--", *heads, metrics)
    assert workflow.tables() == before
    outcome = "an error names the file; deleted and made again, the same bytes"
    faults.record("cut, foreign or empty file in place of an output", tried=4, outcome=outcome, lost=0)


def test_a_full_or_read_only_disk_stops_the_jobs_and_nothing_else(on_small_disk):
    results = on_small_disk.folder / "results"
    before = on_small_disk.tables()
    shutil.rmtree(on_small_disk.folder / STRONG / "step8")
    (on_small_disk.folder / TABLE).unlink()
    kept = on_small_disk.tables()

    filler = results / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(results).free - 8192))
    text = on_small_disk.run("--", TABLE, check=False)
    filler.unlink()
    assert "No space left on device" in text
    assert re.search(rf"{STRONG}/step8/\w+.safetensors was not written", text)
    assert not left_behind(on_small_disk.folder)
    assert kept.items() <= on_small_disk.tables().items()

    remount(results, "ro")
    text = on_small_disk.run(check=False)
    remount(results, "rw")
    assert "Write-protected output files" in text
    assert re.search("affected files:\n +results/", text)  # of the first job looked at, in no fixed order

    on_small_disk.run("--", TABLE)
    assert on_small_disk.tables() == before
    outcome = "an error says so and names the file; afterwards the same bytes"
    faults.record("disk full while features are written", tried=1, outcome=outcome, lost=0)
    faults.record("results on a disk that became read-only", tried=1, outcome=outcome, lost=0)


def test_a_second_run_at_the_same_time_is_refused_and_harms_nothing(workflow):
    before = workflow.tables()
    shutil.rmtree(workflow.folder / STRONG / "step8")
    (workflow.folder / TABLE).unlink()
    with subprocess.Popen(
        workflow.command("--", TABLE), cwd=workflow.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        while first.poll() is None and not any(workflow.folder.glob(".snakemake/locks/*")):
            time.sleep(0.05)
        text = workflow.run("--", TABLE, check=False)
        assert first.poll() is None, "the first run was over before the second had read the workflow"
        first.wait(timeout=600)
    assert "LockException" in text
    assert first.returncode == 0
    assert workflow.tables() == before
    faults.record(
        "two runs at once in one folder", tried=1, outcome="the second is refused; the first ends as ever", lost=0
    )


def shift_dates(workflow: Workflow, seconds: float) -> None:
    """Makes the first half of the study look as if it was made by another clock."""
    for top in ("resources", "results/pretrained", "results/activations"):
        for path in (workflow.folder / top).rglob("*"):
            times = path.stat()
            os.utime(path, (times.st_atime + seconds, times.st_mtime + seconds))


def test_a_clock_that_was_set_forwards_changes_nothing(workflow):
    before = workflow.tables()
    shift_dates(workflow, -86400)
    (workflow.folder / TABLE).unlink()
    workflow.run("--", TABLE)
    assert workflow.tables() == before
    faults.record("clock set a day forwards half-way", tried=1, outcome="the same bytes", lost=0)


def test_a_clock_that_was_set_backwards_is_named_and_the_dates_are_mended(workflow):
    """Inputs out of the future: Snakemake refuses what is made of them, until the dates are in order."""
    before = workflow.tables()
    shift_dates(workflow, 86400)
    (workflow.folder / TABLE).unlink()
    text = workflow.run("--", TABLE, check=False)
    assert "clock skew" in text
    assert TABLE in text
    mend = "find results resources -newermt now -exec touch {} +"  # docs/reliability.md
    assert mend in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    subprocess.run(["bash", "-c", mend], cwd=workflow.folder, check=True)
    workflow.run("--", TABLE)
    assert workflow.tables() == before
    outcome = "an error names the file; with its date mended the same bytes"
    faults.record("clock set a day backwards half-way", tried=1, outcome=outcome, lost=0)


def test_a_job_without_memory_fails_alone_and_runs_later(workflow):
    before = workflow.tables()
    shutil.rmtree(workflow.folder / STRONG / "step8")
    (workflow.folder / TABLE).unlink()
    kept = workflow.tables()
    with subprocess.Popen(
        workflow.command("--", TABLE), cwd=workflow.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        while run.poll() is None and not (jobs := jobs_of(workflow.folder)):
            time.sleep(0.02)
        for job in jobs:
            resource.prlimit(job, resource.RLIMIT_AS, (300 << 20, 300 << 20))
        text, _ = run.communicate(timeout=600)
    assert run.returncode == 1
    assert "logs/extract_activations/smoke-strong/step8.log" in text
    assert kept.items() <= workflow.tables().items()
    assert not left_behind(workflow.folder)
    workflow.run("--", TABLE)
    assert workflow.tables() == before
    faults.record(
        "a job runs out of memory", tried=1, outcome="that job fails and is named; later the same bytes", lost=0
    )
