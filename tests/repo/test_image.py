"""The container's recipes: both take the same files, those are enough, and actions in CI are pinned with few rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
APPTAINER = (ROOT / "w2sg.def").read_text(encoding="utf-8")
COPIED = re.findall(r"^COPY (\S+) \S+$", DOCKERFILE, flags=re.M)
JOBS = [
    pytest.param(job, id=f"{path.stem}-{name}")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items()
]


def test_docker_and_apptainer_take_the_same_files_from_the_same_base():
    section = APPTAINER.partition("%files\n")[2].partition("\n\n")[0]
    assert [line.split() for line in section.splitlines()] == [[name, f"/opt/w2sg/{name}"] for name in COPIED]
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.M) == re.findall(r"^From: (\S+)", APPTAINER, flags=re.M)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line[0] == "!"} == set(COPIED)
    targets = re.findall(r"make (\.venv/.*)$", DOCKERFILE, flags=re.M)
    assert " ".join(targets) in APPTAINER


def test_what_is_taken_is_enough_to_plan_a_study(tmp_path):
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / "image" / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / "image" / name)
    (tmp_path / "study").mkdir()
    command = "import sys; from w2sg.command.app import enter; sys.argv[1:] = ['run', '-n', '-q', 'rules']; enter()"
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'image')!r}); {command}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path / "study", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"^train_heads +38$", done.stdout, flags=re.M)


@pytest.mark.parametrize("job", JOBS)
def test_actions_are_pinned_by_commit(job):
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", name)] == []
    assert all(step["with"]["persist-credentials"] is False for step in job["steps"] if "checkout" in str(step))
    assert job["timeout-minutes"] <= 60


def test_only_a_release_may_write():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    writing = {p.id: p.values[0]["permissions"] for p in JOBS if "permissions" in p.values[0]}
    assert writing == {"release-release": {"contents": "write", "packages": "write"}}


def test_a_release_finds_its_section_of_the_changelog():
    from w2sg import __version__

    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert __version__ in headings
    assert headings == sorted(headings, key=lambda name: name != "Unreleased")
