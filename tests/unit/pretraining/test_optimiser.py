"""The written-out pass against automatic differentiation of the Hugging Face class, its steps against the library's."""

import numpy as np
import pytest
import torch

from tests.pretraining_runs import TINY
from w2sg.pretraining.neox import ShardPass
from w2sg.pretraining.optimiser import Crew, TrainingStep, crew_of
from w2sg.pretraining.parameters import ParameterLayout, bind_parameters, check_architecture
from w2sg.pretraining.training import build_model
from w2sg.study.pretraining import Architecture


def noisy_model(architecture: Architecture, *, vocabulary: int = 50, length: int = 12):
    model = build_model(architecture, vocabulary=vocabulary, length=length, seed=1)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():  # zero biases and unit gains would hide a wrong gradient
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def autograd(model, ids) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters()}


def by_hand(model, ids, dtype, *, repeat: int = 1) -> tuple[float, dict[str, torch.Tensor]]:
    layout, flat = bind_parameters(model)
    shard = ShardPass(model.config, layout, flat, flat.to(dtype), sequences=len(ids), length=ids.shape[1])
    for _ in range(repeat):
        loss = shard.run(ids)
    terms = len(ids) * (ids.shape[1] - 1)
    gradient = torch.cat([shard.matrix_gradient.float(), shard.vector_gradient]) / terms
    return loss.item() / terms, {name: layout.view(gradient, name) for name in layout.shapes}


def distances(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[float]:
    assert ours.keys() == theirs.keys()
    return [((ours[name] - theirs[name]).norm() / theirs[name].norm()).item() for name in theirs]


@pytest.mark.parametrize(
    "architecture",
    [
        TINY,
        Architecture(hidden_size=24, num_hidden_layers=1, num_attention_heads=1, intermediate_size=20),
        Architecture(hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=24, rotary_pct=1.0),
    ],
)
@pytest.mark.parametrize("shape", [(3, 12), (1, 5)])
def test_loss_and_every_gradient_equal_automatic_differentiation(architecture, shape):
    model = noisy_model(architecture)
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 50, size=shape))
    loss, expected = autograd(model, ids)
    # Twice in the same buffers: what an earlier batch left there must not matter.
    ours, gradient = by_hand(model, ids, torch.float32, repeat=2)
    assert ours == pytest.approx(loss, rel=1e-5)
    assert max(distances(gradient, expected)) < 2e-5


def test_lower_precision_is_close_and_another_batch_is_not():
    model = noisy_model(TINY)
    first, second = torch.from_numpy(np.random.default_rng(0).integers(0, 50, size=(2, 4, 12)))
    loss, expected = autograd(model, first)
    ours, gradient = by_hand(model, first, torch.bfloat16)
    assert ours == pytest.approx(loss, rel=5e-3)
    assert max(distances(gradient, expected)) < 0.05
    assert min(distances(by_hand(model, second, torch.float32)[1], expected)) > 0.05


def test_steps_equal_the_librarys_optimiser_and_clipping():
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 50, size=(6, 4, 12)))
    ours, theirs = noisy_model(TINY), noisy_model(TINY)
    matrices = [p for p in theirs.parameters() if p.ndim > 1]
    vectors = [p for p in theirs.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    layout, flat = bind_parameters(ours)
    size = {"dtype": torch.float32, "batch_size": 4, "length": 12, "shards": 2, "betas": (0.9, 0.95)}
    with crew_of(1) as crew:
        step = TrainingStep(ours.config, layout, flat, crew=crew, **size)
        for number, batch in enumerate(ids, start=1):
            rate = 1e-2 / number
            loss, _ = autograd(theirs, batch)
            norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            assert norm > 0.5  # otherwise clipping is not tested
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            assert step.run(batch, step=number, rate=rate, decay=0.1, clip=0.5) == pytest.approx(loss, rel=1e-5)
    for name, parameter in theirs.named_parameters():
        mine, expected = dict(ours.named_parameters())[name].detach(), parameter.detach()
        if name.endswith("query_key_value.bias"):
            # A key bias without rotation shifts all scores of a query alike: its gradient is rounding noise,
            # which AdamW scales up to full steps.
            mine, expected = (bias.view(2, 3, 8)[:, ::2] for bias in (mine, expected))
        assert torch.allclose(mine, expected, rtol=1e-4, atol=1e-5), name


def test_refuses_an_architecture_it_does_not_compute():
    config = noisy_model(TINY).config
    check_architecture(config)
    for key, value in {"hidden_act": "relu", "use_parallel_residual": False, "hidden_dropout": 0.1}.items():
        changed = type(config)(**{**config.to_dict(), key: value})
        with pytest.raises(ValueError, match=f"{key}: got .*allowed in pre-training"):
            check_architecture(changed)


def test_layout_puts_matrices_first_and_pieces_cover_it():
    layout = ParameterLayout({"a": (3,), "b": (5, 7), "c": (40, 2), "d": (9,)})
    assert list(layout.shapes) == ["b", "c", "a", "d"]
    for pieces in (1, 2, 3):
        bounds = layout.bounds(pieces)
        assert bounds[0][0] == 0 and bounds[-1][2] == layout.size
        assert all(left[2] == right[0] for left, right in zip(bounds, bounds[1:], strict=False))
        assert sum(middle - start for start, middle, _ in bounds) == layout.decayed


def test_crew_keeps_the_order_of_its_items_and_restores_the_thread_count():
    before = torch.get_num_threads()
    for threads in (1, 2, 5):
        with crew_of(threads) as crew:
            assert crew.map(lambda item: item * item, list(range(7))) == [i * i for i in range(7)]
            assert set(crew.map(lambda _: torch.get_num_threads(), list(range(4)))) == {1}
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match="threads: got 0"):
        Crew(0)
