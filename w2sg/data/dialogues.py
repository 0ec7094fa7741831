"""Dialogues: lists of messages and texts with marks of the speakers, taken apart into a prompt and two responses."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any

from w2sg.study.protocols import FIELDS
from w2sg.study.texts.spelling import normalise, visible
from w2sg.study.texts.templates import turns_of

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
"""Marks of a speaker's turn in HH-RLHF; all lists of messages are written with them."""

_MARKS = {"system": "\n\nSystem:", "user": HUMAN, "assistant": ASSISTANT}

_ASKS = "human|user|person|question|prompt|instruction|input|system"
_ANSWERS = "assistant|ai|bot|chatbot|gpt|model|answer|response|output"
_MARK = re.compile(
    rf"(?<!\S)(?:#{{1,4}} ?|\*\*)?(?:(?i:{_ASKS}|{_ANSWERS})|Q|A)(?:\*\*)?:(?:\*\*)?"
    r"|<\|[^|<>\s]{1,20}\|>(?:assistant|user|human|system)?|\[/?INST\]|<start_of_turn>(?:user|model)"
)
"""Mark of a speaker's turn: `Human:`, `### Response:`, `**Q**:`, `<|user|>`, `[INST]` and the like."""
_ANSWERER = re.compile(rf"\b(?:(?i:{_ANSWERS})|A)\b|/INST")

_OPENING = re.compile(rf"(?:{_MARK.pattern}|[\s\"'`*>\u00ab\u2018-\u201f])+")
"""Marks of a speaker and quotation marks in front of a text."""

_WRITTEN_OUT = re.compile(
    r"""\s*\[\s*\{(?:\s*['"](?:role|content)['"]\s*:"""
    rf"""|[^{{}}]*['"](?:role|from)['"]\s*:\s*['"](?i:{_ASKS}|{_ANSWERS}|tool)['"])"""
)
"""Beginning of a list of messages that was saved as text, as tables of text do."""

_WRAPPED = re.compile(
    r"""\s*(?:\[\s*["'{].*\]|\{\s*["'](?:role|content|from|value)["']\s*:.*\}|array\(.*\)|b(["']).*\1)\s*""", re.DOTALL
)
"""A list, a message, an array or bytes that were saved as text."""

WRITTEN_OUT = "a list, a message, an array or bytes written as text"
AS_TEXT = "save the rows as .jsonl or .parquet, which keep lists"

_CLOSING = re.compile(rf"(?:(?:{_MARK.pattern})\s*)+\Z")
"""Marks of a speaker behind a text."""

_UNREAD = ("tool_calls", "function_call", "reasoning_content")
"""Parts of a message beside its content that a model would have to read."""

Turn = tuple[str, str]
"""Role and content of a message."""


@dataclass(frozen=True)
class Unusable:
    """Stands for a text that a row does not give."""

    reason: str
    """Why not."""


class _NoPairError(ValueError):
    """What keeps lists of messages from being a pair."""


def text_fault(field: str, text: Any) -> str | None:
    """Returns why a value cannot be used as the text of a field; None if it can."""
    if isinstance(text, Unusable):
        return text.reason
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return f"{field} is missing"
    if not isinstance(text, str):
        return f"{field} is of type {type(text).__name__}, expected text"
    if field != "prompt" and not text.strip():
        return f"{field} is empty"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"{field} holds half of a surrogate pair, which UTF-8 cannot store"
    if "\0" in text:
        return f"{field} holds a NUL character, which no text has: its file was not copied whole, or is in another encoding"
    if field != "prompt" and not visible(text).strip():
        return f"{field} holds nothing but characters that cannot be seen, such as U+{ord(text.strip()[0]):04X}"
    if _WRITTEN_OUT.match(text):
        return f"{field} is a list of messages written as text; {AS_TEXT}"
    return None


def wrapped(text: Any) -> bool:
    """Returns whether a text looks like something else that was saved as text; some texts may, but not all of a column."""
    return isinstance(text, str) and bool(_WRAPPED.fullmatch(text))


def pair_fault(*texts: Any) -> str | None:
    """Returns why prompt, chosen and rejected make no pair; None if they do."""
    for field, text in zip(FIELDS, texts, strict=True):
        if fault := text_fault(field, text):
            return fault
    good, bad = (unicodedata.normalize("NFC", visible(text)).strip() for text in texts[1:])
    if good != bad:
        return None
    kept, stripped = texts[1] == texts[2], texts[1].strip() == texts[2].strip()
    unseen = "white space at the ends" if stripped else "how accents are coded or characters that cannot be seen"
    return "chosen and rejected are equal" + ("" if kept else f", but for {unseen}")


def split_dialogues(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Returns prompt and responses of two whole dialogues with marks of the speakers, character for character.

    The prompt is what both have in common, up to and including the last mark of an answer in it. It is empty where there is no
    such mark, or no speaker before it.
    """
    same = len(commonprefix([chosen, rejected]))
    marks = [mark for mark in _MARK.finditer(chosen) if mark.end() <= same]
    cut = max((mark.end() for mark in marks[1:] if _ANSWERER.search(mark.group())), default=0)
    return chosen[:cut], chosen[cut:], rejected[cut:]


MARKED = (
    "a message or response holds a speaker's mark, such as Human: behind an empty line, of which chat: true would make another turn; "
    "change the mark, or leave the row out"
)
"""Why a row cannot be taken apart into its turns."""

READ_TWICE = "a model would read it twice. Remove it from the responses, or set fields: {prompt: null}, which takes whole dialogues apart"
"""What follows from responses that repeat their prompt."""

_LEAST, _FIRST = 20, 4000
"""Characters of a prompt that is looked for behind other text, and of the response's beginning in which it is looked for."""

_TURN = re.compile(rf"\n\s*|{_MARK.pattern}")
"""Where a turn may begin: a line, or behind the mark of a speaker."""


def repeats_prompt(prompt: str, response: str) -> bool:
    """Returns whether a response begins with its prompt, or the prompt's last turn, of two words at least, or one of its first turns does.

    Marks of speakers and quotes may stand before it. Behind other text, such as a system's turn, a short one is a quotation.
    """
    whole = _CLOSING.sub("", visible(prompt))
    last = whole[max((mark.end() for mark in _MARK.finditer(whole)), default=0) :]
    return any(_begins_with(asked, response) for asked in dict.fromkeys((whole, last)))


def _begins_with(prompt: str, response: str) -> bool:
    for texts in ((prompt, response), (_opened(prompt), _opened(response))):
        asked, answer = map(normalise, texts)
        if " " in asked and answer.startswith(asked):
            return True
    asked, start = normalise(_opened(prompt)), visible(response[:_FIRST])
    if " " not in asked or len(asked) < _LEAST or asked not in normalise(response[: _FIRST + 2 * len(prompt)]):
        return False
    turns = (visible(response)[match.end() :] for match in _TURN.finditer(start))
    return any(normalise(_opened(turn)[: 2 * len(prompt)]).startswith(asked) for turn in turns)


def _opened(text: str) -> str:
    """Returns a text without the marks of a speaker and the quotation marks in front of it."""
    text = visible(text)
    return text[match.end() :] if (match := _OPENING.match(text)) else text


def is_messages(value: Any) -> bool:
    """Returns whether a value is a list of messages, or what a table makes of one: a list of roles and one of contents."""
    return isinstance(value, list | tuple) or (isinstance(value, Mapping) and {"role", "content"} <= value.keys())


def pair_of_messages(
    prompt: Any, chosen: Any, rejected: Any, *, bare: bool = False, chat: bool = False
) -> tuple[Any, Any, Any]:
    """Returns prompt and responses of a row in which some of the three are lists of messages (role, content).

    The prompt is what both lists begin with, up to a turn of the assistant that differs; all is written with the marks of
    HH-RLHF, contents without white space around them. A prompt of its own comes first, unless the lists repeat it.

    Args:
        prompt: A list, a text, or empty text where the row has none.
        chosen: A list, or the text of the only message.
        rejected: Likewise.
        bare: Whether the mark in front of the prompt and those between prompt and responses are left to a template.
        chat: Whether the texts are taken apart into turns again, which marks inside of a message would add to.

    Returns:
        Prompt, chosen, rejected; chosen is :class:`Unusable` where the lists make no pair.
    """
    try:
        turns = [_turns(value, field) for value, field in ((chosen, "chosen"), (rejected, "rejected"))]
        both = [_led(prompt, own) for own in turns]
        texts = _pair_of_turns(*both, bare=bare)
        if chat and [len(turns_of(texts[0], response)) for response in texts[1:]] != [len(own) for own in both]:
            raise _NoPairError(MARKED)
        return texts
    except _NoPairError as error:
        return "", Unusable(str(error)), ""


def _turns(value: Any, field: str) -> list[Turn]:
    if isinstance(value, str):
        return [("assistant", value)]
    if isinstance(value, Mapping) and is_messages(value):
        roles, contents = value["role"], value["content"]
        if isinstance(roles, str):
            raise _NoPairError(f"{field} is one message, expected a list of them")
        if len(roles) != len(contents):
            raise _NoPairError(f"{field} has {len(roles)} roles and {len(contents)} contents, expected as many")
        value = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
    if not is_messages(value) or not value:
        raise _NoPairError(f"{field} is {'empty' if value in ([], ()) else 'no list of messages'}, expected messages")
    return [_turn(message, field) for message in value]


def _turn(message: Any, field: str) -> Turn:
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        held = f" with {', '.join(map(str, message))}" if isinstance(message, Mapping) else ""
        raise _NoPairError(f"{field} holds a {type(message).__name__}{held}, expected messages with role and content")
    role, content = message["role"], message["content"]
    if unread := [name for name in _UNREAD if message.get(name)]:
        raise _NoPairError(
            f"{field} has a message with {unread[0]}, which is not read; write it into the content, or leave the row out"
        )
    if role not in _MARKS:
        raise _NoPairError(f"{field} has a message of role {role!r}, expected {', '.join(_MARKS)}")
    if not isinstance(content, str):
        raise _NoPairError(f"{field} has a message whose content is of type {type(content).__name__}, expected text")
    return role, content.strip()


def _led(prompt: Any, turns: list[Turn]) -> list[Turn]:
    """Returns the turns with those of the prompt in front, unless they hold it."""
    if is_messages(prompt):
        return _merged(_turns(prompt, "prompt"), turns)
    if not isinstance(prompt, str):
        raise _NoPairError(f"prompt is of type {type(prompt).__name__}, expected text or a list of messages")
    if not prompt.strip():
        return turns
    asked = [content for role, content in turns if role == "user"]
    if not asked:
        return [("user", prompt.strip()), *turns]
    if normalise(prompt) not in map(normalise, asked):
        raise _NoPairError("prompt is no message of the list; set fields: {prompt: null} to read the messages alone")
    return turns


def _merged(lead: list[Turn], turns: list[Turn]) -> list[Turn]:
    """Returns the turns behind those of the prompt; what the end of these and the beginning of those have in common comes once."""
    first, own = ([(role, _letters(content)) for role, content in part] for part in (lead, turns))
    if any(own[at : at + len(first)] == first for at in range(len(own))):
        return turns
    shared = next((n for n in range(min(len(first), len(own)), 0, -1) if first[-n:] == own[:n]), 0)
    if not shared and ("user", _letters(lead[-1][1])) in own:
        raise _NoPairError(
            "the last message of prompt comes again behind another one; set fields: {prompt: null} to read the messages alone"
        )
    return [*lead, *turns[shared:]]


def _letters(content: str) -> str:
    """Returns what tells one message from another, however it is spaced and punctuated."""
    return re.sub(r"[\W_]+", "", normalise(content)) or normalise(content)


def _pair_of_turns(chosen: Sequence[Turn], rejected: Sequence[Turn], *, bare: bool) -> tuple[str, str, str]:
    both, same = list(zip(chosen, rejected, strict=False)), 0
    while same < min(len(chosen), len(rejected)) - 1 and both[same][0] == both[same][1]:
        same += 1
    if all(role != "user" for role, _ in chosen[:same]):
        raise _NoPairError("chosen and rejected begin with no message of the user in common")
    if {chosen[same][0], rejected[same][0]} != {"assistant"}:
        raise _NoPairError("chosen and rejected differ in a message that is not the assistant's")
    for field, turns in (("chosen", chosen), ("rejected", rejected)):
        if turns[-1][0] != "assistant":
            raise _NoPairError(f"{field} ends with a message of role {turns[-1][0]}, expected the assistant's")
    prompt, *responses = (
        "".join(f"{_MARKS[role]} {content}" for role, content in part)
        for part in (chosen[:same], chosen[same:], rejected[same:])
    )
    if bare:
        good, bad = (response.removeprefix(f"{ASSISTANT} ") for response in responses)
        return prompt.removeprefix(f"{HUMAN} "), good, bad
    good, bad = (response.removeprefix(ASSISTANT) for response in responses)
    return prompt + ASSISTANT, good, bad
