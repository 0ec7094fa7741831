"""Pairs that an entry does not state are counted in its files."""

import gzip
import json

import pytest

from w2sg.command.sizes import count_pairs

ROW = json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}) + "\n"


def test_what_an_entry_says_holds_and_the_hub_is_not_asked():
    assert count_pairs("d", {"source": "hub", "repo": "a/b"}) is None
    assert count_pairs("d", {"source": "files", "file": "none.csv", "pairs": 50}) == 50
    assert count_pairs("d", {"source": "hub", "repo": "a/b", "pairs": 50, "task": "classification"}) == 25


def test_rows_of_all_files_of_a_folder_are_dealt_to_three_splits(tmp_path):
    (tmp_path / "a.jsonl").write_text(ROW * 20)
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write('prompt,chosen,rejected\n"two\nlines",a,b\n' + "p,a,b\n" * 9)
    (tmp_path / "notes.txt").write_text("no rows\n")
    assert count_pairs("d", {"source": "files", "file": str(tmp_path)}) == 10
    assert count_pairs("d", {"source": "files", "file": str(tmp_path), "task": "classification"}) == 5


def test_the_smallest_of_three_files_counts(tmp_path):
    files = {}
    for split, rows in (("ground_truth", 9), ("weak_supervision", 7), ("test", 8)):
        files[split] = str(tmp_path / f"{split}.jsonl")
        (tmp_path / f"{split}.jsonl").write_text(ROW * rows)
    assert count_pairs("d", {"source": "files", "files": files}) == 7


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text(ROW + "{\n")
    with pytest.raises(ValueError, match=r"datasets.d: .*a.jsonl"):
        count_pairs("d", {"source": "files", "file": str(tmp_path / "a.jsonl")})
