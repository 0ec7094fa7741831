"""Texts that are only scored: of files of every kind and of the Hub's format; what is wrong is named by file, row and field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpus_packages import load_corpus
from w2sg.activations.extraction import evaluation_texts
from w2sg.data import corpora
from w2sg.tables import schemas
from w2sg.tables.files import read_provenance, read_table, write_table

TEXTS = ["One page.", "Another page,\nof two lines.", "A third: é."]


def write(path: Path, texts: list[object], field: str = "text") -> Path:
    rows = [{"url": f"u{number}", field: text} for number, text in enumerate(texts)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".txt":
        path.write_bytes("\n  \n\n".join(map(str, texts)).encode())
    else:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def scored(spec: dict, folder: Path, documents: int) -> list[str]:
    """What the evaluation loss is measured on."""
    corpus = load_corpus(spec, folder)
    write_table(corpus.documents, folder / "c.parquet", schemas.DOCUMENTS, provenance=corpus.facts)
    return evaluation_texts(str(folder / "c.parquet"), documents_wanted=documents)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet", ".txt"])
def test_every_kind_of_file_gives_its_documents_in_their_order(tmp_path, suffix):
    spec = {"source": "file", "path": str(write(tmp_path / f"mine{suffix}", TEXTS))}
    assert scored(spec, tmp_path, 3) == TEXTS
    assert scored(spec, tmp_path, 2) == [TEXTS[0], TEXTS[1]]
    corpus = load_corpus(spec, tmp_path)
    assert corpus.facts == {"documents": {"heldout": 3}, "words": {"heldout": 10}, "left_out": {}}
    with pytest.raises(ValueError, match="no document of part 'train'"):
        corpora.select_documents(corpus.documents, "train")


def test_the_field_can_be_named(tmp_path):
    spec = {"source": "file", "path": str(write(tmp_path / "mine.jsonl", TEXTS, "body"))}
    assert scored({**spec, "field": "body"}, tmp_path, 3) == TEXTS
    message = r"corpora.c: .*mine.jsonl, row 1: no field 'text'; fields are 'url', 'body'; set field in corpora.c"
    with pytest.raises(ValueError, match=message):
        load_corpus(spec, tmp_path)


def test_too_few_documents_are_told(tmp_path):
    spec = {"source": "file", "path": str(write(tmp_path / "mine.txt", TEXTS))}
    with pytest.raises(ValueError, match=r"evaluation.documents: 4 wanted, .*c.parquet holds 3 held-out documents"):
        scored(spec, tmp_path, 4)
    with pytest.raises(ValueError, match=r"none.jsonl is empty"):
        load_corpus({**spec, "path": str(write(tmp_path / "none.jsonl", []))}, tmp_path)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize(("text", "fault"), [(" \n", "text is empty"), (None, "text is missing")])
def test_a_row_without_text_is_named_or_left_out(tmp_path, suffix, text, fault):
    spec = {"source": "file", "path": str(write(tmp_path / f"mine{suffix}", [TEXTS[0], text, TEXTS[2]]))}
    with pytest.raises(ValueError, match=f"corpora.c: .*mine{suffix}, row 2: {fault}, expected a document"):
        load_corpus(spec, tmp_path)
    corpus = load_corpus({**spec, "on_invalid": "drop"}, tmp_path)
    assert corpus.documents["text"].tolist() == [TEXTS[0], TEXTS[2]]
    assert corpus.documents["doc_id"].tolist() == ["000000001", "000000003"]
    assert f"left_out: {{'{fault}': 1}}" in corpora.facts_lines(corpus)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.txt", b"fine\n\nnot \xe9 fine\n", r"f.txt, line 3: not UTF-8 \(invalid continuation byte\); save the file"),
        ("f.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', r"f.jsonl, line 2, byte 25 \(0xe9\): not UTF-8; save"),
        ("f.jsonl", b'{"text": "\\ud800"}\n', "row 1: text holds half of a surrogate pair"),
        ("f.jsonl", b'{"text": 5}\n', "row 1: text is of type int, expected text"),
        ("f.parquet", b"PAR1", "f.parquet was cut"),
        ("f.jsonl.gz", b"{}", "f.jsonl.gz is something .* expected a gzip file"),
        ("f.txt", b"\n\n", "f.txt: no document in it"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_corpus({"source": "file", "path": str(path)}, tmp_path)
    assert str(caught.value).startswith(f"corpora.c: {path}")


def test_a_missing_file_is_named(tmp_path):
    for name in ("none.txt", "none.parquet"):
        with pytest.raises(RuntimeError, match=f"corpora.c: .*{name}: no such file; correct its path"):
            load_corpus({"source": "file", "path": str(tmp_path / name)}, tmp_path)


@pytest.fixture
def hub_set(tmp_path, monkeypatch) -> Path:
    """A dataset folder as the Hub has them: two configurations of two splits each."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    configs = []
    for config in ("web", "news"):
        (folder / config).mkdir(parents=True)
        for split in ("train", "validation"):
            write(folder / config / f"{split}.jsonl.gz", [f"{config} {split} {number}" for number in range(5)])
        files = ", ".join(f"{{split: {s}, path: {config}/{s}.jsonl.gz}}" for s in ("train", "validation"))
        configs.append(f"{{config_name: {config}, data_files: [{files}]}}")
    (folder / "README.md").write_text(f"---\nconfigs: [{', '.join(configs)}]\n---\n")
    return folder


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"file": "news/validation.jsonl.gz"}, "news validation"),
        ({"subset": "web"}, "web validation"),
        ({"subset": "news", "split": "train"}, "news train"),
        ({"data_dir": "web", "split": "train"}, "web train"),
    ],
)
def test_hub_texts(hub_set, tmp_path, where, expected):
    spec = {"source": "hub", "repo": str(hub_set), "revision": "abc", **where}
    assert scored(spec, tmp_path, 5) == [f"{expected} {number}" for number in range(5)]


def test_one_file_of_a_hub_set_is_all_that_is_read(hub_set, tmp_path):
    (hub_set / "news" / "train.jsonl.gz").write_bytes(b"damaged")
    spec = {"source": "hub", "repo": str(hub_set), "revision": "abc", "file": "news/validation.jsonl.gz"}
    assert len(load_corpus(spec, tmp_path).documents) == 5
    with pytest.raises(
        RuntimeError, match=r"corpora.c: could not load .*split validation, revision abc .*use source: file"
    ):
        load_corpus({key: value for key, value in spec.items() if key != "file"} | {"subset": "news"}, tmp_path)


def test_a_hub_row_without_the_field_is_named(hub_set, tmp_path):
    spec = {"source": "hub", "repo": str(hub_set), "revision": "abc", "subset": "web", "field": "content"}
    with pytest.raises(ValueError, match=r"corpora.c: .*set, row 1: no field 'content'; fields are 'url', 'text'"):
        load_corpus(spec, tmp_path)


def test_a_file_counts_by_its_content_not_by_its_place(tmp_path, monkeypatch):
    from workflow.scripts import fetch_corpus

    monkeypatch.chdir(tmp_path)
    spec = {"source": "file", "path": str(write(tmp_path / "mine.txt", TEXTS)), "content": ["1"]}
    fetch_corpus.main(name="mine", spec=spec, output="mine.parquet", recipe=1, log="logs/c.log")
    assert read_table("mine.parquet", schemas.DOCUMENTS)["text"].tolist() == TEXTS
    assert read_provenance("mine.parquet")["made"]["corpora.mine"] == {"source": "file", "content": ["1"]}
