"""Files that are not what their names say: of every format whole ones pass, and pointers, pages and cut files are told."""

from __future__ import annotations

import gzip
import json
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from w2sg.runtime.contents import content_fault

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 123456\n"
STATE = OrderedDict((f"layer.{n}.weight", torch.arange(40.0 + n)) for n in range(4))


def save_json(path: Path) -> None:
    path.write_text(
        json.dumps({"model": {"vocab": {f"wörd{n}": n for n in range(50)}}, "text": "a"}, ensure_ascii=False)
    )


def save_rows(path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(50))}), path)


def save_packed(path: Path) -> None:
    path.write_bytes(gzip.compress(b"{}\n" * 9))


WRITERS = {
    "model.safetensors": lambda path: save_file({"a": np.ones((3, 4)), "b": np.zeros(2)}, path),
    "pytorch_model.bin": lambda path: torch.save(STATE, path),
    "old.bin": lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False),
    "tokenizer.json": save_json,
    "rows.parquet": save_rows,
    "rows.jsonl.gz": save_packed,
    "rows.jsonl": lambda path: path.write_text('{"a": 1}\n'),
    "rows.csv": lambda path: path.write_text("a,b\n1,2\n"),
    "text.txt": lambda path: path.write_text("<a> text, version 1 of it"),
}
CUT = [name for name in WRITERS if name.split(".", 1)[1] in ("safetensors", "bin", "json", "parquet")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_has_no_fault(whole, name):
    assert content_fault(whole / name) == ""


STRANGERS = {
    "pointer": (POINTER.encode(), "Git LFS pointer"),
    "page": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
    "bare page": (b"\xef\xbb\xbf<HTML><head>404", "web page"),
    "refusal of a bucket": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
    "nothing": (b"", "empty"),
    "hole": (bytes(9000), "zeros"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("name", WRITERS)
def test_what_stands_in_place_of_a_file_is_named(tmp_path, name, stranger):
    content, said = STRANGERS[stranger]
    (tmp_path / name).write_bytes(content)
    assert said in content_fault(tmp_path / name)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_packed_in_place_of_a_text_is_named(whole, tmp_path, stranger):
    content, said = STRANGERS[stranger]
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(content))
    assert re.match(rf"\(unpacked\) .*{said}", content_fault(tmp_path / "rows.csv.gz"))
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((whole / "rows.parquet").read_bytes()))
    assert content_fault(tmp_path / "rows.csv.gz") == "(unpacked) is a parquet file by its content, expected text"


@QUICK
@given(data=st.data(), name=st.sampled_from(CUT))
def test_a_file_that_was_cut_anywhere_is_told(whole, data, name):
    content = (whole / name).read_bytes()
    # The numbers of an old torch file are read by torch alone; its description is at the beginning.
    end = 300 if name == "old.bin" else len(content) - 1
    cut = whole / f"cut-{name}"
    cut.write_bytes(content[: data.draw(st.integers(0, end), label="bytes kept")])
    assert content_fault(cut) != ""


@pytest.mark.parametrize(
    ("content", "name"),
    [("rows.jsonl.gz", "x.jsonl"), ("rows.parquet", "x.csv"), ("rows.jsonl", "x.parquet"), ("rows.csv", "x.csv.gz"),
     ("pytorch_model.bin", "x.safetensors"), ("model.safetensors", "x.bin"), ("rows.parquet", "tokenizer.json")],
)  # fmt: skip
def test_a_suffix_that_names_another_format_is_told(whole, tmp_path, content, name):
    (tmp_path / name).write_bytes((whole / content).read_bytes())
    assert "by its content, expected" in content_fault(tmp_path / name)


@QUICK
@given(content=st.binary(min_size=1, max_size=600), suffix=st.sampled_from([".safetensors", ".bin", ".parquet", ".gz"]))
def test_no_bytes_end_the_check_itself(whole, content, suffix):
    path = whole / f"drawn{suffix}"
    path.write_bytes(content)
    assert content_fault(path) or (suffix == ".gz" and content.startswith(b"\x1f\x8b"))


def test_folders_and_dead_links(tmp_path):
    (tmp_path / "a.json").mkdir()
    (tmp_path / "b.json").symlink_to(tmp_path / "gone")
    assert content_fault(tmp_path / "a.json") == "is a folder, expected a file"
    assert content_fault(tmp_path / "b.json") == "is a link that leads nowhere"
    assert content_fault(tmp_path / "c.json") == "does not exist"


def test_weights_that_end_in_zeros_are_told_from_zeros_that_are_meant(tmp_path):
    path, drawn = tmp_path / "model.safetensors", np.ones((64, 64), np.float32)
    for name, last, told in (("query", 0 * drawn, True), ("o_proj", 0 * drawn, False)):
        save_file({f"h.0.{name}.weight": drawn, f"h.1.{name}.weight": last, "h.1.key.weight": drawn[:0]}, path)
        assert (f"first in h.1.{name}.weight" in content_fault(path)) == told
