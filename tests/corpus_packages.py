"""Synthetic packages of two corpora: a wheel with tables of posts, and an archive of mails."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2sg.data import corpora, readers
from w2sg.study.fields import read
from w2sg.study.texts.corpora import CorpusEntry

GROUPS = ("comp.x", "rec.y")
RULE = {"ngram": 3, "window": 12, "containment": 0.5}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tab(posts: list[tuple[str, str]], *, empty_line: bool = True) -> bytes:
    out = io.StringIO(newline="")
    out.write("Category\tText\nd\tstring\nclass\t\n" + ("\n" if empty_line else ""))
    csv.writer(out, delimiter="\t", lineterminator="\n").writerows(posts)
    return out.getvalue().encode()


def posts(n: int, seed: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    return [(GROUPS[i % 2], " ".join(f"w{j}" for j in rng.integers(9999, size=30))) for i in range(n)]


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts, holding the members as data files."""
    info = "corpuspack-1.0.dist-info"
    files = members | {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: corpuspack\nVersion: 1.0\nRequires-Dist: none\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def package(tmp_path):
    """A wheel with two tables, and the entry of the configuration that describes it."""
    members = {"d/train.tab": tab(posts(60, 0)), "d/test.tab": tab(posts(30, 1))}
    path = wheel(tmp_path / "corpuspack-1.0-py3-none-any.whl", members)
    spec = {
        "source": "path",
        "path": str(path),
        "sha256": sha(path.read_bytes()),
        "reader": "newsgroups",
        "members": {
            "train": {"name": "d/train.tab", "sha256": sha(members["d/train.tab"])},
            "pair_texts": {"name": "d/test.tab", "sha256": sha(members["d/test.tab"])},
        },
        "heldout": {"fraction": 0.1, "seed": 0},
        "duplicates": RULE,
    }
    return path, spec


def mail(subject: str, body: str, **parts: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Somebody Else <s@example.org>"
    if body:
        message.set_content(body, cte="quoted-printable")
    if "html" in parts:
        if body:
            message.add_alternative(parts["html"], subtype="html", cte="base64")
        else:
            message.set_content(parts["html"], subtype="html", cte="base64")
    return message.as_bytes()


def archive(path: Path, mails: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as out:
        for name, content in mails.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return path


def many_mails(seed: int = 0) -> dict[str, bytes]:
    """Eighty mails, of which ten are the same spam with another greeting."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefghij"), size=6)) for _ in range(3000)]
    mails = {}
    for i in range(80):
        group = "spam-1" if i < 40 else ("easy-ham-1" if i % 2 else "hard-ham-1")
        chosen = rng.choice(words, size=40)
        if i < 10:
            chosen = [words[i], *words[100:139]]
        name = f"data/{group}/{i:05d}.{i:032x}"
        mails[f"{name}.txt"] = mail("subject", " ".join(chosen))
        mails[f"{name}.json"] = b"{}"
    return mails


@pytest.fixture
def mails(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "_MAILS", 80)
    path = archive(tmp_path / "mails.tgz", many_mails())
    spec = {
        "source": "path",
        "path": str(path),
        "sha256": sha(path.read_bytes()),
        "reader": "spam_assassin",
        "pair_texts": {"fraction": {"spam": 0.5, "ham": 0.25}, "seed": 0},
        "heldout": {"fraction": 0.05, "seed": 0},
    }
    return path, spec


def load_corpus(spec: dict[str, Any], cache: Path) -> corpora.Corpus:
    """The documents of an entry as a file would say it."""
    return corpora.load_corpus(read(CorpusEntry, spec, ("corpora", "c")), name="c", cache=cache)
