"""A branch on a local Hub, at which the client of this process is pointed, and faults for the requests to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import constants, file_download

from tests.hub_server import Fault, Hub, Request, serving
from w2sg.revisions import download, hub
from w2sg.revisions.retries import Patience

REPO = "owner/model"
QUICK = Patience(tries=6, first=0.001, most=0.01)
RNG = np.random.default_rng(3)
BIG = RNG.bytes(40_000)
BIG_PATH = "/cdn/" + hashlib.sha256(BIG).hexdigest()
CHUNK = 1000
"""Bytes after which the client writes; what a cut takes of an unfinished chunk is fetched again."""
TOKENIZER = json.dumps({"model": {"type": "BPE", "vocab": {f"token{n}": n for n in range(400)}, "merges": []}}).encode()
FILES = {
    "config.json": b'{"model_type": "gpt_neox"}',
    "tokenizer.json": TOKENIZER,
    "model.safetensors": BIG,
    "pytorch_model.bin": RNG.bytes(6_000),
    "modeling_olmo.py": b"raise SystemExit",
    "training_args.bin": b"pickle",
    "README.md": b"words",
}
CUTS = RNG.uniform(0, 1, size=4)
"""Where downloads are cut, as fractions of the file."""


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
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
        # The client's own waits; the server's stalls go on.
        monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))
        yield made


def fetch(target: Path, revision: str = "step1", patience: Patience = QUICK) -> hub.Listing:
    listing = hub.list_revision(REPO, revision, patience=patience)
    target.mkdir(exist_ok=True)
    download.download(listing, hub.choose_files(listing), target, patience=patience)
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


def always(kind: str, part: str, **facts):
    return lambda request: Fault(kind=kind, **facts) if part in request.path and request.method == "GET" else None
