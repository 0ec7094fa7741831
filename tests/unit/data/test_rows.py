"""Files of rows: what is written is read back row for row, and what is wrong with a file is named by place."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from w2sg.data.rows import file_rows
from w2sg.study.texts.files import DATA_SUFFIXES, data_files

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
    st.sampled_from(
        [
            "NA",
            "null",
            "NaN",
            "007",
            "1e5",
            "true",
            " ",
            "a\nb",
            "a\r\nb",
            '"',
            '""',
            '"a',
            "a,b\tc;",
            "\ufeff",
            "'",
            "é",
        ]
    ),
)
ROWS = st.lists(st.fixed_dictionaries({"prompt": TEXTS, "chosen": TEXTS, "rejected": TEXTS}), min_size=1, max_size=6)


def rows_of(path: Path) -> list[dict]:
    return [dict(row) for _, row in file_rows(path, str(path))]


def content_of(suffix: str, rows: list[dict]) -> bytes:
    kind = suffix.removesuffix(".gz")
    if kind == ".parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        return sink.getvalue()
    if kind in (".csv", ".tsv"):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), delimiter="," if kind == ".csv" else "\t")
        writer.writeheader()
        writer.writerows(rows)
        made = text.getvalue()
    elif kind == ".jsonl":
        made = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        made = json.dumps(rows, indent=1)
    return gzip.compress(made.encode()) if suffix.endswith(".gz") else made.encode()


@pytest.mark.parametrize("suffix", DATA_SUFFIXES)
@given(rows=ROWS)
def test_what_is_written_is_read_back_row_for_row(tmp_path_factory, suffix, rows):
    if suffix.startswith(".tsv"):  # such a text is refused: see the last test
        assume(not any("\t" in text and ("\n" in text or "\r" in text) for row in rows for text in row.values()))
    path = tmp_path_factory.mktemp("rows") / f"mine{suffix}"
    path.write_bytes(content_of(suffix, rows))
    assert rows_of(path) == rows
    if suffix in (".csv", ".jsonl", ".json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert rows_of(path) == rows


@given(rows=ROWS, other=st.sampled_from(["latin-1", "utf-16", "cp1252"]))
def test_bytes_of_another_encoding_are_refused_by_line_and_byte(tmp_path_factory, rows, other):
    path = tmp_path_factory.mktemp("rows") / "mine.csv"
    good = content_of(".csv", rows)
    path.write_bytes(good + "é,ü,ß\r\n".encode(other))
    line = good.count(b"\n") + 1
    with pytest.raises(ValueError, match=rf"mine.csv, line {line}, byte {len(good) + 1} \(0x..\): not UTF-8") as caught:
        rows_of(path)
    assert "save the file in UTF-8" in str(caught.value)


@pytest.mark.parametrize(
    "suffix", [suffix for suffix in DATA_SUFFIXES if suffix.endswith((".gz", ".json", ".parquet"))]
)
@given(rows=ROWS, share=st.floats(0, 0.999))
def test_a_file_that_was_cut_anywhere_is_refused_by_name(tmp_path_factory, suffix, rows, share):
    path = tmp_path_factory.mktemp("rows") / f"mine{suffix}"
    content = content_of(suffix, rows)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"mine{suffix}"):
        rows_of(path)


@given(
    parts=st.lists(
        st.tuples(st.sampled_from([s for s in DATA_SUFFIXES if "tsv" not in s]), ROWS), min_size=1, max_size=3
    )
)
def test_the_rows_of_a_folder_are_those_of_its_files(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("rows")
    for number, (suffix, rows) in enumerate(parts):
        (folder / f"part{number}{suffix}").write_bytes(content_of(suffix, rows))
    (folder / "notes.txt").write_text("no rows")
    assert [row for path in data_files(str(folder)) for row in rows_of(Path(path))] == [
        row for _, rows in parts for row in rows
    ]


def test_a_long_text_and_blank_lines_are_no_trouble(tmp_path):
    long = "word " * 100_000
    (tmp_path / "a.csv").write_text(f'a,b\n\n"{long}",x\n\n,\n')
    assert rows_of(tmp_path / "a.csv") == [{"a": long, "b": "x"}, {"a": "", "b": ""}]
    (tmp_path / "A.JSONL").write_text('\n{"a": 1}\n\n')
    assert [(number, dict(row)) for number, row in file_rows(tmp_path / "A.JSONL", "x")] == [(2, {"a": 1})]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.csv", b"a,b\n1,2\n1,2,3\n", r"f.csv, row 2 \(line 3\): 3 values, the header names 2 \(a, b\); correct the row, or quote"),
        ("f.csv", b'a,b\n"x\ny",2\n1\n', r"f.csv, row 2 \(line 4\): 1 values, the header names 2"),
        ("f.csv", b'a,b\nx,2\n"open,3\n4,5\n', r"f.csv, line 3: a quoted text that begins there is not closed"),
        ("f.csv", b'a,b\n"x" y,3\n', r"f.csv, line 2: a quoted text .* quotes inside of a quoted text are doubled"),
        ("f.csv", b"a,b,a\n1,2,3\n", "f.csv: the header names column 'a' twice"),
        ("f.csv", b"a,b\n1,2\n\xef\xbb\xbfa,b\n3,4\n", r"f.csv, row 2 \(line 3\): the header again; remove the line"),
        ("f.csv", b"a,b\n1,2\na,b\n3,4\n", r"f.csv, row 2 \(line 3\): the header again; remove the line"),
        ("f.csv", b'a,b\n1, "two"\n', r"f.csv, row 1 \(line 2\): a space stands before the quotes of  \"two\"; remove it"),
        ("f.csv", b'a,b\n"one,two\nthree",four\n', r"f.csv, row 1 \(line 2\): a quote joins 2 lines, each of which is a row by itself"),
        ("f.csv", b"a;b\n1;2\n", "f.csv: the header has no ',' but ';'; save the file with ',' between columns"),
        ("f.tsv", b"a,b\n1,2\n", r"f.tsv: the header has no '\\t' but ','"),
        ("f.csv", "a,b\n1,2\n".encode("utf-16"), "f.csv seems to be in UTF-16, expected UTF-8"),
        ("f.csv", "a,b\n1,2\n".encode("utf-16-le"), "f.csv seems to be in UTF-16, expected UTF-8"),
        ("f.jsonl", '{"a": 1}\n'.encode("utf-16-be"), "f.jsonl seems to be in UTF-16, expected UTF-8"),
        ("f.json", '[{"a": 1}]'.encode("utf-32"), "f.json seems to be in UTF-32, expected UTF-8"),
        ("f.tsv.gz", gzip.compress("a\tb\n1\t2\n".encode("utf-16-le"), mtime=0), r"f.tsv.gz \(unpacked\) seems to be in UTF-16"),
        ("f.csv.gz", gzip.compress(b"a,b\n1,\xe9\n", mtime=0), r"f.csv.gz, line 2, byte 7 \(0xe9\): not UTF-8"),
        ("f.json", b'{"data": [{"a": 1}]}', "f.json: holds an object with data, expected an array of objects, one for each row"),
        ("f.json", b'{"a": 1}\n{"a": 2}\n', "f.json is not JSON .Extra data.*; name it .jsonl if it has one object per line"),
        ("f.json", b'[{"a": 1, "a": 2}]', "f.json: not JSON .an object has two fields 'a'"),
        ("f.json", b'[{"a": 1}, 2]', "f.json, row 2: not a JSON object with fields"),
        ("f.json", b'[{"a": 1}, {"a"', "f.json was cut"),
        ("f.json", b"[" * 100_000, "f.json is not a JSON of any use"),
        ("f.jsonl", b'{"a": 1, "b": 2, "a": 3}\n', "f.jsonl, row 1: not JSON .an object has two fields 'a'"),
        ("f.xlsx", b"PK", "name must end in one of .jsonl, .json, .csv"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_place(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        rows_of(tmp_path / name)


def test_parquet_that_would_lose_a_column_or_a_byte_is_refused(tmp_path):
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(ValueError, match="has column 'a' twice"):
        rows_of(tmp_path / "twice.parquet")
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9"))
    pq.write_table(pa.Table.from_arrays([broken], names=["a"]), tmp_path / "bytes.parquet")
    with pytest.raises(ValueError, match=r"bytes.parquet, behind row 0: a text is not UTF-8"):
        rows_of(tmp_path / "bytes.parquet")


def test_quotes_of_a_table_written_without_quoting_merge_no_rows(tmp_path):
    """Both lines are rows; csv alone would read one."""
    (tmp_path / "f.tsv").write_text('prompt\tchosen\trejected\n"Hi there\ta\tb\nhe said "yes"\tc\td\n"\tx\ty\n')
    with pytest.raises(ValueError, match="f.tsv, line 2: a quoted text"):
        rows_of(tmp_path / "f.tsv")
    (tmp_path / "f.tsv").write_text('prompt\tchosen\n"Hi there\ta\nx"\tb\n')
    with pytest.raises(
        ValueError, match=r"f.tsv, row 1 \(line 2\): a quote joins 2 lines, each of which is a row by itself"
    ):
        rows_of(tmp_path / "f.tsv")


@pytest.mark.parametrize(
    "rows",
    [
        ["one, two\nthree", "four"],
        ["one,two\nthree", "four"],
        [' "one" she said "two"', ' "one"'],
        ["a\nb\nc", "x"],
    ],
)
def test_quoted_texts_of_several_lines_or_with_quotes_and_spaces_are_texts(tmp_path, rows):
    with (tmp_path / "f.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], rows, ["commas,and", "1,000"]])
    assert rows_of(tmp_path / "f.csv")[0] == {"a": rows[0], "b": rows[1]}


def test_a_folder_means_its_files_of_rows_by_name(tmp_path):
    (tmp_path / "d.jsonl").mkdir()
    for name in ("b.csv", "a.jsonl", "README.md", "c.JSON.GZ", ".b.csv", "._a.jsonl"):
        (tmp_path / name).write_text("")
    assert data_files(str(tmp_path)) == [str(tmp_path / name) for name in ("a.jsonl", "b.csv", "c.JSON.GZ")]
    assert data_files("none.csv") == ["none.csv"]


def test_a_date_that_python_does_not_know_is_named(tmp_path):
    far = pa.array([0, 2**30], pa.date32())
    pq.write_table(pa.table({"text": ["a", "b"], "day": far}), tmp_path / "days.parquet")
    with pytest.raises(
        ValueError, match=r"days.parquet, behind row 0: a value has no meaning .*; leave out its column"
    ):
        list(file_rows(tmp_path / "days.parquet", "days.parquet"))
