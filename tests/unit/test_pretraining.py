import csv
import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.unit.test_tokenizer import corpus
from w2sg import pretraining, runtime, training_run
from w2sg.neox_parameters import ParameterLayout, bind_parameters, check_architecture
from w2sg.neox_step import ShardPass
from w2sg.pretraining_data import Batches, read_tokens, select_documents, write_tokens
from w2sg.pretraining_settings import (
    Architecture,
    PretrainingSettings,
    compute_type,
    learning_rate,
    read_settings,
)
from w2sg.schedule import revision_name
from w2sg.tokenizer import encode, train_tokenizer
from w2sg.training_run import build_model
from w2sg.training_state import load_state, sole_trainer, write_manifest
from w2sg.training_step import Crew, TrainingStep, crew_of

ROOT = Path(__file__).parents[2]
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
IDS = encode(TOKENIZER, corpus())


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package may catch it."""


def run(folder: Path, *, ids=IDS, tokenizer=TOKENIZER, architecture=TINY, threads=1, recipe=1, **changes):
    settings = replace(SETTINGS, **changes)
    made = pretraining.pretrain(
        ids=ids,
        tokenizer=tokenizer,
        architecture=architecture,
        settings=settings,
        root=folder,
        state_folder=folder / ".state",
        threads=threads,
        recipe=recipe,
        label="tiny",
    )
    write_manifest(folder / "manifest.tsv", made.records, tokens_per_step=32, dtype=made.dtype)
    return made


def published(folder: Path) -> dict[str, bytes]:
    """Every byte below a folder, the state left out: it is not an output."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".state" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "_fsync", lambda path: None)  # no test pulls the plug
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


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / revision_name(step) / "model.safetensors")


# The written-out pass against automatic differentiation of the Hugging Face class


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


def test_reloaded_revision_gives_the_same_logits(tmp_path):
    job = training_run.Job(
        batches=Batches(IDS, length=8, batch_size=4, seed=0),
        files={},
        vocabulary=TOKENIZER.get_vocab_size(),
        architecture=TINY,
        settings=SETTINGS,
        dtype="float32",
        root=tmp_path,
        label="tiny",
    )
    with crew_of(1) as crew:
        training = training_run.Training(job, crew)
        training.advance(3, lambda: None, job.progress("pretrain", done=0, until=3))
        training.publish()
    ids = torch.from_numpy(IDS[:8].astype(np.int64))[None]
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "step3", local_files_only=True)
    with torch.no_grad():
        assert torch.equal(reloaded(input_ids=ids).logits, training._model(input_ids=ids).logits)


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
        name = name.replace("embed_out", "lm_head")
        assert torch.equal(model.state_dict()[name], saved) and torch.equal(again.state_dict()[name], saved)


def test_no_path_time_or_host_enters_the_outputs(reference):
    secrets = (b"/tmp", str(ROOT).encode(), os.uname().nodename.encode() + b".")
    assert not [name for name, content in reference.items() for secret in secrets if secret in content]


# Same bytes: again, on other threads and cores, after any interruption


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bytes_do_not_depend_on_threads_or_cores(tmp_path, dtype):
    run(tmp_path / "one", dtype=dtype, threads=1)
    run(tmp_path / "two", dtype=dtype, threads=2)
    outputs = [published(tmp_path / "one"), published(tmp_path / "two")]
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores)})
        try:
            run(tmp_path / "pinned", dtype=dtype, threads=2)
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


def count_calls(monkeypatch, module, name):
    calls, original = [], getattr(module, name)

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, counted)
    return calls


def test_a_finished_training_is_left_alone(finished, reference, monkeypatch):
    built = count_calls(monkeypatch, training_run, "build_model")
    times = {path: path.stat().st_mtime_ns for path in finished.rglob("model.safetensors")}
    (finished / "manifest.tsv").unlink()
    run(finished)
    assert published(finished) == reference
    assert not built
    assert times == {path: path.stat().st_mtime_ns for path in finished.rglob("model.safetensors")}


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


KILLS = {
    "before the first revision": (training_run, "write_revision", 1, False),
    "after the first revision, before the first state": (training_run, "write_revision", 1, True),
    "after the first state": (pretraining, "save_state", 1, True),
    "between two states": (training_run, "learning_rate", 7, False),
    "after a revision, before its state": (training_run, "write_revision", 5, True),
    "before the last state": (pretraining, "save_state", 5, False),
    "after the last state, before the list": (pretraining, "save_state", 5, True),
}


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS.keys())
def test_a_killed_training_ends_with_the_same_bytes(tmp_path, reference, monkeypatch, kill):
    module, name, call, after = kill
    with monkeypatch.context() as patch:
        kill_at(patch, module, name, call, after=after)
        with pytest.raises(Killed):
            run(tmp_path)
    assert published(tmp_path) != reference  # the kill did interrupt something
    run(tmp_path)
    assert published(tmp_path) == reference


def test_a_training_killed_again_and_again_ends_with_the_same_bytes(tmp_path, reference, monkeypatch):
    for call in (3, 2, 3, 4, 5):
        with monkeypatch.context() as patch:
            kill_at(patch, training_run, "learning_rate", call, after=False)
            with pytest.raises(Killed):
                run(tmp_path)
    steps = count_calls(monkeypatch, training_run, "learning_rate")
    run(tmp_path)
    assert published(tmp_path) == reference
    assert len(steps) < SETTINGS.steps  # it continued


REAL_KILL = """
import os, signal, sys
from pathlib import Path
from tests.unit import test_pretraining as t
from w2sg import runtime
flush, seen = runtime._flush, []
def dying(path):
    seen.append(path)
    if len(seen) == 5:
        (path / "model.safetensors").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)
runtime._flush = dying
t.run(Path(sys.argv[1]))
"""


def test_sigkill_while_a_revision_is_written(tmp_path, reference):
    done = subprocess.run([sys.executable, "-c", REAL_KILL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(tmp_path.glob(".step*.tmp"))
    run(tmp_path)
    assert published(tmp_path) == reference


def damage_missing(folder: Path) -> None:
    shutil.rmtree(folder / "step4")


def damage_bytes(folder: Path) -> None:
    path = folder / "step2" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_file(folder: Path) -> None:
    (folder / "step16" / "tokenizer.json").unlink()


def damage_several(folder: Path) -> None:
    damage_missing(folder)
    damage_bytes(folder)


@pytest.mark.parametrize("damage", [damage_missing, damage_bytes, damage_file, damage_several])
def test_a_damaged_revision_is_made_anew(finished, reference, damage, monkeypatch):
    damage(finished)
    assert published(finished) != reference
    written = count_calls(monkeypatch, training_run, "write_revision")
    run(finished)
    assert published(finished) == reference
    assert len(written) < len(STEPS)  # the whole ones are left alone
    assert load_state(finished / ".state").step == SETTINGS.steps


def test_damage_in_an_unfinished_training(tmp_path, reference, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, training_run, "learning_rate", 14, after=False)
        with pytest.raises(Killed):
            run(tmp_path)
    damage_several(tmp_path)
    run(tmp_path)
    assert published(tmp_path) == reference


@pytest.mark.parametrize("content", [b"", b"not a state", None])
def test_a_damaged_state_is_not_used(finished, reference, content):
    state = finished / ".state" / "state.safetensors"
    if content is None:  # one wrong bit in the moments
        changed = bytearray(state.read_bytes())
        changed[-100] ^= 1
        content = bytes(changed)
    state.write_bytes(content)
    assert load_state(finished / ".state") is None
    run(finished)
    assert published(finished) == reference


def test_weights_that_this_machine_does_not_repeat_are_replaced_as_a_whole(finished, reference, caplog):
    # As if steps 1 to 8 had been trained elsewhere: whole by their record, but not what a repetition gives.
    state = finished / ".state" / "state.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run.Job, "digest", lambda self, recipe: "same")
        shutil.rmtree(finished / ".state")
        run(finished, learning_rate=2e-3)
        assert state.exists()
        shutil.rmtree(finished / "step8")
        run(finished)
        assert published(finished) == reference
    assert "starting anew" in caplog.text


# What decides whether a state is continued


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"learning_rate": 5e-3},
        {"steps": 32, "save_every": 1},
        {"dtype": "bfloat16"},
        {"shards": 4},
        {"recipe": 2},
        {"ids": IDS[::-1].copy()},
        {"tokenizer": train_tokenizer(corpus(seed=1), vocabulary=300)},
    ],
    ids=["seed", "rate", "steps", "dtype", "shards", "recipe", "data", "tokenizer"],
)
def test_another_configuration_starts_anew(tmp_path, reference, monkeypatch, caplog, changes):
    run(tmp_path / "fresh", **changes)
    with monkeypatch.context() as patch:
        kill_at(patch, training_run, "learning_rate", 7, after=False)
        with pytest.raises(Killed):
            run(tmp_path / "changed")
    run(tmp_path / "changed", **changes)
    assert published(tmp_path / "changed") == published(tmp_path / "fresh")
    assert "another configuration was trained here; starting anew" in caplog.text
    assert "recipe" in changes or published(tmp_path / "fresh") != reference


def test_nothing_of_a_longer_training_remains(tmp_path, reference):
    run(tmp_path, steps=32, save_every=1)
    run(tmp_path)
    assert published(tmp_path) == reference


def test_publishing_more_often_repeats_but_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("w2sg.schedule.LAST_POWER", 4)
    run(tmp_path / "coarse", save_every=16)
    run(tmp_path / "fine", save_every=8)
    kept = (tmp_path / "coarse" / "step16" / "model.safetensors").stat().st_mtime_ns
    run(tmp_path / "coarse", save_every=8)
    assert published(tmp_path / "coarse") == published(tmp_path / "fine")
    assert (tmp_path / "coarse" / "step8").exists()
    assert (tmp_path / "coarse" / "step16" / "model.safetensors").stat().st_mtime_ns == kept


def test_state_interval_and_threads_do_not_make_a_state_foreign(finished, reference, monkeypatch):
    built = count_calls(monkeypatch, training_run, "build_model")
    run(finished, state_every=3, threads=2)
    assert published(finished) == reference and not built


def test_a_second_process_waits_for_the_first(tmp_path):
    folder = tmp_path / ".state"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(0.3, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        start = time.monotonic()
        with sole_trainer(tmp_path, folder):
            assert time.monotonic() - start > 0.2


def test_a_diverged_training_says_so(tmp_path):
    with pytest.raises(FloatingPointError, match="tiny: loss nan at step .*learning_rate"):
        run(tmp_path, learning_rate=1e30, clip_norm=1e30)


# Data


def documents(**parts: list[str]) -> pd.DataFrame:
    rows = [(f"{part}-{i}", part, text) for part, texts in parts.items() for i, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["doc_id", "part", "text"]).sample(frac=1, random_state=0)


def test_only_the_named_part_is_read_in_the_order_of_ids():
    frame = documents(train=["a", "b"], heldout=["c"], evaluation=["secret"])
    assert select_documents(frame, "train") == ["a", "b"]
    assert select_documents(frame, "heldout") == ["c"]


@pytest.mark.parametrize("part", ["evaluation", "test", "", "Train"])
def test_refuses_to_hand_out_text_of_the_pairs(part):
    with pytest.raises(ValueError, match=f"part: got '{part}', allowed: train, heldout"):
        select_documents(documents(train=["a"], evaluation=["secret"]), part)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (documents(heldout=["a"]), "no document of part 'train'"),
        (documents(train=["a"], evalution=["b"]), "unknown parts \\['evalution'\\]"),
        (documents(train=["a", " "]), "document 'train-1' has no text"),
        (pd.concat([documents(train=["a"])] * 2), "doc_id 'train-0' occurs more than once"),
        (documents(train=["a"]).drop(columns="part"), "lacks columns \\['part'\\]"),
    ],
)
def test_refuses_documents_that_are_not_what_they_should_be(frame, message):
    with pytest.raises(ValueError, match=message):
        select_documents(frame, "train")


def test_token_stream_round_trip(tmp_path):
    write_tokens(IDS, tmp_path / "a.safetensors")
    write_tokens(IDS.copy(), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert np.array_equal(read_tokens(tmp_path / "a.safetensors"), IDS)
    (tmp_path / "a.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="a.safetensors: not a token stream.*remake"):
        read_tokens(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="ids: got shape"):
        write_tokens(IDS.astype(np.int64), tmp_path / "a.safetensors")


def test_batches_show_every_chunk_once_before_any_twice():
    ids = np.arange(8 * 21 + 5, dtype=np.uint16)
    batches = Batches(ids, length=8, batch_size=3, seed=0)
    epoch = np.concatenate([batches.batch(step) for step in range(1, 8)])
    assert sorted(epoch[:, 0]) == list(range(0, 8 * 21, 8))
    assert (epoch == epoch[:, :1] + np.arange(8)).all()
    assert epoch[:, 0].tolist() != sorted(epoch[:, 0])
    assert np.array_equal(batches.batch(8), batches.batch(1))
    assert batches.batch(1).dtype == np.int64
    assert not np.array_equal(Batches(ids, length=8, batch_size=3, seed=1).batch(1), batches.batch(1))
    with pytest.raises(ValueError, match="ids: got 173 tokens, allowed: at least one batch of 30 x 8"):
        Batches(ids, length=8, batch_size=30, seed=0)


def test_refuses_a_tokenizer_that_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="tokenizer: got 300 entries, allowed: at most 290"):
        run(tmp_path, vocabulary_size=290)
    with pytest.raises(ValueError, match="ids: got token 299, allowed: below the tokenizer's 257 entries"):
        run(tmp_path, tokenizer=train_tokenizer(["a"], vocabulary=257))
    assert not list(tmp_path.glob("step*"))


# Settings


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
        ({"shards": 3}, "shards: got 3, allowed: a divisor of batch_size=4"),
        ({"state_every": 0}, "state_every: got 0"),
        ({"vocabulary_size": 256}, "vocabulary_size: got 256"),
    ],
)
def test_settings_name_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **changes)


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
        replace(TINY, **changes)


def test_settings_come_from_a_models_entry():
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    given = ("seed", "steps", "save_every", "batch_size", "sequence_length", "learning_rate", "warmup_steps")
    section = {key: getattr(SETTINGS, key) for key in (*given, "vocabulary_size", "dtype", "state_every")}
    assert read_settings({"architecture": sizes, "pretraining": section}) == (TINY, SETTINGS)
    with pytest.raises(ValueError, match="lacks the section 'pretraining'"):
        read_settings({"architecture": sizes})
    with pytest.raises(ValueError, match="unexpected keyword argument 'stepz'"):
        read_settings({"architecture": sizes, "pretraining": {**section, "stepz": 3}})


def test_learning_rate_warms_up_then_falls_to_its_last_share():
    settings = replace(SETTINGS, steps=512, warmup_steps=20, learning_rate=2e-3)
    rates = [learning_rate(settings, step) for step in range(1, 513)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[19] == max(rates) == pytest.approx(2e-3)
    assert rates[-1] == pytest.approx(2e-4)
    assert rates[20 + 246 - 1] == pytest.approx((2e-3 + 2e-4) / 2)
    assert all(a > b for a, b in zip(rates[19:], rates[20:], strict=False))
    assert learning_rate(replace(settings, warmup_steps=0), 1) == pytest.approx(2e-3, rel=1e-4)


def test_compute_type_follows_the_processor_only_when_asked_to(tmp_path):
    facts = tmp_path / "cpuinfo"
    for flags, expected in {
        "fpu avx2": "float32",
        "avx512f avx512_bf16": "bfloat16",
        "amx_bf16": "bfloat16",
    }.items():
        facts.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : avx512_bf16\n")
        assert compute_type("auto", cpu_facts=facts) == expected
        assert compute_type("float32", cpu_facts=facts) == "float32"
        assert compute_type("bfloat16", cpu_facts=facts) == "bfloat16"
    assert compute_type("auto", cpu_facts=tmp_path / "absent") == "float32"


def test_state_holds_data_only(finished):
    state = finished / ".state" / "state.safetensors"
    header = int.from_bytes(state.read_bytes()[:8], "little")
    facts = json.loads(state.read_bytes()[8 : 8 + header])
    assert set(facts) == {"__metadata__", "parameters", "mean", "variance"}
