"""Pairs from corpus tasks, local files and datasets in the Hub's format, read from a local folder."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2sg import pair_parsers, pair_specs, preferences, tables
from w2sg.decontaminate import DuplicateRule, find_overlaps, shingle
from w2sg.pair_sources import load_checked, load_pairs
from w2sg.pair_specs import SPLITS, check_pair_spec, minimum_rows, required_inputs
from w2sg.pair_tasks import FOUND, WindowRule

DATA = Path(os.environ.get("W2SG_DATA", "../shared/data"))
LABELS = ("comp.one", "comp.two", "rec.three", "soc.four")
TOPIC = {
    "source": "corpus",
    "corpus": "c",
    "task": "topic",
    "chosen": ["comp.*"],
    "rejected": ["rec.three", "soc.*"],
    "pairs": 20,
}
ORDER = {"source": "corpus", "corpus": "c", "task": "order", "pairs": 20}


def documents(seed: int = 0, n: int = 240) -> pd.DataFrame:
    """Posts whose words tell post and place, so windows can be traced; every tenth quotes the one before."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        words = [f"d{i}w{j}" for j in range(int(rng.integers(10, 140)))]
        cluster = f"evaluation-{i:04d}"
        if i % 10 == 1 and rows:
            words[:60] = rows[-1]["text"].split()[:60]
            cluster = rows[-1]["cluster"]
        rows.append(
            {
                "doc_id": f"evaluation-{i:04d}",
                "label": LABELS[i % 4],
                "cluster": cluster,
                "text": " ".join(words),
            }
        )
    frame = pd.DataFrame(rows).assign(part="evaluation")
    other = [
        {
            "doc_id": f"train-{i:04d}",
            "label": LABELS[i % 4],
            "cluster": f"train-{i:04d}",
            "text": f"t{i} " * 50,
            "part": part,
        }
        for i, part in enumerate(["train"] * 20 + ["heldout"] * 5)
    ]
    return pd.concat([frame, pd.DataFrame(other)], ignore_index=True)


def owner(text: str) -> set[str]:
    return {f"evaluation-{int(word[1:].split('w')[0]):04d}" for word in text.split()}


# Windows


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (23, []),
        (24, [(0, 24)]),
        (60, [(0, 40)]),  # nothing skipped; the remaining 20 are too few
        (61, [(8, 48)]),
        (72, [(8, 48), (48, 72)]),
        (71, [(8, 48)]),
        (500, [(8, 48), (48, 88)]),
    ],
)
def test_windows_of_the_default_rule(length, expected):
    words = [f"w{i}" for i in range(length)]
    assert WindowRule().cut(" ".join(words)) == [words[low:high] for low, high in expected]


def test_window_rule_refuses_nonsense():
    with pytest.raises(ValueError, match="min_words: got 50, allowed: 1 to words = 40"):
        WindowRule(min_words=50)


# Corpus tasks


def test_topic_pairs_take_their_sides_from_the_labels():
    frame = documents()
    pairs = load_pairs(TOPIC, name="t", documents=frame)
    assert Counter(pairs["split"]) == dict.fromkeys(SPLITS, 20)
    assert set(pairs["prompt"]) == {""}
    label = frame.set_index("doc_id")["label"]
    text = frame.set_index("doc_id")["text"]
    for side, allowed in (("chosen", {"comp.one", "comp.two"}), ("rejected", {"rec.three", "soc.four"})):
        for window in pairs[side]:
            assert 24 <= len(window.split()) <= 40
            sources = [doc for doc in text.index if window in text[doc]]
            assert {label[doc] for doc in sources} & allowed


@pytest.mark.parametrize("spec", [TOPIC, ORDER], ids=["topic", "order"])
def test_no_document_and_no_near_duplicate_is_in_two_splits(spec):
    pairs = load_pairs({**spec, "pairs": 10**6, "minimum": 1}, name="t", documents=documents())
    sources = {
        split: {doc for text in pd.concat([rows["chosen"], rows["rejected"]]) for doc in owner(text)}
        for split, rows in pairs.groupby("split")
    }
    assert len(set.union(*sources.values())) == sum(map(len, sources.values())) > 100
    texts = {split: shingle(rows["chosen"].tolist(), 5) for split, rows in pairs.groupby("split")}
    for one in SPLITS:
        for two in set(SPLITS) - {one}:
            assert not len(find_overlaps(texts[one], texts[two], DuplicateRule()).texts)


def test_dealing_documents_instead_of_clusters_leaks():
    pairs = load_pairs({**TOPIC, "pairs": 10**6, "minimum": 1, "deal": "document"}, name="t", documents=documents())
    texts = {split: shingle(pd.concat([r["chosen"], r["rejected"]]).tolist(), 5) for split, r in pairs.groupby("split")}
    assert len(find_overlaps(texts["ground_truth"], texts["test"], DuplicateRule()).texts)


def test_order_pairs_keep_words_and_last_word():
    pairs = load_pairs(ORDER, name="o", documents=documents())
    assert len(pairs) == 60
    for chosen, rejected in zip(pairs["chosen"].str.split(), pairs["rejected"].str.split(), strict=True):
        assert len(chosen) == 32
        assert sorted(chosen) == sorted(rejected)
        assert chosen != rejected
        assert chosen[-1] == rejected[-1]
    text = " | ".join(documents()["text"])
    assert all(chosen in text for chosen in pairs["chosen"])
    assert not any(rejected in text for rejected in pairs["rejected"])


def test_monotonous_windows_give_no_order_pair():
    frame = documents().assign(text=lambda f: np.where(f.index % 2, "same " * 40, f["text"]))
    pairs = load_pairs({**ORDER, "minimum": 1}, name="o", documents=frame)
    assert not pairs["chosen"].str.contains("same").any()


@pytest.mark.parametrize("spec", [TOPIC, ORDER], ids=["topic", "order"])
def test_pairs_depend_on_the_seed_and_not_on_the_order_of_documents(spec):
    frame = documents()
    first = load_pairs(spec, name="t", documents=frame)
    pd.testing.assert_frame_equal(first, load_pairs(spec, name="t", documents=frame.sample(frac=1, random_state=0)))
    assert set(first["row_id"]) != set(load_pairs({**spec, "seed": 1}, name="t", documents=frame)["row_id"])
    fewer = load_pairs({**spec, "pairs": 7}, name="t", documents=frame)
    assert set(fewer["row_id"]) <= set(first["row_id"])


def test_only_evaluation_documents_are_used_and_none_found_in_training():
    frame = documents()
    words = [f"d40w{j}" for j in range(76)]
    leaked = words[-28:]  # all of the second window, and no more
    frame.loc[40, "text"] = " ".join(words)
    frame.loc[frame["doc_id"] == "train-0003", "text"] = "before " * 9 + " ".join(leaked) + " after"
    checked = load_checked({**TOPIC, "pairs": 10**6, "minimum": 1}, name="t", documents=frame)
    used = shingle(pd.concat([checked.pairs["chosen"], checked.pairs["rejected"]]).tolist(), 5)
    others = shingle(frame.loc[frame["part"] != "evaluation", "text"].tolist(), 5)
    assert not len(find_overlaps(used, others, DuplicateRule()).texts)
    assert checked.skipped[FOUND] == 1
    assert load_checked(TOPIC, name="t", documents=documents()).skipped == {FOUND: 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"chosen": ["comp"]},
            r"datasets.t.chosen: 'comp' matches no label; labels are: comp.one, comp.two, rec",
        ),
        ({"rejected": ["*"]}, r"datasets.t.rejected: '\*' matches 'comp.one', which is chosen already"),
        ({"pairs": 5000}, r"split ground_truth has \d+ valid pairs, 5000 are wanted; set pairs"),
    ],
)
def test_wrong_labels_and_sizes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        load_pairs({**TOPIC, **change}, name="t", documents=documents())


def test_documents_are_needed():
    with pytest.raises(ValueError, match="dataset t: documents of corpus c are needed"):
        load_pairs(TOPIC, name="t")


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


def test_fields_can_be_named_and_left_out(tmp_path):
    content = [{"a": row["chosen"], "b": row["rejected"]} for row in rows(30)]
    spec = {"source": "files", "file": write(tmp_path / "f.jsonl", content), "split": {"seed": 0}}
    pairs = load_pairs({**spec, "fields": {"prompt": None, "chosen": "a", "rejected": "b"}}, name="f")
    assert set(pairs["prompt"]) == {""}
    assert set(pairs["chosen"]) == {row["chosen"] for row in rows(30)}
    with pytest.raises(ValueError, match=r"f.jsonl, row 1: no field 'prompt'; fields are a, b; set fields"):
        load_pairs(spec, name="f")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.jsonl", b'{"prompt": "p"\n', "row 1: not JSON"),
        ("f.jsonl", b"\n[1]\n", "row 2: not a JSON object"),
        ("f.jsonl", b"\xff\xfe\n", "row 1: not JSON"),
        ("f.jsonl.gz", b"not gzip", "not a whole gzip file"),
        (
            "f.jsonl.gz",
            gzip.compress(b'{"prompt": "p", "chosen": "c", "rejected": "r"}\n' * 99, mtime=0)[:-20],
            "not a whole gzip",
        ),
        ("f.parquet", b"PAR1", "not a whole parquet file"),
        ("f.csv", b"a,b\n", "name must end in one of .jsonl"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_pairs({"source": "files", "file": str(path), "split": {"seed": 0}}, name="f")
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="dataset f: .*none.jsonl: no such file; correct its path in datasets"):
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
    assert str(pair_parsers.parse_hh_single_turn(row)).startswith(reason)


# Entries of the configuration


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
    assert set(pair_specs.PARSERS) == {"columns", *pair_parsers.PARSERS}


def test_minimum_rows():
    assert minimum_rows({"pairs": 4000}) == 4000
    assert minimum_rows({"pairs": 4000, "on_invalid": "drop"}) == 3960
    assert minimum_rows({"pairs": 4000, "on_invalid": "drop", "minimum": 10}) == 10
    assert minimum_rows({}) == 1


def test_specs_need_the_standard_library_only():
    code = (
        "import sys; before = set(sys.modules); import w2sg.pair_specs; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'w2sg'}))"
    )
    root = Path(pair_specs.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


# Adaptor and real data


def test_adaptor_writes_pairs_log_and_provenance(tmp_path, monkeypatch):
    from w2sg.corpora import DOCUMENTS
    from workflow.scripts import fetch_pairs

    monkeypatch.chdir(tmp_path)
    tables.write_table(documents(), "c.parquet", DOCUMENTS, provenance={})
    fetch_pairs.main(name="t", spec=TOPIC, documents="c.parquet", output="p.parquet", recipe=1, log="logs/t.log")
    pairs = tables.read_table("p.parquet", preferences.PAIRS)
    assert len(pairs) == 60
    assert tables.read_provenance("p.parquet")["rows"] == dict.fromkeys(SPLITS, 20)
    assert "pairs: {'ground_truth': 20" in Path("logs/t.log").read_text()
    files = {s: write(tmp_path / f"{s}.jsonl", rows(12, i)) for i, s in enumerate(SPLITS)}
    spec = {"source": "files", "files": files}
    fetch_pairs.main(name="f", spec=spec, documents=None, output="f.parquet", recipe=1, log="logs/f.log")
    assert str(tmp_path) not in str(tables.read_provenance("f.parquet"))


@pytest.mark.hub_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the HH-RLHF files are not here (W2SG_DATA)")
@pytest.mark.parametrize(("name", "dropped", "shared"), [("helpful", 12, (4, 20, 10)), ("harmless", 17, (81, 83, 76))])
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
