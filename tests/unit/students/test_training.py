"""Trained backbones against a plain loop: padded batches, the library's own forward pass, torch.optim; and what a reset does."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from peft import PeftModel
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModel
from transformers.optimization import Adafactor

from tests import tiny
from w2sg.activations.models import take_apart
from w2sg.heads import sides
from w2sg.students.kinds import KINDS, adapters_added, check_targets
from w2sg.students.scorer import Scorer
from w2sg.students.training import Task, train_student
from w2sg.study.sections import LoraAdapters, Students

PAIRS, SEED, RATE = 84, 5, 2e-3  # 21 batches of 4
SETTINGS = Students(batch_size=4, every=10, learning_rates={"lora": [RATE], "full": [RATE]})
ARCHITECTURES = ("gpt_neox", "llama", "olmo2")


def pairs(seed: int = 0) -> Task:
    """Pairs with a common beginning, of texts of different lengths."""
    rng = np.random.default_rng(seed)

    def text(low: int, high: int) -> list[int]:
        return rng.integers(1, 320, int(rng.integers(low, high))).tolist()

    prompts = [text(1, 8) for _ in range(PAIRS)]
    first, second = ([[*prompt, *text(1, 12)] for prompt in prompts] for _ in range(2))
    return Task(first=first, second=second, target=rng.random(PAIRS))


def plain_loop(
    model, parameters, task: Task, *, steps: int, margin: str = "pair", optimizer: Any = torch.optim.Adam
) -> list[float]:
    """The same protocol as anyone would write it; returns the losses of the first batches."""
    head = torch.zeros(model.config.hidden_size, requires_grad=True)
    groups = [{"params": list(parameters), "lr": RATE}, {"params": [head], "lr": max(RATE, 5e-3)}]
    optimiser = optimizer(groups)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / 21)))
    order = sides.generator(SEED).permutation(PAIRS)
    losses = []
    model.train()
    for step in range(steps):
        rows = order[step * 4 : step * 4 + 4]

        def score(texts: list) -> torch.Tensor:
            longest = max(map(len, texts))
            tokens = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
            mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
            states = model.base_model(input_ids=tokens, attention_mask=mask).last_hidden_state
            return states[torch.arange(len(texts)), mask.sum(1) - 1] @ head

        a, b = score([task.first[row] for row in rows]), score([task.second[row] for row in rows])
        target = torch.tensor(task.target[rows], dtype=torch.float32)
        if margin == "pair":
            loss = binary_cross_entropy_with_logits(a - b, target)
        else:
            loss = binary_cross_entropy_with_logits(torch.cat((a, b)), torch.cat((target, 1 - target)))
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        scheduler.step()
    return losses


def loaded(architecture: str):
    model = tiny.model(architecture, seed=1)
    return take_apart(model, tiny.tokenizer())


@pytest.mark.parametrize("margin", ["pair", "single"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_losses_of_a_fully_trained_backbone_are_those_of_a_plain_loop(architecture, margin):
    task, model = pairs(), loaded(architecture)
    course = train_student(
        Scorer(model), KINDS["full"](model, SETTINGS), task, settings=SETTINGS, rate=RATE, seed=SEED, margin=margin
    )
    other = tiny.model(architecture, seed=1)
    expected = plain_loop(other, other.base_model.parameters(), task, steps=20, margin=margin)
    assert course.losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert np.ptp(course.losses) > 0.01  # it learns
    np.testing.assert_allclose(course.losses[:20], expected, atol=1e-5)


def test_losses_with_a_factored_optimiser_are_those_of_a_plain_loop():
    task, model = pairs(), loaded("llama")
    settings = SETTINGS.model_copy(update={"optimizer": "adafactor"})
    course = train_student(Scorer(model), KINDS["full"](model, settings), task, settings=settings, rate=RATE, seed=SEED)
    other = tiny.model("llama", seed=1)
    factored = partial(Adafactor, lr=RATE, scale_parameter=False, relative_step=False)
    expected = plain_loop(other, other.base_model.parameters(), task, steps=20, optimizer=factored)
    assert np.ptp(course.losses) > 0.01
    np.testing.assert_allclose(course.losses[:20], expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_losses_of_adapters_are_those_of_a_plain_loop(architecture):
    task, model = pairs(), loaded(architecture)
    trained = KINDS["lora"](model, SETTINGS)
    course = train_student(Scorer(model), trained, task, settings=SETTINGS, rate=RATE, seed=SEED)
    # Written without peft: each linear layer x W + b gets (alpha / rank) x A B beside it, A as drawn, B zero.
    drawn = [m.lora_A["w2sg"].weight.shape for m in model.decoder.modules() if hasattr(m, "lora_A")]
    torch.manual_seed(SEED)
    a = [torch.nn.Parameter(torch.nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5)) for shape in drawn]
    other = tiny.model(architecture, seed=1).requires_grad_(False)
    linear = [module for module in other.base_model.modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == len(a)
    b = [torch.nn.Parameter(torch.zeros(module.out_features, 8)) for module in linear]
    for module, down, up in zip(linear, a, b, strict=True):
        module.register_forward_hook(lambda m, inputs, out, down=down, up=up: out + 2.0 * inputs[0] @ down.T @ up.T)
    expected = plain_loop(other, [*a, *b], task, steps=20)
    np.testing.assert_allclose(course.losses[:20], expected, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_students_do_not_depend_on_those_before_them(kind):
    task, model = pairs(), loaded("llama")
    scorer, trained = Scorer(model), KINDS[kind](model, SETTINGS)
    options = {"settings": SETTINGS, "rate": RATE, "seed": SEED}
    before = train_student(scorer, trained, task, **options).losses
    train_student(scorer, trained, pairs(1), **options | {"seed": 7})
    np.testing.assert_array_equal(train_student(scorer, trained, task, **options).losses, before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_adapters_and_their_layers_multiply_once_to_the_same_scores(architecture):
    task, model = pairs(), loaded(architecture)
    scorer, trained = Scorer(model), KINDS["lora"](model, SETTINGS)
    train_student(scorer, trained, task, settings=SETTINGS, rate=RATE, seed=SEED)
    texts = [text for text in task.first if text is not None]
    with torch.inference_mode(), scorer.attending(training=False):
        apart = scorer(texts).numpy()
    added = scorer.score(texts, batch_tokens=4096)
    np.testing.assert_allclose(added, apart, atol=1e-5 * np.abs(apart).max())
    assert np.abs(apart).max() > 0.01
    with torch.inference_mode(), scorer.attending(training=False):
        assert (scorer(texts).numpy() == apart).all()  # nothing is left of it
    bare = loaded(architecture)
    with adapters_added(bare.decoder):  # a model without adapters
        assert not any("forward" in vars(module) for module in bare.decoder.modules())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # of peft
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_student_that_is_kept_is_read_by_the_libraries_own_means(kind, tmp_path):
    task, model = pairs(), loaded("llama")
    scorer, trained = Scorer(model), KINDS[kind](model, SETTINGS)
    train_student(scorer, trained, task, settings=SETTINGS, rate=RATE, seed=SEED)
    trained.save(tmp_path)
    if kind == "lora":
        found = PeftModel.from_pretrained(loaded("llama").decoder, str(tmp_path))
        assert len(list(tmp_path.glob("*.safetensors"))) == 1  # nothing but the adapters
    else:
        found = AutoModel.from_pretrained(tmp_path)
    texts = [text for text in task.first if text is not None][:8]
    with torch.no_grad():
        states = torch.stack([found(input_ids=torch.tensor([text]))[0][0, -1] for text in texts])
        scores = (states @ scorer.head.weight[0]).numpy()
    expected = scorer.score(texts, batch_tokens=4096)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())


def test_an_untrained_head_scores_zero_and_the_accuracy_is_looked_at_as_often_as_wanted():
    task, model = pairs(), loaded("gpt_neox")
    scorer = Scorer(model)
    assert (scorer.score(task.first, batch_tokens=64) == 0).all()
    seen = []
    course = train_student(
        scorer,
        KINDS["full"](model, SETTINGS),
        task,
        settings=SETTINGS,
        rate=RATE,
        seed=SEED,
        watch=lambda: seen.append(1) or len(seen),
    )
    assert course.watched == {10: 1, 20: 2}
    judged = course.losses[10:]  # the second half of the 21 batches, all of one size
    assert course.progressive_loss == pytest.approx(judged.mean(), rel=1e-5)


def test_scores_do_not_depend_on_the_batch():
    task, model = pairs(), loaded("olmo2")
    scorer = Scorer(model)
    train_student(scorer, KINDS["full"](model, SETTINGS), task, settings=SETTINGS, rate=RATE, seed=SEED)
    alone = [scorer.score([text], batch_tokens=8)[0] for text in task.first]
    np.testing.assert_allclose(scorer.score(task.first, batch_tokens=500), alone, rtol=1e-4, atol=1e-5)


def test_targets_that_a_model_lacks_are_named():
    model = loaded("llama")
    check_targets(model.decoder, ["q_proj"])
    with pytest.raises(ValueError, match=r"students.lora.targets: \['query_key_value'\] not found.*q_proj"):
        KINDS["lora"](model, SETTINGS.model_copy(update={"lora": LoraAdapters(targets=["query_key_value"])}))


def test_a_diverging_rate_is_no_choice_and_stops_nothing():
    task, model = pairs(), loaded("llama")
    course = train_student(Scorer(model), KINDS["full"](model, SETTINGS), task, settings=SETTINGS, rate=1e30, seed=SEED)
    assert course.progressive_loss == math.inf


def test_margins_keep_their_precision_where_passes_are_in_bfloat16():
    task, model = pairs(), loaded("gpt_neox")
    AcceleratorState._reset_state(reset_partial_state=True)
    scorer = Scorer(model, mixed_precision=True)
    with torch.no_grad():
        scorer.head.weight.copy_(torch.arange(16.0)[None])
    scores = scorer.score(task.first, batch_tokens=64)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert (scores != torch.tensor(scores).bfloat16().double().numpy()).mean() > 0.9


def test_nothing_is_dropped_while_blocks_are_computed_again():
    task = pairs()
    found = []
    for checkpointing in (False, True):
        model = tiny.model("gpt_neox", seed=1)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.5
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.5
        loaded_model = take_apart(model, tiny.tokenizer())
        scorer = Scorer(loaded_model, checkpointing=checkpointing)
        trained = KINDS["full"](loaded_model, SETTINGS)
        found.append(train_student(scorer, trained, task, settings=SETTINGS, rate=RATE, seed=SEED).losses)
    np.testing.assert_allclose(*found, atol=1e-6)
