"""First rows of the user's own files: what is wrong is known before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2sg.data.door.files import check_enough, check_files, first_dialogues, first_texts
from w2sg.study.datasets import DatasetEntry, least_pairs
from w2sg.study.fields import ConfigError, read
from w2sg.study.texts.corpora import CorpusEntry

GOOD = {"prompt": "p", "chosen": "c", "rejected": "r"}


def config(entry: dict[str, Any], text: dict[str, Any] | None = None) -> dict[str, Any]:
    scored = text or {"source": "hub", "repo": "a/b", "revision": "c"}
    return {
        "datasets": {"mine": read(DatasetEntry, entry).model_dump()},
        "corpora": {"t": read(CorpusEntry, scored).model_dump()},
        "evaluation": {"corpus": "t", "documents": 2},
    }


MANY = [GOOD | {"prompt": f"p{n}"} for n in range(60)]
"""Rows of different prompts."""


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.jsonl", "", "f.jsonl is empty (0 bytes)"),
        ("f.jsonl", "\n", "f.jsonl: holds no row"),
        ("f.jsonl", lines({"prompt": "p", "chosen": "c"}), "f.jsonl, row 1: no field 'rejected'; fields are 'prompt', 'chosen'"),
        ("f.jsonl", lines(GOOD, GOOD | {"chosen": 3}), "f.jsonl, row 2: chosen is of type int, expected text; correct or remove"),
        ("f.csv", "id, prompt,chosen,rejected\n1,p,c,r\n", "no field 'prompt'; fields are 'id', ' prompt', 'chosen', 'rejected'"),
        ("f.jsonl", lines(GOOD, GOOD | {"chosen": "r"}), "f.jsonl, row 2: chosen and rejected are equal; correct or remove"),
        ("f.jsonl", lines(GOOD | {"chosen": None}), "f.jsonl, row 1: chosen is missing"),
        ("f.json", lines(GOOD, GOOD), "f.json is not JSON"),
        ("f.csv", "prompt,chosen,rejected\n", "f.csv: holds no row"),
        ("f.csv", "prompt;chosen;rejected\na;b;c\n", "f.csv: the header has no ',' but ';'"),
        ("f.csv", "prompt,chosen,rejected\na,b\n", "row 1 (line 2): 2 values, the header names 3"),
        ("f.csv", "prompt,chosen,rejected\na,\"[{'role': 'user'}]\",b\n", "row 1: chosen is a list of messages written as text"),
        ("f.parquet", "PAR1", "f.parquet was cut"),
        ("f.jsonl", lines(*[GOOD | {"prompt": "a b", "chosen": "A b c"}] * 3), "row 1: a response repeats its prompt, as in 3 of 3"),
        ("f.jsonl", lines(*[GOOD | {"prompt": f"p{n}", "chosen": f"['c {n}']"} for n in range(3)]), "chosen looks like a list"),
        ("f.jsonl", lines(GOOD, {"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]}), "row 2 holds lists of messages, row 1 texts"),
        ("f.xls", "a", "name must end in one of .jsonl"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named_with_its_key(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    entry = {"source": "files", "file": str(tmp_path / name)}
    with pytest.raises(ConfigError) as caught:
        check_files(config(entry), ["mine"])
    assert str(caught.value).startswith(f"datasets.mine.file: {tmp_path}")
    assert message in str(caught.value)
    check_files(config(entry), [])  # of a dataset that is not used nothing is asked


def test_only_the_first_rows_are_read_and_unusable_ones_may_be_left_out(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(lines(*MANY) + "no row\n")
    check_files(config({"source": "files", "file": str(path)}), ["mine"])
    path.write_text(lines(GOOD | {"chosen": ""}, GOOD | {"chosen": "r"}, *MANY))
    notes = check_files(config({"source": "files", "file": str(path), "on_invalid": "drop"}), ["mine"])
    assert notes == [f"2 of the first 50 rows cannot be used and are left out, such as {path}, row 1: chosen is empty"]
    path.write_text(lines(GOOD | {"chosen": ""}))
    with pytest.raises(ConfigError, match="row 1: chosen is empty"):
        check_files(config({"source": "files", "file": str(path), "on_invalid": "drop"}), ["mine"])


def test_folders_splits_and_the_scored_text(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"datasets.mine.file: folder .* holds no file of rows, expected names"):
        check_files(config({"source": "files", "file": str(folder)}), ["mine"])
    pq.write_table(pa.Table.from_pylist([GOOD]), folder / "a.parquet")
    (folder / "b.tsv").write_text("prompt\tchosen\nx\ty\n")
    parts: dict[str, str] = {
        "ground_truth": str(folder / "a.parquet"),
        "weak_supervision": str(folder),
        "test": str(folder / "a.parquet"),
    }
    text = Path(tmp_path / "t.jsonl")
    text.write_text(lines({"body": "x"}))
    with pytest.raises(ConfigError) as caught:
        check_files(config({"source": "files", "files": parts}, {"source": "file", "path": str(text)}), ["mine"])
    assert [str(mistake).split(": ")[0] for mistake in caught.value.mistakes] == [
        "datasets.mine.files.weak_supervision",
        "corpora.t.path",
    ]
    assert "b.tsv, row 1: no field 'rejected'" in str(caught.value)
    assert "no field 'text'; fields are 'body'" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "p{ c"),
        ({"template": "{prompt}|{response}"}, "p{|c"),
        ({"chat": True}, ("p{", "c")),
        ({"fields": {"prompt": None}}, "c"),
    ],
)
def test_the_text_of_the_first_good_pair_is_shown(tmp_path, keys, expected):
    path = tmp_path / "f.jsonl"
    path.write_text(lines(GOOD | {"chosen": ""}, GOOD | {"prompt": "p{"}))
    given = config({"source": "files", "file": str(path), "on_invalid": "drop"} | keys)
    assert first_texts(given, ["mine"]) == {"mine": expected}


def test_a_chat_template_has_to_write_both_sides_of_the_first_good_rows(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(lines(GOOD | {"chosen": ""}, *MANY))
    entry = {"source": "files", "file": str(path), "on_invalid": "drop"}
    found = first_dialogues(config(entry | {"chat": True}), ["mine"])["mine"]
    told = [(one.place, one.prompt, one.response) for one in found]
    assert told[:2] == [(f"{path}, row 2", "p0", "c"), (f"{path}, row 2", "p0", "r")]
    assert len(told) == 2 * 49
    assert first_dialogues(config(entry), ["mine"]) == {}
    hub = config({"source": "hub", "repo": "a/b", "revision": "c", "pairs": 8, "chat": True})
    assert first_dialogues(hub, ["mine"]) == {} == first_texts(hub, ["mine"])


def test_the_positive_class_is_named_with_what_it_is_told_from(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(lines(*[{"text": f"t{n}", "label": n % 3} for n in range(60)]))
    entry = {"source": "files", "file": str(path), "task": "classification", "positive": 2}
    said = "datasets.mine: the positive class is 2 (20 texts), told from 0 (20), 1 (20)"
    assert check_files(config(entry), ["mine"]) == [said]


def test_an_empty_text_is_refused_too(tmp_path):
    text = tmp_path / "t.txt"
    text.touch()
    with pytest.raises(ConfigError, match=r"corpora.t.path: .*t.txt is empty \(0 bytes\)"):
        check_files(config({"source": "files", "file": "unused"}, {"source": "file", "path": str(text)}), [])
    text.write_text("\0One document.\n\nAnother\0 one.")
    with pytest.raises(ConfigError, match="none of its rows is a document; row 1: text holds a NUL character"):
        check_files(config({"source": "files", "file": "unused"}, {"source": "file", "path": str(text)}), [])
    text.write_text("One document.\n\nAnother one.")
    check_files(config({"source": "files", "file": "unused"}, {"source": "file", "path": str(text)}), [])


def test_fewer_rows_or_documents_than_wanted_are_named_before_anything_runs(tmp_path):
    rows, text = tmp_path / "f.jsonl", tmp_path / "t.txt"
    rows.write_text(lines(*MANY[:25]))
    text.write_text("One document.")
    pairs = {"source": "files", "file": str(rows), "pairs": 9}
    with pytest.raises(ConfigError) as caught:
        check_files(config(pairs, {"source": "file", "path": str(text)}), ["mine"])
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        f"datasets.mine.file: {rows} holds 25 rows, 9 pairs in each of 3 splits are wanted; set pairs (or minimum) in "
        "datasets.mine to at most 8",
        f"evaluation.documents: got 2, corpora.t ({text}) holds 1; set it to at most 1, or use more text",
    ]
    check_files(config(pairs | {"pairs": 8}), ["mine"])
    check_files(config(pairs | {"minimum": 3}), ["mine"])


@pytest.mark.parametrize(("share", "least"), [(0.2, 3), (0.1, 6), (0.5, 3), (0.9, 6)])
def test_too_few_rows_for_heads_are_named_where_heads_are_wanted(tmp_path, share, least):
    rows = tmp_path / "f.jsonl"
    for entry, splits in (
        ({"file": str(rows)}, 3),
        ({"files": dict.fromkeys(("ground_truth", "weak_supervision", "test"), str(rows))}, 1),
    ):
        given = config({"source": "files", **entry})
        rows.write_text(lines(*MANY[: splits * least - 1]))
        check_files(given, ["mine"])
        with pytest.raises(
            ConfigError, match=rf"datasets.mine.*holds {splits * least - 1} rows, {least} pairs"
        ) as caught:
            check_enough(given, "mine", least_pairs(share))
        assert "need as many" in str(caught.value)
        rows.write_text(lines(*MANY[: splits * least]))
        check_enough(given, "mine", least_pairs(share))
