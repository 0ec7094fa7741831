"""Labels out of a file: each fault is named with file and row."""

from __future__ import annotations

import pytest

from w2sg.data.door.labels import match_labels, read_labels

SPLITS = {"a": "ground_truth", "b": "weak_supervision", "c": "test"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("row_id,p\nb,0.5\n", r"labels.csv, row 1: no column 'probability'; columns are"),
        (
            "row_id,probability\nb,0.5\nc,1.5\n",
            r"labels.csv, row 2: probability is 1.5, expected a number from 0 to 1",
        ),
        ("row_id,probability\nb,nan\n", r"labels.csv, row 1: probability is nan"),
        ("row_id,probability\nb,0_1\n", r"labels.csv, row 1: probability is 0_1, expected a number from 0 to 1"),
        ("row_id,probability\nb,\uff10.\uff15\n", r"labels.csv, row 1: probability is \uff10.\uff15, expected"),
        ("row_id,probability\nb,yes\n", r"labels.csv, row 1: probability is yes"),
        ("row_id,probability\nb,0.5\nb,0.5\n", r"labels.csv, row 2: row id b is that of row 1 too"),
        ("row_id,probability\nb,0.5\nd,0.5\n", r"labels.csv, row 2: row id d is that of no pair of the dataset"),
        (
            "row_id,probability\na,0.5\n",
            r"labels.csv, row 1: row id a is that of a pair of split ground_truth; expected",
        ),
        ("row_id,probability\nb,0.5\n", r"labels.csv: 1 of 2 pairs have no label, such as row id c of split test"),
    ],
)
def test_faults_are_named(tmp_path, text, said):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        match_labels(read_labels(str(path)), SPLITS, str(path))


def test_rows_in_any_order_are_the_labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"row_id": "c", "probability": 1}\n{"row_id": "b", "probability": 0.25, "who": "x"}\n')
    assert match_labels(read_labels(str(path)), SPLITS, str(path)) == {"b": 0.25, "c": 1.0}
