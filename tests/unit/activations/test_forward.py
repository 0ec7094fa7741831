"""Activations against the plain forward pass of each text alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests import tiny
from w2sg.activations import attention, batches, features, forward
from w2sg.activations.models import LoadedModel, load_model
from w2sg.activations.tokens import encode_texts
from w2sg.tables.files import TableError

BFLOAT16 = 0.05
"""Largest difference in bfloat16, of the largest state of a text and layer: two blocks at 2^-8 an operation."""
ARCHITECTURES = ["gpt_neox", "olmo", "olmo2", "llama"]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


@pytest.fixture(scope="module", params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(scope="module", params=ARCHITECTURES)
def loaded(request, device, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    tiny.save_revisions(folder, request.param, [1])
    return load_model(folder / "step1", dtype="float32", device=device)


def texts(n: int = 17) -> list[str]:
    """Texts of which each two share a beginning, and one repeats another."""
    rng = np.random.default_rng(0)
    starts = [tiny.sentence(rng, high=20) for _ in range(n // 2 + 1)]
    made = [f"{starts[position // 2]} {tiny.sentence(rng)}" for position in range(n)]
    return [*made[:-1], made[0]]


def alone(model: LoadedModel, ids: list[int]) -> np.ndarray:
    tokens = torch.tensor([ids], device=model.device)
    out = model.decoder(input_ids=tokens, output_hidden_states=True, use_cache=False)
    return torch.stack([state[0] for state in out.hidden_states]).cpu().numpy()  # (layers, tokens, width)


def close(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether states are equal within 1e-5 of the largest state of each layer."""
    error = np.abs(got - expected).max(axis=-1) / np.abs(expected).max(axis=-1)
    return bool(error.max() < 1e-5)


@pytest.mark.parametrize("batch_tokens", [2, 64, 10_000])
def test_last_token_states_equal_each_text_alone_whatever_the_batching(loaded, batch_tokens):
    ids = encode_texts(loaded.tokenizer, texts(), max_tokens=32)[0]
    got = forward.extract_states(loaded, ids, layers=(0, 1, 2), batch_tokens=batch_tokens)
    for position, row in enumerate(ids):
        expected = alone(loaded, row)[:, -1]
        assert close(got[:, position], expected)


def test_a_wrong_position_would_be_noticed(loaded):
    ids = encode_texts(loaded.tokenizer, texts(4), max_tokens=32)[0]
    got = forward.extract_states(loaded, ids, layers=(2,), batch_tokens=1000)
    assert not np.allclose(got[0, 0], alone(loaded, ids[0])[2, -2], atol=1e-3)


def test_mean_pool_averages_real_tokens_only(loaded):
    ids = encode_texts(loaded.tokenizer, texts(5), max_tokens=32)[0]
    got = forward.extract_states(loaded, ids, layers=(0, 2), batch_tokens=1000, pool="mean")
    for position, row in enumerate(ids):
        expected = alone(loaded, row)[[0, 2]].mean(axis=1)
        assert close(got[:, position], expected)


def test_id_zero_inside_a_text_is_a_token_like_any_other(loaded):
    ids = [[0, 5, 0, 7], [3, 0]]
    got = forward.extract_states(loaded, ids, layers=(2,), batch_tokens=1000)
    for position, row in enumerate(ids):
        assert close(got[:, position], alone(loaded, row)[[2], -1])


def test_long_texts_lose_their_beginning_and_keep_the_start_mark(loaded):
    text = " ".join(tiny.WORDS * 3)
    whole = encode_texts(loaded.tokenizer, [text], max_tokens=10_000)[0][0]
    cut = encode_texts(loaded.tokenizer, [text], max_tokens=12)[0][0]
    assert len(cut) == 12
    assert cut[0] == 0
    assert cut[1:] == whole[-11:]
    texts = [text, tiny.WORDS[0], text]
    counts = encode_texts(loaded.tokenizer, texts, max_tokens=12)[1]
    assert counts.tolist() == [len(whole), 2, len(whole)] and counts.dtype == np.int32


def test_models_without_a_replaced_attention_go_through_the_library_interface(loaded, monkeypatch):
    monkeypatch.setattr(attention, "FORWARDS", {})
    ids = encode_texts(loaded.tokenizer, texts(), max_tokens=32)[0]
    got = forward.extract_states(loaded, ids, layers=(0, 1, 2), batch_tokens=64)
    for position, row in enumerate(ids):
        assert close(got[:, position], alone(loaded, row)[:, -1])


def test_states_that_are_not_finite_name_the_text(loaded, monkeypatch):
    ids = encode_texts(loaded.tokenizer, texts(3), max_tokens=32)[0]
    weight = loaded.embedding.weight
    saved = weight[ids[1][-1]].clone()
    with torch.no_grad():
        weight[ids[1][-1]] = float("nan")
    try:
        with pytest.raises(FloatingPointError):
            forward.extract_states(loaded, ids, layers=(0,), batch_tokens=1000)
    finally:
        with torch.no_grad():
            weight[ids[1][-1]] = saved


def test_layers():
    assert forward.layer_indices("all", 3) == (0, 1, 2, 3)
    assert forward.layer_indices("final", 3) == (3,)
    assert forward.layer_indices([-1, 0, 3], 3) == (0, 3)
    with pytest.raises(ValueError, match="layers: 4"):
        forward.layer_indices([4], 3)


def test_evaluation_loss_equals_the_library_loss_window_by_window(loaded):
    documents = texts(6)
    got = forward.evaluation_loss(loaded, documents, window=8, batch_tokens=20)
    total, count, n_bytes = 0.0, 0, 0
    for text in documents:
        encoded = loaded.tokenizer(text, return_offsets_mapping=True)
        ids, spans = encoded["input_ids"], encoded["offset_mapping"]
        for start in range(0, len(ids), 8):
            window = ids[start : start + 8]
            if len(window) < 2:
                continue
            states = loaded.decoder(input_ids=torch.tensor([window], device=loaded.device))[0]
            log_p = torch.log_softmax(loaded.output(states)[0].double(), dim=-1)
            total -= sum(float(log_p[i, token]) for i, token in enumerate(window[1:]))
            count += len(window) - 1
            n_bytes += sum(len(text[a:b].encode()) for a, b in spans[start + 1 : start + 8])
    assert got.tokens == count
    assert math.isclose(got.nats_per_token, total / count, rel_tol=1e-5)
    assert math.isclose(got.bits_per_byte, total / math.log(2) / n_bytes, rel_tol=1e-5)


def edge_cases(seed: int) -> list[list[int]]:
    """Single tokens, repeated texts, texts that begin others, forks at every depth, and one of the longest length."""
    rng = np.random.default_rng(seed)
    longest = rng.integers(0, 320, 128).tolist()
    begun = [longest[:length] for length in (1, 2, 17, 127)]
    forked = [[*longest[:length], *rng.integers(0, 320, int(rng.integers(1, 9))).tolist()] for length in (1, 5, 40)]
    apart = [rng.integers(0, 320, int(rng.integers(1, 30))).tolist() for _ in range(6)]
    made = [longest, *begun, *forked, *apart, [7], [7], apart[0], longest]
    return [made[position] for position in rng.permutation(len(made))]


@pytest.mark.parametrize("seed", range(3))
def test_edge_cases_equal_each_text_alone_whatever_the_batching(loaded, seed):
    ids = edge_cases(seed)
    expected = np.stack([alone(loaded, row)[:, -1] for row in ids], axis=1)
    for batch_tokens in (1, 50, 10_000):
        got = forward.extract_states(loaded, ids, layers=(0, 1, 2), batch_tokens=batch_tokens)
        assert close(got, expected)


def test_bfloat16_states_are_as_near_to_the_exact_ones_as_the_librarys(tmp_path, loaded):
    """Both round differently; neither may be further from the float32 states than the type's own rounding allows."""
    architecture = loaded.decoder.config.model_type
    tiny.save_revisions(tmp_path, architecture, [1])
    half = load_model(tmp_path / "step1", dtype="bfloat16", device=str(loaded.device))
    ids = edge_cases(0)
    exact = np.stack([alone(loaded, row)[:, -1] for row in ids], axis=1)
    plain = np.stack([_bfloat16_alone(half, row) for row in ids], axis=1)
    for batch_tokens in (50, 10_000):
        got = forward.extract_states(half, ids, layers=(0, 1, 2), batch_tokens=batch_tokens)
        assert got.dtype == np.float32
        largest = np.abs(exact).max(axis=-1)
        assert (np.abs(got - plain).max(axis=-1) / largest).max() < BFLOAT16
        assert (np.abs(got - exact).max(axis=-1) / largest).max() < BFLOAT16


def _bfloat16_alone(model: LoadedModel, ids: list[int]) -> np.ndarray:
    tokens = torch.tensor([ids], device=model.device)
    out = model.decoder(input_ids=tokens, output_hidden_states=True, use_cache=False)
    return torch.stack([state[0, -1].float() for state in out.hidden_states]).cpu().numpy()


def test_truncated_texts_equal_what_is_left_of_them_alone(loaded):
    long = [" ".join(tiny.WORDS * repeat) for repeat in (3, 5)]
    ids = encode_texts(loaded.tokenizer, [*long, *texts(4)], max_tokens=20)[0]
    assert [len(row) for row in ids[:2]] == [20, 20]
    got = forward.extract_states(loaded, ids, layers=(0, 1, 2), batch_tokens=64)
    for position, row in enumerate(ids):
        assert close(got[:, position], alone(loaded, row)[:, -1])


def test_memory_that_runs_out_inside_the_model_changes_no_state(loaded, monkeypatch, caplog):
    ids = edge_cases(1)
    expected = forward.extract_states(loaded, ids, layers=(0, 1, 2), batch_tokens=10_000)
    feed_forward, sizes = loaded.blocks[0].mlp.forward, []

    def narrow(states: torch.Tensor) -> torch.Tensor:
        sizes.append(states.shape[1])
        if states.shape[1] > 150:
            raise torch.OutOfMemoryError("injected")
        return feed_forward(states)

    monkeypatch.setattr(loaded.blocks[0].mlp, "forward", narrow)
    counted: list[int] = []
    got = forward.extract_states(loaded, ids, layers=(0, 1, 2), batch_tokens=512, on_batch=counted.append)
    assert close(got, expected)
    assert max(sizes) > 150
    assert "going on with batches of 128 tokens" in caplog.text
    assert sum(counted) == sum(map(len, ids))


def test_extraction_makes_no_logits_and_keeps_one_row_for_each_text(loaded, monkeypatch):
    def refused(states: torch.Tensor) -> torch.Tensor:
        raise AssertionError("logits were made")

    left: list[tuple[int, ...]] = []
    send = batches._send
    monkeypatch.setattr(loaded.output, "forward", refused)
    monkeypatch.setattr(batches, "_send", lambda states: left.append(tuple(states.shape)) or send(states))
    ids = edge_cases(2)
    forward.extract_states(loaded, ids, layers=(0, 2), batch_tokens=10_000)
    assert left == [(2, len(ids), 16)]


def _features(n: int = 4) -> features.Features:
    rng = np.random.default_rng(1)
    return features.Features(
        chosen=rng.normal(size=(2, n, 3)).astype(np.float32),
        rejected=rng.normal(size=(2, n, 3)).astype(np.float32),
        row_ids=np.array([f"row{i}" for i in range(n)]),
        tokens=rng.integers(1, 9, (2, n)).astype(np.int32),
        layers=(0, 2),
        metadata={"model": "m", "revision": "step1"},
    )


def test_feature_files_return_what_was_written_and_equal_content_gives_equal_bytes(tmp_path):
    made = _features()
    for name in ("a", "b"):
        features.write_features(tmp_path / name, made, dtype="float32")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = features.open_features(tmp_path / "a", expect={"model": "m"}).read()
    np.testing.assert_array_equal(back.chosen, made.chosen)
    rows = back.rows(["row3", "row0"])
    np.testing.assert_array_equal(rows.chosen, made.chosen[:, [3, 0]])
    np.testing.assert_array_equal(rows.rejected, made.rejected[:, [3, 0]])
    np.testing.assert_array_equal(rows.tokens, made.tokens[:, [3, 0]])
    assert rows.tokens.dtype == np.int32
    assert back.layers == (0, 2)


def test_foreign_cut_and_mismatched_feature_files_are_refused(tmp_path):
    features.write_features(tmp_path / "a", _features(), dtype="float32")
    with pytest.raises(TableError, match="revision is 'step1', expected 'step2'"):
        features.open_features(tmp_path / "a", expect={"revision": "step2"})
    (tmp_path / "cut").write_bytes((tmp_path / "a").read_bytes()[:100])
    with pytest.raises(TableError, match="not a whole feature file"):
        features.open_features(tmp_path / "cut")
    with pytest.raises(ValueError, match="row nowhere"):
        features.open_features(tmp_path / "a").read().rows(["nowhere"])
