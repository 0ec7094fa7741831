"""The bound on the disk: it holds, it frees itself however a job ends, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from tests.scratch import kept, store
from tests.scratch import run as run
from w2sg.revisions import scratch
from w2sg.revisions.folders import RevisionError
from w2sg.revisions.leases import LEASE, LOCK
from w2sg.runtime import driver
from w2sg.runtime.locks import first_free, is_locked

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time
from pathlib import Path
from w2sg.runtime import jobs
from w2sg.revisions.scratch import Store
with jobs.log_to(sys.argv[2]):
    with Store(root=Path(sys.argv[1]), limit=2, poll=0.02).snapshot("m", "step1", size=10) as folder:
        (folder / "weights").write_bytes(b"x" * 10)
        print("held", flush=True, file=sys.__stdout__)
        time.sleep(60)
"""


def holder(root: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root), str(root.parent / "job.log")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_it_is_there_inside_and_gone_after_success_and_failure(tmp_path):
    with store(tmp_path).snapshot("m", "step1", size=1) as folder:
        assert folder.parent == tmp_path / "m"
        assert folder.name == f"step1.{socket.gethostname()}.{os.getpid()}"
        assert is_locked(folder / LOCK)
    assert not (tmp_path / "m").exists()
    with pytest.raises(KeyError), store(tmp_path).snapshot("m", "step1", size=1) as folder:
        (folder / "part").write_bytes(b"x")
        raise KeyError
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_is_ended_leaves_nothing_that_lasts(tmp_path, end):
    process = holder(tmp_path / "scratch")
    try:
        assert len(store(tmp_path / "scratch").folders()) == 1
        assert store(tmp_path / "scratch").clean() == []  # it is in use
        process.send_signal(end)
        process.wait(timeout=10)
        # SIGTERM cleans up by itself; after SIGKILL the next job, or `make clean`, finds the lock free.
        assert len(store(tmp_path / "scratch").folders()) == (end == signal.SIGKILL)
        with store(tmp_path / "scratch", limit=1).snapshot("m", "step2", size=1):
            assert [f.name.split(".")[0] for f in store(tmp_path / "scratch").folders()] == ["step2"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_bound_holds_and_a_waiting_job_goes_on_when_a_place_is_free(tmp_path):
    peak, done = [], []

    def job(number: int) -> None:
        with store(tmp_path, patience=30).snapshot(f"m{number}", "step1", size=1):
            peak.append(len(store(tmp_path).folders()))
            time.sleep(0.02)
        done.append(number)

    threads = [threading.Thread(target=job, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(done) == list(range(8))
    assert max(peak) <= 2


Usage = namedtuple("Usage", "total used free")


def test_a_revision_that_cannot_fit_is_refused_before_it_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e9, 0, int(3e9)))
    refused = pytest.raises(RevisionError, match=r"3.0 GB free, this revision needs 14.0 GB .*scratch")
    with refused, store(tmp_path).snapshot("m", "step1", size=int(14e9)):
        pass


def test_what_others_still_have_to_fetch_counts_as_used(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "SPARE", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 100_000))
    first = store(tmp_path, limit=9)
    with first.snapshot("a", "step1", size=60_000) as folder:
        assert not first._has_place(50_000, first.folders())  # waits, for `a` will be deleted
        assert first._has_place(39_000, first.folders())
        (folder / "weights").write_bytes(b"x" * 60_000)
        assert first._has_place(50_000, first.folders())


def test_a_ready_snapshot_waits_for_its_extraction_and_is_deleted_by_it(tmp_path, run):
    root = tmp_path / "scratch"
    folder = kept(root, "step1")
    assert store(root).clean() == []
    with store(root).take(folder) as taken:
        assert (taken / "weights").read_bytes() == b"x"
        with pytest.raises(scratch.SnapshotGone), store(root).take(folder):
            pass
    assert store(root).folders() == []
    with pytest.raises(scratch.SnapshotGone, match="run snakemake again"), store(root).take(folder):
        pass
    with pytest.raises(KeyError), store(root).take(kept(root, "step2")):
        raise KeyError
    assert store(root).folders() == []
    os.close(run)


def test_ready_snapshots_of_a_dead_run_are_recovered(tmp_path, run):
    root = tmp_path / "scratch"
    folder = kept(root, "step1")
    os.close(run)
    assert store(root).clean() == [folder]


def test_an_extraction_that_was_killed_frees_its_place(tmp_path, run):
    root = tmp_path / "scratch"
    folder = kept(root, "step1")
    lease = json.loads((folder / LEASE).read_text())
    (folder / LEASE).write_text(json.dumps(lease | {"state": "used"}))  # as SIGKILL leaves it: used, lock free
    assert store(root).clean() == [folder]
    os.close(run)


def test_a_standstill_is_broken(tmp_path, run, monkeypatch):
    root = tmp_path / "scratch"
    mine = kept(root, "step1"), kept(root, "step2")
    refused = pytest.raises(RevisionError, match="wait for their extraction, and no job has worked")
    with refused, store(root).snapshot("m", "step3", size=1):
        pass
    assert all(folder.exists() for folder in mine)
    for folder in mine:  # what another machine's run forgot is given up, the oldest first
        lease = json.loads((folder / LEASE).read_text())
        (folder / LEASE).write_text(json.dumps(lease | {"host": "elsewhere", "run": str(tmp_path / "gone")}))
    os.utime(mine[1] / LEASE, (0, time.time() - 60))
    with store(root).snapshot("m", "step3", size=1):
        assert [folder.exists() for folder in mine] == [True, False]
    os.close(run)


@pytest.mark.parametrize("sign", ["a job works", "a queue", "another run lives"])
def test_who_waits_for_a_reason_is_not_given_up(tmp_path, run, monkeypatch, sign):
    """A long head job on the only core, or hours in a cluster's queue, are no standstill."""
    root = tmp_path / "scratch"
    folder = kept(root, "step1")
    shared = tmp_path / "run.working"
    shared.touch()
    entered = threading.Event()

    def wait() -> None:
        with store(root, limit=1, patience=0.02).snapshot("m", "step2", size=1):
            entered.set()

    holder = driver.working() if sign == "a job works" else contextlib.nullcontext()
    if sign == "a queue":
        monkeypatch.setenv(driver.QUEUE_VARIABLE, "1")
    if sign == "another run lives":
        monkeypatch.setenv(driver.RUN_VARIABLE, str(tmp_path / "mine"))
    with holder:
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not entered.wait(0.3)
        assert waiter.is_alive()
        with store(root).take(folder):
            pass
    waiter.join(timeout=10)
    assert entered.is_set()
    os.close(run)


def test_another_machines_snapshot_is_believed_by_its_signs_of_life(tmp_path):
    folder = tmp_path / "m" / "step1.elsewhere.7"
    folder.mkdir(parents=True)
    lease = {"state": "used", "size": 1, "host": "elsewhere", "run": ""}
    (folder / LEASE).write_text(json.dumps(lease))
    (folder / LOCK).touch()
    assert store(tmp_path).clean() == []
    for path in (folder / LEASE, folder):
        os.utime(path, (0, time.time() - 2 * scratch.SILENCE))
    assert store(tmp_path).clean() == [folder]


def test_a_run_announces_itself_until_it_ends(tmp_path, monkeypatch):
    monkeypatch.delenv(driver.RUN_VARIABLE, raising=False)
    code = (
        "import os, sys; from pathlib import Path; from w2sg.runtime import driver as s; s.announce_run(Path(sys.argv[1]));"
        "print(os.environ[s.RUN_VARIABLE], flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "scratch")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert driver.run_is_alive(name)
    process.communicate("")
    assert not driver.run_is_alive(name)
    assert not (tmp_path / "scratch").exists()


def test_the_first_free_lock_is_taken_and_given_back(tmp_path):
    paths = [tmp_path / "0", tmp_path / "1"]
    with first_free(paths) as one, first_free(paths) as two:
        assert (one, two) == (0, 1)
    assert not any(map(is_locked, paths))
