"""The unmodified client against a local Hub with faults: every case heals, or ends with a message that names the culprit."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi, constants, file_download, hf_hub_download

from tests import faults
from tests.hub_server import Fault, Hub, Request, serving
from w2sg import fetching, hub, published, retries, snapshots
from w2sg.audit import audit_table
from w2sg.retries import Patience
from w2sg.revisions import RevisionError
from w2sg.transfer import HubTransfer

ROOT = Path(__file__).resolve().parents[2]
REPO = "owner/model"
QUICK = Patience(tries=6, first=0.001, most=0.01)
RNG = np.random.default_rng(3)
BIG = RNG.bytes(40_000)
BIG_PATH = "/cdn/" + hashlib.sha256(BIG).hexdigest()
CHUNK = 1000
"""Bytes after which the client writes; what a cut takes of an unfinished chunk is fetched again."""
FILES = {
    "config.json": b'{"model_type": "gpt_neox"}',
    "tokenizer.json": RNG.bytes(5_000),
    "model.safetensors": BIG,
    "pytorch_model.bin": RNG.bytes(6_000),
    "modeling_olmo.py": b"raise SystemExit",
    "training_args.bin": b"pickle",
    "README.md": b"words",
}


@pytest.fixture
def server(monkeypatch) -> Hub:
    """A Hub with one branch, at which the client of this process is pointed."""
    made = Hub()
    made.branches[REPO] = {"step1": dict(FILES)}
    with serving(made) as endpoint:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.4)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
        monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
        yield made


def fetch(target: Path, revision: str = "step1", patience: Patience = QUICK) -> hub.Listing:
    listing = hub.list_revision(REPO, revision, patience=patience)
    target.mkdir(exist_ok=True)
    hub.download(listing, hub.choose_files(listing), target, transfer=HubTransfer(), patience=patience)
    return listing


def whole(target: Path) -> bool:
    wanted = ("config.json", "tokenizer.json", "model.safetensors")
    present = {path.name for path in target.iterdir() if path.is_file()}
    return present == set(wanted) and all((target / name).read_bytes() == FILES[name] for name in wanted)


def once(kind: str, part: str = "/cdn/", **facts):
    """A fault for the first GET whose path contains ``part``."""
    met: list[Request] = []

    def fault(request: Request) -> Fault | None:
        if part in request.path and request.method == "GET" and not met:
            met.append(request)
            return Fault(kind=kind, **facts)
        return None

    return fault


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


@pytest.mark.parametrize("at", RNG.uniform(0, 1, size=4))
def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path, at):
    server.fault = once("cut", BIG_PATH, at=at)
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    offsets = [request.offset for request in server.requests if request.path == BIG_PATH]
    assert offsets == [0, int(at * (len(BIG) - 1)) // CHUNK * CHUNK]


def test_a_part_survives_errors_that_the_client_itself_gives_up_on(server, tmp_path):
    """After a cut the server fails for a while: the client deletes what it has, this project keeps it."""
    state = {"failures": 0}

    def fault(request: Request) -> Fault | None:
        if request.path != BIG_PATH or request.method != "GET":
            return None
        state["failures"] += 1
        return {1: Fault(kind="cut"), 2: Fault(kind="status"), 3: Fault(kind="status")}.get(state["failures"])

    server.fault = fault
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    assert [request.offset for request in server.requests if request.path == BIG_PATH] == [0, 19_000, 19_000, 19_000]


def always(kind: str, part: str, **facts):
    return lambda request: Fault(kind=kind, **facts) if part in request.path and request.method == "GET" else None


PERMANENT = {
    "always damaged": (always("flip", BIG_PATH), ["model.safetensors", "SHA-256", "expected", "after 3 attempts"]),
    "small file always damaged": (always("flip", "config.json"), ["config.json", "Git hash"]),
    "down": (always("status", "/api/", status=503), ["look up owner/model step1", "503", "after 3 attempts"]),
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
        hub.download(listing, hub.choose_files(listing), tmp_path, transfer=HubTransfer(), patience=QUICK)
    with pytest.raises(retries.NoSuchRevision, match="step1 .*no such revision"):
        hub.list_revision(REPO, "step1", patience=QUICK)
    assert len([r for r in server.requests if "/api/" in r.path]) == 2  # asked once, not until patience ends
    with pytest.raises(RevisionError, match="no such repository"):
        hub.list_revision("owner/nothing", "step1", patience=QUICK)


def shards(kind: str, count: int, *, without: tuple[int, ...] = ()) -> dict[str, bytes]:
    stem = "model" if kind == "safetensors" else "pytorch_model"
    names = [f"{stem}-{i:05d}-of-{count:05d}.{kind}" for i in range(1, count + 1) if i not in without]
    index = "model.safetensors.index.json" if kind == "safetensors" else "pytorch_model.bin.index.json"
    return {"config.json": b"{}", index: b"{}"} | {name: name.encode() for name in names}


def test_a_missing_shard_is_named_before_anything_is_fetched(server, tmp_path):
    server.branches[REPO]["step1"] = shards("bin", 3, without=(2,))
    with pytest.raises(RevisionError, match="of 3 weight files, number 2 is missing"):
        fetch(tmp_path / "to")
    assert all("/resolve/" not in request.path for request in server.requests)


def test_shards_of_two_sets_are_refused():
    listed = tuple(hub.HubFile(name=name, size=1) for name in shards("bin", 2) | shards("bin", 3))
    with pytest.raises(RevisionError, match="several sets, of 2 and of 3 files"):
        hub.choose_files(hub.Listing(repo=REPO, revision="step1", commit="c" * 40, files=listed))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (shards("bin", 2), shards("bin", 2)),
        (shards("bin", 2) | shards("safetensors", 1), shards("safetensors", 1)),
        (shards("bin", 2) | {"model.safetensors": b"x"}, {"config.json", "model.safetensors"}),
        (shards("bin", 2) | {"adapter_model.safetensors": b"x"}, shards("bin", 2)),
        (
            {"config.json": b"{}", "pytorch_model.bin": b"x", "optimizer.bin": b"x"},
            {"config.json", "pytorch_model.bin"},
        ),
    ],
)
def test_choice_of_files(files, expected):
    listed = tuple(hub.HubFile(name=name, size=len(content)) for name, content in files.items())
    listing = hub.Listing(repo=REPO, revision="step1", commit="c" * 40, files=listed)
    assert {file.name for file in hub.choose_files(listing)} == set(expected)


@pytest.mark.parametrize("files", [{"config.json": b"{}"}, {"model.safetensors": b"x"}, {"flax_model.msgpack": b"x"}])
def test_a_branch_without_weights_or_configuration_is_refused(files):
    listed = tuple(hub.HubFile(name=name, size=1) for name in files)
    with pytest.raises(RevisionError, match="no weights|config.json is missing"):
        hub.choose_files(hub.Listing(repo=REPO, revision="step1", commit="c" * 40, files=listed))


def test_a_full_disk_is_no_reason_to_try_again(server, tmp_path):
    listing = hub.list_revision(REPO, "step1", patience=QUICK)
    calls = []

    def transfer(*arguments) -> None:
        calls.append(arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RevisionError, match="fetch owner/model step1 .*: No space left on device"):
        hub.download(listing, hub.choose_files(listing), tmp_path, transfer=transfer, patience=QUICK)
    assert len(calls) == 1


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own with 64 KiB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_disk_that_fills_up_fails_that_revision_and_is_left_empty(server, tmp_path, small_disk, monkeypatch, when):
    """Before: refused with the figures, nothing is asked for. Meanwhile: somebody else's file takes the rest."""
    monkeypatch.setattr(snapshots, "SPARE", 0)
    store = snapshots.Store(root=small_disk / "scratch", limit=2)
    stranger = small_disk / "stranger"

    def fill(request: Request) -> None:
        if when == "meanwhile" and request.path == BIG_PATH:
            stranger.write_bytes(bytes(40_960))

    server.fault = fill
    if when == "before":
        stranger.write_bytes(bytes(40_960))
    expected = {"before": "GB free, this revision needs", "meanwhile": "model.safetensors: No space left on device"}
    ticket = tmp_path / "ticket.json"
    with pytest.raises(RevisionError, match=expected[when]):
        fetching.fetch_revision(REPO, "step1", name="m", store=store, ticket=ticket)
    assert not ticket.exists()
    assert not list((small_disk / "scratch").glob("*/*"))
    assert any("/cdn/" in request.path for request in server.requests) == (when == "meanwhile")
    stranger.unlink()
    server.fault = lambda request: None
    fetching.fetch_revision(REPO, "step1", name="m", store=store, ticket=ticket)
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
    store, ticket = snapshots.Store(root=tmp_path / "scratch", limit=1), tmp_path / "step1.json"
    fetching.fetch_revision(REPO, "step1", name="m", store=store, ticket=ticket)
    (folder,) = store.folders()
    CHANGES[change](folder)
    with (
        pytest.raises(RevisionError, match="has changed since it was fetched .*bytes then"),
        fetching.take_ticket(ticket, store),
    ):
        pass
    assert store.folders() == [] and not ticket.exists()


def test_the_token_is_sent_to_the_hub_and_never_shown(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    server.fault = always("flip", "/cdn/")
    with caplog.at_level(logging.DEBUG), pytest.raises(RevisionError) as caught:
        fetch(tmp_path / "to", patience=Patience(tries=2, first=0.001))
    assert "Bearer hf_secretsecret" in {request.token for request in server.requests}
    assert {request.token for request in server.requests if "/cdn/" in request.path} == {None}
    assert "hf_secretsecret" not in caplog.text + str(caught.value)
    shown = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]  # as in a job's log
    assert "SIGNED" not in " ".join(shown) + str(caught.value)
    assert shown


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
    retries.persist(
        lambda attempt: HfApi().model_info(REPO, revision="step1"), what="ask", patience=QUICK, sleep=waits.append
    )
    assert waits == [pytest.approx(7, abs=1.5)]


def test_damage_is_given_up_sooner_than_the_network(server, tmp_path):
    server.fault = always("flip", BIG_PATH)
    with pytest.raises(RevisionError, match="gave up after 2 attempts"):
        fetch(tmp_path / "to", patience=Patience(tries=9, damaged=2, first=0.001))
    assert len([r for r in server.requests if r.path == BIG_PATH]) == 2


def test_xet_is_tried_once_and_http_follows(server, tmp_path, monkeypatch):
    from w2sg import transfer

    used = []
    monkeypatch.setattr(transfer, "is_xet_available", lambda: True)
    monkeypatch.setattr(transfer, "get_hf_file_metadata", lambda url: type("M", (), {"xet_file_data": object()}))
    monkeypatch.setattr(
        transfer, "hf_hub_download", lambda *a, **k: used.append(a) or (_ for _ in ()).throw(RuntimeError("cas"))
    )
    fetch(tmp_path / "to")
    assert whole(tmp_path / "to")
    assert [name for _, name in used] == ["tokenizer.json", "model.safetensors"]


ASK = """
import sys
from pathlib import Path
from w2sg import fetching, runtime
from w2sg.snapshots import Store
model = {"source": "hub", "repo": "owner/model"}
with runtime.log_to(sys.argv[1] + ".log"):
    store = Store(root=Path(sys.argv[1]), limit=1)
    with fetching.open_revision(model, "step1", name="m", root=Path(), store=store) as folder:
        found = sorted(p.name for p in folder.path.iterdir() if not p.name.startswith("."))
        print(folder.commit, *found, file=sys.__stdout__)
"""


def ask(root: Path, **environment: str) -> subprocess.CompletedProcess:
    """Opens the revision as a job does: the client reads its variables when it is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY") and not k.startswith("HF_")}
    command = [sys.executable, "-c", ASK, str(root / "scratch")]
    return subprocess.run(
        command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_endpoint_token_proxy_and_cache_come_from_the_environment(server, tmp_path):
    """Through a proxy to a Hub that only it can reach; then the same from a filled cache without any network."""
    commit = server.commit(REPO, "step1")
    proxy, home = constants.ENDPOINT, tmp_path / "hf"
    token = "hf_secretsecret"
    online = {"HF_ENDPOINT": "http://hub.invalid", "HTTP_PROXY": proxy, "HF_TOKEN": token, "HF_HOME": str(home)}
    found = ask(tmp_path, **online)
    assert found.stdout.split() == [commit, "config.json", "model.safetensors", "tokenizer.json"], found.stderr
    to_hub = [request for request in server.requests if REPO in request.path]
    assert {request.target.split("/")[2] for request in to_hub} == {"hub.invalid"}
    assert {request.token for request in to_hub} == {f"Bearer {token}"}
    assert {request.token for request in server.requests if "/cdn/" in request.path} == {None}
    assert token not in found.stderr + (tmp_path / "scratch.log").read_text()
    assert not list((tmp_path / "scratch").glob("*/*"))

    refused = ask(tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(home))
    assert refused.returncode != 0
    assert "not in the cache" in refused.stderr
    listing = hub.list_revision(REPO, "step1", patience=QUICK)
    for file in hub.choose_files(listing):
        hf_hub_download(REPO, file.name, revision="step1", cache_dir=home / "hub")
    before = len(server.requests)
    cached = ask(tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(home), HF_ENDPOINT=proxy)
    assert cached.stdout == found.stdout, cached.stderr
    assert len(server.requests) == before


def test_a_mirrors_password_is_not_shown(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "https://me:secret@mirror:8443/hub")
    assert hub.endpoint() == "https://mirror:8443/hub"


def test_a_revision_in_the_local_cache_is_used_where_it_lies(server, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    listing = hub.list_revision(REPO, "step1", patience=QUICK)
    assert hub.find_cached(REPO, listing.commit, hub.choose_files(listing)) is None
    for file in hub.choose_files(listing):
        hf_hub_download(REPO, file.name, revision="step1", cache_dir=tmp_path / "cache")
    found = hub.find_cached(REPO, listing.commit, hub.choose_files(listing))
    assert found is not None
    assert found.name == listing.commit
    offline = hub.offline_revision(REPO, "step1")
    assert offline.commit == listing.commit
    hashes = {file.name: file.sha256 or file.blob for file in listing.files}
    assert {file.name: file.sha256 or file.blob for file in offline.files}.items() <= hashes.items()
    (found / "model.safetensors").resolve().write_bytes(b"x" * len(BIG))
    with pytest.raises(RevisionError, match="in the cache .*model.safetensors is not what the Hub lists"):
        hub.offline_revision(REPO, "step1")
    with pytest.raises(RevisionError, match="HF_HUB_OFFLINE is set.*hf download owner/model --revision step9"):
        hub.offline_revision(REPO, "step9")


def test_the_audit_asks_for_listings_only_and_finds_duplicates_and_gaps(server):
    other = {"model.safetensors": RNG.bytes(5_000)}
    server.branches[REPO] |= {
        "step2": FILES | {"model.safetensors": RNG.bytes(5_000)},
        "step8": FILES | other,
        "step9": FILES | {"README.md": b"other words, other commit"},
        "step10": {"config.json": b"{}"},
        "main": FILES | other,
    }
    known = published.ask_hub(
        REPO, ["step1", "step2", "step5", "step8", "step9", "step10"], label="audit", patience=QUICK
    )
    table = audit_table("m", known).set_index("revision")
    assert list(table.index[table["flagged"]]) == ["step1", "step5", "step8", "step9", "step10"]
    assert "equal to those of main" in table.loc["step8", "reason"]
    assert "cannot be told" in table.loc["step9", "reason"]
    assert "no such revision" in table.loc["step5", "reason"]
    assert "no weights" in table.loc["step10", "reason"]
    assert all("/resolve/" not in r.path and "/cdn/" not in r.path for r in server.requests)
