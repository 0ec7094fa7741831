"""A training that was killed, or whose files were damaged, ends with the same bytes as one that was left in peace."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pretraining_runs import SETTINGS, Killed, count_calls, kill_at, published, run
from tests.pretraining_runs import finished as finished
from tests.pretraining_runs import no_waiting_for_the_disk as no_waiting_for_the_disk
from tests.pretraining_runs import reference as reference
from w2sg.pretraining import pretrain, training
from w2sg.pretraining.state import load_state

ROOT = Path(__file__).parents[3]
KILLS = {
    "before the first revision": (pretrain, "write_revision", 1, False),
    "after the first revision, before the first state": (pretrain, "write_revision", 1, True),
    "after the first state": (pretrain, "save_state", 1, True),
    "between two states": (training, "learning_rate", 7, False),
    "after a revision, before its state": (pretrain, "write_revision", 5, True),
    "before the last state": (pretrain, "save_state", 4, False),
    "after the last state, before the list": (pretrain, "save_state", 4, True),
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
            kill_at(patch, training, "learning_rate", call, after=False)
            with pytest.raises(Killed):
                run(tmp_path)
    steps = count_calls(monkeypatch, training, "learning_rate")
    run(tmp_path)
    assert published(tmp_path) == reference
    assert len(steps) < SETTINGS.steps  # it continued


REAL_KILL = """
import os, signal, sys
from pathlib import Path
import transformers
from tests.pretraining_runs import run
save, seen = transformers.GPTNeoXForCausalLM.save_pretrained, []
def dying(model, folder):
    seen.append(folder)
    if len(seen) == 5:
        (folder / "model.safetensors").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    save(model, folder)
transformers.GPTNeoXForCausalLM.save_pretrained = dying
run(Path(sys.argv[1]))
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
def test_a_damaged_revision_is_made_anew(finished, reference, damage, caplog):
    damage(finished)
    assert published(finished) != reference
    run(finished)
    assert published(finished) == reference
    assert "are missing or were changed; starting again" in caplog.text
    state = load_state(finished / ".state" / "state.pt")
    assert state and state.training["step"] == SETTINGS.steps


def test_damage_in_an_unfinished_training(tmp_path, reference, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, training, "learning_rate", 14, after=False)
        with pytest.raises(Killed):
            run(tmp_path)
    damage_several(tmp_path)
    run(tmp_path)
    assert published(tmp_path) == reference


@pytest.mark.parametrize("content", [b"", b"not a state", None])
def test_a_damaged_state_is_not_used(finished, reference, content):
    state = finished / ".state" / "state.pt"
    if content is None:  # one wrong bit in the moments
        changed = bytearray(state.read_bytes())
        changed[len(changed) // 2] ^= 1
        content = bytes(changed)
    state.write_bytes(content)
    assert load_state(state) is None
    run(finished)
    assert published(finished) == reference
