"""Lists of messages become pairs, or say why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2sg.data.dialogues import Unusable, repeats_prompt, split_dialogues, text_fault, wrapped
from w2sg.data.parsers import parse_columns


def say(*turns: str) -> list[dict[str, str]]:
    """Messages out of texts such as ``u: hello``."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles.get(turn[0], turn[0]), "content": turn[3:]} for turn in turns]


PAIR = ("\n\nHuman: q\n\nAssistant:", " yes", " no")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"chosen": say("u: q", "a: yes"), "rejected": say("u: q", "a: no")}, PAIR),
        ({"prompt": "q", "chosen": say("u: q", "a: yes "), "rejected": say("u: q", "a: no")}, PAIR),
        ({"prompt": " Q", "chosen": say("u: q", "a: yes"), "rejected": say("u: q", "a: no")}, PAIR),
        ({"prompt": "q", "chosen": say("a: yes"), "rejected": say("a: no")}, PAIR),
        ({"prompt": say("u: q"), "chosen": say("a: yes"), "rejected": say("a: no")}, PAIR),
        ({"prompt": say("u: q"), "chosen": say("u: q", "a: yes"), "rejected": say("u: q", "a: no")}, PAIR),
        ({"prompt": say("u: q"), "chosen": "yes", "rejected": "no"}, PAIR),
        ({"prompt": say("u:  Q!"), "chosen": say("u: q", "a: yes"), "rejected": say("u: q", "a: no")}, PAIR),
        (
            {"prompt": say("s: be", "u: q"), "chosen": say("u: q", "a: yes"), "rejected": say("u: q", "a: no")},
            ("\n\nSystem: be\n\nHuman: q\n\nAssistant:", " yes", " no"),
        ),
        (
            {"prompt": say("u: q"), "chosen": say("s: be", "u: q", "a: yes"), "rejected": say("s: be", "u: q", "a: no")},
            ("\n\nSystem: be\n\nHuman: q\n\nAssistant:", " yes", " no"),
        ),
        (
            {"prompt": say("u: p", "a: b", "u: q"), "chosen": say("u: q", "a: yes"), "rejected": say("u: q", "a: no")},
            ("\n\nHuman: p\n\nAssistant: b\n\nHuman: q\n\nAssistant:", " yes", " no"),
        ),
        ({"chosen": {"role": ["user", "assistant"], "content": ["q", "yes"]}, "rejected": say("u: q", "a: no")}, PAIR),
        (
            {"chosen": say("s: be", "u: q", "a: b", "u: r", "a: yes"), "rejected": say("s: be", "u: q", "a: b", "u: r", "a: no")},
            ("\n\nSystem: be\n\nHuman: q\n\nAssistant: b\n\nHuman: r\n\nAssistant:", " yes", " no"),
        ),
        (
            {"chosen": say("u: q", "a: yes", "u: r", "a: x"), "rejected": say("u: q", "a: no", "u: s", "a: y")},
            ("\n\nHuman: q\n\nAssistant:", " yes\n\nHuman: r\n\nAssistant: x", " no\n\nHuman: s\n\nAssistant: y"),
        ),
    ],
)  # fmt: skip
def test_messages_become_a_pair(row, expected):
    assert parse_columns(row, fields={}) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chosen": say("u: q", "a: yes"), "rejected": say("u: p", "a: no")}, "no message of the user in common"),
        ({"chosen": say("a: yes"), "rejected": say("a: no")}, "no message of the user in common"),
        ({"chosen": say("u: q", "u: r"), "rejected": say("u: q", "a: no")}, "that is not the assistant's"),
        ({"chosen": say("u: q", "a: y", "u: thanks"), "rejected": say("u: q", "a: n")}, "chosen ends with a message of role user"),
        ({"chosen": say("u: q", "a: y"), "rejected": say("u: q", "a: n", "s: end")}, "rejected ends with a message of role system"),
        ({"prompt": "other", "chosen": say("u: q", "a: y"), "rejected": say("u: q", "a: n")}, "prompt is no message of the list"),
        ({"prompt": say("s: x", "u: q"), "chosen": say("s: y", "u: q", "a: y"), "rejected": say("s: y", "u: q", "a: n")}, "comes again behind"),
        ({"chosen": {"role": "assistant", "content": "y"}, "rejected": "n"}, "chosen is one message, expected a list"),
        ({"chosen": {"role": ["user", "assistant"], "content": ["q"]}, "rejected": say("a: n")}, "chosen has 2 roles and 1 contents"),
        ({"chosen": [say("a: y")[0] | {"tool_calls": [{}]}], "rejected": say("a: n")}, "chosen has a message with tool_calls"),
        ({"chosen": [], "rejected": say("u: q", "a: no")}, "chosen is empty, expected messages"),
        ({"chosen": say("u: q", "a: y"), "rejected": None}, "rejected is no list of messages"),
        ({"chosen": ["u"], "rejected": say("a: n")}, "chosen holds a str, expected messages with role and content"),
        ({"chosen": [{"from": "human", "value": "q"}], "rejected": []}, "chosen holds a dict with from, value, expected"),
        ({"chosen": say("tool: q"), "rejected": say("a: n")}, "chosen has a message of role 't', expected system, user, assistant"),
        ({"chosen": [{"role": "user", "content": None}], "rejected": []}, "content is of type NoneType, expected text"),
        ({"prompt": 5, "chosen": say("a: y"), "rejected": say("a: n")}, "prompt is of type int, expected text or a list"),
    ],
)  # fmt: skip
def test_messages_that_are_no_pair_say_why(row, reason):
    _, chosen, _ = parse_columns(row, fields={})
    assert isinstance(chosen, Unusable)
    assert reason in str(text_fault("chosen", chosen))


def test_a_list_that_was_saved_as_text_is_no_text():
    named, shared = '[{"name": "Ann", "role": "user", "content": "q"}]', '[{"from": "human", "value": "q"}]'
    for text in (str(say("u: q", "a: yes")), '[{"content": "q", "role": "user"}]', named, shared):
        assert "a list of messages written as text; save the rows as .jsonl" in str(text_fault("chosen", text))
    for text in ("[{'a': 1}]", '[{"from": "Rome", "to": "Pisa", "value": 3}]', '[{"name": "Ann", "role": "admin"}]'):
        assert text_fault("chosen", text) is None


@pytest.mark.parametrize(
    ("response", "repeated"),
    [
        ("Name a river in Spain. The Ebro.", True),
        ("\n\nHuman: Name a river in Spain.\n\nAssistant: The Ebro.", True),
        ("### Instruction:\nname a river  in Spain.\n### Response:\nThe Ebro.", True),
        ("\u201cName a river in Spain.\u201d The Ebro.", True),
        ('**User:** "\u200bName a river\u2060 in Spain." The Ebro.', True),
        ("System: Be brief.\n\nHuman: Name a river in Spain.\n\nAssistant: The Ebro.", True),
        ("Be brief.\nName a river  in Spain.\nThe Ebro.", True),
        ("<|system|>Be brief.<|user|> Name a river in Spain.<|assistant|>The Ebro.", True),
        ("Be brief. Name a river in Spain.", False),
        ("Human: The Ebro.", False),
        ("You said: Name a river in Spain.", False),
    ],
)
def test_a_prompt_behind_marks_of_speakers_or_quotes_is_repeated(response, repeated):
    asked = "Name a river in Spain."
    marked = f"Below is a task.\n\n### Instruction:\n{asked}\n\n### Response:\n"
    for prompt in (
        asked,
        f"\n\nHuman: {asked}",
        f"\n\nHuman: {asked}\n\nAssistant:",
        f"Question: {asked}\nAnswer:",
        marked,
    ):
        assert repeats_prompt(prompt, response) == repeated


MANY_TURNS = [
    ({"prompt": "\n\nHuman: Q\n\nAssistant:", "chosen": " y\n\nHuman: more\n\nAssistant: z"}, False),
    ({"prompt": say("u: Q:\n\nHuman: hi\n\nAssistant: ho"), "chosen": say("a: y")}, False),
    ({"prompt": say("u: Q"), "chosen": say("a: y\n\nHuman: more")}, False),
    ({"prompt": "Q", "chosen": "y\n\nHuman: more"}, True),
    ({"prompt": say("u: Q"), "chosen": say("a: y", "u: more", "a: z")}, True),
    ({"prompt": "\n\nHuman: Q", "chosen": "y"}, True),
]


@pytest.mark.parametrize(("row", "usable"), MANY_TURNS)
def test_marks_inside_of_a_message_are_no_turns_of_a_chat(row, usable):
    own = "n" if isinstance(row["chosen"], str) else say("a: n")
    found = parse_columns(row | {"rejected": own}, fields={}, chat=True)[1]
    assert isinstance(found, Unusable) != usable
    assert not isinstance(parse_columns(row | {"rejected": own}, fields={})[1], Unusable)


@pytest.mark.parametrize(
    "text",
    [
        '["good x"]',
        "[{'a': 1}]",
        "{'role': 'assistant', 'content': 'x'}",
        '{"from": "gpt", "value": "x"}',
        "array([1])",
        "b'x y'",
    ],
)
def test_what_was_saved_as_text_is_told(text):
    assert wrapped(text) and not wrapped(f"{text} and more") and not wrapped("x") and not wrapped(None)


def test_a_prompt_of_one_word_behind_its_mark_may_come_again():
    assert not repeats_prompt("Q: Hello!", "Hello! How are you?")


@pytest.mark.parametrize("text", ["\u200b", " \ufeff\u2060\n", "\x01\x02", "\u3164\u3164", " \u2800 "])
def test_a_text_of_which_nothing_is_seen_is_none(text):
    assert "chosen holds nothing but characters that cannot be seen, such as U+" in str(text_fault("chosen", text))
    assert text_fault("chosen", f"{text}a") is text_fault("prompt", text) is None


@pytest.mark.parametrize(
    "prompt",
    [
        "\n\nHuman: q: A\n\nAssistant:",
        "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:",
        "Human: hi there Assistant:",
        "### Instruction:\nDo it\n\n### Response:",
        "<|user|>\nhi\n<|assistant|>",
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant",
        "<s>[INST] hi [/INST]",
        "Question: what is it? Answer:",
        "**User**: x\n**Assistant**:",
        "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model",
    ],
)
def test_whole_dialogues_are_taken_apart(prompt):
    assert split_dialogues(f"{prompt}\nI say yes", f"{prompt}\nI say no") == (prompt, "\nI say yes", "\nI say no")
    more = f"{prompt} yes\n\nHuman: r\n\nAssistant: x"
    assert split_dialogues(more, f"{prompt} no")[0] == prompt


@pytest.mark.parametrize(
    "texts", [("I think yes", "I think no"), ("Assistant: I see a", "Assistant: I see b"), ("", ""), ("A: x", "Q: y")]
)
def test_texts_without_a_question_in_common_have_no_prompt(texts):
    assert split_dialogues(*texts) == ("", *texts)


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["\n\nHuman: q\n\nAssistant:", "", "A:", "<|x|>"]))
def test_taking_apart_loses_no_character(chosen, rejected, head):
    prompt, good, bad = split_dialogues(head + chosen, head + rejected)
    assert (prompt + good, prompt + bad) == (head + chosen, head + rejected)


CONTENT = st.text(st.sampled_from("ab {}\n:语") | st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(CONTENT, CONTENT), max_size=2), CONTENT, CONTENT, CONTENT, st.booleans())
def test_messages_without_marks_in_a_template_of_marks_are_messages_with_them(before, asked, good, bad, system):
    turns = [turn for q, a in before for turn in (f"u: {q}", f"a: {a}")] + [f"u: {asked}"]
    shared = [*(["s: be brief"] if system else []), *turns]
    row = {side: say(*shared, f"a: {text}") for side, text in (("chosen", good + "1"), ("rejected", bad + "2"))}
    prompt, chosen, rejected = parse_columns(row, fields={})
    bare = parse_columns(row, fields={}, bare=True)
    lead = "" if system else "\n\nHuman: "
    assert [f"{lead}{bare[0]}\n\nAssistant: {text}" for text in bare[1:]] == [prompt + chosen, prompt + rejected]
    if not before and not system:
        assert bare == (asked.strip(), (good + "1").strip(), (bad + "2").strip())


CONTENTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TURNS = st.lists(st.tuples(st.sampled_from("sua"), CONTENTS), max_size=4)


@given(TURNS, CONTENTS, CONTENTS, st.sampled_from(["alone", "prompt", "columns"]))
def test_lists_of_messages_lose_nothing_and_read_alike_in_every_form(lead, good, bad, form):
    both = [say(*(f"{role}: {content}" for role, content in [*lead, ("a", answer)])) for answer in (good, bad)]
    rows = {
        "alone": {"chosen": both[0], "rejected": both[1]},
        "prompt": {"prompt": both[0][:-1], "chosen": both[0][-1:], "rejected": both[1][-1:]},
        "columns": {
            side: {key: [message[key] for message in own] for key in ("role", "content")}
            for side, own in (("chosen", both[0]), ("rejected", both[1]))
        },
    }
    parsed = parse_columns(rows[form], fields={})
    if all(role != "u" for role, _ in lead):
        assert isinstance(parsed[1], Unusable)
        return
    marks = {"s": "\n\nSystem:", "u": "\n\nHuman:", "a": "\n\nAssistant:"}
    prompt = "".join(f"{marks[role]} {content.strip()}" for role, content in lead)
    assert parsed == (f"{prompt}\n\nAssistant:", f" {good.strip()}", f" {bad.strip()}")


@given(TURNS, TURNS)
def test_any_two_lists_become_a_pair_of_all_their_contents_or_say_why_not(one, other):
    both = [say(*(f"{role}: {content}" for role, content in turns)) for turns in (one, other)]
    prompt, good, bad = parse_columns({"chosen": both[0], "rejected": both[1]}, fields={})
    if isinstance(good, Unusable):
        assert good.reason and not text_fault("prompt", prompt)
        return
    for turns, response in ((one, good), (other, bad)):
        place = 0
        for _, content in turns:
            place = (prompt + response).index(content.strip(), place) + len(content.strip())
