"""Token ids that `snakemake -n` shows are those that an extraction stores."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from tests.unit.activations.test_tokens import CASES, save
from w2sg.activations.tokens import load_tokenizer, read_pairs
from w2sg.revisions.facts.examples import example_ids, show_examples, show_ids
from w2sg.revisions.facts.ids import marks_around
from w2sg.study.families import Family
from w2sg.study.fields import ConfigError
from w2sg.study.labels.supervisors import Supervisor
from w2sg.study.texts.templates import form_text

PAIR = {"row_id": "r0", "prompt": "the cat", "chosen": "sees a dog " * 4, "rejected": "near"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("marks", [{}, {"bos": "no"}, {"eos": "no", "bos": "auto"}])
@pytest.mark.parametrize("most", [9, 200])
def test_ids_without_transformers_are_those_of_an_extraction(tmp_path, name, marks, most):
    folder = save(tmp_path, *CASES[name])
    spec = {"source": "files", "template": "Q: {prompt}\n{response}"} | marks
    stored = read_pairs(load_tokenizer(folder), pd.DataFrame([PAIR]), spec, max_tokens=most)
    text = form_text(spec, PAIR["prompt"], PAIR["chosen"])
    assert example_ids(folder, {"d": text}, {"d": spec}, max_tokens=most) == {"d": (text, stored.ids[0])}


@pytest.mark.filterwarnings("ignore")
def test_marks_that_are_wanted_are_those_that_the_folder_names(tmp_path):
    inner, settings = CASES["a mark that the settings want"]
    folder = save(tmp_path, inner, settings)
    spec = {"source": "files", "bos": "yes"}
    ((_, ids),) = example_ids(folder, {"d": "a b"}, {"d": spec}, max_tokens=20).values()
    assert ids == [0, *inner.encode("a b").ids]
    with pytest.raises(ValueError, match="datasets.d: eos: yes, but the revision's tokenizer names no eos_token"):
        example_ids(folder, {"d": "a"}, {"d": spec | {"eos": "yes"}}, max_tokens=20)
    with pytest.raises(ValueError, match="datasets.d: activations.max_tokens: 1 leaves no room beside 1 marks"):
        example_ids(folder, {"d": "a"}, {"d": spec}, max_tokens=1)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="tokenizer.json: its tokenizer cannot be read"):
        example_ids(folder, {"d": "a"}, {"d": spec}, max_tokens=20)
    (folder / "tokenizer.json").unlink()
    assert example_ids(folder, {"d": "a"}, {"d": spec}, max_tokens=20) == {}


@given(
    st.lists(st.integers(0, 9), max_size=3),
    st.lists(st.integers(0, 9), min_size=1, max_size=3),
    st.lists(st.integers(0, 9), max_size=3),
)
def test_marks_are_what_stands_around_a_text(front, body, back):
    ids = [*front, *body, *back]
    mask = [1] * len(front) + [0] * len(body) + [1] * len(back)
    none = {"bos": None, "eos": None}
    assert marks_around(ids, mask, none, {"bos": "auto", "eos": "auto"}) == (front, back)
    assert marks_around(ids, mask, none, {"bos": "no", "eos": "no"}) == ([], [])
    own, behind = marks_around(ids, mask, {"bos": 5, "eos": 6}, {"bos": "yes", "eos": "yes"})
    assert own == (front if 5 in front else [5, *front])
    assert behind == (back if 6 in back else [*back, 6])


def test_the_plan_shows_each_text_and_the_ids_of_every_tokenizer_on_the_disk(tmp_path):
    tiny.save_revisions(tmp_path / "strong", "llama", [0, 8])
    tiny.save_revisions(tmp_path / "weak", "gpt_neox", [4])
    models: dict = {name: {"source": "local", "path": str(tmp_path / name)} for name in ("strong", "weak")}
    models["far"] = {"source": "hub", "repo": "a/b"}
    revisions = tuple(SimpleNamespace(name=name, place={}) for name in ("random", "step0", "step8"))
    weak = Supervisor(name="weak", revision="step4", source="model")
    family = Family(name="f", strong="strong", supervisor=weak, revisions=revisions)  # type: ignore[arg-type]
    other = Family(name="g", strong="far", supervisor=weak, revisions=revisions[1:])  # type: ignore[arg-type]
    config = {"models": models, "activations": {"max_tokens": 64}, "datasets": {"mine": {"bos": "auto", "eos": "auto"}}}
    text, families = "the cat sees one red ship " * 9, {"f": family, "g": other}
    first, second = show_examples(config, families, {"mine": text})
    assert first == f"datasets.mine: of the first pair models read {text!r}"
    ids = tiny.tokenizer()(text)["input_ids"]
    shown = show_ids(ids[:1] + ids[1:][-63:] if len(ids) > 64 else ids)
    assert second == f"datasets.mine: its token ids for strong, weak: {shown}"
    models["weak"]["tokenizer"] = str(save(tmp_path / "own", *CASES["pieces"]))
    assert len(show_examples(config, families, {"mine": text})) == 3
    config["datasets"]["mine"]["eos"] = "yes"
    named = json.loads((tmp_path / "own/tokenizer_config.json").read_text())
    (tmp_path / "own/tokenizer_config.json").write_text(json.dumps(named | {"eos_token": None}))
    with pytest.raises(ConfigError, match="models.weak: datasets.mine: eos: yes, but"):
        show_examples(config, families, {"mine": text})


CHAT = "{{ bos_token }}{{ strftime_now('%Y') }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("marks", [{}, {"eos": "yes"}])
def test_what_a_chat_template_writes_is_shown_as_an_extraction_reads_it(tmp_path, marks):
    inner, settings = CASES["a mark that the settings want"]
    folder = save(tmp_path, inner, {**settings, "eos_token": settings["bos_token"], "chat_template": CHAT})  # type: ignore[dict-item]
    spec = {"source": "files", "chat": True, **marks}
    stored = read_pairs(load_tokenizer(folder), pd.DataFrame([PAIR]), spec, max_tokens=90)
    found = example_ids(folder, {"d": (PAIR["prompt"], PAIR["chosen"])}, {"d": spec}, max_tokens=90)
    assert found == {"d": (stored.facts["example"], stored.ids[0])}
    assert stored.facts["example"].startswith("<|endoftext|>2024[user] the cat\n[assistant] sees a dog")


def test_the_plan_shows_the_text_of_each_chat_template(tmp_path):
    tiny.save_revisions(tmp_path / "strong", "llama", [8])
    tiny.save_revisions(tmp_path / "weak", "gpt_neox", [4])
    models: dict = {name: {"source": "local", "path": str(tmp_path / name)} for name in ("strong", "weak")}
    weak = Supervisor(name="weak", revision="step4", source="model")
    family = Family(name="f", strong="strong", supervisor=weak, revisions=(SimpleNamespace(name="step8", place={}),))  # type: ignore[arg-type]
    config = {"models": models, "activations": {"max_tokens": 64}, "datasets": {"mine": {"chat": True}}}
    texts = {"mine": ("the cat", "sees a dog")}
    assert show_examples(config, {"f": family}, texts) == []  # there is no template
    for place, template in (
        ("strong/step8", CHAT),
        ("weak/step4", "{{ messages[0].content }}|{{ messages[1].content }}"),
    ):
        (tmp_path / place / "chat_template.jinja").write_text(template)
    first, ids, second, more = show_examples(config, {"f": family}, texts)
    assert first.startswith("datasets.mine: of the first pair strong read '") and "2024[user] the cat" in first
    assert second == "datasets.mine: of the first pair weak read 'the cat|sees a dog'"
    expected = tiny.tokenizer()("the cat|sees a dog", add_special_tokens=False)["input_ids"]
    assert more == f"datasets.mine: its token ids for weak: {show_ids(expected)}" != ids


def test_many_ids_lose_their_middle():
    assert show_ids([3, 1, 2]) == "3 1 2 (3 tokens)"
    assert show_ids(range(30)) == "0 1 2 3 4 5 6 7 8 9 10 11 ... 18 19 20 21 22 23 24 25 26 27 28 29 (30 tokens)"
