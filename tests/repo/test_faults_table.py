"""docs/reliability.md shows what the record of `make fault-test` says."""

from __future__ import annotations

from tests import faults


def test_the_table_is_that_of_the_record():
    page = faults.PAGE.read_text(encoding="utf-8")
    assert page == faults.updated(page), "run: python -m tests.faults"


def test_every_row_names_a_test_that_is_there_and_lost_nothing():
    rows = faults.read()
    assert sum(row["tried"] for row in rows if "kill -9" in row["fault"]) >= 20
    for row in rows:
        path, _, name = row["test"].partition("::")
        assert f"def {name}(" in (faults.ROOT / path).read_text(encoding="utf-8")
        assert row["lost"] == 0
