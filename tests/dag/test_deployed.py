"""A workflow that Snakemake fetches from a Git host, as snakedeploy writes it, with the package installed beside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from w2sg import __version__

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = """
from snakemake.utils import min_version

min_version("6.10.0")


configfile: "config/config.yaml"


module w2sg:
    snakefile:
        github("OWNER/w2sg", path="workflow/Snakefile", tag="v0")
    config:
        config


use rule * from w2sg
"""
"""What ``snakedeploy deploy-workflow https://github.com/OWNER/w2sg . --tag v0`` writes (0.17.1)."""


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Path:
    """The folder of a Git host on this machine, with this project as OWNER/w2sg at tag v0."""
    host = tmp_path_factory.mktemp("host")
    clone = host / "OWNER" / "w2sg"
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "workflow", "envs", "w2sg/__init__.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "all"], ["tag", "v0"]):
        subprocess.run(["git", *words], cwd=clone, check=True)
    return host


def plan(place: Path, host: Path, package: Path | None) -> tuple[int, str]:
    """Plans the deployed study; a request to the Git host goes to ``host``."""
    (place / "workflow").mkdir()
    (place / "workflow" / "Snakefile").write_text(DEPLOYED)
    shutil.copytree(ROOT / "config", place / "config")
    redirected = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{host}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(host / "cache"),
        "PYTHONPATH": str(package or ""),
    }
    command = [sys.executable, "-P", "-m", "snakemake", "--cores", "1", "-n", "-q", "rules"]
    done = subprocess.run(command, cwd=place, env=os.environ | redirected, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_it_plans_the_study_of_its_own_configuration(tmp_path, host):
    status, text = plan(tmp_path, host, ROOT)
    assert status == 0, text
    assert "train_heads               38" in text


def test_another_version_of_the_package_is_refused_by_name(tmp_path, host):
    shutil.copytree(ROOT / "w2sg", tmp_path / "site" / "w2sg")
    (tmp_path / "site" / "w2sg" / "__init__.py").write_text('__version__ = "0.0.1"\n')
    status, text = plan(tmp_path, host, tmp_path / "site")
    assert status != 0
    assert f'the rules have __version__ = "{__version__}", the installed package w2sg __version__ = "0.0.1"' in text


def test_the_catalog_finds_what_it_asks_for():
    """The requirements of "standardized usage" of the Snakemake workflow catalog."""
    settings = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert settings["usage"]["software-stack-deployment"]["conda"] is True
    assert settings["usage"]["report"] is True
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert (ROOT / "config" / "README.md").is_file()
    assert {path.suffix for path in (ROOT / "workflow" / "rules").iterdir()} == {".smk"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme
