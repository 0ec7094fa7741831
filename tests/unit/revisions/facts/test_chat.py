"""What a chat template writes holds every turn, is the same on every day, and has each mark once."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from tests import tiny
from w2sg.revisions.facts.chat import write_chat
from w2sg.study.texts.templates import turns_of

ALL = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
PLAIN = ("Which is it?", "This one.")
LONG = ("\n\nSystem: Be nice.\n\nHuman: a?\n\nAssistant: Yes\n\nHuman: And b?\n\nAssistant:", "No, a\n  b.")
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def written(template: str, pair: tuple[str, str] = LONG, **spec: str) -> str:
    return write_chat(template, *pair, tokens=TOKENS, spec=spec)


@pytest.mark.parametrize(
    "template",
    [
        ALL,
        "\n  {% if true %}a{% endif %}\n" + ALL,
        "  {%- set x = namespace(day='') -%}\n" + ALL + "{{ bos_token }}{{ eos_token }} {% generation %}b{% endgeneration %}",
        "{% for m in messages %}{{ m.role + bos_token + m.content | trim }}{% endfor %}\n\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("pair", [PLAIN, LONG, ("", "Only this.")])
def test_texts_are_those_of_transformers(template, pair):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer().backend_tokenizer, **TOKENS)
    expected = tokenizer.apply_chat_template(turns_of(*pair), chat_template=template, tokenize=False)
    assert written(template, pair) == expected
    # What replaces the clock adds no character, also where a template begins with a line end or spaces.
    assert written("{# strftime_now #}\n" + template, pair) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("{{ strftime_now(format='%Y-%m-%d %H:%M:%S') }}", "2024-07-26 00:00:00"),
        ("{% if strftime_now is defined %}{% set day = strftime_now('%B %-d, %Y') %}{% endif %}{{ day }}", "July 26, 2024"),
        ("{% macro today() %}{{ strftime_now('%A') }}{% endmacro %}{{ today() }}", "Friday"),
        ("{{ strftime_now('%f%S')|length }}", "8"),
    ],
)  # fmt: skip
def test_every_day_is_the_same_one(asked, expected):
    assert written(asked + "\n" + ALL, PLAIN) == f"{expected}\n{written(ALL, PLAIN)}"


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.content.split()|join(' ') }}{% endfor %}",
        "A system of its own, a, Yes.\n" + ALL,
        "{% for m in messages[1:] %}{% if loop.index == 3 %}{{ messages[0].content }}\n{% endif %}{{ m.content }}{% endfor %}",
    ],
)  # fmt: skip
def test_white_space_and_the_place_of_the_system_are_the_templates_own(template):
    assert "Benice." in "".join(written(template).split())


@pytest.mark.parametrize(
    ("template", "lost"),
    [
        ("{% for m in messages if m.role != 'system' %}{{ m.content }} {% endfor %}", r"role system \('Be nice.'\)"),
        ("{{ messages[-1].content }}", r"role system"),
        ("{{ messages[0].content }} {{ messages[-1].content }}", r"role user \('a\?'\)"),
        ("{% for m in messages %}{% if loop.last or m.role != 'assistant' %}{{ m.content }} {% endif %}{% endfor %}", r"role assistant \('Yes'\)"),
        ("{% for m in messages[:-1] %}{{ m.content }} {% endfor %}", "role assistant"),
        ("{% for m in messages|reverse %}{{ m.content }} {% endfor %}", "role assistant"),
    ],
)  # fmt: skip
def test_a_turn_that_is_left_out_is_named(template, lost):
    with pytest.raises(ValueError, match=f"^the tokenizer's chat template leaves out the turn of {lost}"):
        written(template)


@pytest.mark.parametrize(
    ("template", "spec", "mark"),
    [
        ("{{ bos_token }}" + ALL, {"bos": "yes", "eos": "yes"}, "bos: yes, .* <s> itself"),
        ("\n\n {{ '<s>' }}" + ALL, {"bos": "yes"}, "bos: yes, .* <s> itself"),
        (ALL + "{{ eos_token }}\n", {"bos": "yes", "eos": "yes"}, "eos: yes, .* </s> itself; set eos to auto"),
    ],
)
def test_a_mark_that_would_stand_twice_is_refused(template, spec, mark):
    with pytest.raises(ValueError, match=mark):
        written(template, **spec)
    assert written(template, bos="auto", eos="no") == written(template)
    assert written(ALL + "<s>" + ALL, **spec)


def test_turns_that_a_template_refuses_are_named():
    with pytest.raises(
        ValueError, match=r"cannot write turns of system, user, assistant, user, assistant \(no system\)"
    ):
        written("{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + ALL)
