"""A tiny pre-training of sixteen steps; its runs can be counted, killed, and compared by their bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.pretraining.test_tokenizer import corpus
from w2sg.pretraining.pretrain import pretrain
from w2sg.pretraining.tokenizer import encode_documents, train_tokenizer
from w2sg.study.pretraining import Architecture, PretrainingSettings, revision_name

TINY = Architecture(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
SETTINGS = PretrainingSettings(
    seed=0,
    steps=16,
    save_every=16,
    batch_size=4,
    sequence_length=8,
    learning_rate=1e-2,
    warmup_steps=2,
    vocabulary_size=300,
    dtype="float32",
    state_every=4,
)
STEPS = (0, 1, 2, 4, 8, 16)
TOKENIZER = train_tokenizer(corpus(), vocabulary=300)
IDS = encode_documents(TOKENIZER, corpus())


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package may catch it."""


def run(folder: Path, *, ids=IDS, tokenizer=TOKENIZER, architecture=TINY, recipe=1, **changes):
    settings = SETTINGS.model_copy(update=changes)
    return pretrain(
        ids=ids,
        tokenizer=tokenizer,
        architecture=architecture,
        settings=settings,
        root=folder,
        recipe=recipe,
        label="tiny",
    )


def published(folder: Path) -> dict[str, bytes]:
    """Every byte below a folder, the state left out: it is not an output."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".state" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    """Weights of a published revision, under the model's own names."""
    saved = load_file(folder / revision_name(step) / "model.safetensors")
    return {name.replace("embed_out", "lm_head"): tensor for name, tensor in saved.items()}


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # no test pulls the plug
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference")
    run(folder)
    return published(folder)


@pytest.fixture
def finished(tmp_path, reference) -> Path:
    run(tmp_path)
    return tmp_path


def count_calls(monkeypatch, module, name):
    calls, original = [], getattr(module, name)

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, counted)
    return calls


def kill_at(monkeypatch, module, name: str, call: int, *, after: bool) -> None:
    """Makes the given call of a function end the process, before or after it did its work."""
    original, seen = getattr(module, name), []

    def dying(*args, **kwargs):
        seen.append(None)
        if len(seen) < call:
            return original(*args, **kwargs)
        if after:
            original(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(module, name, dying)
