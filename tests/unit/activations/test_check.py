"""The check of a loaded model: known architectures pass, others are refused by name, and nothing is left behind."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tests import tiny
from w2sg.activations import check, forward
from w2sg.activations.models import TESTED, UnsupportedModel, check_settings, take_apart

VOCABULARY = 320
PLAIN = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 128, "num_key_value_heads": 2, "head_dim": 8,
    "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
MARKS = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
GPT = {**MARKS, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}
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
    "cohere": (PLAIN, "loss of packed texts"),
    "opt": (
        {**MARKS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
         "word_embed_proj_dim": 32, "pad_token_id": 1},
        "no list of transformer blocks",
    ),
}  # fmt: skip


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
def test_known_architectures_pass_and_equal_each_text_alone(kind, dtype, scale):
    made = build(kind, PLAIN, dtype=dtype, scale=scale)
    check_settings(made.config, longest=128)
    model = take_apart(made, None)
    check.check_model(model)
    if dtype == torch.float32:  # texts of the extraction's own length, beyond those of the check
        ids = np.random.default_rng(1).integers(1, VOCABULARY, size=(4, 60)).tolist()
        ids[1][:30] = ids[0][:30]
        got = forward.extract_states(model, ids, layers=(0, 1, 2, 3), batch_tokens=1000)
        expected, _ = check._alone(model, ids)
        assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", OTHERS)
def test_other_architectures_are_refused_by_name(kind):
    settings, reason = OTHERS[kind]
    with pytest.raises(UnsupportedModel, match=f"'{kind}' cannot be swept: .*{reason}.*known to work: .*gpt_neox"):
        check.check_model(take_apart(build(kind, settings), None))


def test_models_that_mix_texts_are_refused_in_bfloat16_too():
    settings, reason = OTHERS["gptj"]
    with pytest.raises(UnsupportedModel, match=reason):
        check.check_model(take_apart(build("gptj", settings, dtype=torch.bfloat16, scale=1.0), None))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_in_deep_models_is_no_reason_to_refuse(dtype):
    for kind in ("gpt_neox", "olmo"):
        made = build(kind, PLAIN | {"num_hidden_layers": 32}, dtype=dtype)
        check.check_model(take_apart(made, None))


REFUSED = [
    ("mistral", {"sliding_window": 63}, "sliding_window is 63.*max_tokens of at most 63"),
    ("olmo3", {"sliding_window": 63}, "sliding_window is 63"),
    ("gemma2", {}, "attn_logit_softcapping is 50.0"),
    ("gemma2", {"attn_logit_softcapping": None}, "final_logit_softcapping is 30.0"),
    ("cohere", {}, "logit_scale is 0.0625"),
    ("granite", {"logits_scaling": 8.0}, "logits_scaling is 8.0"),
    ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0,
                                   "original_max_position_embeddings": 32}}, "positions change with texts of more than 32"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "reason"), REFUSED)
def test_settings_that_packed_texts_do_not_see_are_refused_from_the_configuration(kind, changes, reason):
    with pytest.raises(UnsupportedModel, match=f"'{kind}' cannot be swept: .*{reason}"):
        check_settings(AutoConfig.for_model(kind, **(PLAIN | changes)), longest=64)


def test_settings_that_do_not_matter_are_none():
    check_settings(AutoConfig.for_model("mistral", **PLAIN, sliding_window=64), longest=64)
    check_settings(AutoConfig.for_model("qwen2", **PLAIN, sliding_window=8), longest=64)  # not used without its switch
    check_settings(AutoConfig.for_model("granite", **PLAIN, logits_scaling=1.0), longest=64)


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
    with pytest.raises(UnsupportedModel, match="share a pass"):
        check.check_model(take_apart(build("gptj", OTHERS["gptj"][0], dtype=dtype).to("cuda"), None))


def test_the_check_costs_a_few_passes_of_few_tokens(monkeypatch):
    model = take_apart(tiny.model("gpt_neox", seed=1), None)
    rows: list[int] = []
    model.blocks[0].register_forward_hook(lambda module, inputs, output: rows.append(inputs[0].shape[1]))
    check.check_model(model)
    assert sorted(rows) == [4, 6, 8, 11, 11]
