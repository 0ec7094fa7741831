"""Exchanged weights with hashes of their own are named by the evaluation loss; a steep onset, a warm-up and noise are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.studies import STEPS, made_metrics
from w2sg.report.sentences import describe_missing
from w2sg.trajectories.coverage import completeness, far_from_neighbours, far_places, moved_since

QUICK = settings(max_examples=60, deadline=None, derandomize=True)

KNOWN = {1: 7.652, 32: 6.546, 128: 5.863, 256: 5.518, 512: 5.242, 768: 5.064, 1024: 4.958, 1536: 4.806, 2048: 4.731}
"""Measured evaluation losses of the default study's model, by step."""

DEFAULT = np.interp(np.log2(np.maximum(STEPS, 1)), np.log2(list(KNOWN)), list(KNOWN.values()))
PYTHIA = np.array([0, *(2**k for k in range(10)), *range(1000, 143_001, 1000)])


def falling(steps: np.ndarray, *, middle: float = 60.0) -> np.ndarray:
    """A loss from 10.8 that is flat while the rate warms up, then falls to 2.5."""
    return 2.5 + 8.3 / (1.0 + np.sqrt(steps / middle))


def with_losses(values: np.ndarray) -> pd.DataFrame:
    metrics = made_metrics(effect=True)
    is_loss = metrics["head"] == "model"
    found = dict(zip(STEPS, values, strict=True))
    return metrics.assign(value=metrics["value"].where(~is_loss, metrics["step"].map(found)))


def exchanged(values: np.ndarray, one: int, other: int) -> np.ndarray:
    found = values.copy()
    found[[one, other]] = values[[other, one]]
    return found


@pytest.mark.parametrize(("early", "late"), [(4, 1920), (2, 1280)])
def test_exchanged_revisions_are_named_with_their_losses(early, late):
    one, other = STEPS.index(early), STEPS.index(late)
    named = far_from_neighbours(with_losses(exchanged(DEFAULT, one, other)))
    assert named["revision"].tolist() == [f"step{early}", f"step{late}"]
    assert set(named["model"]) == {"nano-strong"}
    text = named["reason"].iloc[0]
    assert f"step{early} {DEFAULT[other]:.3f}" in text and f"step{early // 2} {DEFAULT[one - 1]:.3f}" in text


def test_the_default_study_has_no_doubtful_revision():
    assert far_from_neighbours(with_losses(DEFAULT)).empty
    assert far_from_neighbours(made_metrics(effect=True)).empty


@QUICK
@given(seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.0, 1e-4, 0.002, 0.02]))
def test_noise_names_nobody(seed, noise):
    rng = np.random.default_rng(seed)
    for values in (DEFAULT, falling(PYTHIA)):
        assert far_places(values + noise * rng.standard_normal(len(values))) == []


@QUICK
@given(
    at=st.integers(2, 150),
    width=st.sampled_from([0, 1, 3]),
    drop=st.floats(0.1, 8.0),
    noise=st.sampled_from([0.0, 0.002]),
)
def test_an_onset_however_steep_names_nobody(at, width, drop, noise):
    """Flat, a fall within one revision or a few, flat again; with noise that the flat parts show."""
    place = np.arange(154)
    values = 10.0 - drop * np.clip((place - at) / (width + 1), 0.0, 1.0)
    values = values + noise * np.random.default_rng(at).standard_normal(154)
    assert far_places(values) == []


@QUICK
@given(seed=st.integers(0, 2**32 - 1), early=st.integers(3, 60), late=st.integers(100, len(PYTHIA) - 2))
def test_two_that_were_exchanged_in_a_long_list_are_named_and_nobody_else(seed, early, late):
    values = falling(PYTHIA) + 0.002 * np.random.default_rng(seed).standard_normal(len(PYTHIA))
    assert far_places(exchanged(values, early, late)) == [early, late]


@QUICK
@given(seed=st.integers(0, 2**32 - 1), early=st.integers(2, 7), late=st.integers(13, len(STEPS) - 2))
def test_two_that_were_exchanged_in_a_short_list_are_named_and_nobody_else(seed, early, late):
    values = falling(np.array(STEPS)) + 0.002 * np.random.default_rng(seed).standard_normal(len(STEPS))
    assert far_places(exchanged(values, early, late)) == [early, late]


@pytest.mark.parametrize("count", range(5))
def test_few_revisions_name_nobody(count):
    assert far_places(np.array([3.0, 9.0, 3.0, 3.0, 3.0])[:count]) == []


def test_a_revision_among_equal_ones_is_measured_in_what_there_is():
    assert far_places(np.full(9, 4.0)) == []


def test_without_a_loss_nobody_is_named():
    metrics = made_metrics(effect=True)
    assert far_from_neighbours(metrics[metrics["head"] != "model"]).empty


def test_trained_students_that_are_missing_are_named_by_kind_and_revision():
    keys = {"family": "a", "dataset": "d"}
    heads = [
        keys | {"revision": f"step{step}", "protocol": protocol}
        for step in (0, 8)
        for protocol in ("paper", "converged")
    ]
    measured = pd.DataFrame([*heads, keys | {"revision": "step0", "protocol": "lora"}]).astype(
        "category"
    )  # as it is read
    wanted = {"a": {"step0": 0, "step8": 8, "step64": 64}}
    assert describe_missing(completeness(measured, wanted, ["d"], ["linear"])) == [
        "a on d: 1 of 3 revisions are missing: step64"
    ]
    assert describe_missing(completeness(measured, wanted, ["d"], ["linear", "lora", "full"])) == [
        "a on d, fully trained students: nothing was measured (3 revisions wanted)",
        "a on d: 1 of 3 revisions are missing: step64",
        "a on d, LoRA students: 2 of 3 revisions are missing: step8, step64",
    ]


def test_a_branch_that_moved_after_the_audit_is_named():
    metrics = made_metrics(effect=True).assign(commit="b" * 40)
    known = metrics[["model", "revision", "commit"]].drop_duplicates()
    assert moved_since(metrics, known).empty
    assert moved_since(metrics, known.assign(commit="")).empty  # nothing is known of them
    early = known["revision"] == "step4"
    named = moved_since(metrics, known.assign(commit=known["commit"].mask(early, "a" * 40)))
    assert named["revision"].tolist() == ["step4"]
    assert "measured at commit bbbbbbbb, but the audit saw aaaaaaaa" in named["reason"].iloc[0]
