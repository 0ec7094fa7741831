"""A store of snapshots below a temporary folder, and a Snakemake run that is alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2sg import runs
from w2sg.locks import try_lock
from w2sg.snapshots import Store


def store(root: Path, **changes) -> Store:
    return Store(root=root, **({"limit": 2, "poll": 0.01, "patience": 0.05} | changes))


def kept(root: Path, revision: str) -> Path:
    with store(root, patience=30).snapshot("m", revision, size=1, keep=True) as folder:
        (folder / "weights").write_bytes(b"x")
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch) -> int:
    """A Snakemake run that is alive until its descriptor is closed."""
    path = tmp_path / "run"
    descriptor = try_lock(path)
    assert descriptor is not None
    monkeypatch.setenv(runs.RUN_VARIABLE, str(path))
    return descriptor
