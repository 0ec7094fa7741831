"""A study on labelled texts out of a table: the whole DAG, its numbers recomputed from what lies on the disk."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.dag.conftest import Workflow, study
from tests.dag.kills import Attacked, left_behind, paths_below
from w2sg.study.protocols import SPLITS
from w2sg.tables import schemas
from w2sg.tables.files import read_table


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Workflow:
    """One revision and its supervisor on a table of texts of three classes, of which one has a word of its own."""
    folder = tmp_path_factory.mktemp("labelled")
    config = study(folder / "inputs")
    rng = np.random.default_rng(0)
    with (folder / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["topic", "body", "kind"])
        for number in range(120):
            word = "good" if number % 3 == 1 else "bad"
            writer.writerow([f"topic {number}", f"{word} {tiny.sentence(rng)} {number}", number % 3])
    entry = {"source": "files", "file": "texts.csv", "task": "classification", "template": "{topic}: {body}"}
    entry |= {"label": "kind", "positive": 1, "pairs": 24}
    config |= {"study": "texts", "datasets": {"texts": entry}}
    one = config["models"]["olmo"] | {"path": str(folder / "inputs" / "olmo" / "step8")}  # itself a revision
    Path(one["path"], "trainer_state.json").write_text('{"global_step": 0}')
    config |= {
        "models": {"one": one, "small": config["models"]["small"]},
        "families": {"one": {"strong": "one", "weak": "small"}},
    }
    config |= {"sweep": {"families": ["one"], "datasets": ["texts"]}}
    rates = {"lora": [1.0e-3], "full": [1.0e-3]}
    config["students"] = {"kinds": ["linear", "lora", "full"], "learning_rates": rates, "batch_size": 8, "every": 2}
    config["students"] |= {"keep": True}
    config["heads"] |= {"cleaning": {"by": "knn", "action": "filter", "neighbours": 5}}
    made = Workflow(folder=folder, config=config)
    made.run()
    return made


def test_every_number_of_labelled_texts_is_there_and_right(labelled):
    folder = labelled.folder
    pairs = read_table(folder / "resources/pairs/texts.parquet", schemas.PAIRS)
    assert pairs.groupby("split")["chosen"].apply(lambda texts: (texts != "").sum()).to_dict() == dict.fromkeys(
        SPLITS, 12
    )
    assert set(pairs.loc[pairs["chosen"] != "", "chosen_label"]) == {"1"}
    assert set(pairs.loc[pairs["chosen"] == "", "rejected_label"]) == {"0", "2"}
    assert (pairs["chosen"] + pairs["rejected"]).str.fullmatch(r"topic (\d+): .* \1").all()
    rows = read_table(folder / "results/texts/tables/metrics.parquet", schemas.METRICS)
    assert {"w2s", "ceiling", "weak", "probe", "floor", "permuted", "weak_on_weak"} <= set(rows["head"])
    # Of few tested texts all may be of one class.
    assert rows.loc[(rows["metric"] != "pgr") & (rows["head"] != "probe"), "value"].notna().all()
    floors = read_table(folder / "results/texts/tables/floors.parquet", schemas.FLOORS).set_index(["floor", "metric"])
    assert floors.loc[("majority", "accuracy"), "value"] == 0.5
    assert set(floors.index.get_level_values("floor")) == {"longer_response", "tfidf", "majority"}
    found = sorted(folder.glob("results/texts/*predictions/**/*.parquet"))
    assert len(found) == 3  # heads, students, and those of the supervisor's own model
    shown = pd.concat([read_table(path, schemas.PREDICTIONS) for path in found[::-1]])
    shown = shown.drop_duplicates(["protocol", "head", "seed", "row_id"])
    assert {"lora", "full"} <= set(shown["protocol"])
    accuracy = (
        shown.assign(right=0.5 * (1 + np.sign(shown["margin"]))).groupby(["head", "protocol", "seed"])["right"].mean()
    )
    final = rows[
        (rows["layer"] == rows["layer"].max())
        & rows["setting"].isin(["selected", "cv"])
        & (rows["metric"] == "accuracy")
    ]
    for (head, protocol, seed), value in accuracy.items():
        own = final.query("head == @head and protocol == @protocol and seed == @seed")
        assert own["value"].item() == pytest.approx(value), (head, protocol, seed)
    page = next(folder.glob("results/texts/**/*.html")).read_text()
    assert "floor: majority" in page
    assert pd.read_parquet(folder / "results/texts/tables/readings.parquet")["example"].str.startswith("topic ").all()


def test_everything_was_made_as_the_configuration_says(labelled):
    assert "files were made with this configuration" in labelled.run("--", "verify")


def test_trained_students_stay_where_they_are_asked_to(labelled):
    for role, names in (("students", {"ceiling", "w2s", "permuted"}), ("weak_students", {"weak_on_weak"})):
        kept = list(labelled.folder.glob(f"results/texts/{role}/one/*/texts/*"))
        assert {path.name for path in kept} == {
            f"{kind}-{name}-lr0.001-seed0" for kind in ("lora", "full") for name in names
        }
        for path in kept:
            assert (path / "head.safetensors").is_file()
            assert (path / "adapter_model.safetensors").is_file() == path.name.startswith("lora")


def kill_when(attacked: Attacked, folder: Path, count: int) -> list[str]:
    """Kills the study once so many students are kept; returns what the log of the killed attempt says of trained ones."""
    options: Any = {"start_new_session": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = attacked.workflow.command("--", *attacked.targets)
    process = subprocess.Popen(command, cwd=attacked.workflow.folder, **options)
    while process.poll() is None and len(kept_weights(folder)) < count:
        time.sleep(0.005)
    assert process.poll() is None, "it was done before the blow"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    attacked.bring_back()
    return kept_weights(folder)


def kept_weights(folder: Path) -> list[str]:
    """Returns the names of the whole files of weights below a folder, while a job writes there."""
    return [path.name for path in paths_below(folder) if fnmatch(path.name, "[!.]*.safetensors")]


def test_killed_students_of_all_kinds_go_on_where_they_were(labelled, tmp_path):
    workflow = Workflow(folder=tmp_path / "run", config=labelled.config)
    shutil.copytree(labelled.folder, workflow.folder)
    study = workflow.folder / "results/texts"
    made: list[Path] = [*study.glob("students/*/*/*.parquet"), *study.glob("student_predictions/*/*/*.parquet")]
    for path in made:
        path.unlink()
    targets = [str(path.relative_to(workflow.folder)) for path in made]
    attacked = Attacked(workflow=workflow, targets=targets, rng=np.random.default_rng(0), longest=0.0)
    # Of each kind ceiling, student and permuted labels: the fourth is the first one of the second kind.
    kept = [kill_when(attacked, study / "kept_students", count) for count in (1, 4)]
    assert 1 <= len(kept[0]) < 6 and set(kept[0]) <= set(kept[1]) and len(kept[1]) < 6
    workflow.run("--", *targets)
    log = next(workflow.folder.glob("logs/train_students/**/*.log")).read_text()
    assert log.count("trained by an earlier attempt") == len(kept[1])
    assert log.count(": trained, progressive loss") == 6 - len(kept[1])
    assert {"lora", "full"} == {kind for kind in ("lora", "full") if f"kind {kind}" in log}
    assert workflow.tables() == labelled.tables()
    assert not (study / "kept_students").exists() or not any((study / "kept_students").rglob("*.safetensors"))
    assert left_behind(workflow.folder) == []
