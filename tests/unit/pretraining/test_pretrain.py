"""What a pre-training publishes: the same bytes whenever it is repeated, and again under another configuration."""

import csv
import fcntl
import math
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.pretraining_runs import IDS, STEPS, TINY, TOKENIZER, Killed, count_calls, kill_at, published, run, weights
from tests.pretraining_runs import finished as finished
from tests.pretraining_runs import no_waiting_for_the_disk as no_waiting_for_the_disk
from tests.pretraining_runs import reference as reference
from tests.unit.pretraining.test_tokenizer import corpus
from w2sg.pretraining import training
from w2sg.pretraining.tokenizer import train_tokenizer
from w2sg.pretraining.training import build_model
from w2sg.study.pretraining import Architecture, revision_name

ROOT = Path(__file__).parents[3]


# What is published


def test_every_revision_loads_like_a_downloaded_one(finished):
    names = {path.name for path in finished.glob("step*")}
    assert names == {revision_name(step) for step in STEPS}
    ids = torch.from_numpy(IDS[:24].astype(np.int64)).view(3, 8)
    for step in STEPS:
        folder = finished / revision_name(step)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        assert type(model).__name__ == "GPTNeoXForCausalLM"
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        assert tokenizer(corpus()[0])["input_ids"] == TOKENIZER.encode(corpus()[0]).ids
        assert math.isfinite(model(input_ids=ids, labels=ids).loss.item())


def test_list_of_revisions(finished):
    with (finished / "manifest.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["revision"] for row in rows] == [revision_name(step) for step in STEPS]
    assert [int(row["tokens"]) for row in rows] == [32 * step for step in STEPS]
    assert rows[0]["training_loss"] == "" and {row["dtype"] for row in rows} == {"float32"}
    losses = [float(row["training_loss"]) for row in rows[1:]]
    assert losses[0] == pytest.approx(math.log(TOKENIZER.get_vocab_size()), abs=0.1)
    assert losses[-1] < losses[0] - 0.3  # it learns


def test_step_zero_is_the_initial_model_and_depends_on_the_seed_alone(finished):
    model = build_model(TINY, vocabulary=TOKENIZER.get_vocab_size(), length=8, seed=0)
    torch.manual_seed(123)  # the ambient generator neither matters nor moves
    again = build_model(TINY, vocabulary=TOKENIZER.get_vocab_size(), length=8, seed=0)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(123)))
    for name, saved in weights(finished, 0).items():
        assert torch.equal(model.state_dict()[name], saved) and torch.equal(again.state_dict()[name], saved)
    ids = torch.from_numpy(IDS[:8].astype(np.int64))[None]
    reloaded = AutoModelForCausalLM.from_pretrained(finished / "step0", local_files_only=True)
    with torch.no_grad():
        assert torch.allclose(reloaded(input_ids=ids).logits, model(input_ids=ids).logits, atol=1e-6)


def test_no_path_time_or_host_enters_the_outputs(reference):
    secrets = (b"/tmp", str(ROOT).encode(), os.uname().nodename.encode() + b".")
    assert not [name for name, content in reference.items() for secret in secrets if secret in content]


# Same bytes: again, and with other threads and cores


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bytes_do_not_depend_on_threads_or_cores(tmp_path, dtype):
    before, outputs = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        run(tmp_path / f"{threads}", dtype=dtype)
        outputs.append(published(tmp_path / f"{threads}"))
    torch.set_num_threads(before)
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        try:
            run(tmp_path / "pinned", dtype=dtype)
        finally:
            os.sched_setaffinity(0, cores)
        outputs.append(published(tmp_path / "pinned"))
    assert all(output == outputs[0] for output in outputs)


def test_other_seeds_sizes_and_rates_give_other_weights(tmp_path, reference):
    small = Architecture(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    for name, changes in {
        "seed": {"seed": 1},
        "rate": {"learning_rate": 5e-3},
        "size": {"architecture": small},
    }.items():
        run(tmp_path / name, **changes)
        assert published(tmp_path / name)["step16/model.safetensors"] != reference["step16/model.safetensors"]


def test_a_finished_training_is_left_alone(finished, reference, monkeypatch):
    built = count_calls(monkeypatch, training, "build_model")
    times = {path: path.stat().st_mtime_ns for path in finished.rglob("model.safetensors")}
    (finished / "manifest.tsv").unlink()
    run(finished)
    assert published(finished) == reference
    assert not built
    assert times == {path: path.stat().st_mtime_ns for path in finished.rglob("model.safetensors")}


# What decides whether a state is continued


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"learning_rate": 5e-3},
        {"steps": 32, "save_every": 1},
        {"dtype": "bfloat16"},
        {"recipe": 2},
        {"ids": IDS[::-1].copy()},
        {"tokenizer": train_tokenizer(corpus(seed=1), vocabulary=300)},
    ],
    ids=["seed", "rate", "steps", "dtype", "recipe", "data", "tokenizer"],
)
def test_another_configuration_starts_anew(tmp_path, reference, monkeypatch, caplog, changes):
    run(tmp_path / "fresh", **changes)
    with monkeypatch.context() as patch:
        kill_at(patch, training, "learning_rate", 7, after=False)
        with pytest.raises(Killed):
            run(tmp_path / "changed")
    run(tmp_path / "changed", **changes)
    assert published(tmp_path / "changed") == published(tmp_path / "fresh")
    assert "another configuration was trained here; starting again" in caplog.text
    assert "recipe" in changes or published(tmp_path / "fresh") != reference


def test_nothing_of_a_longer_training_remains(tmp_path, reference):
    run(tmp_path, steps=32, save_every=1)
    run(tmp_path)
    assert published(tmp_path) == reference


def test_publishing_more_or_less_often_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("w2sg.study.pretraining.LAST_POWER", 4)
    run(tmp_path / "coarse", save_every=16)
    run(tmp_path / "fine", save_every=8)
    run(tmp_path / "coarse", save_every=8)
    assert published(tmp_path / "coarse") == published(tmp_path / "fine")
    assert (tmp_path / "coarse" / "step8").exists()
    built = count_calls(monkeypatch, training, "build_model")
    run(tmp_path / "fine", save_every=16)
    assert not built


def test_the_state_interval_does_not_make_a_state_foreign(finished, reference, monkeypatch):
    built = count_calls(monkeypatch, training, "build_model")
    run(finished, state_every=3)
    assert published(finished) == reference and not built


def test_a_second_process_waits_for_the_first(finished, reference, caplog):
    with (finished / ".state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(0.3, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        start = time.monotonic()
        run(finished)
        assert time.monotonic() - start > 0.2
    assert published(finished) == reference
    assert "another process trains in" in caplog.text


def test_a_diverged_training_says_so(tmp_path):
    with pytest.raises(FloatingPointError, match="tiny: loss nan at step .*learning_rate"):
        run(tmp_path, learning_rate=1e30, clip_norm=1e30)
