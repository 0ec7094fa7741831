"""One extraction job: what is refused before weights are read, and how much it keeps in memory."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from tests import tiny
from w2sg.activations import extraction
from w2sg.activations.models import take_apart
from w2sg.activations.tokens import ReadPairs

PAIRS, WIDTH = 500, 512


def settings(layers: str | list[int] = "all", max_tokens: int = 32) -> extraction.Settings:
    return extraction.Settings(
        layers=layers, max_tokens=max_tokens, batch_tokens=64, device="cpu", threads=1, dtype="float32"
    )


def test_layers_outside_a_model_are_refused_with_its_name_and_range():
    config = tiny.model("gpt_neox", seed=1).config
    for layers in ("all", "final", [0, 2], [-1]):
        extraction.check_config(config, settings(layers), name="small step8")
    with pytest.raises(ValueError, match="activations.layers: 3 is not a layer; small step8 has 0 to 2"):
        extraction.check_config(config, settings([1, 3]), name="small step8")


def test_splits_too_small_for_heads_are_refused(monkeypatch):
    frame = pd.DataFrame({"split": ["ground_truth"] * 3 + ["weak_supervision"] * 3 + ["test"] * 2})
    monkeypatch.setattr(extraction, "read_table", lambda path, schema: frame)
    with pytest.raises(ValueError, match="dataset mine: split test has 2 pairs, at least 3 are needed to fit heads"):
        extraction.read_frames({"mine": "pairs"}, test_fraction=0.2)
    frame = pd.concat([frame, frame])
    assert len(extraction.read_frames({"mine": "pairs"}, test_fraction=0.2)["mine"]) == 16


def test_a_window_matters_only_if_texts_can_be_longer():
    config = tiny.model("llama", seed=1).config
    config.sliding_window = 100
    assert extraction.check_config(config, settings(max_tokens=100), name="m") == ""
    assert "sliding_window is 100" in extraction.check_config(config, settings(max_tokens=101), name="m")
    config.max_position_embeddings = 100
    assert extraction.check_config(config, settings(max_tokens=101), name="m") == ""


def test_a_loss_that_cannot_be_measured_names_model_revision_and_corpus():
    whole = tiny.model("gpt_neox", seed=1)
    model = take_apart(whole, tiny.tokenizer())
    options = {"settings": settings(), "name": "small step8, corpora.mine"}
    assert len(extraction.measure_loss(model, ["the cat sees a dog"], **options)) == 2
    with pytest.raises(
        ValueError, match=r"small step8, corpora\.mine: the evaluation text has no window of two tokens"
    ):
        extraction.measure_loss(model, [""], **options)
    next(whole.parameters()).fill_(torch.nan)
    with pytest.raises(
        ValueError, match=r"small step8, corpora\.mine: .*not finite; the revision is broken, or float32 is"
    ):
        extraction.measure_loss(model, ["the cat sees a dog"], **options)


def test_states_of_one_dataset_are_in_memory_at_a_time(monkeypatch, tmp_path):
    def states(model: object, ids: list, *, layers: tuple[int, ...], **options: object) -> np.ndarray:
        return np.ones((len(layers), len(ids), WIDTH), dtype=np.float32)

    facts = {"example": "p c", "first_ids": [1], "last_ids": [2], "cut_chosen": 0.5, "cut_rejected": 0.0}
    read = ReadPairs(ids=[[1, 2]] * 2 * PAIRS, lengths=np.full((2, PAIRS), 2), facts=facts)
    monkeypatch.setattr(extraction, "read_pairs", lambda *arguments, **options: read)
    monkeypatch.setattr(extraction, "extract_states", states)
    monkeypatch.setattr(extraction, "write_features", lambda *arguments, **options: None)
    kept = {"depth": 4, "context": 2048, "device": torch.device("cpu"), "tokenizer": None}
    model = SimpleNamespace(**kept, check_used=lambda texts: None)
    row = {"prompt": "p", "chosen": "c", "rejected": "r"}
    frames = {
        name: pd.DataFrame([row | {"row_id": f"{number:016x}"} for number in range(PAIRS)]) for name in ("a", "b", "c")
    }
    tracemalloc.start()
    try:
        extraction.write_all_features(
            model,  # type: ignore[arg-type]
            frames,
            outputs={name: str(tmp_path / name) for name in frames},
            entries=dict.fromkeys(frames, {}),
            settings=settings(),
            keys={"model": "m", "revision": "r"},
            origins=dict.fromkeys(frames, {}),
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * 5 * 2 * PAIRS * WIDTH * 4
