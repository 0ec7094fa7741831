"""What files say of their origin: in every kind of file, handed on, compared."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt

from w2sg.plotting.style import METADATA, save_figure
from w2sg.pretraining.tokens import write_tokens
from w2sg.runtime import provenance
from w2sg.tables import origins
from w2sg.tables.files import TableError, TableSchema, write_table

CONFIG = {"study": "s", "models": {'a (b) \\ "c"': "<é> & 'x'"}}
SCHEMA = TableSchema(name="t", fields=pa.schema([pa.field("a", pa.int64(), nullable=False)]), keys=("a",))


def table(path: Path, made: dict, *, numbers: str = "1") -> Path:
    origin = {"made": made, "versions": {"extract": {"torch": [numbers]}}}
    write_table(pd.DataFrame({"a": [1]}), path, SCHEMA, provenance=origin)
    return path


def test_every_kind_of_file_gives_back_what_was_put_in(tmp_path):
    origin = origins.trace("stage", {"heads": {"seeds": (0, 1)}}, config=CONFIG)
    assert json.loads(origin["config"]) == CONFIG
    assert origin["study"] == "s"
    assert len(origin["config_sha256"]) == 64
    assert set(origin["versions"]["stage"]) == {"python", "numpy", "torch", "transformers", "tokenizers"}
    paths = {kind: tmp_path / f"f.{kind}" for kind in METADATA}
    for _ in range(2):
        save_figure(plt.figure(), paths, origin)
        found = {kind: path.read_bytes() for kind, path in paths.items()}
    save_figure(plt.figure(), paths, origin)
    assert found == {kind: path.read_bytes() for kind, path in paths.items()}
    paths["parquet"], paths["safetensors"], paths["json"] = (
        tmp_path / name for name in ("f.parquet", "f.safetensors", "f.json")
    )
    write_table(pd.DataFrame({"a": [1]}), paths["parquet"], SCHEMA, provenance=origin)
    write_tokens(np.arange(3, dtype=np.uint16), paths["safetensors"], origin=origin)
    paths["json"].write_text(json.dumps(origin))
    for path in paths.values():
        assert {key: origins.read_origin(path)[key] for key in origin} == origin, path


def test_how_texts_were_read_is_known_after_another_study_has_measured_the_loss_again(tmp_path):
    read = {"tokenizer": "t", "texts": {"theirs": {"ids": "a"}}}
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "loss.parquet", SCHEMA, provenance={"read": read})
    write_tokens(np.arange(3, dtype=np.uint16), tmp_path / "mine.safetensors", origin={"read": {"ids": "b"}})
    for datasets, texts in ((["mine"], {"mine": {"ids": "b"}}), (["theirs"], read["texts"])):
        assert origins.read_reading(tmp_path / "loss.parquet", datasets) == {"tokenizer": "t", "texts": texts}
    with pytest.raises(TableError, match=r"loss\.parquet: it does not say how dataset other was read; delete it"):
        origins.read_reading(tmp_path / "loss.parquet", ["mine", "other"])


def test_files_without_an_origin_and_broken_ones_are_told_apart(tmp_path):
    for name, content in (("a.svg", "<svg/>"), ("a.png", "x"), ("a.pdf", "x"), ("a.html", "<p>")):
        (tmp_path / name).write_text(content)
        assert origins.read_origin(tmp_path / name) == {}
        assert "says nothing of its origin" in origins.file_mismatches(tmp_path / name, {"heads": 1})[0]
    (tmp_path / "a.parquet").write_text("x")
    (tmp_path / "a.safetensors").write_text("x")
    for name in ("a.parquet", "a.safetensors", "none.json", "a.csv"):
        with pytest.raises(TableError, match=f"{name}: no origin can be read"):
            origins.read_origin(tmp_path / name)


def test_what_decided_the_inputs_is_handed_on(tmp_path):
    first = table(tmp_path / "a.parquet", {"heads": {"seeds": [0]}, "layers": "all"})
    second = table(tmp_path / "b.parquet", {"heads": {"seeds": [0]}, "datasets.x": {"words": 3}})
    made = origins.trace("join", {"recipes.JOIN": 2}, [first, second], without="layers")["made"]
    assert made == {"heads": {"seeds": [0]}, "datasets.x": {"words": 3}, "recipes.JOIN": 2}
    assert origins.file_mismatches(first, {"heads": {"seeds": [0]}, "layers": "all"}) == []


@pytest.mark.parametrize("told", [{"datasets.x": {"words": 4, "pool": "last"}}, {}])
def test_an_input_made_with_something_else_is_refused_by_file_and_key(tmp_path, told):
    first = table(tmp_path / "a.parquet", {"datasets.x": {"words": 4, "pool": "last"}})
    second = table(tmp_path / "b.parquet", {"datasets.x": {"words": 3}})
    with pytest.raises(TableError) as refused:
        origins.trace("join", told, [first, second])
    text = str(refused.value)
    assert f"{second}: datasets.x.words is 3, wanted 4" in text
    assert f"{second}: datasets.x.pool is None, wanted 'last'" in text
    assert str(first) not in text
    assert "delete the files that `snakemake --cores 1 verify` names" in text


def test_many_mismatches_are_counted(tmp_path):
    paths = [table(tmp_path / f"{number}.parquet", {"heads": 1}) for number in range(9)]
    with pytest.raises(TableError, match="and 3 more"):
        origins.trace("join", {"heads": 2}, paths)


def test_mixed_versions_are_named_once(tmp_path, caplog):
    old, new = (table(tmp_path / f"{n}.parquet", {"heads": 1}, numbers=n) for n in ("2.9", "2.10"))
    with caplog.at_level(logging.WARNING):
        origin = origins.trace("join", {}, [old, new, old])
    assert origin["versions"]["extract"] == {"torch": ["2.10", "2.9"]}
    assert provenance.mixtures(origin["versions"]) == ["extract: torch 2.10, 2.9"]
    assert [record.message for record in caplog.records] == [
        "files made with different versions are joined; extract: torch 2.10, 2.9"
    ]
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "joined.parquet", SCHEMA, provenance=origin)
    caplog.clear()
    origins.trace("report", {}, [tmp_path / "joined.parquet"])
    assert not caplog.records
