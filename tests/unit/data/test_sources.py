"""Pairs from local files and from datasets in the Hub's format, read from a local folder; the job that writes them."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pair_corpus import TOPIC, documents, load_pairs
from w2sg.data import parsers
from w2sg.data import rows as rows_of_sources
from w2sg.data.sources import load_checked
from w2sg.study.datasets import required_inputs
from w2sg.study.definitions import dataset_settings
from w2sg.study.protocols import SPLITS
from w2sg.tables import schemas
from w2sg.tables.files import read_provenance, read_table, write_table

DATA = Path(os.environ.get("W2SG_DATA", "../shared/data"))


# Local files


def rows(n: int, seed: int = 0) -> list[dict[str, str]]:
    rng = np.random.default_rng(seed)
    return [{"prompt": f"q{rng.integers(n)}", "chosen": f" yes {seed} {i}", "rejected": f" no {i} é"} for i in range(n)]


def write(path: Path, content: list[dict[str, str]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in content)
        path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_one_file_per_split(tmp_path, suffix):
    files = {s: write(tmp_path / f"{s}{suffix}", rows(12, i)) for i, s in enumerate(SPLITS)}
    spec = {"source": "files", "files": files, "pairs": 10}
    pairs = load_pairs(spec, name="f")
    for number, split in enumerate(SPLITS):
        got = pairs.loc[pairs["split"] == split, ["prompt", "chosen", "rejected"]].to_dict("records")
        assert got == rows(12, number)[:10]
    assert required_inputs(spec) == [files[split] for split in SPLITS]
    everything = load_pairs({"source": "files", "files": files}, name="f")
    assert len(everything) == 36


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_one_file_is_dealt_by_prompt(tmp_path, suffix):
    spec = {
        "source": "files",
        "file": write(tmp_path / f"all{suffix}", rows(150)),
        "split": {"seed": 4},
        "pairs": 40,
    }
    checked = load_checked(spec, name="f")
    assert checked.rows == dict.fromkeys(SPLITS, 40)
    assert set(checked.shared_prompts.values()) == {0}
    backwards = write(tmp_path / f"backwards{suffix}", rows(150)[::-1])
    pd.testing.assert_frame_equal(checked.pairs, load_pairs({**spec, "file": backwards}, name="f"))
    assert required_inputs(spec) == [spec["file"]]
    doubled = spec["file"].replace("/", "//")
    assert required_inputs({**spec, "file": doubled}) == [spec["file"]]  # Snakemake knows files by their names
    assert required_inputs({"source": "labels", "path": "./a//../b"}) == ["./a/../b"]


def test_a_folder_of_files_of_several_kinds_and_what_is_no_file_of_rows(tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number, suffix in enumerate((".jsonl", ".jsonl.gz", ".parquet")):
        write(folder / f"part{number}{suffix}", rows(12, number))
    (folder / "more.csv").write_text("prompt,chosen,rejected\np,007,NA\n")
    (folder / "README.md").write_text("about")
    spec = {"source": "files", "file": str(folder)}
    checked = load_checked(spec, name="f")
    assert sum(checked.rows.values()) == 37
    assert ("p", "007", "NA") in set(checked.pairs[["prompt", "chosen", "rejected"]].itertuples(index=False, name=None))
    assert [line for line in checked.lines() if line.startswith("skipped 1: entry of folder")]
    assert required_inputs(spec) == sorted(map(str, folder.glob("*[!md]")))
    every = {"source": "files", "files": dict.fromkeys(SPLITS, str(folder))}
    moved = {"source": "files", "files": {**every["files"], "test": str(folder / "more.csv")}}
    assert dataset_settings(every, [])["files"] == [4, 4, 4] != dataset_settings(moved, [])["files"]


def test_fields_can_be_named_and_left_out(tmp_path):
    content = [{"a": row["chosen"], "b": row["rejected"]} for row in rows(30)]
    spec = {"source": "files", "file": write(tmp_path / "f.jsonl", content), "split": {"seed": 0}}
    pairs = load_pairs({**spec, "fields": {"prompt": None, "chosen": "a", "rejected": "b"}}, name="f")
    assert set(pairs["prompt"]) == {""}
    assert set(pairs["chosen"]) == {row["chosen"] for row in rows(30)}
    with pytest.raises(ValueError, match=r"f.jsonl, row 1: no field 'prompt'; fields are 'a', 'b'; set fields"):
        load_pairs(spec, name="f")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.jsonl", b'{"prompt": "p"\n', "row 1: not JSON"),
        ("f.jsonl", b"\n[1]\n", "row 2: not a JSON object"),
        ("f.jsonl", b"\xff\n", r"line 1, byte 1 \(0xff\): not UTF-8"),
        ("f.jsonl.gz", b"not gzip", "f.jsonl.gz is something .* expected a gzip file"),
        (
            "f.jsonl.gz",
            gzip.compress(b'{"prompt": "p", "chosen": "c", "rejected": "r"}\n' * 99, mtime=0)[:-20],
            "not a whole gzip",
        ),
        ("f.parquet", b"PAR1", "f.parquet was cut"),
        ("f.xlsx", b"a,b\n", "name must end in one of .jsonl"),
        ("f.csv", b"a,b\n1,2\n", "row 1: no field 'prompt'; fields are 'a', 'b'; set fields"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_pairs({"source": "files", "file": str(path), "split": {"seed": 0}}, name="f")
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        RuntimeError, match="dataset f: .*none.jsonl: no such file; correct its path in the configuration"
    ):
        load_pairs({"source": "files", "file": str(tmp_path / "none.jsonl"), "split": {"seed": 0}}, name="f")


def test_a_bad_row_is_named_by_file_and_line(tmp_path):
    files = {s: write(tmp_path / f"{s}.jsonl", rows(12, i)) for i, s in enumerate(SPLITS)}
    bad = rows(12, 2)
    bad[4]["chosen"] = ""
    bad[6]["rejected"] = bad[6]["chosen"]
    del bad[8]["rejected"]
    spec = {"source": "files", "files": files}
    write(tmp_path / "test.jsonl", [*bad[:8], *bad[9:]])
    with pytest.raises(ValueError, match=r"dataset f: test row 5 \(test.jsonl\): chosen is empty"):
        load_pairs(spec, name="f")
    checked = load_checked({**spec, "on_invalid": "drop"}, name="f")
    assert [line.split(": ", 1)[1] for line in checked.dropped] == [
        "test row 5 (test.jsonl): chosen is empty",
        "test row 7 (test.jsonl): chosen and rejected are equal",
    ]
    write(tmp_path / "test.jsonl", bad)
    with pytest.raises(ValueError, match="row 9: no field 'rejected'"):
        load_pairs({**spec, "on_invalid": "drop"}, name="f")


def leaked(checked, key) -> int:
    """Questions that are in several splits, by what is asked and not by how it is written."""
    return int((checked.pairs.groupby(checked.pairs.apply(key, axis=1))["split"].nunique() > 1).sum())


@pytest.mark.parametrize(
    "spellings",
    [
        ("Question {}?", "Question {}? "),
        ("Question {}?", "question  {}?", "QUESTION\u00a0{} ?", "\uff31uestion {}"),
        (
            "{} ships sail to the old blue house near the sea, why?",
            "So {} ships sail to the old blue house near the sea: why?",
        ),
    ],
)
def test_a_question_in_several_spellings_is_in_one_split(tmp_path, spellings):
    content = [
        {"prompt": prompt.format(n * 7), "chosen": f"{n * 7} good {k}", "rejected": f"bad {n} {k}"}
        for n in range(40)
        for k, prompt in enumerate(spellings)
    ]
    spec = {"source": "files", "file": write(tmp_path / "f.jsonl", content), "split": {"seed": 0}}
    checked = load_checked(spec, name="f")
    assert leaked(checked, lambda row: row["chosen"].split()[0]) == 0
    assert set(checked.alike_prompts.values()) == {0}
    assert all(checked.rows.values())


@pytest.mark.parametrize(
    "form", ["\n\nHuman: question {}\n\nAssistant:", "<|user|>\nquestion {}\n<|assistant|>\n", "### Q: {}\n### A:"]
)
def test_whole_dialogues_are_dealt_by_their_question(tmp_path, form):
    content = [
        {"chosen": form.format(n // 4) + f" good {n}", "rejected": form.format(n // 4) + f" bad {n}"}
        for n in range(120)
    ]
    spec = {"source": "files", "file": write(tmp_path / "f.jsonl", content), "fields": {"prompt": None}}
    checked = load_checked(spec, name="f")
    assert leaked(checked, lambda row: row["prompt"]) == 0
    assert set(checked.pairs["prompt"].str.strip()) == {form.format(n).strip() for n in range(30)}
    assert set(checked.pairs["prompt"] + checked.pairs["chosen"]) == {row["chosen"] for row in content}
    assert checked.unchecked == ""


def test_what_cannot_be_compared_is_said(tmp_path):
    content = [{"chosen": f"a fine text {n}", "rejected": f"a bad text {n}"} for n in range(30)]
    spec = {"source": "files", "file": write(tmp_path / "f.jsonl", content), "fields": {"prompt": None}}
    assert "not checked: 30 pairs have no prompt" in "\n".join(load_checked(spec, name="f").lines())


@pytest.mark.parametrize("sides", [("chosen", "rejected"), ("chosen",), ("rejected",)])
def test_responses_that_repeat_their_prompts_are_refused(tmp_path, sides):
    content = rows(60)
    for row in content:
        row["prompt"] = f"\n\nHuman: {row['prompt']} please\n\nAssistant:"
    for row in content[::2]:
        row.update({side: row["prompt"].upper() + row[side] for side in sides})
    spec = {"source": "files", "file": write(tmp_path / "f.jsonl", content)}
    message = rf"dataset f: 30 of 60 {sides[0]} responses repeat their prompt.*\{{prompt: null\}}"
    with pytest.raises(ValueError, match=message):
        load_pairs(spec, name="f")
    quoted = [row | {"chosen": row["prompt"]} if n == 7 else row for n, row in enumerate(rows(60))]
    assert len(load_pairs({**spec, "file": write(tmp_path / "g.jsonl", quoted)}, name="f")) == 60


# Hub datasets


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dataset folder as the Hub has them, and a cache of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    target = tmp_path / "set"
    target.mkdir()
    return target


def dialogue(question: str, *answers: str) -> str:
    turns = "".join(f"\n\nHuman: again\n\nAssistant: {answer}" for answer in answers[1:])
    return f"\n\nHuman: {question}\n\nAssistant: {answers[0]}{turns}"


def test_hub_single_turn_dialogues(folder):
    kept = [{"chosen": dialogue(f"q{i}", f"good {i}"), "rejected": dialogue(f"q{i}", f"bad {i}")} for i in range(40)]
    long = [{"chosen": dialogue("q", "a", "b"), "rejected": dialogue("q", "a", f"c{i}")} for i in range(7)]
    (folder / "base").mkdir()
    write(folder / "base" / "train.jsonl.gz", kept + long)
    write(folder / "base" / "test.jsonl.gz", long)
    spec = {
        "source": "hub",
        "repo": str(folder),
        "data_dir": "base",
        "parser": "hh_single_turn",
        "hub_splits": ["train", "test"],
        "pairs": 12,
        "seed": 0,
    }
    checked = load_checked(spec, name="h")
    assert checked.rows == dict.fromkeys(SPLITS, 12)
    assert checked.skipped == {"more than one turn": 14}
    whole = {row["chosen"] for row in kept}
    assert set(checked.pairs["prompt"] + checked.pairs["chosen"]) <= whole
    assert checked.pairs["prompt"].str.endswith("\n\nAssistant:").all()
    assert checked.pairs["chosen"].str.startswith(" good").all()
    assert required_inputs(spec) == []


def test_hub_message_lists(folder):
    def messages(question: str, answer: str) -> list[dict[str, str]]:
        return [{"content": question, "role": "user"}, {"content": answer, "role": "assistant"}]

    content = [
        {
            "init_prompt": f"q{i}",
            "chosen": messages(f"q{i}", f"kind {i}"),
            "rejected": messages(f"q{i}", f"rude {i}"),
        }
        for i in range(30)
    ]
    content[3]["chosen"] = content[3]["chosen"] * 2
    content[4]["chosen"] = messages("another", "kind")
    write(folder / "p.parquet", content)
    parts = "data_files: [{split: train_prefs, path: p.parquet}]"
    (folder / "README.md").write_text(f"---\nconfigs: [{{config_name: default, {parts}}}]\n---\n")
    spec = {"source": "hub", "repo": str(folder), "parser": "cai_harmless", "pairs": 8}
    checked = load_checked(spec, name="h")
    assert checked.skipped == {
        "not one user message and one assistant message": 1,
        "chosen and rejected answer different prompts": 1,
    }
    first = checked.pairs.iloc[0]
    number = first["chosen"].split()[-1]
    assert first["prompt"] == f"\n\nHuman: q{number}\n\nAssistant:"
    assert (first["chosen"], first["rejected"]) == (f" kind {number}", f" rude {number}")


def test_hub_columns_and_wrong_parser(folder):
    write(folder / "train.jsonl", [{"q": f"q{i}", "good": f"g{i}", "bad": f"b{i}"} for i in range(30)])
    spec = {"source": "hub", "repo": str(folder), "pairs": 10}
    fields = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    pairs = load_pairs({**spec, "fields": fields}, name="h")
    assert set(pairs["prompt"]) == {f"q{i}" for i in range(30)}
    with pytest.raises(
        ValueError, match="split train, row 1: parser hh_single_turn does not fit .*columns are q, good"
    ):
        load_pairs({**spec, "parser": "hh_single_turn"}, name="h")


def test_hub_failure_names_repository_and_way_out(folder):
    spec = {"source": "hub", "repo": str(folder / "none"), "revision": "abc", "pairs": 10}
    with pytest.raises(RuntimeError, match="dataset h: could not load .*revision abc .*use source: files"):
        load_pairs(spec, name="h")


@pytest.mark.parametrize(("status", "asked"), [(429, 3), (503, 3), (404, 1)])
def test_a_busy_hub_is_asked_again_and_a_refusal_is_not(folder, monkeypatch, status, asked):
    import datasets

    class Refused(OSError):
        response = SimpleNamespace(status_code=status)

    times, load = [], datasets.load_dataset

    def answer(*arguments, **options):
        times.append(1)
        if len(times) < 3:
            raise Refused(str(status))
        return load(*arguments, **options)

    monkeypatch.setattr(datasets, "load_dataset", answer)
    monkeypatch.setattr(rows_of_sources, "_WAITS", (0.0, 0.0))
    write(folder / "train.jsonl", [{"q": f"q{i}", "good": f"g{i}", "bad": f"b{i}"} for i in range(30)])
    fields = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    spec = {"source": "hub", "repo": str(folder), "pairs": 10, "fields": fields}
    with pytest.raises(RuntimeError, match="404") if status == 404 else contextlib.nullcontext():
        load_pairs(spec, name="h")
    assert len(times) == asked


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chosen": None, "rejected": ""}, "chosen is no text"),
        ({"chosen": "Human: q", "rejected": ""}, "no dialogue of the form"),
        ({"chosen": "\n\nAssistant: a", "rejected": ""}, "no dialogue of the form"),
        (
            {"chosen": dialogue("q", "a"), "rejected": dialogue("q", "b") + "\n\nAssistant: c"},
            "more than one turn",
        ),
        (
            {"chosen": dialogue("q", "a"), "rejected": dialogue("p", "b")},
            "chosen and rejected answer different prompts",
        ),
    ],
)
def test_dialogues_that_are_no_pair(row, reason):
    assert str(parsers.parse_hh_single_turn(row)).startswith(reason)


# Adaptor and real data


def test_adaptor_writes_pairs_log_and_provenance(tmp_path, monkeypatch):
    from w2sg.tables.schemas import DOCUMENTS
    from workflow.scripts import fetch_pairs

    monkeypatch.chdir(tmp_path)
    write_table(documents(), "c.parquet", DOCUMENTS, provenance={"made": {"corpora.c": {"sha256": "x"}}})
    main = partial(fetch_pairs.main, recipe=1, log="logs/t.log")
    main(name="t", spec=TOPIC, content=[], documents="c.parquet", output="p.parquet")
    pairs = read_table("p.parquet", schemas.PAIRS)
    assert len(pairs) == 60
    assert read_provenance("p.parquet")["rows"] == dict.fromkeys(SPLITS, 20)
    assert "pairs: {'ground_truth': 20" in Path("logs/t.log").read_text()
    files = {s: write(tmp_path / f"{s}.jsonl", rows(12, i)) for i, s in enumerate(SPLITS)}
    spec = {"source": "files", "files": files}
    main(name="f", spec=spec, content=["1", "2", "3"], documents=None, output="f.parquet")
    made = read_provenance("f.parquet")["made"]
    assert made["datasets.f"] == {"source": "files", "content": ["1", "2", "3"]}
    assert read_provenance("p.parquet")["made"]["corpora.c"] == {"sha256": "x"}


@pytest.mark.hub_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the HH-RLHF files are not here (W2SG_DATA)")
@pytest.mark.parametrize(("name", "dropped", "shared"), [("helpful", 12, (6, 23, 10)), ("harmless", 17, (89, 91, 81))])
def test_real_hh_pairs(name, dropped, shared):
    parts = zip(SPLITS, ("gt", "w2s", "test"), strict=True)
    files = {split: str(DATA / f"hh_{name}_{part}.jsonl.gz") for split, part in parts}
    spec = {"source": "files", "files": files, "pairs": 4000, "on_invalid": "drop"}
    checked = load_checked(spec, name=name)
    assert len(checked.dropped) == dropped
    assert sum(checked.rows.values()) == 12000 - dropped
    assert tuple(checked.shared_prompts.values()) == shared
    assert checked.pairs["row_id"].is_unique
    with pytest.raises(ValueError, match=f"dataset {name}: ground_truth row"):
        load_checked({**spec, "on_invalid": "error"}, name=name)


def test_rows_of_lists_among_rows_of_texts_are_refused_wherever_they_stand(tmp_path):
    path, rows = tmp_path / "f.jsonl", [{"prompt": f"p{n}", "chosen": f"c{n}", "rejected": "r"} for n in range(80)]
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    rows.append({"chosen": said, "rejected": [said[0], {"role": "assistant", "content": "b"}]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match="f.jsonl, row 81 holds lists of messages, .*f.jsonl, row 1 texts"):
        load_checked({"source": "files", "file": str(path), "split": {"seed": 0}}, name="p")


def test_a_side_that_was_saved_as_text_in_all_rows_is_refused(tmp_path):
    path = tmp_path / "f.jsonl"
    rows = [{"prompt": f"p{n}", "chosen": f"['c{n}']", "rejected": f"['r{n}']"} for n in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match="chosen looks like a list, .* in all of 30 rows; save the rows as .jsonl"):
        load_checked({"source": "files", "file": str(path), "split": {"seed": 0}}, name="p")
