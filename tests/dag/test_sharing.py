"""A finished study as one archive: what is in it, that its bytes are always the same, and that it opens where nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from w2sg.command import app as command
from w2sg.command.places import CommandError
from w2sg.sharing import archive

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory) -> archive.Archive:
    place = tmp_path_factory.mktemp("packed") / "smoke.zip"
    return archive.pack_study(finished.folder / "results" / "smoke", place, licence="cc-by-4.0")


def test_it_holds_what_one_reads_and_nothing_that_is_large(packed, finished):
    results = finished.folder / "results" / "smoke"
    for name in ("report.html", "tables/metrics.parquet", "tables/summary.csv", "definitions.json"):
        assert packed.read(name) == (results / name).read_bytes()
    parts = {name.split("/")[0] for name in packed.files}
    assert {"predictions", "weak_labels", "figures", "config.json", "origin.json", "README.md"} <= parts
    assert not [name for name in packed.files if name.endswith(".safetensors") or "/." in name or "families" in name]
    config = json.loads(packed.read("config.json"))
    assert config["study"] == "smoke" and config["sweep"]["datasets"] == finished.config["sweep"]["datasets"]
    assert "config" not in packed.origin and {"code", "config_sha256", "versions"} <= set(packed.origin)


def test_the_same_files_give_the_same_bytes(packed, finished, tmp_path):
    copied = shutil.copytree(finished.folder / "results" / "smoke", tmp_path / "copy")
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
    again = archive.pack_study(copied, tmp_path / "other.zip", licence="cc-by-4.0")
    assert again.path.read_bytes() == packed.path.read_bytes()


def test_its_card_has_a_head_numbers_and_sources(packed, finished):
    _, head, text = packed.read("README.md").decode().split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["license"] == "cc-by-4.0"
    assert {entry["data_files"] for entry in said["configs"]} <= set(packed.files)
    assert [line for line in text.splitlines() if line.startswith("| family | dataset |")]
    for name in finished.config["sweep"]["datasets"]:
        assert f"| {name} | pairs or labelled texts |" in text


def test_it_opens_where_nothing_else_is(packed, tmp_path):
    command_line = [sys.executable, "-m", "w2sg.command", "show", str(packed.path), "--json"]
    package = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command_line, cwd=tmp_path, env=package, capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout)
    assert shown["summary"].encode() == packed.read("tables/summary.txt")
    with open(shown["report"], "rb") as report:
        assert report.read() == packed.read("report.html")
    assert list(tmp_path.iterdir()) == []
    shutil.rmtree(os.path.dirname(shown["report"]))


def test_the_command_packs_the_study_that_ran(packed, finished, tmp_path):
    words = [
        "export",
        "--directory",
        str(finished.folder),
        "--output",
        str(tmp_path / "a.zip"),
        "--licence",
        "cc-by-4.0",
    ]
    found = CliRunner().invoke(command.app, words)
    assert found.exit_code == 0, found.output
    assert (tmp_path / "a.zip").read_bytes() == packed.path.read_bytes()


def test_a_changed_file_is_named(packed, tmp_path):
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(packed.path) as old, zipfile.ZipFile(damaged, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, b"x" if entry.filename.endswith("summary.csv") else old.read(entry))
    found = CliRunner().invoke(command.app, ["show", str(damaged)])
    assert isinstance(found.exception, CommandError)
    assert "tables/summary.csv is not what its checksum says" in str(found.exception)


def test_what_is_no_archive_or_not_finished_is_refused(tmp_path):
    (tmp_path / "other.zip").write_bytes(b"no zip")
    with pytest.raises(archive.ArchiveError, match="is no archive that w2sg export wrote"):
        archive.open_archive(tmp_path / "other.zip")
    with pytest.raises(archive.ArchiveError, match=r"has no report\.html: only a finished study is packed"):
        archive.pack_study(tmp_path, tmp_path / "a.zip")
