"""Joining of the many tables of a family, against the same done with pandas."""

from __future__ import annotations

import pandas as pd
import pytest

from w2sg.tables import schemas
from w2sg.tables.files import read_arrow, read_table, write_table
from w2sg.trajectories import collect

FAMILY = {
    "name": "f", "strong": "m", "weak": "a-weak", "weak_revision": "last",
    "revisions": [{"name": "step9", "step": 9, "tokens": 0.1}, {"name": "step10", "step": 10, "tokens": 0.2}],
}  # fmt: skip


def rows(model: str, revision: str, dataset: str, *, head: str = "w2s") -> pd.DataFrame:
    keys = {
        "model": model,
        "revision": revision,
        "commit": "c",
        "dataset": dataset,
        "tested_on": dataset,
        "head": head,
        "protocol": "paper",
    }
    made = [
        keys | {"setting": "cv", "seed": seed, "metric": metric, "layer": layer, "value": 0.5, "low": 0.4, "n": 9}
        for seed in (0, 1)
        for metric in ("accuracy", "pgr")
        for layer in (2, 10)
    ]
    return pd.DataFrame(made).assign(high=None)[schemas.RESULTS.fields.names]


@pytest.fixture
def made(tmp_path):
    def make(frame: pd.DataFrame):
        write_table(frame, tmp_path / "part.parquet", schemas.RESULTS, provenance={})
        return read_arrow(tmp_path / "part.parquet", schemas.RESULTS)

    return make


def test_a_family_has_all_rows_of_its_parts_with_step_and_tokens_in_the_order_of_the_keys(made, tmp_path):
    parts = [rows("m", name, dataset) for name in ("step9", "step10") for dataset in ("y", "x")]
    weak = rows("a-weak", "last", "x", head="weak")
    table = collect.join_family(
        family=FAMILY,
        revisions={"step10": [made(parts[2]), made(parts[3])], "step9": [made(parts[0]), made(parts[1])]},
        weak=[made(weak)],
    )
    write_table(table, tmp_path / "family.parquet", schemas.METRICS, provenance={})
    frame = pd.concat([*parts, weak]).assign(family="f", weak="a-weak", weak_revision="last", high=float("nan"))
    steps = {"step9": 9, "step10": 10, "last": 10}
    frame = frame.assign(step=frame["revision"].map(steps), tokens=frame["revision"].map(steps).map({9: 0.1, 10: 0.2}))
    wanted = frame.sort_values(list(schemas.METRICS.keys), ignore_index=True)[schemas.METRICS.fields.names]
    found = read_table(tmp_path / "family.parquet", schemas.METRICS)
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    again = pd.read_parquet(tmp_path / "family.parquet").sample(frac=1, random_state=0)
    write_table(again, tmp_path / "shuffled.parquet", schemas.METRICS, provenance={})
    assert (tmp_path / "shuffled.parquet").read_bytes() == (tmp_path / "family.parquet").read_bytes()


def test_a_family_of_which_nothing_was_measured_is_an_empty_table():
    assert len(collect.join_family(family=FAMILY, revisions={}, weak=[])) == 0


def test_a_table_of_another_revision_is_refused(made):
    with pytest.raises(ValueError, match=r"a table of revision step9 holds rows of \['step10'\]"):
        collect.join_family(family=FAMILY, revisions={"step9": [made(rows("m", "step10", "x"))]}, weak=[])
