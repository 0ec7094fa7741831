"""From the tables of a study to its conclusions, as the workflow's steps do it, also where nothing is left to conclude from."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.studies import made_metrics
from w2sg.revisions.audit import Published, audit_table
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories import coverage
from w2sg.trajectories.summary import COLUMNS, read_summary

STEPS = [0, 64, 512, 2048]
MADE = {
    "audit": {"exclude": True},
    "statistics": {"resamples": 100, "confidence": 0.95, "block": 0, "first": 50, "late": 0.2, "seed": 0},
}


@pytest.fixture
def conclude(tmp_path, monkeypatch):
    """A function that runs both steps on a study, whose revisions may all have the same weights, and returns table and text."""
    monkeypatch.setattr("w2sg.tables.origins.trace", lambda *_, **__: {})

    def run(metrics: pd.DataFrame, *, same: bool) -> tuple[pd.DataFrame, str]:
        from workflow.scripts import correlate, summarize_sweep

        hashes = [("f" if same else f"{step:x}") * 64 for step in STEPS]
        listed = [
            Published(revision=f"step{step}", commit="c", hashes={"model.safetensors": one[:64]})
            for step, one in zip(STEPS, hashes, strict=True)
        ]
        listed.append(Published(revision="step4096", commit="c", hashes={"model.safetensors": "e" * 64}))
        main = Published(revision="main", hashes={"model.safetensors": "f" * 64})
        wanted = {family: {f"step{step}": step for step in STEPS} for family in ("nano", "other")}
        given = {
            "metrics": (metrics, schemas.METRICS),
            "audit": (audit_table("nano-strong", [*listed, main]), schemas.AUDIT),
            "completeness": (
                coverage.completeness(metrics, wanted, ["newsgroups_tech"], ["linear"]),
                schemas.COMPLETENESS,
            ),
        }
        inputs = {name: str(tmp_path / f"{name}.parquet") for name in given}
        for name, (table, schema) in given.items():
            write_table(table, inputs[name], schema, provenance={})
        statistics = {name: str(tmp_path / f"{name}.parquet") for name in correlate.SCHEMAS}
        common = {"groups": {"group": ["nano", "other"]}, "confidence": 0.95, "made": MADE, "config": {}}
        common["log"] = str(tmp_path / "log")
        correlate.main(metrics=inputs["metrics"], audited=inputs["audit"], predictions=[], outputs=statistics, **common)
        outputs = {name: str(tmp_path / name) for name in ("table", "text", "acceptance", "excluded", "origin")}
        summarize_sweep.main(inputs=inputs | statistics, outputs=outputs, banded=[], **common)
        assert all(len(read_table(statistics[name], schema)) >= 0 for name, schema in correlate.SCHEMAS.items())
        return read_summary(outputs["table"]), (tmp_path / "text").read_text()

    return run


def test_a_study_of_which_one_family_is_empty(conclude):
    table, text = conclude(made_metrics(effect=True, steps=STEPS), same=False)
    assert table.columns.tolist() == COLUMNS
    assert set(table["family"]) == {"nano"} and set(table["level"]) == {"revisions"}  # of a group's seeds one is left
    onsets = table[(table["quantity"] == "onset_step") & (table["family"] == "nano")]
    assert onsets["note"].str.contains("no revision between").all()
    assert "missing: other: nothing was measured" in text


def test_a_study_of_which_every_revision_is_flagged(conclude):
    table, text = conclude(made_metrics(effect=True, steps=STEPS), same=True)
    assert table.empty and table.columns.tolist() == COLUMNS
    assert text.count("(left out)") == len(STEPS)
