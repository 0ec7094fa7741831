"""Settings of a pre-training: mistakes are named; the learning rate and the number format that follow from them."""

import csv
import math
from pathlib import Path

import pytest
import torch

from tests.pretraining_runs import SETTINGS, TINY
from w2sg.runtime.machine import compute_type
from w2sg.study.fields import read
from w2sg.study.pretraining import (
    Architecture,
    PretrainingSettings,
    learning_rate,
    pythia_schedule,
    revision_name,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 17}, "steps: got 17"),
        ({"steps": 0}, "steps: got 0"),
        ({"steps": 16.0}, "steps: got 16.0"),
        ({"seed": -1}, "seed: got -1"),
        ({"sequence_length": 1}, "sequence_length: got 1"),
        ({"warmup_steps": 16}, "warmup_steps: got 16, allowed: less than steps=16"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate: got nan"),
        ({"learning_rate": "1e-3"}, "learning_rate: got '1e-3'"),
        ({"beta2": 1.0}, "beta2: got 1.0"),
        ({"final_rate": 1.5}, "final_rate: got 1.5"),
        ({"dtype": "float16"}, "dtype: got 'float16', allowed: auto, float32, bfloat16"),
        ({"state_every": 0}, "state_every: got 0"),
        ({"vocabulary_size": 256}, "vocabulary_size: got 256"),
    ],
)
def test_settings_name_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        read(PretrainingSettings, {**SETTINGS.model_dump(), **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 3}, "hidden_size: got 16, allowed: a multiple of num_attention_heads=3"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: got 0"),
        ({"num_attention_heads": 8}, "rotary_pct: got 0.25"),
        ({"rotary_pct": 1.5}, "rotary_pct: got 1.5"),
        ({"initializer_range": 0}, "initializer_range: got 0"),
    ],
)
def test_architecture_names_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        read(Architecture, {**TINY.model_dump(), **changes})


def test_learning_rate_warms_up_then_falls_to_its_last_share():
    settings = SETTINGS.model_copy(update=dict(steps=512, warmup_steps=20, learning_rate=2e-3))
    rates = [learning_rate(settings, step) for step in range(1, 513)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[19] == max(rates) == pytest.approx(2e-3)
    assert rates[-1] == pytest.approx(2e-4)
    assert rates[20 + 246 - 1] == pytest.approx((2e-3 + 2e-4) / 2)
    assert all(a > b for a, b in zip(rates[19:], rates[20:], strict=False))
    assert learning_rate(settings.model_copy(update={"warmup_steps": 0}), 1) == pytest.approx(2e-3, rel=1e-4)


def test_compute_type_follows_the_processor_only_when_asked_to(monkeypatch):
    for found, expected in {"avx2": "float32", "avx512_bf16": "bfloat16", "amx_bf16": "bfloat16"}.items():
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=found: {name: True, "cpu_name": "x"})
        assert compute_type("auto") == expected
        assert compute_type("auto", "cuda") == "bfloat16"
        assert compute_type("float32") == "float32"
        assert compute_type("bfloat16") == "bfloat16"


# Schedule

PYTHIA = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(1000, 143_001, 1000))


def test_gives_pythias_own_schedule():
    assert pythia_schedule(143_000, 1000) == PYTHIA
    assert len(PYTHIA) == 154


def test_agrees_with_the_committed_revision_list():
    path = Path(__file__).parents[3] / "resources" / "revisions" / "pythia.tsv"
    if not path.exists():
        pytest.skip("no revision list of Pythia here")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["revision"], int(row["step"])) for row in rows] == [(revision_name(s), s) for s in PYTHIA]


def test_gives_the_schedule_of_pythia_in_small():
    expected = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(640, 2049, 128))
    assert pythia_schedule(2048, 128) == expected
    assert len(expected) == 23


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (1, 1, (0, 1)),
        (64, 1000, (0, 1, 2, 4, 8, 16, 32, 64)),
        (512, 3, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)),
        (600, 100, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600)),
        (1024, 512, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)),
    ],
)
def test_short_and_odd_trainings(steps, every, expected):
    assert pythia_schedule(steps, every) == expected


def test_is_ascending_without_repeats_and_ends_at_the_last_step():
    for every in (1, 7, 64, 512, 513, 1000):
        steps = every * 1100
        schedule = pythia_schedule(steps, every)
        assert list(schedule) == sorted(set(schedule))
        assert schedule[-1] == steps


@pytest.mark.parametrize(("steps", "every"), [(100, 1), (700, 128)])
def test_refuses_what_would_not_end_at_a_published_step(steps, every):
    with pytest.raises(ValueError, match="^steps: got .*allowed"):
        pythia_schedule(steps, every)


def test_names_revisions_as_pythia_does():
    assert revision_name(0) == "step0"
    assert revision_name(143_000) == "step143000"
