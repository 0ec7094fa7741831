"""The unmodified client against a local Hub with faults: every case heals, or ends with a message that names the culprit."""

from __future__ import annotations

import errno
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError

from tests import faults
from tests.hub_branch import BIG, BIG_PATH, CHUNK, CUTS, QUICK, REPO, always, fetch, once, whole
from tests.hub_branch import server as server
from tests.hub_server import Fault, Request
from w2sg.revisions import access, download, hub, retries, scratch
from w2sg.revisions.folders import RevisionError
from w2sg.revisions.retries import Patience


def test_one_weight_format_no_code_no_pickles_and_the_commit(server, tmp_path):
    listing = fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    assert listing.commit == server.commit(REPO, "step1")
    asked = {request.path.rsplit("/", 1)[-1] for request in server.requests}
    assert not asked & {"pytorch_model.bin", "modeling_olmo.py", "training_args.bin"}


FAULTS = {
    "too many requests": once("status", "/resolve/", status=429, headers={"Retry-After": "0"}),
    "too many requests for listings": once("status", "/api/", status=429, headers={"RateLimit": '"api";r=0;t=0'}),
    "server error": once("status", "/resolve/", status=500),
    "server error of the content network": once("status", status=503),
    "server error for listings": once("status", "/api/", status=502),
    "cut listing": once("cut", "/api/", at=0.3),
    "stalled": once("stall", at=0.7, seconds=0.8),
    "stalled at the first byte": once("stall", at=0.0, seconds=0.8),
    **{
        f"refused by the content network with {code}": once("status", status=code) for code in (400, 401, 403, 404, 410)
    },
    "bit flipped": once("flip", at=0.4),
    "bit flipped in a small file": once("flip", "config.json"),
    "truncated": once("short", at=0.6),
    "truncated small file": once("short", "config.json", at=0.6),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_heal(server, tmp_path, name):
    server.fault = FAULTS[name]
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")


@pytest.mark.parametrize("at", CUTS)
def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path, at):
    server.fault = once("cut", BIG_PATH, at=at)
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    offsets = [request.offset for request in server.requests if request.path == BIG_PATH]
    assert offsets == [0, int(at * (len(BIG) - 1)) // CHUNK * CHUNK]


def test_a_part_survives_errors_that_the_client_itself_gives_up_on(server, tmp_path):
    """After a cut the server fails, and a signature runs out: the client would delete what it has, this project keeps it."""
    state = {"failures": 0}

    def fault(request: Request) -> Fault | None:
        if request.path != BIG_PATH or request.method != "GET":
            return None
        state["failures"] += 1
        return {1: Fault(kind="cut"), 2: Fault(kind="status"), 3: Fault(kind="status", status=403)}.get(
            state["failures"]
        )

    server.fault = fault
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    assert [request.offset for request in server.requests if request.path == BIG_PATH] == [0, 19_000, 19_000, 19_000]


@pytest.mark.parametrize(
    ("kind", "part", "at"), [("flip", BIG_PATH, 0.4), ("flip", "config.json", 0.4), ("short", BIG_PATH, 0.6)]
)
def test_bytes_that_were_thrown_away_are_taken_back(server, tmp_path, kind, part, at):
    server.fault = once(kind, part, at=at)
    listing = hub.list_revision(REPO, "step1", patience=QUICK)
    files, counts = hub.choose_files(listing), []
    download.download(listing, files, tmp_path, on_bytes=counts.append, patience=QUICK)
    assert sum(counts) == sum(file.size for file in files)
    assert (min(counts) < 0) == (kind == "flip")  # what a short answer brought is kept and continued


PERMANENT = {
    "always damaged": (always("flip", BIG_PATH), ["model.safetensors", "SHA-256", "expected", "after 3 attempts"]),
    "small file always damaged": (always("flip", "config.json"), ["config.json", "Git hash"]),
    "down": (always("status", "/api/", status=503), ["look up owner/model step1", "503", "after 3 attempts"]),
    "always refused by the content network": (always("status", "/cdn/", status=403), ["HTTP 403", "after 3 attempts"]),
    "forbidden": (always("status", "/resolve/", status=403), ["config.json", "HTTP 403"]),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_what_does_not_heal_says_what_and_why(server, tmp_path, name, caplog):
    fault, parts = PERMANENT[name]
    server.fault = fault
    with pytest.raises(RevisionError) as caught:
        fetch(tmp_path / "to", patience=Patience(tries=3, first=0.001))
    for part in ["owner/model", "step1", *parts]:
        assert part in str(caught.value)
    assert "SIGNED" not in str(caught.value)
    assert not (tmp_path / "to" / "model.safetensors").exists()


def test_a_revision_that_disappears(server, tmp_path):
    listing = hub.list_revision(REPO, "step1", patience=QUICK)
    del server.branches[REPO]["step1"]
    with pytest.raises(RevisionError, match="fetch owner/model step1 .*config.json: HTTP 404"):
        download.download(listing, hub.choose_files(listing), tmp_path, patience=QUICK)
    with pytest.raises(retries.NoSuchRevision, match="step1 .*no such revision"):
        hub.list_revision(REPO, "step1", patience=QUICK)
    assert len([r for r in server.requests if "/api/" in r.path]) == 2  # asked once, not until patience ends
    with pytest.raises(RevisionError, match="no such repository"):
        hub.list_revision("owner/nothing", "step1", patience=QUICK)


def test_a_full_disk_is_no_reason_to_try_again(server, tmp_path, monkeypatch):
    listing = hub.list_revision(REPO, "step1", patience=QUICK)
    calls = []

    def full(*arguments, **options) -> None:
        calls.append(arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "hf_hub_download", full)
    with pytest.raises(RevisionError, match="fetch owner/model step1 .*: No space left on device"):
        download.download(listing, hub.choose_files(listing), tmp_path, patience=QUICK)
    assert len(calls) == 1


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own with 128 KiB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_disk_that_fills_up_fails_that_revision_and_is_left_empty(server, tmp_path, small_disk, monkeypatch, when):
    """Before: refused with the figures, nothing is asked for. Meanwhile: somebody else's file takes the rest."""
    monkeypatch.setattr(scratch, "SPARE", 0)
    store = scratch.Store(root=small_disk / "scratch", limit=2)
    stranger = small_disk / "stranger"

    def fill(request: Request) -> None:
        if when == "meanwhile" and request.path == BIG_PATH:
            take_the_rest()

    def take_the_rest() -> None:
        stranger.write_bytes(bytes(shutil.disk_usage(small_disk).free))

    server.fault = fill
    if when == "before":
        take_the_rest()
    expected = {"before": "GB free, this revision needs", "meanwhile": "model.safetensors: No space left on device"}
    ticket = tmp_path / "ticket.json"
    with pytest.raises(RevisionError, match=expected[when]):
        access.fetch_revision({"repo": REPO}, "step1", name="m", store=store, ticket=ticket)
    assert not ticket.exists()
    assert not list((small_disk / "scratch").glob("*/*"))
    assert any("/cdn/" in request.path for request in server.requests) == (when == "meanwhile")
    stranger.unlink()
    server.fault = lambda request: None
    access.fetch_revision({"repo": REPO}, "step1", name="m", store=store, ticket=ticket)
    assert ticket.exists()
    outcome = "the revision fails, the disk is left empty; fetched again with room"
    faults.record(f"disk full {when.replace('meanwhile', 'during')} a download", tried=1, outcome=outcome, lost=0)


CHANGES = {
    "short": lambda folder: (folder / "model.safetensors").write_bytes(b"x"),
    "second": lambda folder: (folder / "pytorch_model.bin").write_bytes(b"x"),
    "gone": lambda folder: (folder / "tokenizer.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_snapshot_that_changed_between_fetch_and_use_is_refused(server, tmp_path, change):
    store, ticket = scratch.Store(root=tmp_path / "scratch", limit=1), tmp_path / "m" / "step1.json"
    ticket.parent.mkdir()
    access.fetch_revision({"repo": REPO}, "step1", name="m", store=store, ticket=ticket)
    (folder,) = store.folders()
    CHANGES[change](folder)
    with (
        pytest.raises(RevisionError, match="has changed since it was fetched .*bytes then"),
        access.take_ticket(ticket, store),
    ):
        pass
    assert store.folders() == [] and ticket.exists()  # a repeated job must be able to begin
    with pytest.raises(scratch.SnapshotGone, match="run snakemake again"), access.take_ticket(ticket, store):
        pass
    scratch.drop_dead_tickets(tmp_path)
    assert not ticket.exists()


def test_of_a_random_twin_no_weights_are_fetched(server, tmp_path):
    """Neither by the extraction itself nor ahead of it; its name and commit say what it is."""
    model = {"source": "hub", "repo": REPO, "like": "step1"}
    store, ticket = scratch.Store(root=tmp_path / "scratch", limit=1), tmp_path / "random.json"
    with access.open_revision(model, "random", name="m", root=tmp_path, store=store) as folder:
        assert {path.name for path in folder.path.iterdir() if path.name[0] != "."} == {"config.json", "tokenizer.json"}
        assert folder.commit == access.DRAWN
    access.fetch_revision(model, "random", name="m", store=store, ticket=ticket)
    with access.take_ticket(ticket, store) as fetched:
        assert fetched is not None and fetched.commit == access.DRAWN
        assert (fetched.path / "config.json").is_file()
    assert store.folders() == []
    assert not any(request.path == BIG_PATH for request in server.requests)


def test_of_a_random_twin_on_the_disk_the_first_folder_is_read(tmp_path):
    (tmp_path / "step8").mkdir()
    model, store = {"source": "local", "path": str(tmp_path), "like": "step8"}, scratch.Store(root=tmp_path, limit=1)
    with access.open_revision(model, "random", name="m", root=tmp_path, store=store) as folder:
        assert (folder.path, folder.commit) == (tmp_path / "step8", access.DRAWN)


def test_waiting_obeys_the_server_and_otherwise_grows_with_jitter():
    patience = Patience(first=1, most=8, obeyed=100)
    assert patience.wait(0, 7.0) == 7.0
    assert patience.wait(0, 5000.0) == 100
    waits = [[patience.wait(attempt, None) for _ in range(50)] for attempt in range(6)]
    assert all(0.5 * min(2**n, 8) <= wait <= min(2**n, 8) for n, row in enumerate(waits) for wait in row)
    assert len(set(waits[3])) > 1


@pytest.mark.parametrize("form", ["seconds", "date", "rate limit"])
def test_the_wait_that_a_server_asks_for_is_the_wait_that_follows(server, monkeypatch, form):
    headers = {
        "seconds": {"Retry-After": "7"},
        "date": {"Retry-After": formatdate(time.time() + 7, usegmt=True)},
        "rate limit": {"RateLimit": '"api";r=0;t=7'},
    }[form]
    server.fault = once("status", "/api/", status=429, headers=headers)
    waits = []
    retries.persist(lambda: HfApi().model_info(REPO, revision="step1"), what="ask", patience=QUICK, sleep=waits.append)
    assert waits == [pytest.approx(7, abs=1.5)]


@pytest.mark.parametrize(
    ("status", "left", "asked"), [(503, 489, None), (502, 1, None), (503, 0, 271.0), (429, 0, 271.0), (429, 3, 271.0)]
)
def test_a_quota_is_waited_for_only_where_it_is_used_up(server, status, left, asked):
    server.fault = once("status", "/api/", status=status, headers={"RateLimit": f'"api";r={left};t=271'})
    with pytest.raises(HfHubHTTPError) as caught:
        HfApi().model_info(REPO, revision="step1")
    assert retries.asked_wait(caught.value) == asked


def test_damage_is_given_up_sooner_than_the_network(server, tmp_path):
    server.fault = always("flip", BIG_PATH)
    with pytest.raises(RevisionError, match="gave up after 2 attempts"):
        fetch(tmp_path / "to", patience=Patience(tries=9, damaged=2, first=0.001))
    assert len([r for r in server.requests if r.path == BIG_PATH]) == 2


@pytest.mark.parametrize("place", [None, "http://127.0.0.1:9"], ids=["no token", "no server"])
def test_xet_is_tried_once_and_http_follows(server, tmp_path, monkeypatch, caplog, place):
    """As behind a proxy or a mirror that knows nothing of Xet: no later file tries it again."""
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "1")
    server.xet, server.xet_place = True, place
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    assert len([request for request in server.requests if "xet-read-token" in request.path]) == 1
    assert "tokenizer.json: " in caplog.text and "the next attempts go without Xet" in caplog.text


def test_a_transfer_over_xet_that_stands_still_is_ended_and_http_follows(server, tmp_path, monkeypatch, caplog):
    asked, calm = threading.Event(), select.select
    server.xet, server.xet_place = True, constants.ENDPOINT

    def hang(request: Request) -> Fault | None:
        if "/reconstructions/" not in request.path:
            return None
        asked.set()
        return Fault(kind="hang", seconds=300)

    def watch(*arguments: Any) -> Any:
        assert asked.wait(60), (
            "Xet was never asked"
        )  # the start of its process, however slow, is no silence of a transfer
        return calm(*arguments)

    server.fault = hang
    monkeypatch.setattr(download, "select", SimpleNamespace(select=watch))
    started = time.monotonic()
    fetch(tmp_path / "to", patience=Patience(first=0.001, silence=1.0))
    assert time.monotonic() - started < 100
    assert whole(tmp_path / "to")
    assert not list((tmp_path / "to").rglob("*.incomplete"))
    assert "no byte came over Xet for 1 s; the next attempts go without Xet, over plain HTTP" in caplog.text


TALK = """
import sys, time
print(100, flush=True)
print({last}, flush=True)
time.sleep({seconds})
"""


@pytest.mark.parametrize(
    ("last", "seconds", "said"),
    [("'done'", 0, ""), ("50", 60, "no byte came over Xet for 1 s"), ("'Xet: refused'", 0, "Xet: refused"),
     ("sys.exit(7)", 0, "ended with status 7")],
)  # fmt: skip
def test_a_transfer_in_a_process_of_its_own_is_watched(last, seconds, said):
    command, counts = [sys.executable, "-c", TALK.format(last=last, seconds=seconds)], []
    if said:
        with pytest.raises(download.XetFailure, match=said):
            download.watch_transfer(command, counts.append, silence=1.0)
    else:
        download.watch_transfer(command, counts.append, silence=1.0)
    assert counts[0] == 100


def test_a_model_that_does_not_fit_is_known_before_its_weights_arrive(server, tmp_path):
    def look(folder: Path) -> None:
        assert (folder / "config.json").is_file()
        raise MemoryError("16 GB")

    store, ticket = scratch.Store(root=tmp_path / "scratch", limit=1), tmp_path / "ticket.json"
    with pytest.raises(MemoryError, match="16 GB"):
        access.fetch_revision({"repo": REPO}, "step1", name="m", store=store, ticket=ticket, look=look)
    assert BIG_PATH not in {request.path for request in server.requests if request.method == "GET"}
    assert not ticket.exists() and not list((tmp_path / "scratch").rglob("config.json"))
