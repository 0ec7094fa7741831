"""README's result is what the report's function makes of the committed table, and the table is what a run gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conclusions import made_conclusions
from w2sg.report import readme
from w2sg.trajectories.selection import CASE
from w2sg.trajectories.summary import read_summary

ROOT = Path(__file__).resolve().parents[2]

ACCURACIES = [
    "weak",
    "w2s_first",
    "gain_first",
    "w2s_late",
    "ceiling_late",
    "gain",
    "weak_on_weak_gain",
    "permuted_gain",
    "systematic_cost",
]
"""Quantities that another machine may give otherwise by what rounding makes of a few test pairs, at most ``TOLERANCE``."""

TOLERANCE = 0.005

COUNTED = ["onset_step", "revisions", "last_step", "seeds"]
"""Quantities that must be equal."""


def differences(committed: pd.DataFrame, fresh: pd.DataFrame) -> list[str]:
    """Returns what of two tables of conclusions does not agree; verdicts must be equal, and so must be what is counted."""
    first, second = (table.set_index([*CASE, "quantity"]).sort_index() for table in (committed, fresh))
    if set(first.index) != set(second.index):
        return [f"only in one: {sorted(set(first.index) ^ set(second.index))}"]
    second = second.loc[first.index]
    quantity = first.index.get_level_values("quantity")
    allowed = np.select([quantity.isin(ACCURACIES), quantity.isin(COUNTED)], [TOLERANCE, 0.0], np.inf)
    far = ~((first["value"] - second["value"]).abs() <= allowed) & ~(first["value"].isna() & second["value"].isna())
    other = first["verdict"] != second["verdict"]
    return [f"{key}: {first.loc[key, 'value']} and {second.loc[key, 'value']}" for key in first.index[far | other]]


def test_the_block_is_made_of_the_committed_table():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.result_block(read_summary(ROOT / readme.COMMITTED))
    assert readme.with_block(text, block) == text, "remake it with make readme"


def test_the_committed_table_is_what_a_run_gives():
    if not (ROOT / readme.FRESH).exists():
        pytest.skip(f"no {readme.FRESH}: the embedded study was not run here")
    assert differences(read_summary(ROOT / readme.COMMITTED), read_summary(ROOT / readme.FRESH)) == []


def test_tables_that_differ_by_more_than_rounding_are_told_apart():
    table = made_conclusions()
    assert differences(table, made_conclusions({"gain": (0.0485, 0.02, 0.07, "", "above")})) == []
    assert len(differences(table, made_conclusions({"gain": (0.05, 0.02, 0.07, "", "above")}))) == 2
    assert len(differences(table, made_conclusions({"gain": (0.044, 0.02, 0.07, "", "unclear")}))) == 2
    assert len(differences(table, made_conclusions({"onset_step": (1024, 768, 1664)}))) == 2
    assert differences(table, made_conclusions({"pgr": None}))[0].startswith("only in one")
    gone = made_conclusions({"onset_step": (np.nan, np.nan, np.nan)})
    assert differences(gone, gone) == [] and len(differences(table, gone)) == 2


def test_making_it_anew_takes_over_the_table_of_a_run(tmp_path):
    for path, table in (
        (readme.COMMITTED, made_conclusions()),
        (readme.FRESH, made_conclusions({"weak": (0.6, 0.58, 0.62)})),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        table.to_csv(tmp_path / path, index=False)
    (tmp_path / "README.md").write_text(f"before\n{readme.START}\nold\n{readme.END}\nafter\n")
    for committed, fresh in readme.TAKEN_OVER.items():
        for path in (committed, fresh):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if not (tmp_path / fresh).exists():
            (tmp_path / fresh).write_bytes(b"picture")
    readme.renew(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"before\n{readme.START}\n- ") and text.endswith(f"{readme.END}\nafter\n")
    assert "| 0.600 |" in text and "\nold\n" not in text
    for committed, fresh in readme.TAKEN_OVER.items():
        assert (tmp_path / committed).read_bytes() == (tmp_path / fresh).read_bytes()


def test_nothing_is_written_where_a_part_of_the_run_is_missing_or_the_document_has_no_block(tmp_path):
    for path in (readme.COMMITTED, readme.FRESH):
        (tmp_path / path).parent.mkdir(parents=True)
        made_conclusions({"weak": (0.6, 0.58, 0.62)} if path == readme.FRESH else {}).to_csv(tmp_path / path)
    before = (tmp_path / readme.COMMITTED).read_bytes()
    with pytest.raises(FileNotFoundError, match=r"newsgroups_order\.png"):
        readme.renew(tmp_path)
    for fresh in readme.TAKEN_OVER.values():
        (tmp_path / fresh).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / fresh).touch(exist_ok=True)
    (tmp_path / "README.md").write_text("no block")
    with pytest.raises(ValueError, match="expected one"):
        readme.renew(tmp_path)
    assert (tmp_path / readme.COMMITTED).read_bytes() == before


@pytest.mark.parametrize("text", ["nothing", readme.START, readme.END + readme.START, 2 * (readme.START + readme.END)])
def test_a_document_without_one_block_is_refused(text):
    with pytest.raises(ValueError, match=r"README\.md: expected one <!-- result --> and after it one"):
        readme.with_block(text, "block")
