"""Entries of the configuration that describe pairs: mistakes are named, and checking them loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pair_corpus import ORDER, TOPIC
from w2sg.data import parsers
from w2sg.study.datasets import PARSERS, check_pair_spec, minimum_rows

FILES = {"source": "files", "file": "f.jsonl", "split": {"seed": 0}}
HUB = {"source": "hub", "repo": "owner/name", "pairs": 10}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "datasets.x.source: got None, allowed: corpus, files, hub"),
        ({**TOPIC, "pares": 5}, "datasets.x: unknown key 'pares'; did you mean 'pairs'?"),
        ({**TOPIC, "pairs": "2000"}, "datasets.x.pairs: got '2000', expected an integer >= 1"),
        ({**TOPIC, "pairs": True}, "datasets.x.pairs: got True"),
        ({**TOPIC, "task": "topics"}, "datasets.x.task: got 'topics', expected one of topic, order"),
        ({**TOPIC, "chosen": "comp"}, "datasets.x.chosen: got 'comp', expected a non-empty list of texts"),
        (
            {"source": "corpus", "corpus": "c", "task": "topic", "pairs": 5},
            "task topic needs both chosen and rejected",
        ),
        ({**ORDER, "chosen": ["a"]}, "task order takes no chosen"),
        ({**ORDER, "min_words": 33}, "min_words 33 exceeds words 32"),
        ({**TOPIC, "minimum": 21}, "minimum 21 exceeds pairs 20; lower minimum"),
        ({**TOPIC, "pool": "max"}, "datasets.x.pool: got 'max', expected one of last, mean"),
        ({"source": "files"}, "datasets.x: give files, one for each of ground_truth"),
        ({**FILES, "files": {}}, "datasets.x: give files"),
        ({"source": "files", "file": "f.jsonl"}, "datasets.x.split: missing key 'seed'"),
        (
            {"source": "files", "files": {"train": "a"}},
            "datasets.x.files: got train, expected exactly ground_truth",
        ),
        ({**FILES, "fields": {"question": "q"}}, "datasets.x.fields: got keys ['question'], allowed: prompt"),
        ({**FILES, "on_invalid": "skip"}, "datasets.x.on_invalid: got 'skip', expected one of error, drop"),
        ({**HUB, "parser": "hh"}, "datasets.x.parser: got 'hh', expected one of columns"),
        ({**HUB, "parser": "hh_single_turn", "fields": {"prompt": "p"}}, "fields belong to parser columns"),
        ({"source": "hub", "repo": "a/b"}, "datasets.x: missing key 'pairs', an integer >= 1"),
    ],
)
def test_mistakes_in_an_entry_are_named(spec, message):
    with pytest.raises(ValueError) as caught:
        check_pair_spec("x", spec)
    assert message in str(caught.value)


def test_correct_entries_pass():
    for spec in (TOPIC, ORDER, FILES, HUB, {**HUB, "parser": "cai_harmless", "revision": "main"}):
        check_pair_spec("x", spec)
    assert set(PARSERS) == {"columns", *parsers.PARSERS}


def test_minimum_rows():
    assert minimum_rows({"pairs": 4000}) == 4000
    assert minimum_rows({"pairs": 4000, "on_invalid": "drop"}) == 3960
    assert minimum_rows({"pairs": 4000, "on_invalid": "drop", "minimum": 10}) == 10
    assert minimum_rows({}) == 1


def test_specs_need_the_standard_library_only():
    code = (
        "import sys; before = set(sys.modules); import w2sg.study.datasets; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'w2sg'}))"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
