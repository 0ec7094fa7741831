"""Packages fetched by the real pip, offline, and by a stand-in for npm; none is used whose checksum is another."""

from __future__ import annotations

import os
import sys

import pytest

from tests.corpus_packages import mails as mails
from tests.corpus_packages import package as package
from w2sg.data import corpora, packages


def test_checksums_are_checked(package, tmp_path):
    path, spec = package
    wrong = {**spec, "sha256": "0" * 64}
    with pytest.raises(ValueError, match="whl: sha256 is .* expected 000.*delete it and fetch it again"):
        corpora.load_corpus(wrong, name="c", cache=tmp_path)
    members = {**spec["members"], "train": {"name": "d/train.tab", "sha256": "1" * 64}}
    with pytest.raises(ValueError, match=r"member d/train.tab: sha256 is"):
        corpora.load_corpus({**spec, "members": members}, name="c", cache=tmp_path)
    members = {**spec["members"], "train": {"name": "d/none.tab", "sha256": "1" * 64}}
    with pytest.raises(ValueError, match=r"members.train: .* has no member d/none.tab"):
        corpora.load_corpus({**spec, "members": members}, name="c", cache=tmp_path)
    with pytest.raises(RuntimeError, match="no such file; correct path in corpora"):
        corpora.load_corpus({**spec, "path": str(tmp_path / "none.whl")}, name="c", cache=tmp_path)
    with pytest.raises(ValueError, match="members: got .*expected evaluation and train"):
        corpora.load_corpus({**spec, "members": {}}, name="c", cache=tmp_path)


def test_pip_fetches_one_wheel_without_dependencies(package, tmp_path, monkeypatch):
    path, spec = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    cache = tmp_path / "cache"
    fetched = {key: value for key, value in spec.items() if key != "path"}
    fetched |= {"source": "pypi", "package": "corpuspack", "version": "1.0"}
    first = packages.locate_package(fetched, cache)
    assert first.read_bytes() == path.read_bytes()
    assert os.listdir(cache) == [first.name]
    path.unlink()
    assert packages.locate_package(fetched, cache) == first  # from the cache: pip would fail now
    with pytest.raises(RuntimeError, match="(?s)could not fetch corpuspack 2.0 with .*set path in corpora"):
        packages.locate_package({**fetched, "version": "2.0"}, cache)
    assert os.listdir(cache) == [first.name]


def test_a_wrong_download_never_reaches_the_cache(package, tmp_path, monkeypatch):
    path, spec = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    fetched = {"source": "pypi", "package": "corpuspack", "version": "1.0", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="sha256 is"):
        packages.locate_package(fetched, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_without_pip_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages.shutil, "which", lambda name: "/bin/pip3" if name == "pip3" else None)
    spec = {"package": "a", "version": "1", "source": "pypi"}
    assert packages._pip_command(spec, tmp_path)[:2] == ["/bin/pip3", "download"]
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="no pip to fetch a==1: install pip, or get it and set path in corpora"):
        packages._pip_command(spec, tmp_path)
    with pytest.raises(RuntimeError, match="no npm to fetch a@1: install Node.js, or"):
        packages._npm_command(spec, tmp_path)


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
    assert packages.locate_package(fetched, tmp_path / "cache").read_bytes() == path.read_bytes()
    corpus = corpora.load_corpus(fetched, name="c", cache=tmp_path / "cache")
    assert corpus.facts["documents_found"] == 80
