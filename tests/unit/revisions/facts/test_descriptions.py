"""What a revision's small files say: what it cannot be run with, and which differences decide numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from w2sg.revisions.facts.descriptions import describe_files, describe_folder, layer_fault, window_note

CONFIG = {
    "model_type": "llama",
    "vocab_size": 8,
    "num_hidden_layers": 3,
    "rope_theta": 10000.0,
    "torch_dtype": "float32",
}
VOCABULARY = {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [{"id": 5, "content": "<end>", "special": True}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
    "model": {"type": "BPE", "vocab": VOCABULARY, "merges": ["a b", "ab c"]},
}


def files(config: object = CONFIG, tokenizer: object = TOKENIZER, **others: bytes) -> dict[str, bytes]:
    made = {"config.json": config, "tokenizer.json": tokenizer}
    return {name: json.dumps(value).encode() for name, value in made.items() if value is not None} | others


def model(**changes: object) -> dict[str, Any]:
    return TOKENIZER | {"model": TOKENIZER["model"] | changes}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (files(tokenizer=None), "no tokenizer: expected tokenizer.json"),
        (files(config=None), "no config.json"),
        (files(tokenizer=None, **{"vocab.json": b"{}"}), "no tokenizer"),  # merges.txt belongs to it
        (files(config=CONFIG | {"model_type": "nonesuch"}), "'nonesuch' is not one of the library's causal"),
        (files(config=CONFIG | {"model_type": "xlnet"}), "type 'xlnet' cannot be swept: .* depends on later tokens"),
        (
            files(config={"model_type": "mine", "auto_map": {"AutoConfig": "mine.C"}}),
            "code of its own, which is never run",
        ),
        (files(config={"vocab_size": 8}), "config.json has no model_type"),
        (
            files(config=CONFIG | {"quantization_config": {"quant_method": "awq"}}),
            "quantized .quantization_config, by awq., exp",
        ),
        (
            files(config={"model_type": "llama", "text_config": {"quantization_config": {"bits": 4}}}),
            "quantized .quantization",
        ),
        (files(config=[1]), "config.json holds no JSON object"),
        (
            files() | {"config.json": b"version https://git-lfs"},
            "config.json is no JSON.*begins with b'version https://git-lfs",
        ),
        (files() | {"tokenizer.json": b"<html>"}, "tokenizer.json is no JSON"),
        (files() | {"config.json": b"\xef\xbb\xbf{}"}, "config.json is no JSON .Unexpected UTF-8 BOM"),
        (files(tokenizer={"model": {}}), "tokenizer.json holds no vocabulary"),
        (files(config=CONFIG | {"vocab_size": 5}), r"ids up to 5 \('<end>'\), the embedding has 5 rows"),
        (files(tokenizer=model(vocab=VOCABULARY | {"z": 8})), r"ids up to 8 \('z'\), the embedding has 8 rows"),
        (
            files(tokenizer={"model": {"type": "Unigram", "vocab": [[f"p{n}", -1.0] for n in range(9)]}}),
            r"ids up to 8 \('p8'\)",
        ),
        (files(config={"model_type": "gemma3_text", "text_config": {"vocab_size": 3}}), "the embedding has 3 rows"),
    ],
)
def test_what_cannot_be_run_is_said(given, fault):
    import re

    assert re.search(fault, describe_files(given).fault)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    *(("config.json", key) for key in ("model_type", "vocab_size", "num_hidden_layers", "rope_scaling", "text_config")),
    *(("tokenizer.json", key) for key in ("model", "added_tokens", "vocab", "merges")),
    ("tokenizer_config.json", "chat_template"),
]


@settings(max_examples=200, deadline=None, derandomize=True)
@drawn(place=st.sampled_from(PLACES), value=JSON, whole=st.booleans())
def test_whatever_stands_in_a_file_ends_in_a_description(place, value, whole):
    """One value, or the whole file, is any JSON: there is an answer, and a fault names the file."""
    name, key = place
    inner: dict[str, Any] = {key: value}
    if key in ("vocab", "merges"):
        inner = model(**inner)
    given = files(CONFIG, TOKENIZER, **{"tokenizer_config.json": b"{}"})
    changed = json.loads(given[name]) | inner
    found = describe_files(given | {name: json.dumps(value if whole else changed).encode()})
    assert name in found.fault or found.fault.startswith("the tokenizer has ids") or found.tokenizer
    assert not whole or name in found.fault or isinstance(value, dict)


@pytest.mark.parametrize(
    "given",
    [
        files(),
        files(config=CONFIG | {"vocab_size": 6}),  # as many rows as ids
        files(config=CONFIG | {"vocab_size": 5, "embedding_size": 64}),
        files(tokenizer=None, **{"vocab.json": b"{}", "merges.txt": b""}),
        files(tokenizer=None, **{"tokenizer.model": b"\0"}),
    ],
)
def test_what_can_be_run_has_no_fault(given):
    found = describe_files(given)
    assert found.fault == ""
    assert found.tokenizer
    assert found.depth == 3


def rewritten(value: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(value.items()))


@pytest.mark.parametrize(
    ("config", "tokenizer"),
    [
        (rewritten(CONFIG), rewritten(TOKENIZER)),
        (CONFIG | {"torch_dtype": "bfloat16", "transformers_version": "9.9", "use_cache": False}, TOKENIZER),
        (CONFIG | {"dtype": "float32", "attention_dropout": 0.1, "architectures": ["X"], "pad_token_id": 3}, TOKENIZER),
        ({k: v for k, v in CONFIG.items() if k != "rope_theta"}
         | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}, TOKENIZER),
        (CONFIG | {"rope_scaling": None}, model(merges=[["a", "b"], ["ab", "c"]])),
        (CONFIG, TOKENIZER | {"truncation": {"max_length": 9}, "padding": {"pad_id": 0}, "version": "2"}),
        (CONFIG, model(vocab=rewritten(VOCABULARY))),
    ],
)  # fmt: skip
def test_differences_without_effect_are_none(config, tokenizer):
    plain, other = describe_files(files()), describe_files(files(config, tokenizer))
    assert (other.config, other.tokenizer) == (plain.config, plain.tokenizer)


@pytest.mark.parametrize(
    "other",
    [
        model(vocab=VOCABULARY | {"a": 1, "b": 0}),
        model(merges=["ab c", "a b"]),
        TOKENIZER | {"added_tokens": []},
        TOKENIZER | {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}},
        TOKENIZER | {"normalizer": {"type": "NFC"}},
    ],
)
def test_whatever_changes_ids_changes_the_hash(other):
    assert describe_files(files(tokenizer=other)).tokenizer != describe_files(files()).tokenizer


def test_a_folder_is_read_like_its_files_and_one_that_is_not_there_has_a_fault(tmp_path: Path):
    for name, content in files(
        **{"tokenizer_config.json": b'{"chat_template": "x"}', "model.safetensors": b"?"}
    ).items():
        (tmp_path / name).write_bytes(content)
    found = describe_folder(tmp_path)
    assert found.chat
    assert (found.config, found.tokenizer) == (describe_files(files()).config, describe_files(files()).tokenizer)
    assert not describe_files(files()).chat
    assert "absent" in describe_folder(tmp_path / "absent").fault
    (tmp_path / "tokenizer.json").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "tokenizer.json is a Git LFS pointer" in describe_folder(tmp_path).fault


def test_layers_are_compared_with_the_depth():
    assert layer_fault([0, 3, -4], 3) == ""
    assert layer_fault("all", 3) == layer_fault([9], None) == ""
    assert layer_fault([0, 4, -5], 3) == "activations.layers: [4, -5] is not among its layers 0 to 3"


@pytest.mark.parametrize(
    ("settings", "context"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"n_positions": 32, "n_ctx": 16}, 32),
        ({"max_seq_len": 8, "model_type": "mpt"}, 8),
        ({"model_type": "hf_olmo", "max_sequence_length": 128}, 128),
        ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 12}}, 12),
        ({}, None),
    ],
)
def test_the_length_that_a_model_was_built_for(settings, context):
    assert describe_files(files(config=CONFIG | settings)).context == context


def test_texts_that_are_cut_sooner_are_said():
    assert window_note(512, None) == window_note(512, 512) == ""
    assert window_note(513, 512).startswith("activations.max_tokens is 513, the model was built for 512 positions")
