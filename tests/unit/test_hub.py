"""The unmodified client against a local Hub with faults: every case heals, or ends with a message that names the culprit."""

from __future__ import annotations

import errno
import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants, file_download

from tests.hub_server import Fault, Hub, Request, serving
from w2sg import hub, published, retries
from w2sg.audit import audit_table
from w2sg.retries import Patience
from w2sg.revisions import RevisionError
from w2sg.transfer import HubTransfer

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


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (shards("bin", 2), shards("bin", 2)),
        (shards("bin", 2) | shards("safetensors", 1), shards("safetensors", 1)),
        (shards("bin", 2) | {"model.safetensors": b"x"}, {"config.json", "model.safetensors"}),
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


def test_the_token_is_sent_to_the_hub_and_never_shown(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    server.fault = always("flip", "/cdn/")
    with caplog.at_level(logging.DEBUG), pytest.raises(RevisionError) as caught:
        fetch(tmp_path / "to", patience=Patience(tries=2, first=0.001))
    assert "Bearer hf_secretsecret" in {request.token for request in server.requests}
    assert "hf_secretsecret" not in caplog.text + str(caught.value)


def test_waiting_obeys_the_server_and_otherwise_grows_with_jitter():
    patience = Patience(first=1, most=8, obeyed=100)
    assert patience.wait(0, 7.0) == 7.0
    assert patience.wait(0, 5000.0) == 100
    waits = [[patience.wait(attempt, None) for _ in range(50)] for attempt in range(6)]
    assert all(0.5 * min(2**n, 8) <= wait <= min(2**n, 8) for n, row in enumerate(waits) for wait in row)
    assert len(set(waits[3])) > 1


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


def test_a_revision_in_the_local_cache_is_used_where_it_lies(server, tmp_path, monkeypatch):
    from huggingface_hub import hf_hub_download

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
