"""The simulated sweep of the benchmark, small: the bound holds, nobody waits for ever, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import disk
from w2sg.revisions.scratch import Store

TABLE = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "disk.tsv"
FAULTS = "1:fail-fetch,2:kill-extract,4:kill-fetch,6:fail-extract"


@pytest.mark.parametrize(
    ("mode", "cores", "snapshots"),
    [("split", 1, 1), ("split", 2, 3), ("split", 3, 2), ("fused", 1, 1), ("fused", 3, 2)],
)
def test_the_bound_holds_and_everything_ends(tmp_path, mode, cores, snapshots):
    setting = disk.Setting(
        mode=mode, cores=cores, snapshots=snapshots, revisions=8, download=0.02, compute=0.02, faults=FAULTS
    )
    outcome = disk.simulate(setting, tmp_path)
    assert outcome.done == 4, outcome.errors
    assert 1 <= outcome.peak <= snapshots
    assert outcome.left == 0


def test_after_a_killed_run_the_next_one_starts_clean_and_ends(tmp_path):
    setting = disk.Setting(mode="split", cores=2, snapshots=2, revisions=4, download=0.02, compute=30)
    process = subprocess.Popen(
        disk.command(setting, tmp_path), cwd=disk.ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        give_up = time.monotonic() + 60
        while len(list(tmp_path.glob("scratch/*/*/weights"))) < 2 and time.monotonic() < give_up:
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(Store(root=tmp_path / "scratch", limit=2).folders()) == 2
    again = disk.simulate(
        disk.Setting(mode="split", cores=2, snapshots=2, revisions=4, download=0, compute=0), tmp_path
    )
    assert (again.done, again.left) == (4, 0), again.errors
    assert again.peak <= 2


def test_the_committed_table_shows_the_goal():
    assert TABLE.read_text(encoding="utf-8").startswith("# machine: ")
    table = pd.read_csv(TABLE, sep="\t", comment="#")
    assert (table["revisions"] == 60).all()
    assert (table["peak"] <= table["snapshots"]).all()
    assert (table["left_behind"] == 0).all()
    assert (table["results"] == table["revisions"] - table["faults"]).all()
    # A fused job holds a core while it downloads: it fills the disk only with a core for each snapshot.
    several = table[(table["cores"] >= table["snapshots"]) | ((table["mode"] == "split") & (table["compute_s"] > 1))]
    assert set(several["mode"]) == {"fused", "split"}
    assert (several["wall_s"] <= several["allowed_s"]).all()
