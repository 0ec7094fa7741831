"""What the client takes from its environment: the token, the endpoint, a proxy, and revisions that lie in its cache."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

from tests.hub_branch import BIG, FILES, QUICK, REPO, always, fetch
from tests.hub_branch import server as server
from tests.hub_server import Hub, serving
from tests.tunnel import certify, tunnelling
from w2sg.revisions import hub
from w2sg.revisions.environment import proxy_for
from w2sg.revisions.folders import RevisionError
from w2sg.revisions.retries import Patience

ROOT = Path(__file__).resolve().parents[3]
BAD_TOKEN = "Invalid credentials in Authorization header"


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


ASK = """
import sys
from pathlib import Path
from w2sg.revisions import access
from w2sg.revisions.scratch import Store
from w2sg.runtime import jobs
model = {"source": "hub", "repo": "owner/model"}
with jobs.log_to(sys.argv[1] + ".log"):
    store = Store(root=Path(sys.argv[1]), limit=1)
    with access.open_revision(model, "step1", name="m", root=Path(), store=store) as folder:
        found = sorted(p.name for p in folder.path.iterdir() if not p.name.startswith("."))
        print(folder.commit, *found, file=sys.__stdout__)
"""


def start(root: Path, **environment: str) -> subprocess.Popen:
    """Opens the revision as a job does: the client reads its variables when it is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY") and not k.startswith("HF_")}
    command, pipe = [sys.executable, "-c", ASK, str(root / "scratch")], subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=kept | environment, stdout=pipe, stderr=pipe, text=True)


def ask(root: Path, **environment: str) -> subprocess.CompletedProcess:
    with start(root, **environment) as process:
        output = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, *output)


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


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_an_encrypted_hub_behind_a_proxy(tmp_path):
    """Through a tunnel to a Hub that only the proxy can reach, whose certificate must be known; downloads go that way too."""
    made = Hub()
    made.branches[REPO] = {"step1": dict(FILES)}
    certificate, context = certify(tmp_path, "hub.invalid", "localhost")
    with serving(made, context) as endpoint, tunnelling(int(endpoint.rsplit(":", 1)[1])) as (proxy, asked):
        environment = {"HF_ENDPOINT": "https://hub.invalid", "HTTPS_PROXY": proxy, "HF_HOME": str(tmp_path / "hf")}
        found = ask(tmp_path, SSL_CERT_FILE=str(certificate), **environment)
        assert found.stdout.split()[0] == made.commit(REPO, "step1"), found.stderr
        assert {place.split(":")[0] for place in asked} == {"hub.invalid", "localhost"}
        served = len(made.requests)
        unknown = ask(tmp_path, **environment)
        assert unknown.returncode != 0
        assert "the server's certificate is not trusted (self-signed certificate)" in unknown.stderr
        assert "SSL_CERT_FILE" in unknown.stderr
        assert len(made.requests) == served


def test_a_hub_that_nobody_reaches_is_named_on_the_terminal_and_waited_for(tmp_path):
    """Nothing listens there; the user need not open the log to learn why the job takes its time."""
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf")}
    with start(tmp_path, **environment) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        process.terminate()
        rest = process.stderr.read()
    assert process.returncode == 143, rest  # in the middle of a wait
    expected = r"look up owner/model step1 on http://127.0.0.1:9: no connection \(Connection refused\); trying again in \d.\d s"
    for line in lines:
        assert re.fullmatch(expected, line.strip()), line
    assert lines[0] in (tmp_path / "scratch.log").read_text()


def test_a_name_that_does_not_resolve_is_given_up_soon_with_what_to_check(monkeypatch, caplog):
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    quick = Patience(first=0.001, most=0.002)
    with pytest.raises(RevisionError, match="hub.invalid.* does not resolve .*HF_ENDPOINT.* gave up after 7 attempts"):
        hub.list_revision(REPO, "step1", patience=quick)
    assert [record.levelname for record in caplog.records if "trying again" in record.message] == ["WARNING"] * 6


def test_the_proxy_that_is_asked_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example")
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "other.example")
    with pytest.raises(
        RevisionError, match=r"through the proxy http://127.0.0.1:9 \(HTTP_PROXY\): no connection"
    ) as caught:
        hub.list_revision(REPO, "step1", patience=Patience(tries=1))
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "hub.example")
    assert proxy_for("http://hub.example/x") == ""


REFUSALS = {
    "wrong token": ({"status": 401, "headers": {"X-Error-Message": BAD_TOKEN}}, "HTTP 401.*HF_TOKEN.* expired"),
    "private": (
        {"status": 401, "headers": {"X-Error-Code": "RepoNotFound"}},
        "no such repository, or does not open it to you: .*HF_TOKEN",
    ),
    "gated": ({"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "gated: ask for access on its page"),
    "no right": ({"status": 403}, "HTTP 403.*HF_TOKEN.* gives no right"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_the_token_has_to_do_with_it(server, name):
    facts, said = REFUSALS[name]
    server.fault = always("status", "/api/models", **facts)
    with pytest.raises(RevisionError, match=f"look up owner/model step1 .*: .*{said}"):
        hub.list_revision(REPO, "step1", patience=QUICK)
    assert len([request for request in server.requests if "/api/models" in request.path]) == 1


def test_a_login_page_in_place_of_an_answer_is_told(server):
    server.fault = always("page", "/api/")
    with pytest.raises(RevisionError, match="a web page came instead of the Hub's answer.* gave up after 4 attempts"):
        hub.list_revision(REPO, "step1", patience=QUICK)


def test_a_stall_names_the_setting_of_the_time_out(server):
    server.fault = always("stall", "/api/models", at=0.0, seconds=0.6)
    with pytest.raises(RevisionError, match=r"stalled for 0.4 s \(HF_HUB_DOWNLOAD_TIMEOUT\)"):
        hub.list_revision(REPO, "step1", patience=Patience(tries=1))


def test_a_mirrors_password_is_not_shown(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "https://me:secret@mirror:8443/hub")
    assert hub.endpoint() == "https://mirror:8443/hub"


@pytest.mark.parametrize("content", [b"hf_\xff", None], ids=["no text", "a folder"])
def test_a_token_that_cannot_be_read_is_named(tmp_path, monkeypatch, content):
    path = tmp_path / "token"
    path.mkdir() if content is None else path.write_bytes(content)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(RevisionError, match=rf"HF_TOKEN_PATH or HF_HOME names, {path}, cannot be read"):
        hub.endpoint()


@pytest.mark.parametrize(
    "value",
    [
        "hub.example",
        "localhost:8080",
        "https://",
        "http:/hub",
        "ftp://hub",
        "http://hub:port",
        "me:secret@hub",
        "",
        "https://hub ",
        "https://my hub",
    ],
)
def test_an_endpoint_that_is_no_address_is_named_at_once(monkeypatch, value):
    monkeypatch.setattr(constants, "ENDPOINT", value)
    with pytest.raises(RevisionError, match="HF_ENDPOINT is .*expected the address of a Hub: https://name") as caught:
        hub.list_revision(REPO, "step1", patience=Patience(tries=1))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HF_TOKEN", "hf_pasted\u028bxyz", "HF_TOKEN.* holds a character that no token has"),
        ("SSL_CERT_FILE", "/gone/ca.pem", "SSL_CERT_FILE names /gone/ca.pem, which is no file"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE names .*test_environment.py, which holds no certificate"),
        ("SSL_CERT_DIR", "/gone/certs", "SSL_CERT_DIR names /gone/certs, which is no folder"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "1.5", "HF_HUB_DOWNLOAD_TIMEOUT is '1.5', expected a whole number of seconds"),
        ("HF_HUB_ETAG_TIMEOUT", "", "HF_HUB_ETAG_TIMEOUT is '', expected a whole number of seconds"),
        ("HTTPS_PROXY", "proxy:port", "HTTPS_PROXY is 'proxy:port', expected the address of a proxy"),
        ("HTTP_PROXY", "ftp://me:pasted@proxy", "HTTP_PROXY is 'proxy', expected the address of a proxy"),
        ("ALL_PROXY", "socks5://localhost:9", "ALL_PROXY is .*install socksio, or name an HTTP proxy"),
    ],
)
def test_a_variable_with_which_nobody_can_be_asked_is_named_at_once(server, monkeypatch, name, value, said):
    for other in ("SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(RevisionError, match=said) as caught:
        hub.list_revision(REPO, "step1", patience=QUICK)
    assert "pasted" not in str(caught.value)
    assert not server.requests


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
    assert offline == found
    hashes = {file.name: file.sha256 or file.blob for file in listing.files}
    cached = hub.cached_listing(REPO, "step1", found)
    assert cached.commit == listing.commit
    assert {file.name: file.sha256 or file.blob for file in cached.files}.items() <= hashes.items()
    (found / "model.safetensors").resolve().write_bytes(b"x" * len(BIG))
    with pytest.raises(RevisionError, match="in the cache .*model.safetensors is not what the Hub lists"):
        hub.offline_revision(REPO, "step1")
    with pytest.raises(RevisionError, match="HF_HUB_OFFLINE is set.*hf download owner/model --revision step9"):
        hub.offline_revision(REPO, "step9")
