"""The check of a loaded model: known architectures pass, others are refused by name, and nothing is left behind."""

from __future__ import annotations

import gc
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tests import tiny
from w2sg.activations import check, forward
from w2sg.activations.models import LoadedModel, UnsupportedModel, packing_fault, take_apart

TESTED = (
    "gemma", "gemma3_text", "gpt_neox", "llama", "mistral", "olmo", "olmo2", "olmo3", "phi", "phi3", "qwen2", "qwen3",
    "starcoder2",
)  # fmt: skip
VOCABULARY = 320
PLAIN = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 128, "num_key_value_heads": 2, "head_dim": 8,
    "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
MARKS = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
GPT = {**MARKS, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}
SMALL = {**MARKS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
OTHERS = {
    "gptj": ({**GPT, "rotary_dim": 4}, "hidden state 1 of texts that share a pass"),
    "codegen": ({**GPT, "rotary_dim": 4}, "hidden state 1 of texts that share a pass"),
    "gpt_neo": (
        {**MARKS, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
        "hidden state 0 of texts that share a pass",
    ),
    "gpt2": (GPT, "do not go through its forward pass"),
    "bloom": ({**MARKS, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "do not go through its forward pass"),
    "stablelm": (PLAIN, "do not go through its forward pass"),
    "falcon": ({**SMALL, "new_decoder_architecture": False}, "."),
    "mpt": ({**MARKS, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 128}, "."),
    "mamba": ({**MARKS, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "pad_token_id": 0}, "."),
    "cohere": (PLAIN, "logit_scale is 0.0625"),
    "gemma2": (PLAIN, "attn_logit_softcapping is 50.0"),
    "mistral": (PLAIN | {"sliding_window": 20}, "sliding_window is 20, less than 60 tokens"),
    "granite": (PLAIN | {"logits_scaling": 8.0}, "logits_scaling is 8.0"),
    "opt": ({**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32, "pad_token_id": 1}, "no list of transformer blocks"),
}  # fmt: skip
"""Models that packed rows do not fit, with a part of the reason."""


def build(kind: str, settings: dict, *, dtype: torch.dtype = torch.float32, scale: float = 6.0) -> PreTrainedModel:
    """A random model whose matrices are scaled up, so that its attention is far from even."""
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).float()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    return made.to(dtype)


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("scale", [1.0, 6.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", TESTED)
def test_known_architectures_are_packed_and_equal_each_text_alone(kind, dtype, scale):
    made = build(kind, PLAIN, dtype=dtype, scale=scale)
    assert packing_fault(made.config, longest=128) == ""
    model = check.check_model(take_apart(made, None))
    assert model.alone == ""
    if dtype == torch.float32:  # texts of the extraction's own length, beyond those of the check
        ids = texts()
        got = forward.extract_states(model, ids, layers=(0, 1, 2, 3), batch_tokens=1000)
        expected, _, _ = library(made, ids)
        assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


def texts() -> list[list[int]]:
    """Texts of several lengths, some of which share their beginning."""
    ids = np.random.default_rng(1).integers(1, VOCABULARY, size=(5, 60)).tolist()
    ids[1][:30] = ids[0][:30]
    return [ids[0], ids[1], ids[2][:7], ids[3], ids[4][:7], ids[4][:1]]


def library(made: PreTrainedModel, ids: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States of the last token and their means, (layers, texts, width), and summed losses, by a loop over the library's calls."""
    last, mean, losses = [], [], []
    for row in ids:
        with torch.no_grad():
            out = made(torch.tensor([row]), output_hidden_states=True)
        hidden = torch.stack(out.hidden_states).float()[:, 0]  # (layers, tokens, width)
        last.append(hidden[:, -1].numpy())
        mean.append(hidden.mean(1).numpy())
        logs = out.logits[0, :-1].float().log_softmax(-1)
        losses.append(-float(logs[range(len(row) - 1), row[1:]].sum()))
    return np.stack(last, 1), np.stack(mean, 1), np.array(losses)


def chosen(kind: str, dtype: torch.dtype = torch.float32, scale: float = 6.0) -> tuple[PreTrainedModel, LoadedModel]:
    made = build(kind, OTHERS[kind][0], dtype=dtype, scale=scale)
    return made, check.check_model(take_apart(made, None), fault=packing_fault(made.config, longest=60))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", OTHERS)
def test_other_architectures_go_through_the_librarys_own_pass(kind, capsys):
    made, model = chosen(kind)
    assert re.search(OTHERS[kind][1], model.alone)
    said = capsys.readouterr().out
    assert f"model type {kind}: " in said and "transformers' own forward pass, which is slower" in said
    ids = texts()
    last, mean, losses = library(made, ids)
    layers = tuple(range(last.shape[0]))
    for pool, expected in (("last", last), ("mean", mean)):
        done: list[int] = []
        got = forward.extract_states(model, ids, layers=layers, batch_tokens=130, pool=pool, on_batch=done.append)
        assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()
        assert sum(done) == sum(map(len, ids))
    np.testing.assert_allclose(forward.summed_losses(model, ids, batch_tokens=130), losses, rtol=1e-5, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_models_that_mix_texts_are_found_in_bfloat16_too():
    _, model = chosen("gptj", torch.bfloat16, 1.0)
    assert "share a pass" in model.alone and model.shares_lengths


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("bert", {"intermediate_size": 64}, "hidden state 1 of a token depends on later tokens"),
        (
            "opt",
            {"ffn_dim": 64, "word_embed_proj_dim": 16, "pad_token_id": 1},
            r"the shapes \(1, 8, 32\) and \(1, 8, 16\), expected one of",
        ),
    ],
)
def test_models_without_an_answer_are_refused_by_name(kind, changes, reason):
    with pytest.raises(UnsupportedModel, match=f"'{kind}' cannot be swept: .*{reason}"):
        check.check_model(take_apart(build(kind, SMALL | changes), None))


def test_texts_of_one_length_go_one_by_one_where_a_pass_mixes_them(capsys):
    made = build("gpt2", GPT)

    def mixed(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output + output.mean(0, keepdim=True)

    made.transformer.drop.register_forward_hook(mixed)
    model = check.check_model(take_apart(made, None))
    assert model.alone and not model.shares_lengths
    assert "model type gpt2: each text through" in capsys.readouterr().out
    ids = texts()
    got = forward.extract_states(model, ids, layers=(3,), batch_tokens=1000)
    assert np.abs(got - library(made, ids)[0][3:]).max() < 1e-5 * np.abs(got).max()


def test_memory_that_runs_out_halves_what_shares_a_pass(monkeypatch, caplog):
    made, model = chosen("gpt2")
    ids = [row[:7] for row in texts()[:5]]
    expected = forward.extract_states(model, ids, layers=(3,), batch_tokens=1000)
    plain = type(made).forward

    def short(self: object, input_ids: torch.Tensor, **options: object) -> object:
        if len(input_ids) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return plain(self, input_ids, **options)

    monkeypatch.setattr(type(made), "forward", short)
    most = 2
    got = forward.extract_states(model, ids, layers=(3,), batch_tokens=1000)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert "out of memory" in caplog.text
    most = 0
    with pytest.raises(MemoryError, match="a text of 7 tokens does not fit"):
        forward.extract_states(model, ids, layers=(3,), batch_tokens=1000)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_in_deep_models_is_no_reason_to_refuse(dtype):
    for kind in ("gpt_neox", "olmo"):
        made = build(kind, PLAIN | {"num_hidden_layers": 32}, dtype=dtype)
        check.check_model(take_apart(made, None))


FAULTS = [
    ("mistral", {"sliding_window": 63}, "sliding_window is 63, .*max_tokens of at most 63"),
    ("olmo3", {"sliding_window": 63}, "sliding_window is 63"),
    ("gemma2", {}, "attn_logit_softcapping is 50.0"),
    ("gemma2", {"attn_logit_softcapping": None}, "final_logit_softcapping is 30.0"),
    ("cohere", {}, "logit_scale is 0.0625"),
    ("granite", {"logits_scaling": 8.0}, "logits_scaling is 8.0"),
]
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0, "original_max_position_embeddings": 32}


@pytest.mark.parametrize(("kind", "changes", "reason"), FAULTS)
def test_settings_that_packed_texts_do_not_see_are_told_from_the_configuration(kind, changes, reason):
    assert re.search(reason, packing_fault(AutoConfig.for_model(kind, **(PLAIN | changes)), longest=64))


def test_positions_that_depend_on_texts_before_are_refused():
    config = AutoConfig.for_model("llama", **(PLAIN | {"rope_parameters": DYNAMIC}))
    assert packing_fault(config, longest=32) == ""
    with pytest.raises(
        UnsupportedModel, match="'llama' cannot be swept: its positions change with texts of more than 32"
    ):
        packing_fault(config, longest=64)


def test_attention_that_draws_at_random_is_refused():
    with pytest.raises(UnsupportedModel, match="'reformer' cannot be swept: its attention .lsh. draws at random"):
        packing_fault(AutoConfig.for_model("reformer"), longest=8)
    assert packing_fault(AutoConfig.for_model("reformer", attn_layers=["local"] * 6), longest=8) == ""


def test_a_model_whose_number_of_blocks_is_unknown_is_refused(monkeypatch):
    made = tiny.model("gpt_neox", seed=1)
    del made.gpt_neox.layers
    monkeypatch.setattr(type(made.config), "get_text_config", lambda self: SimpleNamespace())
    with pytest.raises(
        UnsupportedModel, match="no list of transformer blocks in GPTNeoXModel, and their number is not"
    ):
        take_apart(made, None)


def test_settings_that_do_not_matter_are_none():
    for kind, changes in (
        ("mistral", {"sliding_window": 64}),
        ("qwen2", {"sliding_window": 8}),  # not used without its switch
        ("granite", {"logits_scaling": 1.0}),
    ):
        assert packing_fault(AutoConfig.for_model(kind, **PLAIN, **changes), longest=64) == ""


def test_a_window_shorter_than_a_text_ends_the_pass_itself():
    model = take_apart(build("mistral", PLAIN | {"sliding_window": 20}), None)
    forward.extract_states(model, [list(range(1, 21))], layers=(3,), batch_tokens=100)
    with pytest.raises(ValueError, match="20 tokens only .* text of 21"):
        forward.extract_states(model, [list(range(1, 22))], layers=(3,), batch_tokens=100)


def test_states_that_are_not_finite_are_left_to_the_extraction():
    made = tiny.model("gpt_neox", seed=1)
    with torch.no_grad():
        made.gpt_neox.layers[0].mlp.dense_h_to_4h.bias[0] = float("nan")
    check.check_model(take_apart(made, None))


def test_memory_that_runs_out_is_no_property_of_the_architecture(monkeypatch):
    model = take_apart(tiny.model("gpt_neox", seed=1), None)

    def full(*arguments: object, **options: object) -> None:
        raise MemoryError("a text does not fit")

    monkeypatch.setattr(check, "extract_states", full)
    with pytest.raises(MemoryError, match="does not fit"):
        check.check_model(model)


@pytest.mark.parametrize("kind", ["gpt_neox", "olmo", "olmo2", "llama"])
def test_the_check_changes_no_number_and_keeps_no_memory(kind):
    model = take_apart(tiny.model(kind, seed=1), None)
    ids = [[5, 9, 2, 7], [5, 9, 3], [250]]
    before = forward.extract_states(model, ids, layers=(0, 1, 2), batch_tokens=100)
    drawn, settings = torch.get_rng_state(), model.decoder.config.to_dict()
    living = tensors()
    check.check_model(model)
    assert tensors() <= living
    assert torch.equal(torch.get_rng_state(), drawn)
    assert model.decoder.config.to_dict() == settings
    after = forward.extract_states(model, ids, layers=(0, 1, 2), batch_tokens=100)
    np.testing.assert_array_equal(after, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_checks_as_a_cpu_does(dtype):
    for kind in TESTED:
        check.check_model(take_apart(build(kind, PLAIN, dtype=dtype).to("cuda"), None))
    model = check.check_model(take_apart(build("gptj", OTHERS["gptj"][0], dtype=dtype).to("cuda"), None))
    assert "share a pass" in model.alone


def test_the_check_costs_a_few_passes_of_few_tokens(monkeypatch):
    model = take_apart(tiny.model("gpt_neox", seed=1), None)
    rows: list[int] = []
    model.blocks[0].register_forward_hook(lambda module, inputs, output: rows.append(inputs[0].shape[1]))
    check.check_model(model)
    assert sorted(rows) == [4, 6, 8, 11, 11]
