"""From the tables of a study to its figures and its page, as the workflow's steps do it, also where a family has nothing left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conclusions import made_conclusions, nothing, transferred, with_controls
from tests.studies import made_evidence, made_floors, made_metrics
from w2sg.report.catalogue import GROUP_FIGURES
from w2sg.revisions.audit import Published, audit_table
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table
from w2sg.tables.reading import READINGS
from w2sg.trajectories import coverage

STEPS = [0, 64, 512, 2048]
SEEDS = ["nano-seed0", "nano-seed1"]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that writes the tables of a study of two pre-training seeds; the weights of all revisions may be the same."""
    monkeypatch.setattr(
        "w2sg.tables.origins.trace",
        lambda *_, **__: {"code": "c", "config": "{}", "config_sha256": "s", "versions": {}},
    )

    def written(*, same: bool) -> dict[str, str]:
        one = with_controls(made_metrics(effect=True, steps=STEPS))
        metrics = pd.concat([rows.assign(family=name) for name in SEEDS for rows in (one, transferred(one))])
        listed = [
            Published(revision=f"step{step}", commit="c", hashes={"model.safetensors": ("f" if same else f"{k}") * 64})
            for k, step in enumerate(STEPS)
        ]
        listed += [
            Published(revision=name, commit="c", hashes={"model.safetensors": "f" * 64})
            for name in ("step4096", "main")
        ]
        found, wanted = made_evidence(effect=True), {name: {f"step{step}": step for step in STEPS} for name in SEEDS}
        tables = {
            "metrics": (metrics, schemas.METRICS),
            "floors": (made_floors(), schemas.FLOORS),
            "audit": (audit_table("nano-strong", listed), schemas.AUDIT),
            "correlations": (found.correlations.head(0 if same else None), schemas.CORRELATIONS),
            "transitions": (found.transitions.head(0 if same else None), schemas.TRANSITIONS),
            "agreement": (schemas.AGREEMENT.fields.empty_table().to_pandas(), schemas.AGREEMENT),
            "readings": (READINGS.fields.empty_table().to_pandas(), READINGS),
            "completeness": (
                coverage.completeness(metrics, wanted, ["newsgroups_tech"], ["linear"]),
                schemas.COMPLETENESS,
            ),
        }
        inputs = {name: str(tmp_path / f"{name}.parquet") for name in tables}
        for name, (table, schema) in tables.items():
            write_table(table, inputs[name], schema, provenance={})
        texts = {
            "summary": nothing() if same else pd.concat([made_conclusions(family=name) for name in SEEDS]),
            "acceptance": found.bands.head(0),
            "excluded": found.excluded,
        }
        for name, table in texts.items():
            inputs[name] = str(tmp_path / f"{name}.csv")
            table.to_csv(inputs[name], index=False)
        return inputs

    return written


def drawn(inputs: dict[str, str], family: str, folder: Path) -> dict[str, pd.DataFrame]:
    """The plotted tables of a family's figures, or of those of a group."""
    from workflow.scripts import plot_figures

    kinds = ("svg", "pdf", "png", "parquet", "caption")
    outputs = {name: {kind: str(folder / f"{name}.{kind}") for kind in kinds} for name in GROUP_FIGURES}
    made: dict[str, Any] = {"audit": {"exclude": True}}
    plot_figures.main(
        inputs=inputs, family=family, dataset="newsgroups_tech", outputs=outputs, groups={"nano": SEEDS}, made=made, config={},
        coverage="95 %", log=str(folder / "log"),
    )  # fmt: skip
    assert all(Path(path).stat().st_size for paths in outputs.values() for path in paths.values())
    return {name: read_table(paths["parquet"], schemas.FIGURE) for name, paths in outputs.items()}


def page_of(inputs: dict[str, str], folder: Path) -> str:
    from workflow.scripts import write_report

    study = made_evidence(effect=True).study | {"audit": {"exclude": True}}
    write_report.main(
        inputs=inputs, study=study, benchmarks={}, criteria=str(folder / "none"), groups={"nano": SEEDS}, made={}, config={},
        output=str(folder / "report.html"), log=str(folder / "log"),
    )  # fmt: skip
    return (folder / "report.html").read_text()


def test_figures_and_page_of_two_seeds(study, tmp_path):
    inputs = study(same=False)
    one, both = drawn(inputs, "nano-seed0", tmp_path), drawn(inputs, "nano", tmp_path)
    assert not one["trajectory"]["series"].str.contains("@").any()
    assert {"w2s", "w2s@nano-seed0", "w2s@nano-seed1", "permuted", "weak_on_weak", "floor:fewer_tokens"} <= set(
        both["trajectory"]["series"]
    )
    errors = one["prediction"].query("series == 'error'").set_index("panel")["value"]
    assert errors.to_dict() == {
        f"{heads}:{name}": v for heads in ("paper", "converged") for name, v in (("probe", 0.0116), ("loss", 0.0155))
    }
    html = page_of(inputs, tmp_path)
    assert "nano on newsgroups_tech, 2 pre-training seeds" in html and "Tested on other datasets" in html


def test_figures_and_page_of_a_study_whose_revisions_were_all_left_out(study, tmp_path):
    inputs = study(same=True)
    for family in ("nano-seed0", "nano"):
        assert all(table.empty for table in drawn(inputs, family, tmp_path).values())
    assert "cannot be told: no measured revision is left" in page_of(inputs, tmp_path)
