"""Reference and JSON Schema are those of the sections; editors accept shipped files and parts, and refuse mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from w2sg.study import reference

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))
SCHEMA = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_reference_and_the_schema_are_up_to_date():
    assert (ROOT / "config" / "README.md").read_text(encoding="utf-8") == reference.reference()
    assert reference.schema() == SCHEMA


def test_the_reference_has_every_key_of_datasets_and_corpora():
    text = reference.reference()
    for key in ("skip_above", "hub_splits", "split.seed", "files.weak_supervision", "fields.prompt", "deal", "pool"):
        assert f"`datasets.<name>.{key}`" in text
    for key in ("members.train.sha256", "duplicates.ngram", "pair_texts.fraction", "heldout.seed", "version", "path"):
        assert f"`corpora.<name>.{key}`" in text


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_editors_accept_every_shipped_file_alone(path):
    text = path.read_text()
    modeline = text.split("\n", 1)[0]
    assert modeline == "# yaml-language-server: $schema=../workflow/schemas/config.schema.json"
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize(
    "overlay",
    [
        {"heads": {"margn": "pair"}},
        {"heads": {"seeds": ["0"]}},
        {"metrics": {}},
        {"datasets": {"mine": {"source": "files", "repo": "a/b"}}},
        {"datasets": {"mine": {"pare": 8}}},
        {"models": {"mine": {"source": "hub", "repo": "a"}}},
        {"models": {"a b": {"source": "hub"}}},
        {"activations": {"layers": "last"}},
        {"families": {"mine": {"select": {"evry": 2}}}},
        {"corpora": {"mine": {"source": "npm", "version": 1.0}}},
    ],
)
def test_editors_refuse_a_wrong_overlay(overlay):
    assert list(VALIDATOR.iter_errors(overlay))


def test_the_schema_accepts_parts_of_entries():
    overlay = {
        "heads": {"paper": {"epochs": 2}},
        "datasets": {
            "spam": {"pairs": 100},
            "mine": {"source": "files", "file": "f.jsonl", "fields": {"prompt": None}},
        },
        "activations": {"layers": [0, -1]},
    }
    assert list(VALIDATOR.iter_errors(overlay)) == []
