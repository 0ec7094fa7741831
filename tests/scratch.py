"""A store of snapshots below a temporary folder, and a Snakemake run that is alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2sg.revisions.scratch import Store
from w2sg.runtime import driver
from w2sg.runtime.locks import try_lock


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
    monkeypatch.setenv(driver.RUN_VARIABLE, str(path))
    return descriptor
