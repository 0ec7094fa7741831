"""Checked tables, atomic files, job logs."""

from __future__ import annotations

import gc
import os
import signal
import sys

import pandas as pd
import pyarrow as pa
import pytest

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables.files import TableError, TableSchema, read_provenance, read_table, write_table

SCHEMA = TableSchema(
    name="example",
    fields=pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("maybe", pa.float64(), nullable=True),
        ]
    ),
    keys=("key", "step"),
)


def frame(n: int = 500) -> pd.DataFrame:
    return pd.DataFrame({"key": [f"k{i % 7}" for i in range(n)], "step": range(n), "value": 0.5, "maybe": None})


def test_a_table_comes_back_sorted_with_its_provenance_and_equal_rows_give_equal_bytes(tmp_path):
    made = frame()
    write_table(made, tmp_path / "a", SCHEMA, provenance={"recipe": 3})
    write_table(made.sample(frac=1, random_state=0), tmp_path / "b", SCHEMA, provenance={"recipe": 3})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = read_table(tmp_path / "a", SCHEMA)
    pd.testing.assert_frame_equal(
        back[["key", "step"]], made.sort_values(["key", "step"])[["key", "step"]].reset_index(drop=True)
    )
    assert read_provenance(tmp_path / "a") == {"table": "example", "recipe": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(extra=1), r"unknown columns \['extra'\]"),
        (lambda f: f.drop(columns="value"), r"missing columns \['value'\]"),
        (lambda f: f.assign(step=0), "occurs more than once"),
        (lambda f: f.assign(value=float("nan")), "column value holds 500 null or NaN"),
        (lambda f: f.assign(step="x"), "table example"),
    ],
)
def test_wrong_tables_are_not_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_table(change(frame()), tmp_path / "a", SCHEMA, provenance={})
    assert list(tmp_path.iterdir()) == []


def test_cut_empty_foreign_and_bit_flipped_tables_are_refused(tmp_path):
    path = tmp_path / "a"
    write_table(frame().assign(value=range(500)), path, SCHEMA, provenance={})
    whole = path.read_bytes()
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "none", SCHEMA)
    for broken in (whole[:-20], b"", b"something else"):
        path.write_bytes(broken)
        with pytest.raises(TableError, match="not a whole parquet file"):
            read_table(path, SCHEMA)
    path.write_bytes(whole[:600] + bytes([whole[600] ^ 4]) + whole[601:])
    with pytest.raises(TableError):
        read_table(path, SCHEMA)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(TableError, match="other columns"):
        read_table(path, SCHEMA)


def test_a_failed_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as path:
        path.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_file_has_the_permissions_of_new_ones_whatever_its_writer_gave_it(tmp_path):
    (tmp_path / "new").touch()
    with atomic_path(tmp_path / "x") as path:
        path.touch(mode=0o600)
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic_path(target) as path:
            path.mkdir()
            (path / name).write_text("x")
    assert [p.name for p in target.iterdir()] == ["second"]


def test_the_log_keeps_output_warnings_and_traceback_and_the_terminal_the_reason(tmp_path, capsys):
    log = tmp_path / "logs" / "job.log"
    with pytest.raises(SystemExit) as caught, jobs.log_to(log):
        sys.stdout.write("to the log\n")
        raise ValueError("the reason")
    assert caught.value.code == 1
    text = log.read_text()
    assert "to the log" in text
    assert "Traceback" in text
    assert "the reason" in capsys.readouterr().err


def test_sigterm_runs_clean_up_and_gives_its_exit_status(tmp_path):
    cleaned = []
    with pytest.raises(SystemExit) as caught, jobs.log_to(tmp_path / "job.log"):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleaned.append(True)
    assert caught.value.code == 143
    assert cleaned


def test_a_job_looks_seldom_for_cycles_and_what_comes_after_it_as_before(tmp_path):
    before = gc.get_threshold()
    with jobs.log_to(tmp_path / "job.log"):
        assert gc.isenabled()
        assert gc.get_threshold()[0] == jobs.YOUNG > before[0]
    assert gc.get_threshold() == before


def test_progress_reports_rate_and_facts(capsys):
    progress = jobs.Progress("train", 10, "tokens", every=0)
    progress.update(4, loss=2.5)
    line = capsys.readouterr().err
    assert "train: 4/10 tokens (40 %)" in line
    assert "loss 2.5" in line
    with pytest.raises(ValueError, match="total"):
        jobs.Progress("x", 0, "y")


def test_progress_reports_its_end_once_and_takes_units_back(capsys):
    progress = jobs.Progress("fetch", 100, "bytes")
    progress.update(100)
    progress.update(-100)  # the file was damaged
    for _ in range(50):
        progress.update(2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # each time that all is there
    assert all("100/100 bytes (100 %)" in line and line.endswith(" 0 s left") for line in lines)
    for _ in range(50):
        progress.update(2)  # more than was promised
    assert not capsys.readouterr().err
    progress.every = 0
    progress.update(0)
    line = capsys.readouterr().err
    assert "(100 %)" in line
    assert line.endswith(" 0 s left\n")
