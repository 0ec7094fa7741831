"""Batched head training against a plain loop over torch.optim, one head at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from w2sg.heads import paper, sides
from w2sg.heads.paper import PaperHeadSettings, train_paper_heads

LAYERS, PAIRS, WIDTH = 2, 75, 6  # 75 pairs: the last batch has 11
SEEDS = (3, 11)
BASE = PaperHeadSettings(learning_rates=[1e-3, 1e-2, 5e-2])


def changed(**values) -> PaperHeadSettings:
    return PaperHeadSettings(**BASE.model_dump() | values)


def data(seed: int = 0, layers: int = LAYERS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, layers, PAIRS, WIDTH)).astype(np.float32)
    truth = rng.standard_normal(WIDTH)
    noise = rng.standard_normal((len(SEEDS), PAIRS))
    return first, second, 1.0 / (1.0 + np.exp(-((first[0] - second[0]) @ truth + noise)))


def initial(settings: PaperHeadSettings, seed: int) -> torch.Tensor:
    if settings.init == "zero":
        return torch.zeros(WIDTH)
    bound = WIDTH**-0.5
    draw = sides.generator(seed, "init").uniform(-bound, bound, WIDTH)
    return torch.tensor(draw, dtype=torch.float32)


def batch_logits(weights, shown, rows, settings):
    first, second = (torch.from_numpy(x[rows]) @ weights for x in shown[:2])
    target = torch.tensor(shown[2][rows], dtype=torch.float32)
    if settings.loss == "hard":
        target = torch.where(target == 0.5, 0.5, (target > 0.5).float())
    if settings.margin == "pair":
        return first - second, target
    return torch.cat((first, second)), torch.cat((target, 1 - target))


def auxiliary(logits, target, share):
    """Burns et al. 2024: cross-entropy with own predictions, hardened at the labels' balance."""
    probability = torch.sigmoid(logits.detach())
    threshold = torch.quantile(probability, 1 - target.mean())
    hardened = (probability >= threshold - 1e-7).float()
    plain = binary_cross_entropy_with_logits(logits, target)
    return (1 - share) * plain + share * binary_cross_entropy_with_logits(logits, hardened)


def learned(name: str, logits, target, done: float):
    """The loss that is descended, written out; autograd makes its gradient."""
    if name == "logconf":
        return auxiliary(logits, target, 0.5 * min(1.0, done / 0.2))
    p, q = torch.sigmoid(logits), target.clamp(1e-4, 1 - 1e-4)
    if name == "reverse_ce":
        return -(p * q.log() + (1 - p) * (1 - q).log()).mean()
    if name == "reverse_kl":
        return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    plain = binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (plain * ((p - 0.5).abs() < 0.15) if name == "window" else plain).mean()


def train_alone(first, second, target, rate: float, seed: int, settings: PaperHeadSettings):
    """Trains one head; returns its weights and its progressive loss."""
    swapped = sides.toss(PAIRS, seed)
    turn = swapped[:, None]
    shown = np.where(turn, second, first), np.where(turn, first, second), np.where(swapped, 1.0 - target, target)
    weights = torch.nn.Parameter(initial(settings, seed))
    optimiser = torch.optim.Adam([weights], lr=rate)
    order = np.random.Generator(np.random.PCG64(seed))
    per_epoch = -(-PAIRS // settings.batch_size)
    total = per_epoch * settings.epochs
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=total)
    losses, sizes = [], []
    for epoch in range(settings.epochs):
        permutation = order.permutation(PAIRS)
        for step in range(per_epoch):
            rows = permutation[step * settings.batch_size : (step + 1) * settings.batch_size]
            logits, goal = batch_logits(weights, shown, rows, settings)
            loss = binary_cross_entropy_with_logits(logits, goal)
            if epoch == 0 and step >= per_epoch // 2:
                losses.append(loss.item())
                sizes.append(len(rows))
            loss = learned(settings.loss, logits, goal, (epoch * per_epoch + step) / total)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            scheduler.step()
    return weights.detach().numpy(), np.average(losses, weights=sizes)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"init": "default"},
        {"loss": "hard"},
        {"loss": "logconf", "init": "default"},
        {"loss": "reverse_ce"},
        {"loss": "reverse_kl"},
        {"loss": "window"},
        {"margin": "single"},
        {"margin": "single", "loss": "logconf", "init": "default"},
        {"epochs": 2, "batch_size": 8},
        {"batch_size": 100},
    ],
    ids=lambda change: "-".join(f"{k}={v}" for k, v in change.items()) or "paper",
)
def test_equals_one_head_at_a_time(change):
    settings = changed(**change)
    first, second, target = data()
    trained = train_paper_heads(first, second, target, settings=settings, seeds=SEEDS)
    assert trained.weights.dtype == np.float32
    for layer in range(LAYERS):
        for s, seed in enumerate(SEEDS):
            for k, rate in enumerate(settings.learning_rates):
                weights, loss = train_alone(first[layer], second[layer], target[s], rate, seed, settings)
                error = np.abs(trained.weights[layer, s, k] - weights).max() / np.abs(weights).max()
                assert error < 2e-5, (layer, seed, rate)
                assert trained.progressive_loss[layer, s, k] == pytest.approx(loss, rel=1e-5)
    assert (trained.selected == trained.progressive_loss.argmin(-1)).all()


def test_oracle_notices_another_batch_order():
    first, second, target = data()
    trained = train_paper_heads(first, second, target, settings=BASE, seeds=SEEDS)
    weights, _ = train_alone(first[0], second[0], target[0], 1e-2, SEEDS[0] + 1, BASE)
    assert np.abs(trained.weights[0, 0, 1] - weights).max() > 1e-3 * np.abs(weights).max()


def test_batches_do_not_depend_on_layers_rates_or_chunks(monkeypatch):
    first, second, target = data(layers=5)
    together = train_paper_heads(first, second, target, settings=BASE, seeds=SEEDS)
    one = changed(learning_rates=[1e-2])
    alone = train_paper_heads(first[3:4], second[3:4], target[1:], settings=one, seeds=SEEDS[1:])
    np.testing.assert_allclose(alone.weights[0, 0, 0], together.weights[3, 1, 1], rtol=1e-5, atol=1e-7)
    monkeypatch.setattr(paper, "CHUNK", 1)
    chunked = train_paper_heads(first, second, target, settings=BASE, seeds=SEEDS)
    np.testing.assert_allclose(chunked.weights, together.weights, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["soft", "hard"])
def test_exchanging_sides_and_labels_changes_nothing(loss):
    settings = changed(loss=loss)
    first, second, target = data()
    target[:, :5] = 0.5  # what rounding must leave alone
    plain = train_paper_heads(first, second, target, settings=settings, seeds=SEEDS)
    mirrored = train_paper_heads(second, first, 1 - target, settings=settings, seeds=SEEDS)
    np.testing.assert_allclose(mirrored.weights, plain.weights, rtol=1e-5, atol=1e-7)


def test_soft_and_hard_labels():
    first, second, target = data()
    soft = train_paper_heads(first, second, target, settings=BASE, seeds=SEEDS)
    hard_settings = changed(loss="hard")
    hard = train_paper_heads(first, second, target, settings=hard_settings, seeds=SEEDS)
    rounded = train_paper_heads(first, second, sides.harden(target), settings=BASE, seeds=SEEDS)
    assert (hard.weights == rounded.weights).all()
    assert np.abs(hard.weights - soft.weights).max() > 1e-3


def test_rate_is_selected_by_the_loss_before_learning():
    first, second, target = data()
    noise = np.random.default_rng(1).integers(0, 2, target.shape).astype(np.float64)
    settings = changed(learning_rates=[1e-6, 1.0], batch_size=4)
    trained = train_paper_heads(first, second, noise, settings=settings, seeds=SEEDS)
    # On labels without signal the large rate fits what it has seen, and is found out by what it has not.
    assert (trained.selected == 0).all()
    settings = BASE.model_copy(update={"learning_rates": [1e-6, 1e-2, 3e38]})  # more than the configuration allows
    trained = train_paper_heads(first, second, target, settings=settings, seeds=SEEDS)
    assert np.isnan(trained.progressive_loss[..., 2]).all()
    assert (trained.selected < 2).all()  # a rate that overflows is never taken


def test_equal_states_give_zero_heads_and_zero_margins():
    first, _, target = data()
    trained = train_paper_heads(first, first, target, settings=BASE, seeds=SEEDS)
    assert (trained.weights == 0).all()
    _, second, _ = data()
    second[:, 7] = first[:, 7]
    weights = np.random.default_rng(0).standard_normal((LAYERS, 3, 2, WIDTH)).astype(np.float32)
    margins = paper.score_pairs(weights, first, second)
    assert margins.shape == (LAYERS, 3, 2, PAIRS) and margins.dtype == np.float64
    assert (margins[..., 7] == 0).all() and (margins[..., :7] != 0).all()
    expected = (first[1, 4].astype(float) - second[1, 4]) @ weights[1, 2, 0]
    assert margins[1, 2, 0, 4] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"loss": "huber"}, "loss"),
        ({"init": "ones"}, "init"),
        ({"margin": "triple"}, "margin"),
        ({"learning_rates": []}, "learning_rates"),
        ({"learning_rates": [0.0]}, "learning_rates"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_wrong_settings_are_named(change, name):
    with pytest.raises(ValueError, match=name):
        changed(**change)


def test_wrong_inputs_are_named():
    first, second, target = data()
    with pytest.raises(ValueError, match="disagree"):
        train_paper_heads(first, second, target[:1], settings=BASE, seeds=SEEDS)
    with pytest.raises(ValueError, match="target"):
        train_paper_heads(first, second, target + 1, settings=BASE, seeds=SEEDS)
    second[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="second holds"):
        train_paper_heads(first, second, target, settings=BASE, seeds=SEEDS)
