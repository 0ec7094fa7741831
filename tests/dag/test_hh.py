"""Real HH-RLHF pairs through the same workflow, by configuration only; skipped where the files are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import tiny
from tests.dag.conftest import ROOT, Workflow, study
from w2sg.tables import schemas
from w2sg.tables.files import read_table

DATA = Path(os.environ.get("W2SG_DATA", ROOT.parent / "shared" / "data"))
SPLITS = {"ground_truth": "gt", "weak_supervision": "w2s", "test": "test"}


@pytest.mark.hub_data
@pytest.mark.skipif(not (DATA / "hh_helpful_gt.jsonl.gz").exists(), reason="HH-RLHF files are not here")
def test_real_preference_pairs(tmp_path):
    config = study(tmp_path)
    tiny.save_revisions(tmp_path / "strong", "gpt_neox", [4], width=32)
    local = {"source": "local", "dtype": "float32", "tokens_per_step": 128}
    config["models"]["strong"] = {**local, "path": str(tmp_path / "strong")}
    config["families"]["hh"] = {"strong": "strong", "weak": "small"}
    for kind in ("helpful", "harmless"):
        files = {split: str(DATA / f"hh_{kind}_{name}.jsonl.gz") for split, name in SPLITS.items()}
        config["datasets"][kind] = {"source": "files", "files": files, "pairs": 500, "on_invalid": "drop"}
    config["sweep"] = {"families": ["hh"], "datasets": ["helpful", "harmless"]}
    workflow = Workflow(folder=tmp_path, config=config)
    workflow.run()
    floors = read_table(tmp_path / "results" / "smoke" / "tables" / "floors.parquet", schemas.FLOORS)
    longer = floors.set_index(["dataset", "floor", "metric"])["value"]
    assert 0.5 < longer[("helpful", "longer_response", "accuracy")] < 0.75
    assert longer[("harmless", "same_ending", "tie_rate")] > 0.1
    metrics = read_table(tmp_path / "results" / "smoke" / "tables" / "metrics.parquet", schemas.METRICS)
    w2s = metrics[(metrics["head"] == "w2s") & (metrics["metric"] == "accuracy")]
    assert set(w2s["dataset"]) == {"helpful", "harmless"}
    assert w2s["n"].min() >= 490
    assert w2s["value"].between(0.35, 0.75).all()
