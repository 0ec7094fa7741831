"""Templates put texts where they say and change nothing in them, whatever the texts hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2sg.study.datasets import DatasetEntry
from w2sg.study.fields import ConfigError, read
from w2sg.study.texts.templates import fill_template, form_text, join_texts, shorten, template_parts, turns_of

TEXTS = st.text(
    st.sampled_from("{}ab \n\t%$\\é語\U0001f600\u00a0") | st.characters(exclude_categories=["Cs"]), max_size=20
)
LITERALS = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=8)
FILES = {"source": "files", "file": "pairs.jsonl"}


def entry(**keys: object) -> dict:
    return read(DatasetEntry, FILES | keys, ("datasets", "d")).model_dump()


@given(LITERALS, LITERALS, LITERALS, TEXTS, TEXTS)
def test_a_template_puts_each_text_in_its_place_unchanged(before, between, after, prompt, response):
    template = f"{before}{{prompt}}{between}{{response}}{after}"
    found = form_text(entry(template=template), prompt, response)
    assert found == f"{before}{prompt}{between}{response}{after}"


@given(TEXTS, TEXTS)
def test_doubled_braces_are_braces(literal, response):
    written = literal.replace("{", "{{").replace("}", "}}")
    assert fill_template(written + "{response}", {"response": response}) == literal + response


@given(TEXTS)
def test_whatever_is_written_is_a_template_or_an_error_that_shows_it(template):
    try:
        parts = template_parts(template)
    except ValueError as error:
        assert repr(template) in str(error) or repr(template)[1:-1] in str(error)
    else:
        assert {name for _, name in parts} <= {None, "prompt", "response"}


@given(TEXTS, TEXTS)
def test_the_border_has_white_space_and_nothing_else_changes(prompt, response):
    found = join_texts(prompt, response)
    assert found in (prompt + response, f"{prompt} {response}")
    assert found.startswith(prompt) and found.endswith(response)
    if prompt and response:
        assert found[len(prompt) - 1].isspace() or found[len(prompt)].isspace()
        assert (len(found) > len(prompt + response)) == (not prompt[-1].isspace() and not response[0].isspace())
    else:
        assert found == prompt + response


@given(TEXTS, TEXTS)
def test_turns_hold_both_texts(prompt, response):
    turns = turns_of(prompt, response)
    assert turns[-1] == {"role": "assistant", "content": response.strip()}
    assert [turn["content"] for turn in turns[:-1]] == [prompt.strip()] * bool(prompt.strip())


def test_marks_of_speakers_become_turns():
    prompt = "\n\nSystem: be brief\n\nHuman: one?\n\nAssistant: 1\n\nHuman: two?\n\nAssistant:"
    assert [(turn["role"], turn["content"]) for turn in turns_of(prompt, " 2\n\nHuman: {x}\n\nAssistant: y")] == [
        ("system", "be brief"), ("user", "one?"), ("assistant", "1"), ("user", "two?"), ("assistant", "2"),
        ("user", "{x}"), ("assistant", "y"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"template": "{prompt}:"}, r"datasets.d.template: got '{prompt}:', which has no place for {response}"),
        ({"template": "{Prompt} {response}"}, r"with {Prompt}, allowed: {prompt} and {response}, and {{ and }} for braces"),
        ({"template": "{response!r}"}, r"with {response!r}, allowed"),
        ({"template": "{response.x}"}, r"with {response.x}, allowed"),
        ({"template": "{0} {response}"}, r"with {0}, allowed"),
        ({"template": "{response} {"}, r"which is no template"),
        ({"template": ""}, r"datasets.d.template"),
        ({"template": "{response}", "chat": True}, r"datasets.d.template: chat: true writes texts by the tokenizer's own"),
        ({"bos": "always"}, r"datasets.d.bos: got 'always', allowed: auto, yes, no"),
        ({"eos": 1}, r"datasets.d.eos: got 1, allowed: auto, yes, no"),
        ({"chat": "maybe"}, r"datasets.d.chat: got 'maybe' \(text\), expected true or false"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(keys, message):
    with pytest.raises(ConfigError, match=message.replace("{", r"\{").replace("}", r"\}")):
        entry(**keys)


def test_yaml_reads_a_bare_yes_as_a_truth_value():
    found = entry(bos=True, eos=False)
    assert (found["bos"], found["eos"]) == ("yes", "no")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (FILES, "q a"),
        ({"source": "hub", "parser": "columns"}, "q a"),
        ({"source": "hub"}, "q a"),
        ({"source": "hub", "parser": "hh_single_turn"}, "qa"),
        ({"source": "corpus"}, "qa"),
        (FILES | {"template": "{prompt}{response}"}, "qa"),
        (FILES | {"fields": {"prompt": None}}, "qa"),
        (FILES | {"fields": {"prompt": "question"}}, "q a"),
    ],
)
def test_only_columns_of_a_users_are_spaced(spec, expected):
    assert form_text(spec, "q", "a") == expected


def test_long_examples_lose_their_middle():
    assert shorten("abcdef", 3) == "abcdef"
    assert shorten("abcdefg", 3) == "abc [... 1 characters ...] efg"


def test_marks_of_a_dialogue_that_was_stripped_are_turns():
    for prompt in ("\n\nHuman: Q", "\n\nHuman: Q\n\nAssistant:", "Human: Q\n\nAssistant:"):
        assert [tuple(turn.values()) for turn in turns_of(prompt, " y")] == [("user", "Q"), ("assistant", "y")]
    assert turns_of("System: Windows\nWhy?", "y")[0] == {"role": "user", "content": "System: Windows\nWhy?"}
    assert turns_of("\n\nHuman: Q\n\nAssistant: Well,", " y")[-1]["content"] == "Well, y"
