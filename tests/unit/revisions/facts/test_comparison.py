"""Which revisions differ from most of their model, and what is known of those on the disk before anything runs."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pandas as pd
import pytest

from tests import tiny
from w2sg.revisions.audit import audit_table, compare_readings, warn_of
from w2sg.revisions.facts import readable
from w2sg.revisions.facts.comparison import check_audited, check_local, differences_from_most, odd_ones
from w2sg.revisions.facts.descriptions import Description
from w2sg.revisions.offline import Published
from w2sg.revisions.published import keep_answers
from w2sg.study.families import Family
from w2sg.study.fields import ConfigError
from w2sg.study.labels.supervisors import Supervisor
from w2sg.study.texts.templates import Dialogue

BASE = {"model_type": "llama", "hidden_size": 16, "rms_norm_eps": 1e-6}


def described(
    tokenizer: str = "t", *, writer: str = "5", depth: int | None = None, context: int | None = None, **changes: object
) -> Description:
    return Description(config=BASE | changes, writer=writer, tokenizer=tokenizer, depth=depth, context=context)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("aaa", {}),
        ("aba", {"1": ["0", "2"]}),
        ("ab", {"0": ["1"]}),  # as many of each: the later one
        ("aabb", {"0": ["2", "3"], "1": ["2", "3"]}),
        ("", {}),
    ],
)
def test_the_rule(values, expected):
    assert odd_ones({str(n): value for n, value in enumerate(values)}) == expected


def test_what_differs_is_named():
    known = {"s0": described(), "s1": described("other"), "s2": described(rms_norm_eps=1e-5), "s3": described()}
    assert list(differences_from_most(known)) == [
        ("s1", "its tokenizer is not that of s0 and 2 more revisions"),
        ("s2", "its configuration is not that of s0 and 2 more revisions (rms_norm_eps 1e-05, not 1e-06)"),
    ]


def test_files_of_two_versions_of_the_library_are_compared_by_what_both_say():
    newer = described(writer="6", attention_bias=False, head_dim=8)
    assert list(differences_from_most({"s0": described(), "s1": newer, "s2": described()})) == []
    changed = described(writer="6", attention_bias=False, hidden_size=32)
    ((name, reason),) = differences_from_most({"s0": described(), "s1": changed, "s2": described()})
    assert (name, "hidden_size 32, not 16" in reason) == ("s1", True)
    clipped = described(clip_qkv=8.0)
    ((name, reason),) = differences_from_most({"s0": described(), "s1": clipped, "s2": described()})
    assert "clip_qkv 8.0, not (none)" in reason


def test_a_revision_of_which_nothing_is_known_is_compared_with_nothing():
    known = {"s0": Description(), "s1": described(), "s2": Description(fault="no tokenizer"), "s3": described()}
    assert list(differences_from_most(known)) == []


def test_the_audit_flags_other_tokenizers_configurations_and_what_cannot_be_run():
    given = {
        "s0": described(),
        "s1": described("other"),
        "s2": Description(fault="no model_type"),
        "s3": described(),
        "main": described(),
    }
    published = [Published(revision=name, hashes={"w": name}, description=one) for name, one in given.items()]
    table = audit_table("m", published).set_index("revision")
    assert dict(table.loc[table["flagged"], "reason"]) == {
        "s1": "its tokenizer is not that of s0 and 2 more revisions",
        "s2": "no model_type",
    }
    assert "main" not in table.index


def test_what_was_read_otherwise_is_flagged_and_said_once():
    published = [Published(revision=f"s{n}", hashes={"w": str(n)}) for n in range(4)]
    table = pd.concat([audit_table("m", published), audit_table("n", published)])
    usual = {"tokenizer": "t", "config": BASE, "texts": {"mine": {"ids": "i"}, "posts": {"ids": "p"}}}
    readings = {("m", f"s{n}"): usual for n in range(4)} | {("n", "s0"): usual | {"tokenizer": "x"}}
    readings["m", "s1"] = usual | {"texts": {"mine": {"ids": "i"}, "posts": {"ids": "q"}}}
    readings["m", "s2"] = usual | {"config": BASE | {"hidden_size": 32}}
    read = compare_readings(table, readings).set_index(["model", "revision"])
    assert dict(read.loc[read["flagged"], "reason"]) == {
        ("m", "s1"): "the token ids of posts are not those of s0 and 2 more revisions",
        ("m", "s2"): "its configuration is not that of s0 and 2 more revisions (hidden_size 32, not 16)",
    }
    again = compare_readings(read.reset_index(), readings)
    assert again["reason"].tolist() == read["reason"].tolist()


@pytest.fixture
def study(tmp_path):
    """A configuration with a family of three folders under a supervisor of one."""
    tiny.save_revisions(tmp_path / "strong", "llama", [0, 8, 16])
    tiny.save_revisions(tmp_path / "weak", "gpt_neox", [4])
    paths = {name: {"source": "local", "path": str(tmp_path / name)} for name in ("strong", "weak")}
    revisions = tuple(SimpleNamespace(name=name, place={}) for name in ("random", "step0", "step8", "step16"))
    weak = Supervisor(name="weak", revision="step4", source="model")
    family = Family(name="f", strong="strong", supervisor=weak, revisions=revisions)  # type: ignore[arg-type]
    return (
        tmp_path,
        {
            "models": paths,
            "activations": {"layers": "all", "max_tokens": 64},
            "sweep": {"datasets": ["mine"]},
            "datasets": {"mine": {"chat": False}},
            "students": {"kinds": ["linear"], "lora": {"targets": "all-linear"}},
        },
        {"f": family},
    )


def change(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_revisions_on_the_disk_are_read_before_anything_runs(study):
    folder, config, families = study
    assert check_local(config, families) == []
    change(folder / "strong/step8", "config.json", transformers_version="1", torch_dtype="float16")
    assert check_local(config, families) == []
    change(folder / "strong/step8", "config.json", rms_norm_eps=0.5)
    ((text,)) = check_local(config, families)
    assert "models.strong: revision step8: its configuration" in text
    (folder / "strong/step16/tokenizer.json").unlink()
    change(folder / "weak/step4", "config.json", model_type="nonesuch")
    with pytest.raises(
        ConfigError, match=r"(?s)models.strong.path.*revision step16: no tokenizer.*step4: .*'nonesuch'"
    ):
        check_local(config, families)


def test_a_folder_that_leaves_open_which_weights_are_meant_is_refused(study):
    folder, config, families = study
    (folder / "strong/step0/adapter_config.json").write_text("{}")
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        (folder / "strong/step8" / name).touch()
    for name in ("pytorch_model.bin", "pytorch_model-00001-of-00002.bin"):  # never read beside safetensors
        (folder / "strong/step16" / name).touch()
    for name in ("config.json", "model.safetensors"):
        (folder / "weak/step4" / name).unlink()
    (folder / "weak/step4/adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError) as error:
        check_local(config, families)
    told = [str(one) for one in error.value.mistakes]
    assert told[0].startswith(
        "models.strong.path: revision step0: adapter_config.json says that it holds an adapter; merge"
    )
    assert (
        "step8: weight files of two sets, model.safetensors and model-00001-of-00002.safetensors, model-00002"
        in told[1]
    )
    assert "models.weak.path: revision step4: adapter_config.json says" in told[2]
    assert len(told) == 3


def test_small_files_that_cannot_be_read_are_named_whichever_revision_has_them(study):
    folder, config, families = study
    strong = folder / "strong"
    (strong / "step0/special_tokens_map.json").write_text("{")
    tokenizer = json.loads((strong / "step8/tokenizer.json").read_text())
    merged = tokenizer | {"model": tokenizer["model"] | {"merges": ["zz qq"]}}
    (strong / "step8/tokenizer.json").write_text(json.dumps(merged))
    words = {"type": "WordLevel", "vocab": {"<|endoftext|>": 0}, "unk_token": "<unk>"}
    (strong / "step16/tokenizer.json").write_text(json.dumps(tokenizer | {"model": words}))
    with pytest.raises(ConfigError) as error:
        check_local(config, families)
    told = [str(one).replace(str(strong), "") for one in error.value.mistakes]
    assert "step0: /step0/special_tokens_map.json was cut" in told[0]
    assert "step8: /step8/tokenizer.json: its tokenizer cannot be read" in told[1]
    assert "step16: /step16/tokenizer.json: its tokenizer cannot split 'a' (" in told[2]
    assert len(told) == 3


def test_files_that_revisions_share_are_read_once(study, monkeypatch):
    """And what is wrong with them is said once, of the first."""
    opened = []
    monkeypatch.setattr(
        readable, "open_tokenizer", lambda path, own=readable.open_tokenizer: opened.append(path) or own(path)
    )
    folder, config, families = study
    check_local(config, families)
    assert [path.parent.name for path in opened] == ["step0", "step4"]
    config["models"]["strong"]["tokenizer"] = str(folder / "weak/step4")
    (folder / "strong/step8/tokenizer.json").write_text("{")  # not the one that is used
    assert check_local(config, families) == []
    (folder / "weak/step4/special_tokens_map.json").write_text("{")
    with pytest.raises(
        ConfigError, match="revision step0 and 2 more revisions: .*step4/special_tokens_map.json was cut"
    ) as error:
        check_local(config, families)
    assert [one.key[1] for one in error.value.mistakes] == ["strong", "weak"]


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{% for m in messages %}{{ bos_token + m.role + m.content }}{% endfor %}", ""),
        ([{"name": "rag", "template": "x"}, {"name": "default", "template": "{{ messages }}"}], ""),
        (
            "{{ messages[0].content }}",
            "_config.json, a question and its answer: the tokenizer's chat template leaves out the turn of role assistant",
        ),
        ("{{ messages[-1].content }}", "leaves out the turn of role user ('Which is it?')"),
        ("{% for m", "cannot write turns of user, assistant"),
        ("{{ raise_exception('no answers') }}", "(no answers)"),
        ([{"name": "rag", "template": "x"}], "no chat template, which chat: true of datasets.mine needs"),
        (["x"], "no chat template"),
        ([{"name": "default", "template": "{{ raise_exception('never') }}"}], "(never)"),
    ],
)
def test_chat_templates_are_tried_before_anything_runs(study, template, fault):
    folder, config, families = study
    for place in folder.glob("*/step*"):
        change(place, "tokenizer_config.json", chat_template=template)
        (place / "chat_template.jinja").unlink(missing_ok=True)
    assert check_local(config, families) == []  # no dataset wants it
    config["datasets"]["mine"]["chat"] = True
    if not fault:
        assert check_local(config, families) == []
        return
    with pytest.raises(ConfigError, match=re.escape(fault)):
        check_local(config, families)


SYSTEM = ("\n\nSystem: be nice\n\nHuman: a?\n\nAssistant:", "b")


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", ""),
        ("{% if messages[0].role != 'system' %}{{ raise_exception('who') }}{% endif %}{{ messages }}", ""),
        ("{% for m in messages if m.role != 'system' %}{{ m.content }}\n{% endfor %}", "leaves out the turn of role system ('be nice')"),
        ("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m.content }}{% endfor %}",
         "cannot write turns of system, user, assistant (no system)"),
    ],
)  # fmt: skip
def test_chat_templates_are_tried_on_first_rows_of_files(study, template, fault):
    folder, config, families = study
    config["datasets"]["mine"]["chat"] = True
    for place in folder.glob("*/step*"):
        (place / "chat_template.jinja").write_text(template)
    pairs = {"p.csv, row 1": SYSTEM, "p.csv, row 2": SYSTEM}
    rows = [Dialogue(place=place, prompt=one[0], response=one[1], spec={"chat": True}) for place, one in pairs.items()]
    if not fault:
        assert check_local(config, families, {"mine": rows}) == []
        return
    with pytest.raises(ConfigError) as error:
        check_local(config, families, {"mine": rows})
    strong, weak = map(str, error.value.mistakes)
    assert f"step0/chat_template.jinja, p.csv, row 1: the tokenizer's chat template {fault}" in strong
    assert "revision step0 and 2 more revisions: " in strong and "models.weak.path: revision step4" in weak


def test_marks_of_a_chat_template_that_are_no_tokens_are_noted(study):
    folder, config, families = study
    settings = {
        "added_tokens_decoder": {"900": {"content": "<|im_start|>"}, "901": {"content": "<|im_end|>"}, "0": {"content": "<|endoftext|>"}},
        "additional_special_tokens": ["<|unused|>", 7],
        "eos_token": {"content": "<|stop|>"},
    }  # fmt: skip
    for place in (folder / "strong").glob("*"):
        change(place, "tokenizer_config.json", **settings)
        (place / "chat_template.jinja").write_text(
            "{% for m in messages %}<|im_start|>{{ m.content }}{{ '<|' + 'im_end|>' }}{% endfor %}<|endoftext|><|stop|>"
        )
    (folder / "weak/step4/chat_template.jinja").write_text("<|im_start|>{{ messages }}")
    assert check_local(config, families) == []
    config["datasets"]["mine"]["chat"] = True
    (note,) = check_local(config, families)
    assert note == (
        "models.strong: revision step0 and 2 more revisions: its chat template writes <|im_start|>, <|im_end|>, <|stop|>, which "
        f"{folder}/strong/step0/tokenizer_config.json calls tokens and tokenizer.json does not hold; they are split like other text"
    )


def test_a_tokenizer_that_splits_at_random_is_refused(study):
    folder, config, families = study
    for place, dropout in (("strong/step8", 0.3), ("strong/step16", 0.0), ("weak/step4", 1)):
        tokenizer = json.loads((folder / place / "tokenizer.json").read_text())
        change(folder / place, "tokenizer.json", model=tokenizer["model"] | {"dropout": dropout})
    with pytest.raises(ConfigError) as error:
        check_local(config, families)
    assert [str(one) for one in error.value.mistakes] == [
        "models.strong.path: revision step8: tokenizer.json: model.dropout is 0.3, expected none: token ids would be random",
        "models.weak.path: revision step4: tokenizer.json: model.dropout is 1, expected none: token ids would be random",
    ]


def test_layers_count_for_swept_revisions_only(study):
    _, config, families = study
    config["activations"]["layers"] = [0, 3]
    with pytest.raises(
        ConfigError,
        match=r"revision step0 and 2 more revisions: activations.layers: \[3\] is not among its layers 0 to 2",
    ) as error:
        check_local(config, families)
    assert "step4" not in str(error.value)


def test_targets_of_lora_are_looked_for_by_the_type(study):
    folder, config, families = study
    config["students"]["lora"]["targets"] = ["query_key_value"]
    assert check_local(config, families) == []  # no student has adapters
    config["students"]["kinds"] = ["linear", "lora"]
    with pytest.raises(ConfigError, match=r"revision step0 and 2 more revisions: students.lora.targets: \['query_key_value'\] not found; "
                       "linear layers of type llama are down_proj, gate_proj,") as error:  # fmt: skip
        check_local(config, families)
    assert "models.weak" not in str(error.value)
    config["models"]["strong"] = {"source": "pretrain"}
    assert check_local(config, families) == []
    config["students"]["lora"]["targets"] = ["q_proj"]
    with pytest.raises(ConfigError, match=r"models.strong: students.lora.targets: \['q_proj'\] not found"):
        check_local(config, families)
    config["models"]["strong"] = {"source": "hub", "repo": "owner/strong"}
    answers = [Published(revision="step0", origin="hub", description=described(model_type="gpt2"))]
    keep_answers(folder / "strong.json", "owner/strong", answers, earlier={})
    with pytest.raises(ConfigError, match=r"models.strong.repo: revision step0: .*type gpt2 has no linear layers"):
        check_audited(config, families, folder)


def test_texts_that_a_model_cuts_sooner_are_said_once(study):
    folder, config, families = study
    config["activations"]["max_tokens"] = 500
    for step in ("step0", "step8"):
        change(folder / "strong" / step, "config.json", max_position_embeddings=300)
    change(folder / "strong/step16", "config.json", max_position_embeddings=500)
    notes = [note for note in check_local(config, families) if "positions" in note and "configuration" not in note]
    assert notes[0] == (
        "models.strong: revision step0 and 1 more revision: activations.max_tokens is 500, the model was built for 300 "
        "positions: longer texts are cut to 300 tokens"
    )
    assert [note.split(":")[0] for note in notes[1:]] == ["models.weak"]


def test_what_an_audit_learned_of_layers_is_known_at_the_next_start(study):
    folder, config, families = study
    config["models"]["strong"] = {"source": "hub", "repo": "owner/strong"}
    answers = [
        Published(revision=f"step{step}", origin="hub", description=described(depth=depth))
        for step, depth in ((0, 3), (8, 3), (16, 4))
    ]
    keep_answers(folder / "strong.json", "owner/strong", answers, earlier={})
    for layers in ("all", "final", [0, 3, -4]):
        config["activations"]["layers"] = layers
        check_audited(config, families, folder)
    config["activations"]["layers"] = [1, 4]
    with pytest.raises(ConfigError, match=r"models.strong.repo: revision step0 and 1 more revision: .*\[4\]") as error:
        check_audited(config, families, folder)
    assert "step16" not in str(error.value)
    check_audited(config, families, folder / "nowhere")


def test_an_audit_names_missing_layers_and_short_windows_once(study, caplog):
    _, config, _ = study
    published = [
        Published(revision=f"s{n}", hashes={"w": str(n)}, description=described(depth=2, context=32)) for n in range(4)
    ]
    warn_of(audit_table("m", published), published, layers=[3], config=config)
    assert [record.getMessage() for record in caplog.records] == [
        "audit m: revision s0 and 3 more revisions: activations.layers: [3] is not among its layers 0 to 2",
        "audit m: revision s0 and 3 more revisions: activations.max_tokens is 64, the model was built for 32 positions: "
        "longer texts are cut to 32 tokens",
    ]


def test_a_chat_template_is_asked_for_where_texts_are_written_by_it(study):
    folder, config, families = study
    config["datasets"]["mine"]["chat"] = True
    with pytest.raises(
        ConfigError,
        match=r"revision step0 and 2 more revisions: no chat template, which chat: true of datasets.mine needs "
        r"\(of several templates the one named default\)",
    ):
        check_local(config, families)
    for place in ("strong/step0", "strong/step8", "strong/step16"):
        (folder / place / "chat_template.jinja").write_text("{{ messages }}")
    change(folder / "weak/step4", "tokenizer_config.json", chat_template="{{ messages }}")
    assert check_local(config, families) == []
    config["models"]["strong"] = {"source": "pretrain"}
    with pytest.raises(ConfigError, match=r"^models.strong: no chat template, which chat: true of datasets.mine needs"):
        check_local(config, families)
