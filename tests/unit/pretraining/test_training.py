"""One update after the other, against the optimiser and its schedule written out in double precision."""

import copy
import math

import numpy as np
import pytest
import torch

from tests.pretraining_runs import IDS, SETTINGS, STEPS, TINY, TOKENIZER, run, weights
from tests.pretraining_runs import no_waiting_for_the_disk as no_waiting_for_the_disk
from w2sg.pretraining.tokens import Batches
from w2sg.pretraining.training import Training, build_model, one_thread

CLIP = 1.2
BATCHES = Batches(IDS, length=8, batch_size=4, seed=0)


def losses_and_gradients(model, ids: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """The library's own loss, in double precision, and its gradients."""
    model.zero_grad()
    tokens = torch.from_numpy(ids)
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    return loss.item(), {name: p.grad.numpy().copy() for name, p in model.named_parameters()}


@one_thread()
def written_out(*, decay: float = 0.1) -> tuple[list[float], dict[int, dict[str, np.ndarray]], list[float]]:
    """Losses, weights by step and norms of gradients of sixteen steps of AdamW: Loshchilov and Hutter 2019, algorithm 2."""
    model = build_model(TINY, vocabulary=TOKENIZER.get_vocab_size(), length=8, seed=0).double()
    now = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    mean, square = ({name: np.zeros_like(w) for name, w in now.items()} for _ in range(2))
    losses, norms, passed = [], [], {0: now}
    for step in range(1, 17):
        for name, parameter in model.named_parameters():
            parameter.data = torch.from_numpy(now[name].copy())
        loss, gradient = losses_and_gradients(model, BATCHES.batch(step))
        norm = math.sqrt(sum((g**2).sum() for g in gradient.values()))
        warm = step / 2  # two steps of warm-up, then half a cosine to a tenth
        rate = 1e-2 * (warm if step <= 2 else 0.1 + 0.9 * (1 + math.cos(math.pi * (step - 2) / 14)) / 2)
        now = dict(now)
        for name, g in gradient.items():
            g = g * min(1.0, CLIP / norm)
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.95 * square[name] + 0.05 * g**2
            direction = (mean[name] / (1 - 0.9**step)) / (np.sqrt(square[name] / (1 - 0.95**step)) + 1e-8)
            shrink = 1 - rate * decay if g.ndim > 1 else 1.0
            now[name] = shrink * now[name] - rate * direction
        losses.append(loss)
        norms.append(norm)
        passed[step] = now
    return losses, passed, norms


def distance(ours: dict[str, torch.Tensor], theirs: dict[str, np.ndarray]) -> float:
    """Largest difference of any weight, key biases left out."""
    assert ours.keys() == theirs.keys()
    largest = 0.0
    for name, expected in theirs.items():
        mine = ours[name].double().numpy()
        if name.endswith("query_key_value.bias"):
            # A key bias without rotation shifts all scores of a query alike: its gradient is rounding error,
            # which AdamW scales up to full steps.
            mine, expected = (bias.reshape(2, 3, 8)[:, ::2] for bias in (mine, expected))
        largest = max(largest, float(np.abs(mine - expected).max()))
    return largest


def test_published_weights_equal_the_written_out_optimiser(tmp_path):
    made = run(tmp_path, clip_norm=CLIP)
    losses, passed, norms = written_out()
    assert min(norms) < CLIP < max(norms)  # steps with and without clipping
    for record in made[1:]:
        assert record.training_loss == pytest.approx(np.mean(losses[: record.step]), rel=1e-5)
    for step in STEPS:
        assert distance(weights(tmp_path, step), passed[step]) < 2e-5
    assert distance(weights(tmp_path, 16), written_out(decay=0.0)[1][16]) > 1e-4  # the comparison can fail


def test_bfloat16_products_stay_close_and_leave_the_weights_in_single_precision():
    with one_thread():
        exact, short = (
            Training(TINY, SETTINGS, vocabulary=TOKENIZER.get_vocab_size(), dtype=dtype)
            for dtype in ("float32", "bfloat16")
        )
        for step in range(1, 17):
            ids = torch.from_numpy(BATCHES.batch(step))
            expected = exact.update(ids)
            assert short.update(ids) == pytest.approx(expected, rel=5e-3)
    assert {p.dtype for p in short.model.parameters()} == {torch.float32}
    assert short.mean_loss != exact.mean_loss  # bfloat16 did enter


def test_a_restored_training_goes_on_with_the_same_bits():
    first, second = (Training(TINY, SETTINGS, vocabulary=TOKENIZER.get_vocab_size(), dtype="float32") for _ in range(2))
    with one_thread():
        for step in range(1, 4):
            first.update(torch.from_numpy(BATCHES.batch(step)))
        second.restore(copy.deepcopy(first.state()))
        assert (second.step, second.mean_loss) == (3, first.mean_loss)
        ids = torch.from_numpy(BATCHES.batch(4))
        assert first.update(ids) == second.update(ids)
    for mine, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_the_number_of_threads_is_put_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
