"""What ended and killed runs leave in the scratch folder, what a queue still needs of it, and what others keep there."""

from __future__ import annotations

import json
import os
import socket

import pytest

from tests.scratch import kept, store
from tests.scratch import run as run
from w2sg.revisions import scratch
from w2sg.revisions.leases import LEASE, LOCK, is_snapshot
from w2sg.runtime import driver
from w2sg.runtime.jobs import JobTerminated


def test_what_a_run_leaves_is_deleted_when_it_ends_and_when_the_next_begins(tmp_path, run, monkeypatch):
    root, tickets, ended = tmp_path / "scratch", tmp_path / "tickets", []
    folder = kept(root, "step1")
    (tickets / "m").mkdir(parents=True)
    (tickets / "m" / "step1.json").write_text(json.dumps({"path": str(folder)}))
    monkeypatch.setattr(scratch.atexit, "register", ended.append)
    scratch.tidy(root, tickets)
    assert folder.exists() and (tickets / "m" / "step1.json").exists()
    os.close(run)
    ended[0]()
    assert store(root).folders() == []
    assert not (tickets / "m" / "step1.json").exists()
    kept(root, "step2")
    (tickets / "m" / "step2.json").write_text(json.dumps({"path": str(root / "gone")}))
    scratch.tidy(root, tickets)
    assert store(root).folders() == [] and list((tickets / "m").iterdir()) == []


@pytest.mark.parametrize("queued", [False, True])
def test_a_job_that_a_scheduler_takes_away_finds_its_snapshot_again(tmp_path, run, monkeypatch, queued):
    folder = kept(tmp_path, "step1")
    lease = (folder / LEASE).read_text()
    if queued:
        monkeypatch.setenv(driver.QUEUE_VARIABLE, "1")
    with pytest.raises(JobTerminated), store(tmp_path).take(folder):
        raise JobTerminated(143)
    assert store(tmp_path).folders() == ([folder] if queued else [])
    if queued:
        assert (folder / LEASE).read_text() == lease
        with pytest.raises(ValueError, match="again"), store(tmp_path).take(folder):
            raise ValueError("again")
        assert store(tmp_path).folders() == []
    os.close(run)


def test_what_others_keep_in_the_scratch_folder_stays(tmp_path):
    """A virtual environment, for example, holds a file of the lock's name too."""
    for name in (".venv", "data", "step1.host.7"):
        folder = tmp_path / "thesis" / name
        folder.mkdir(parents=True)
        (folder / LOCK).touch()
        (folder / "results.csv").write_text("1")
    (tmp_path / "thesis" / "data" / LEASE).write_text('{"expires": 1}')
    killed = tmp_path / "m" / f"step1.{socket.gethostname()}.7"  # before it wrote its lease
    killed.mkdir(parents=True)
    (killed / LOCK).touch()
    assert store(tmp_path).clean() == [killed]
    assert len(list(tmp_path.glob("thesis/*/results.csv"))) == 3 and not killed.exists()
    assert not is_snapshot(killed)  # went while somebody looked


def test_what_a_clusters_queue_waits_for_outlives_a_killed_run_but_not_one_that_ended(tmp_path, run, monkeypatch):
    monkeypatch.setenv(driver.QUEUE_VARIABLE, "1")
    folder = kept(tmp_path, "step1")
    os.close(run)  # the driver was killed, its jobs are in the queue
    assert store(tmp_path).clean() == []
    with store(tmp_path).take(folder):
        pass
    ended = kept(tmp_path, "step2")
    assert store(tmp_path).clean(ended=driver.present_run()) == [ended]


def test_tickets_without_a_snapshot_are_dropped(tmp_path):
    (tmp_path / "m").mkdir()
    for name, path in {"alive": str(tmp_path), "dead": str(tmp_path / "gone")}.items():
        (tmp_path / "m" / f"{name}.json").write_text(json.dumps({"path": path}))
    (tmp_path / "m" / "broken.json").write_text("{")
    scratch.drop_dead_tickets(tmp_path)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["alive.json"]
