"""Whether the library makes a model of a configuration and of names and shapes of weights, and each weight stands once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from w2sg.activations.models import check_fit, load_model
from w2sg.revisions.folders import RevisionError


def revision(folder: Path, kind: str, *, form: str = "safetensors") -> Path:
    """A revision in one file, or in two (``shards``)."""
    tiny.save_revisions(folder, kind, [1], weights="bin" if form == "bin" else "safetensors")
    if form == "shards":
        split(folder / "step1")
    return folder / "step1"


def split(folder: Path) -> dict[str, str]:
    """Writes the weights of a folder as two files; returns what the index says."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    said = {}
    for number, names in enumerate((list(state)[:10], list(state)[10:]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: state[name] for name in names}, folder / file, metadata={"format": "pt"})
        said |= dict.fromkeys(names, file)
    write_index(folder, said)
    return said


def write_index(folder: Path, said: dict[str, str]) -> None:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": said}))


def refused(folder: Path) -> str:
    """What both the check and the load say."""
    said = []
    for opens in (lambda: check_fit(folder, drawn=False), lambda: load_model(folder, dtype="float32", device="cpu")):
        with pytest.raises(RevisionError) as caught:
            opens()
        said.append(str(caught.value))
    return said[0]


@pytest.mark.parametrize("form", ["safetensors", "bin", "shards"])
@pytest.mark.parametrize("kind", ["gpt_neox", "llama", "olmo", "olmo2"])
def test_a_model_that_can_be_loaded_fits(tmp_path, kind, form):
    check_fit(revision(tmp_path, kind, form=form), drawn=False)


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_in_the_old_olmo_format_fits(tmp_path, tied):
    tiny.save_datadecide(tmp_path / "old", seed=1, tied=tied)
    check_fit(tmp_path / "old", drawn=False)


@pytest.mark.parametrize("form", ["safetensors", "bin", "shards"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_parameters": {"rope_type": "nonsense", "rope_theta": 1e4}}, "config.json: .*nonsense"),
        ({"rope_parameters": None, "rope_scaling": {"type": "nonsense", "factor": 2.0}}, "config.json: .*nonsense"),
        ({"rms_norm_eps": "1e-5"}, "config.json: .*rms_norm_eps"),
        ({"num_attention_heads": 3}, "config.json: .*attention heads"),
        ({"hidden_act": "none"}, "config.json: .*none"),
        ({"vocab_size": 400}, r"model\.embed_tokens\.weight is \(320, 16\), by config\.json \(400, 16\)"),
        ({"intermediate_size": 40}, r"mlp\.\w+\.weight is \(.*by config\.json"),
        ({"num_hidden_layers": 1}, r"unexpected_keys: model\.layers\.1\..*\(9 in all\)"),
        ({"num_hidden_layers": 3}, r"missing_keys: model\.layers\.2\..*\(9 in all\)"),
    ],
    ids=str,
)
def test_what_no_model_can_be_made_of_is_told_without_its_numbers(tmp_path, changes, message, form):
    folder = revision(tmp_path, "llama", form=form)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(RevisionError, match=rf"(?s){folder}.*{message}"):
        check_fit(folder, drawn=False)
    refused(folder)


def test_of_a_random_twin_the_configuration_counts_alone(tmp_path):
    folder = revision(tmp_path, "llama")
    (folder / "model.safetensors").unlink()
    check_fit(folder, drawn=True)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_attention_heads": 3}))
    with pytest.raises(RevisionError, match="attention heads"):
        check_fit(folder, drawn=True)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize(
    ("kind", "name", "other"),
    [
        ("llama", "model.embed_tokens.weight", "embed_tokens.weight"),
        ("llama", "model.norm.weight", "model.model.norm.weight"),
        ("gpt_neox", "gpt_neox.layers.0.mlp.dense_h_to_4h.weight", "layers.0.mlp.dense_h_to_4h.weight"),
    ],
)
def test_a_weight_that_stands_twice_with_and_without_the_models_prefix_is_refused(tmp_path, kind, name, other, form):
    folder = revision(tmp_path, kind)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tiny.save_weights(state | {other: state[name] * 2}, folder, kind=form)
    text = refused(folder)
    assert {name, other} <= {word.rstrip(",") for word in text.split()} and "expected each once" in text


def test_a_weight_that_stands_twice_in_the_old_olmo_format_is_refused(tmp_path):
    folder = tmp_path / "old"
    state = tiny.save_datadecide(folder, seed=1)
    stored = {f"model.transformer.{name}.weight": value for name, value in state.items()}
    tiny.save_weights(stored | {"transformer.wte.weight": state["wte"] * 2}, folder, kind="safetensors")
    assert "expected each once" in refused(folder)


def test_a_weight_in_two_files_is_refused(tmp_path):
    folder = revision(tmp_path, "llama", form="shards")
    first, second = sorted(folder.glob("*.safetensors"))
    held = load_file(first)
    name = next(iter(held))
    save_file(load_file(second) | {name: held[name] + 1}, second, metadata={"format": "pt"})
    text = refused(folder)
    assert f"{second}: {name} is the same weight as {name} in {first.name}" in text


@pytest.mark.parametrize("others", [0, 1])
def test_an_index_that_names_other_files_than_those_that_are_hashed_is_refused(tmp_path, others):
    folder = revision(tmp_path, "llama")
    said = split(folder)
    for path in sorted(folder.glob("model-*.safetensors"))[others:]:
        (folder / path.name.replace("model", "other")).write_bytes(path.read_bytes())
        said = {name: file.replace("model", "other") if file == path.name else file for name, file in said.items()}
    write_index(folder, said)
    assert "index.json names other-0000" in (text := refused(folder)) and "none of the weight files model-00001" in text


def test_an_index_that_says_another_file_of_a_weight_is_refused(tmp_path):
    folder = revision(tmp_path, "llama")
    said = split(folder)
    name, file = next(iter(said.items()))
    write_index(folder, said | {name: next(one for one in said.values() if one != file)})
    assert f"index.json: {name} is said to lie in model-00002-of-00002.safetensors, and lies in {file}" in refused(
        folder
    )


def test_files_of_torch_before_16_are_not_read_for_it(tmp_path):
    folder = revision(tmp_path, "llama", form="bin")
    path = folder / "pytorch_model.bin"
    torch.save({"odd": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    check_fit(folder, drawn=False)
