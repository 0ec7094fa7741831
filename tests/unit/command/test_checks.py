"""What a check says of revisions and of a text that does not go through one."""

from __future__ import annotations

from tests import tiny
from w2sg.command import checks
from w2sg.command.checks import Checked
from w2sg.study.lists.rows import RANDOM
from w2sg.study.sections import Activations


def test_revisions_without_an_answer_are_not_ok(tmp_path):
    model = Checked(
        entry={"source": "hub", "repo": "o/m"},
        revision="b",
        used=[RANDOM, "a", "b"],
        root="",
        kept=str(tmp_path / "no"),
    )
    ((state, text),) = checks.check_revisions({"m": model})
    assert state == "note" and text.startswith("models.m: 0 of 2 revisions have weights")


def test_a_text_that_breaks_a_model_is_a_fault(tmp_path, monkeypatch):
    tiny.save_revisions(tmp_path, "gpt_neox", [8])
    entry = {"source": "local", "path": str(tmp_path), "dtype": "float32"}
    model = Checked(entry=entry, revision="step8", used=["step8"], root="", kept="")

    def fail(*words, **options):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("w2sg.activations.forward.extract_states", fail)
    config = {
        "activations": Activations(max_tokens=64).model_dump(),
        "scratch": str(tmp_path / "scratch"),
        "fetch": {"snapshots": 1},
    }
    assert checks.try_smallest({"m": model}, config) == ("fault", "m step8: CUDA out of memory")
