"""Files in place of weights, old and foreign formats: loaded with the right numbers, or refused by the name of the file."""

from __future__ import annotations

import argparse
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from w2sg.activations.extraction import Settings, measure_loss
from w2sg.activations.models import load_model, read_model_config
from w2sg.activations.weight_errors import empty_rows
from w2sg.revisions.folders import RevisionError
from w2sg.runtime.zeros import RUN

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 123456\n"
PAGE = "<!doctype html><title>Sign in</title>"


def revision(folder: Path, kind: str, *, weights: str = "safetensors") -> Path:
    tiny.save_revisions(folder, kind, [1], weights=weights)
    return folder / "step1"


def refused(folder: Path) -> str:
    with pytest.raises(RevisionError) as caught:
        load_model(folder, dtype="float32", device="cpu")
    return str(caught.value)


@pytest.mark.parametrize("content", [POINTER, PAGE, ""], ids=["pointer", "page", "empty"])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "pytorch_model.bin", "config.json", "tokenizer.json", "tokenizer_config.json"]
)
def test_what_stands_in_place_of_a_file_of_a_revision_is_named(tmp_path, name, content):
    folder = revision(tmp_path, "gpt_neox", weights=name.rsplit(".", 1)[1])
    (folder / name).write_text(content)
    text = refused(folder)
    assert f"step1/{name} is " in text
    assert "could run code" not in text


@pytest.mark.parametrize("kept", [40, 150, 700, 15_000, -3])
@pytest.mark.parametrize("form", ["safetensors", "zip", "before 1.6"])
def test_cut_weights_are_named(tmp_path, form, kept):
    folder = revision(tmp_path, "gpt_neox", weights="safetensors" if form == "safetensors" else "bin")
    path = next(folder.glob("*model*.[sb]*"))
    if form == "before 1.6":
        torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:kept])
    text = refused(folder)
    assert f"step1/{path.name} " in text and "cut" in text
    assert "could run code" not in text


def with_zeros(folder: Path, architecture: str, first: int, last: int | None, *, form: str = "safetensors") -> Path:
    """A revision whose weights are zeros from byte to byte of their numbers; the last ones by default."""
    made = tiny.model(architecture, seed=1, width=64)
    made.config.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    tiny.save_weights(made.state_dict(), folder, kind="safetensors")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    first, last = (len(content) + first if first < 0 else begin + first), len(content) if last is None else begin + last
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    if form == "bin":
        tiny.save_weights(load_file(path), folder, kind="bin")
        path.unlink()
    return folder


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("architecture", ["gpt_neox", "llama", "olmo", "olmo2"])
@pytest.mark.parametrize("first", [-20_000, -100_000, 0, 82_000, 165_000])
def test_weights_that_end_in_zeros_are_refused(tmp_path, architecture, first, form):
    text = refused(with_zeros(tmp_path, architecture, first, None, form=form))
    assert "zeros" in text and "not copied whole" in text and str(tmp_path) in text


def test_a_hole_in_the_weights_is_refused_with_the_name_of_file_and_weight(tmp_path):
    text = refused(with_zeros(tmp_path, "llama", 2 * 320 * 64 * 4, 2 * 320 * 64 * 4 + 40_000))
    assert re.search(r"model\.safetensors holds zeros .*first in model\.layers\.0\.", text)


def test_a_hole_within_a_single_weight_is_refused(tmp_path):
    folder = with_zeros(tmp_path, "gpt_neox", 0, 0)  # none yet
    state = load_file(folder / "model.safetensors")
    name = next(name for name in state if "layers.1" in name and name.endswith("query_key_value.weight"))
    state[name].reshape(-1)[100 : 100 + 2 * RUN] = 0
    assert state[name].numel() > 4 * RUN
    tiny.save_weights(state, folder, kind="safetensors")
    assert f"first in {name}" in refused(folder)


def with_changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A revision with changed weights; its embeddings, ``embed_in`` and ``lm_head``, are (320, 64)."""
    folder = with_zeros(folder, "gpt_neox", 0, 0)
    state = load_file(folder / "model.safetensors")
    change(state)
    tiny.save_weights(state, folder, kind="safetensors")
    return folder


def test_a_hole_of_many_rows_of_an_embedding_is_refused(tmp_path):
    text = refused(with_zeros(tmp_path, "llama", 320 * 64 * 4 + 100 * 64 * 4, 2 * 320 * 64 * 4))
    assert "220 of 320 rows of its embeddings" in text


@pytest.mark.parametrize("name", ["gpt_neox.embed_in.weight", "lm_head.weight"])
def test_no_text_may_have_a_token_whose_row_of_an_embedding_is_zeros(tmp_path, name):
    folder = with_changed(tmp_path, lambda state: state[name][40:42].zero_())
    loaded = load_model(folder, dtype="float32", device="cpu")
    loaded.check_used([[1, 2], [39, 42]])
    with pytest.raises(ValueError, match="hold zeros for 1 tokens of the texts .* id 41.*copied whole"):
        loaded.check_used([[1, 41, 41], [3]])
    settings = Settings(dtype="float32", max_tokens=16)
    token = loaded.tokenizer.decode([41])
    with pytest.raises(ValueError, match="step1, corpora.c: its embeddings hold zeros"):
        measure_loss(loaded, [f"the cat{token} sees"], settings=settings, name="m step1, corpora.c")


def test_part_of_a_wide_row_is_told_and_special_tokens_are_not(tmp_path):
    rows = torch.ones(8, 700)
    rows[3, 100:], rows[5, :400], rows[6, 100:300] = 0, 0, 0
    assert empty_rows(rows, torch.zeros(8, 700)) == {3, 5}  # the last one is shorter than a page
    special = tiny.tokenizer().all_special_ids[0]
    folder = with_changed(tmp_path, lambda state: state["gpt_neox.embed_in.weight"][special].zero_())
    assert not load_model(folder, dtype="float32", device="cpu").empty


@pytest.mark.parametrize("name", ["lm_head.weight", "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"])
@pytest.mark.parametrize("kind", ["random", "page", "shifted"])
def test_other_bytes_in_place_of_numbers_are_refused(tmp_path, name, kind):
    def change(state):
        flat = state[name].view(-1)
        old = flat[:1024].numpy().tobytes()
        new = {
            "random": np.random.default_rng(0).bytes(4096),
            "page": (PAGE * 200).encode()[:4096],
            "shifted": old[1:] + old[:1],
        }[kind]
        flat[:1024] = torch.frombuffer(bytearray(new), dtype=torch.float32)

    text = refused(with_changed(tmp_path, change))
    assert f"model.safetensors holds something else where numbers of {name}" in text


@pytest.mark.parametrize("zeros", ["biases", "heads", "outputs", "added block", "norms"])
def test_zeros_of_an_initialisation_are_accepted(tmp_path, zeros):
    folder = revision(tmp_path, "gpt_neox")
    state = load_file(folder / "model.safetensors")
    chosen = {
        "biases": lambda name: name.endswith("bias"),
        "heads": lambda name: "embed_out" in name or "lm_head" in name,
        "outputs": lambda name: name.endswith(("dense.weight", "dense_4h_to_h.weight")),
        "added block": lambda name: name.endswith(("1.attention.dense.weight", "1.mlp.dense_4h_to_h.weight")),
        "norms": lambda name: name.endswith("layernorm.weight"),
    }[zeros]
    changed = {name: torch.zeros_like(one) if chosen(name) else one for name, one in state.items()}
    assert any(map(chosen, state))
    tiny.save_weights(changed, folder, kind="safetensors")
    load_model(folder, dtype="float32", device="cpu")


def save_old(folder: Path, architecture: str, *, old_names: bool) -> Path:
    folder = revision(folder, architecture)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if old_names:
        tiny.save_old_olmo_config(folder, {**tiny.SIZES, "vocab_size": 320, "max_position_embeddings": 128})
        state = tiny.old_olmo_weights(state, layers=2)
    torch.save(OrderedDict(state), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return folder


@pytest.mark.parametrize(("architecture", "old_names"), [("gpt_neox", False), ("olmo", True)])
def test_torchs_format_before_1_6_gives_the_same_weights(tmp_path, architecture, old_names):
    expected = load_model(revision(tmp_path / "new", architecture), dtype="float32", device="cpu").whole.state_dict()
    old = save_old(tmp_path / "old", architecture, old_names=old_names)
    found = load_model(old, dtype="float32", device="cpu").whole.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("form", ["safetensors", "zip", "before 1.6", "decoder alone", "hf_olmo"])
def test_weights_that_are_no_floats_are_refused(tmp_path, form, kind):
    if form == "hf_olmo":
        folder = save_old(tmp_path, "olmo", old_names=True)
    else:
        folder = revision(tmp_path, "gpt_neox", weights="bin" if form in ("zip", "before 1.6") else "safetensors")
    path = next(folder.glob("*model*.[sb]*"))
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    if form == "decoder alone":
        state = {name.removeprefix("gpt_neox."): tensor for name, tensor in state.items()}
    name = next(name for name in state if name.endswith(("mlp.dense_h_to_4h.weight", "blocks.0.ff_out.weight")))
    state[name] = state[name].to(kind)
    if path.suffix == ".safetensors":
        save_file(state, path, metadata={"format": "pt"})
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    text = refused(folder)
    assert f"step1/{path.name}: {name} is of type " in text and "expected a float type" in text


def test_buffers_of_other_types_and_weights_of_any_float_type_are_accepted(tmp_path):
    folder = revision(tmp_path, "gpt_neox")
    state = {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}
    expected = load_model(folder, dtype="float32", device="cpu").whole.state_dict()
    for layer in range(2):
        place = f"gpt_neox.layers.{layer}.attention"
        state[f"{place}.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
        state[f"{place}.masked_bias"] = torch.tensor(-1)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    found = load_model(folder, dtype="float32", device="cpu").whole.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("architecture", ["gpt_neox", "olmo"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, architecture, new):
    folder = save_old(tmp_path, architecture, old_names=architecture == "olmo")
    content = {"payload": Payload(tmp_path / "ran")}
    torch.save(content, folder / "pytorch_model.bin", _use_new_zipfile_serialization=new)
    assert "step1/pytorch_model.bin holds more than tensors" in refused(folder)
    assert not (tmp_path / "ran").exists()


def test_settings_beside_the_tensors_are_named_with_advice(tmp_path):
    folder = revision(tmp_path, "gpt_neox", weights="bin")
    torch.save({"args": argparse.Namespace(steps=1)}, folder / "pytorch_model.bin")
    text = refused(folder)
    assert "argparse.Namespace" in text and "save its tensors as model.safetensors" in text


def test_of_several_files_the_damaged_one_is_named(tmp_path):
    folder = revision(tmp_path, "olmo", weights="bin")
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    (folder / "pytorch_model.bin").unlink()
    names = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    for name, keys in zip(names, (list(state)[:3], list(state)[3:]), strict=True):
        torch.save({key: state[key] for key in keys}, folder / name)
    assert "pytorch_model.bin.index.json" in refused(folder)  # transformers asks it where each tensor is
    parts = {key: names[index >= 3] for index, key in enumerate(state)}
    (folder / "pytorch_model.bin.index.json").write_text(
        f'{{"metadata": {{}}, "weight_map": {parts}}}'.replace("'", '"')
    )
    load_model(folder, dtype="float32", device="cpu")
    content = bytearray((folder / names[1]).read_bytes())
    content[64:800] = bytes(736)
    (folder / names[1]).write_bytes(content)
    assert f"step1/{names[1]} was cut or is damaged" in refused(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"vocab_size": "abc"},
        {"num_hidden_layers": None},
        {"rope_scaling": [1]},
        {"model_type": ["gpt_neox"]},
        {"num_attention_heads": 3},
        {"model_type": "hf_olmo", "d_model": 16},
    ],
    ids=str,
)
def test_a_configuration_of_which_no_model_can_be_made_is_named(tmp_path, changes):
    folder = revision(tmp_path, "gpt_neox")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(RevisionError, match="config.json: "):
        read_model_config(folder)
    (folder / "generation_config.json").write_text("[1]")
    assert "step1/generation_config.json holds no JSON object" in refused(folder)


@pytest.mark.parametrize("changes", [{"dtype": "F7"}, {"data_offsets": [0, 8]}], ids=str)
def test_a_header_that_the_format_does_not_allow_is_named_with_its_file(tmp_path, changes):
    path = revision(tmp_path, "gpt_neox") / "model.safetensors"
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    first = next(name for name in header if name != "__metadata__")
    text = json.dumps(header | {first: header[first] | changes}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    assert "step1/model.safetensors is damaged" in refused(path.parent)


@pytest.mark.parametrize(
    "index", [[1], {"metadata": {}}, {"weight_map": {}}, {"metadata": {}, "weight_map": "a"}], ids=str
)
def test_an_index_without_its_map_is_named(tmp_path, index):
    folder = revision(tmp_path, "gpt_neox")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "step1/model.safetensors.index.json is no JSON object with metadata and weight_map" in refused(folder)
