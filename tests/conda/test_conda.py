"""``snakemake --use-conda`` makes the environments of envs/ and gives the same tables in them.

With a conda on the path it is the real one. Without, a stand-in solves and installs from a local channel: then names,
versions, needs and the wiring are tested, conda-forge's builds are not. Run by ``make conda-test``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conda import channel
from tests.dag.conftest import ROOT, unstarted

SOLVER = os.environ.get("CONDA_TEST", "")
"""The interpreter of the environment that holds rattler."""
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
pytestmark = pytest.mark.skipif(not SOLVER, reason="started by make conda-test")


@dataclass(frozen=True, kw_only=True)
class Conda:
    """Where ``conda`` is and what it needs to know."""

    real: bool
    path: str
    base: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["conda", *arguments], capture_output=True, text=True, timeout=3600, check=False)


@pytest.fixture(scope="module")
def conda(tmp_path_factory) -> Conda:
    path = os.environ["PATH"]
    if shutil.which("conda"):
        return Conda(real=True, path=path, base="https://conda.anaconda.org")
    folder = tmp_path_factory.mktemp("conda")
    assert channel.build(folder / "channels", ENVIRONMENTS) > len(channel.asked_for(ENVIRONMENTS))
    subprocess.run([SOLVER, str(ROOT / "tests/conda/standin.py"), "--install", str(folder / "standin")], check=True)
    return Conda(real=False, path=f"{folder}/standin/bin:{path}", base=(folder / "channels").as_uri())


@pytest.fixture(autouse=True)
def on_path(conda, monkeypatch) -> None:
    monkeypatch.setenv("PATH", conda.path)
    if not conda.real:
        monkeypatch.setenv("STANDIN_CHANNELS", conda.base.removeprefix("file://"))
        monkeypatch.setenv("STANDIN_ROOT", str(Path(conda.path.split(":")[0]).parent))


def test_the_study_run_in_conda_environments_gives_the_same_tables(finished, conda, tmp_path):
    workflow = unstarted(finished, tmp_path / "run")
    workflow.run("--use-conda")
    made = sorted(path.parent.name for path in workflow.folder.glob(".snakemake/conda/*/conda-meta"))
    assert len(made) == 2, made  # torch and analysis
    assert workflow.tables() == finished.tables()
    assert "Nothing to be done" in workflow.run("-n", "--use-conda")
    assert "Nothing to be done" in workflow.run("-n")  # without conda the results stay as good as they were
    for prefix in workflow.folder.glob(".snakemake/conda/*/conda-meta"):
        command = [prefix.parent / "bin/python", "-I", "-c", "import sys; print(sys.prefix)"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        assert Path(found.stdout.strip()) == prefix.parent


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_can_import_all_that_it_lists(path, conda, tmp_path):
    """Alone, with ``-I``: a job would also find the packages of the Python that runs Snakemake."""
    done = conda.run(
        "env", "create", "--quiet", "--no-default-packages", "--file", str(path), "--prefix", str(tmp_path / "env")
    )
    assert done.returncode == 0, done.stderr
    modules = {
        "scikit-learn": "sklearn",
        "vl-convert-python": "vl_convert",
        "pytorch": "torch",
        "pyyaml": "yaml",
        "snakemake-minimal": "snakemake",
    }
    names = sorted(channel.asked_for([path]).values())
    imports = "; ".join(f"import {modules.get(name, name.replace('-', '_'))}" for name in names)
    subprocess.run([tmp_path / "env/bin/python", "-I", "-W", "ignore", "-c", imports], check=True)


def test_a_version_that_no_channel_has_is_refused(conda, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((ROOT / "envs/torch.yaml").read_text().replace("numpy=2.4", "numpy=1.9.0.1"))
    done = conda.run(
        "env", "create", "--quiet", "--no-default-packages", "--file", str(wrong), "--prefix", str(tmp_path / "env")
    )
    assert done.returncode != 0
    assert "numpy" in done.stderr + done.stdout


def test_pins_name_every_package_once_with_its_checksum(conda, tmp_path):
    command = [
        SOLVER,
        str(ROOT / "envs/lock.py"),
        "--base",
        conda.base,
        "--platforms",
        "linux-64",
        "--into",
        str(tmp_path),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    for path in ENVIRONMENTS:
        lines = (tmp_path / f"{path.stem}.linux-64.pin.txt").read_text().splitlines()
        assert lines[:2] == ["# platform: linux-64", "@EXPLICIT"]
        addresses, sums = zip(*(line.split("#") for line in lines[2:]), strict=True)
        assert all(address.startswith(conda.base) for address in addresses)
        assert all(len(value) == 32 for value in sums)
        for name in channel.asked_for([path]).values():
            assert sum(f"/{name}-" in address for address in addresses) >= 1, name
