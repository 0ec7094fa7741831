"""What a check says of revisions and of a text that does not go through one."""

from __future__ import annotations

import json

from tests import tiny
from w2sg.command import checks
from w2sg.command.checks import Checked
from w2sg.revisions.facts.descriptions import describe_folder
from w2sg.revisions.offline import Published
from w2sg.revisions.published import keep_answers
from w2sg.study.lists.rows import RANDOM
from w2sg.study.sections import Activations

CONFIG = {
    "sweep": {"families": ["f"], "datasets": []},
    "families": {"f": {"strong": "m", "weak": "w"}},
    "models": {"m": {"source": "hub", "repo": "o/m"}},
    "activations": {"layers": "final"},
    "students": {"kinds": ["linear", "lora"], "lora": {"targets": ["q_proj"]}},
}


def test_a_revision_without_the_targets_of_lora_is_a_fault(tmp_path):
    tiny.save_revisions(tmp_path, "gpt_neox", [8])
    known = Published(revision="step8", commit="c", origin="hub", description=describe_folder(tmp_path / "step8"))
    keep_answers(tmp_path / "kept.json", "o/m", [known], earlier={})
    model = Checked(
        entry={"source": "hub", "repo": "o/m"},
        revision="step8",
        used=["step8"],
        root="",
        kept=str(tmp_path / "kept.json"),
    )
    (state, text), *_ = checks.check_revisions({"m": model}, CONFIG)
    assert state == "fault" and "q_proj" in text
    plain = CONFIG | {"students": CONFIG["students"] | {"kinds": ["linear"]}}
    assert [state for state, _ in checks.check_revisions({"m": model}, plain)] == ["ok"]


def test_revisions_without_an_answer_are_not_ok(tmp_path):
    model = Checked(
        entry={"source": "hub", "repo": "o/m"},
        revision="b",
        used=[RANDOM, "a", "b"],
        root="",
        kept=str(tmp_path / "no"),
    )
    ((state, text),) = checks.check_revisions({"m": model}, CONFIG)
    assert state == "note" and text.startswith("models.m: 0 of 2 revisions have weights")


def test_local_models_of_which_none_can_be_made_are_told_once_for_each_fault(tmp_path):
    changes = {2: {"rms_norm_eps": "1e-5"}, 3: {"vocab_size": 400}, 4: {"vocab_size": 400}, 5: {"num_hidden_layers": 1}}
    steps = range(1, 6)
    tiny.save_revisions(tmp_path, "llama", list(steps))
    for step, changed in changes.items():
        path = tmp_path / f"step{step}" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    told = {"entry": {"source": "local", "path": "m"}, "revision": "step5", "root": "", "kept": ""}
    folders = {f"step{step}": str(tmp_path / f"step{step}") for step in steps}
    broken = Checked(used=[*folders], folders=folders, **told)
    good = Checked(used=[RANDOM, "step1"], folders={RANDOM: folders["step4"], "step1": folders["step1"]}, **told)
    found = list(checks.check_revisions({"m": broken, "n": good}, CONFIG))
    assert [state for state, _ in found] == ["fault", "fault", "fault", "ok"]
    texts = [text for _, text in found]
    assert texts[0].startswith("models.m: revision step2: config.json: ") and "rms_norm_eps" in texts[0]
    shapes = "weights in its folder do not fit LlamaForCausalLM; shapes: lm_head.weight is (320, 16), by config.json (400, 16)"
    assert texts[1].startswith(f"models.m: revision step3 and 1 more revision: {shapes}")
    assert texts[2].startswith("models.m: revision step5: ") and "unexpected_keys: model.layers.1" in texts[2]
    assert texts[3] == "models.n: configuration, tokenizer and shapes of weights of 1 revision"
    assert not any("\n" in text for text in texts)


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
