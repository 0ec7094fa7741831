"""Loading: the old OLMo format against the native one, and weights that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from w2sg.activations import forward
from w2sg.activations.check import check_model
from w2sg.activations.models import load_model, read_model_config
from w2sg.revisions.folders import RevisionError

IDS = [[5, 9, 2, 7], [5, 9, 3], [250]]
RMS = {"layer_norm_type": "rms", "layer_norm_with_affine": True}


@pytest.fixture(scope="module")
def native(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    tiny.save_revisions(folder, "olmo", [1])
    return folder / "step1"


def save_old(native: Path, target: Path, *, kind: str, tied: bool = False, **changes: object) -> Path:
    """The same weights in the old format; a ``.bin`` one in two shards."""
    old = tiny.old_olmo_weights(load_file(native / "model.safetensors"), layers=2, tied=tied)
    target.mkdir()
    tiny.tokenizer().save_pretrained(target)
    sizes = tiny.SIZES | {"vocab_size": 320, "max_position_embeddings": 128}
    tiny.save_old_olmo_config(target, sizes, weight_tying=tied, **changes)
    if kind == "safetensors":
        save_file(old, target / "model.safetensors")
    else:
        names = sorted(old)
        torch.save({name: old[name] for name in names[:3]}, target / "pytorch_model-00001-of-00002.bin")
        torch.save({name: old[name] for name in names[3:]}, target / "pytorch_model-00002-of-00002.bin")
    return target


def states(folder: Path, dtype: str = "float32") -> np.ndarray:
    model = load_model(folder, dtype=dtype, device="cpu")
    return forward.extract_states(model, IDS, layers=(0, 1, 2), batch_tokens=100)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_the_old_olmo_format_gives_the_activations_of_the_native_one(native, tmp_path, kind):
    old = save_old(native, tmp_path / "old", kind=kind)
    np.testing.assert_array_equal(states(old), states(native))
    model = load_model(old, dtype="bfloat16", device="cpu")
    kinds = {parameter.dtype for parameter in model.decoder.parameters()}
    assert kinds == {torch.bfloat16}
    assert model.context == 128
    assert model.tokenizer("the cat")["input_ids"] == tiny.tokenizer()("the cat")["input_ids"]
    expected = load_model(native, dtype="bfloat16", device="cpu")
    torch.testing.assert_close(model.output.weight, expected.output.weight, rtol=0, atol=0)


def test_a_tied_old_model_uses_its_input_embedding_for_output(native, tmp_path):
    old = save_old(native, tmp_path / "old", kind="safetensors", tied=True)
    model = load_model(old, dtype="float32", device="cpu")
    torch.testing.assert_close(model.output.weight, model.embedding.weight, rtol=0, atol=0)
    np.testing.assert_array_equal(states(old), states(native))


def test_swapped_halves_of_a_fused_matrix_would_be_noticed(native, tmp_path):
    old = save_old(native, tmp_path / "old", kind="safetensors")
    weights = load_file(old / "model.safetensors")
    key = "model.transformer.blocks.0.ff_proj.weight"
    weights[key] = weights[key].flip(0).contiguous()
    save_file(weights, old / "model.safetensors")
    assert np.abs(states(old) - states(native)).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alibi": True}, "alibi is True"),
        ({"rope": None}, "rope is None"),
        ({"layer_norm_type": "amd_compatible"}, "'amd_compatible'; allowed: default, low_precision, rms"),
        ({"layer_norm_type": "rms"}, "layer_norm_with_affine is False; LlamaForCausalLM needs True"),
        (RMS | {"clip_qkv": 8.0}, "clip_qkv is 8.0; LlamaForCausalLM needs None"),
        (RMS | {"bias_for_layer_norm": True}, "bias_for_layer_norm is True"),
        (RMS | {"attention_layer_norm": True}, "attention_layer_norm is True"),
    ],
)
def test_an_old_model_with_other_parts_is_refused(native, tmp_path, changes, message):
    old = save_old(native, tmp_path / "old", kind="safetensors", **changes)
    with pytest.raises(RevisionError, match=message):
        load_model(old, dtype="float32", device="cpu")


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_old_format_with_rms_norms_gives_the_states_of_its_own_arithmetic(tmp_path, kind, tied):
    """DataDecide: the forward pass of ``hf_olmo``, written out in double precision, against what is loaded."""
    weights = tiny.save_datadecide(tmp_path / "old", seed=3, kind=kind, tied=tied)
    model = load_model(tmp_path / "old", dtype="float32", device="cpu")
    check_model(model)
    assert type(model.whole).__name__ == "LlamaForCausalLM"
    found = forward.extract_states(model, IDS, layers=(0, 1, 2), batch_tokens=100)
    for text, ids in enumerate(IDS):
        states, logits = tiny.datadecide_states(weights, ids, tied=tied)
        expected = np.stack([state[-1] for state in states])
        np.testing.assert_allclose(found[:, text], expected, rtol=0, atol=2e-6 * np.abs(expected).max())
        own = model.whole(torch.tensor([ids])).logits[0].numpy()
        np.testing.assert_allclose(own, logits, rtol=0, atol=2e-6 * np.abs(logits).max())


def test_weights_of_norms_decide_and_every_one_is_needed(tmp_path):
    folder = tmp_path / "old"
    tiny.save_datadecide(folder, seed=3)
    before, weights = states(folder), load_file(folder / "model.safetensors")
    for name in [name for name in weights if "norm" in name or "ln_f" in name]:
        changed = weights | {name: weights[name] * 1.5}
        save_file(changed, folder / "model.safetensors")
        assert np.abs(states(folder) - before).max() > 1e-3, name
        save_file({k: v for k, v in weights.items() if k != name}, folder / "model.safetensors")
        with pytest.raises(RevisionError, match="missing_keys"):
            load_model(folder, dtype="float32", device="cpu")


@pytest.mark.parametrize("fault", ["missing", "unexpected", "shape"])
@pytest.mark.parametrize("form", ["native", "old"])
def test_weights_that_do_not_fit_are_named(native, tmp_path, fault, form):
    folder = tmp_path / "model"
    if form == "native":
        tiny.save_revisions(tmp_path, "olmo", [1])
        folder = tmp_path / "step1"
    else:
        save_old(native, folder, kind="safetensors")
    weights = load_file(folder / "model.safetensors")
    key = next(name for name in sorted(weights) if "1" in name and ("ff_out" in name or "down_proj" in name))
    if fault == "missing":
        del weights[key]
    elif fault == "shape":
        weights[key] = weights[key][:, 1:].contiguous()
    else:
        weights["model.layers.7.mlp.down_proj.weight"] = torch.zeros(2, 2)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    expected = "layers.7" if fault == "unexpected" else r"layers\.1\.mlp\.down_proj"
    with pytest.raises(RevisionError, match=expected):
        load_model(folder, dtype="float32", device="cpu")


def test_bin_files_load_like_safetensors(tmp_path):
    tiny.save_revisions(tmp_path / "a", "gpt_neox", [1])
    tiny.save_revisions(tmp_path / "b", "gpt_neox", [1], weights="bin")
    np.testing.assert_array_equal(states(tmp_path / "a" / "step1"), states(tmp_path / "b" / "step1"))


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(RevisionError, match=r"config\.json does not exist; a model configuration was expected"):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_configurations_are_read_without_weights(native, tmp_path):
    old = save_old(native, tmp_path / "old", kind="safetensors")
    (old / "model.safetensors").unlink()
    assert read_model_config(old).num_hidden_layers == 2
    (old / "config.json").write_text('{"model_type": "nonesuch"}')
    with pytest.raises(RevisionError, match=r"config\.json.*nonesuch"):
        read_model_config(old)
    (old / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}')
    with pytest.raises(RevisionError, match=r"config\.json"):
        read_model_config(old)


@pytest.mark.parametrize("architecture", ["gpt_neox", "olmo2"])
def test_a_random_twin_needs_no_weights_and_is_always_the_same(tmp_path, architecture):
    tiny.save_revisions(tmp_path, architecture, [8])
    folder = tmp_path / "step8"
    trained = load_model(folder, dtype="float32", device="cpu").whole.state_dict()
    (folder / "model.safetensors").unlink()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    twins = [load_model(folder, dtype="float32", device="cpu", drawn=True) for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    weights, again = (twin.whole.state_dict() for twin in twins)
    assert {name: value.shape for name, value in weights.items()} == {n: v.shape for n, v in trained.items()}
    assert all(torch.equal(value, again[name]) for name, value in weights.items())
    matrices = [name for name, value in weights.items() if value.ndim == 2]
    for name in matrices:
        assert not torch.equal(weights[name], trained[name])
        assert float(weights[name].std()) == pytest.approx(0.2, rel=0.3)  # initializer_range of the configuration
    check_model(twins[0])


def test_a_random_twin_in_the_old_olmo_format_and_in_bfloat16(native, tmp_path):
    old = save_old(native, tmp_path / "old", kind="safetensors")
    twin = load_model(old, dtype="bfloat16", device="cpu", drawn=True)
    assert {parameter.dtype for parameter in twin.whole.parameters()} == {torch.bfloat16}
    assert type(twin.whole).__name__ == "OlmoForCausalLM"
