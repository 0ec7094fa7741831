"""A study on labelled texts out of a table: the whole DAG, its numbers recomputed from what lies on the disk."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.dag.conftest import Workflow, study
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
    config |= {
        "models": {"one": one, "small": config["models"]["small"]},
        "families": {"one": {"strong": "one", "weak": "small"}},
    }
    config |= {"sweep": {"families": ["one"], "datasets": ["texts"]}}
    rates = {"lora": [1.0e-3], "full": [1.0e-3]}
    config["students"] = {"kinds": ["linear", "lora", "full"], "learning_rates": rates, "batch_size": 8, "every": 2}
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
    labelled.run("--", "verify")
