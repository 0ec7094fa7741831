"""An adaptive family: each run measures what the tables ask for, the sweep ends, and a lost round is chosen again as it was."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pandas as pd
import pytest

from tests.dag.conftest import Workflow
from tests.dag.test_smoke import planned
from w2sg.tables import schemas
from w2sg.tables.files import read_provenance, read_table, write_table

STEPS = [0, *range(8, 241, 8)]
CROSSING = 90
WRONG = 216
FILES = {"activations/olmo/{}/loss.parquet": schemas.RESULTS}
FILES |= {f"activations/olmo/{{}}/{name}.safetensors": None for name in ("mine", "posts")}
FILES |= {f"smoke/metrics/olmo/{{}}/{name}.parquet": schemas.RESULTS for name in ("mine", "posts")}
FILES |= {f"smoke/predictions/olmo/{{}}/{name}.parquet": schemas.PREDICTIONS for name in ("mine", "posts")}


def simulate(workflow: Workflow) -> None:
    """Gives local family ``olmo`` thirty revisions, whose tables are those of step 8 but for the gain, which crosses zero.

    At :data:`WRONG`, among the late ones of the first round, lie the weights of the last one, and the gain would move the onset there.
    """
    folder, results = workflow.folder / "inputs" / "olmo", workflow.folder / "results"
    rng = np.random.default_rng(0)
    for step in STEPS:
        if step > 8:
            shutil.copytree(folder / "step8", folder / f"step{step}")
        gain = -0.3 if step == WRONG else 0.3 * np.tanh((step - CROSSING) / 20) + 0.003 * rng.standard_normal()
        for place, schema in FILES.items():
            made, copy = (results / place.format(name) for name in ("step8", f"step{step}"))
            if schema is None:
                if step > 8:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(made, copy)
                continue
            table, origin = read_table(made, schema), read_provenance(made)
            for column in {"revision"} & {*table.columns}:
                table[column] = f"step{step}"
            if "commit" in table:
                table["commit"] = f"sha256:{STEPS[-1] if step == WRONG else step}"
            if "weights" in origin:
                origin = origin | {"weights": dict.fromkeys(origin["weights"], table["commit"].iloc[0])}
            if "metrics/" in place:
                rows = (table["head"] == "w2s") & (table["metric"] == "gain")
                table.loc[rows, ["value", "low", "high"]] = [gain, gain - 0.04, gain + 0.04]
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_table(table, copy, schema, provenance=origin)
    shutil.rmtree(results / "smoke" / "tables")


@pytest.fixture
def simulated(workflow) -> Workflow:
    """The tiny study with a simulated family of thirty revisions, of which all are measured and none is joined."""
    workflow.config["sweep"] = {"families": ["olmo"], "datasets": ["mine", "posts"]}
    workflow.config["families"]["olmo"]["select"] = {"adaptive": {"within": 1.3, "most": 20, "each": 3}}
    simulate(workflow)
    return workflow


def rounds(workflow: Workflow) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted((workflow.folder / "results/smoke/selection/olmo").glob("*.tsv"))
    }


def advance(workflow: Workflow) -> list[str]:
    """Runs until nothing is left to do; returns what each run said."""
    said = []
    while planned(workflow, "--until", "choose_revisions"):
        said.append(workflow.run("--until", "choose_revisions"))
        assert len(said) < 9
    return said


def test_an_adaptive_sweep_ends_and_resumes_to_the_same_selection(simulated):
    assert planned(simulated)["choose_revisions"] == 1
    said = advance(simulated)
    made = rounds(simulated)
    assert len(made) == len(said) >= 3
    table = pd.read_csv(simulated.folder / f"results/smoke/selection/olmo/{len(made) + 1}.tsv", sep="\t")
    assert table["reason"].iloc[-1].startswith("ended: every onset is known within a factor of 1.3")
    chosen = table["revision"].dropna()
    assert 8 < len(chosen) <= 20 and chosen.is_unique
    assert "round 2: " in said[1] and "ended: every onset" in simulated.run("-n")

    simulated.run()
    assert planned(simulated) == {}
    tables = simulated.folder / "results/smoke/tables"
    metrics = read_table(tables / "metrics.parquet", schemas.METRICS)
    assert set(metrics.loc[metrics["head"] == "w2s", "revision"]) == set(chosen) > {f"step{WRONG}"}
    transitions = read_table(tables / "transitions.parquet", schemas.TRANSITIONS)
    onset = transitions[(transitions["estimate"] == "onset_step") & (transitions["seed"] == -1)]
    assert len(onset) and (onset["low"] < CROSSING).all() and (onset["high"] >= CROSSING).all()
    assert ((onset["high"] - onset["low"]) < 40).all()

    for path in sorted((simulated.folder / "results/smoke/selection/olmo").glob("*.tsv"))[1:]:
        path.unlink()
    before = {path.name: os.stat(path).st_mtime_ns for path in tables.glob("*.parquet")}
    advance(simulated)
    assert rounds(simulated) == made
    assert {path.name: os.stat(path).st_mtime_ns for path in tables.glob("*.parquet")} == before
