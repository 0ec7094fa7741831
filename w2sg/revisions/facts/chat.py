"""The text that a chat template writes of a pair, the same on every day and with every turn of the pair in it.

Used while the DAG is built and by extractions, so transformers is imported when a text is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from w2sg.revisions.facts.ids import MARK_NAMES
from w2sg.study.texts.templates import shorten, turns_of

DAY = datetime(2024, 7, 26)  # noqa: DTZ001  it is no moment of any place
"""What a template reads on the clock; templates of Llama 3 write this day where they have none."""

_FORMATS = ("-d", "-m", *"aAbBcdfFGHIjmMpSTuUVwWxXyYzZ")
_CLOCK = "{% macro strftime_now(format) %}{{ format" + "".join(
    f"|replace('%{one}', '{DAY.strftime(f'%{one}')}')" for one in _FORMATS
) + " }}{% endmacro %}\n"  # fmt: skip
"""In front of a template it stands in for the function of that name, which transformers lets nobody replace. Its line end is
swallowed, so that the template begins a line as before.
"""


def write_chat(template: str, prompt: str, response: str, *, tokens: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Returns the text that a chat template writes of a pair's side.

    Args:
        template: The template, in Jinja.
        prompt: Text, with or without marks of HH-RLHF.
        response: Text.
        tokens: What templates know of the tokenizer: ``bos_token`` and ``eos_token``, as far as they are named.
        spec: Entry of ``datasets``: the marks it wants around a text.

    Raises:
        ValueError: If the template refuses the turns, leaves one out, or writes a mark that would be put around its text again.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = turns_of(prompt, response)
    used = _CLOCK + template if "strftime_now" in template else template
    try:
        written: Any = render_jinja_template([turns], chat_template=used, **tokens)
    except Exception as error:  # whatever the template itself raises
        roles = ", ".join(turn["role"] for turn in turns)
        raise ValueError(f"the tokenizer's chat template cannot write turns of {roles} ({error})") from None
    text: str = written[0][0]
    if (lost := _left_out(turns, text)) is not None:
        what = f"the turn of role {lost['role']} ({shorten(lost['content'], 20)!r})"
        raise ValueError(
            f"the tokenizer's chat template leaves out {what}; correct it, or give template instead of chat"
        )
    for name, there in zip(MARK_NAMES, (text.lstrip().startswith, text.rstrip().endswith), strict=True):
        mark = tokens.get(f"{name}_token")
        if spec.get(name) == "yes" and mark and there(mark):
            raise ValueError(f"{name}: yes, but the tokenizer's chat template writes {mark} itself; set {name} to auto")
    return text


def _left_out(turns: Sequence[Mapping[str, str]], text: str) -> Mapping[str, str] | None:
    """Returns the first turn whose content a text does not hold, white space aside; turns but the system's stand in their order."""
    text, start = "".join(text.split()), 0
    for turn in turns:
        content = "".join(turn["content"].split())
        first = 0 if turn["role"] == "system" else start  # some templates write it into the last question
        place = text.find(content, first)
        if place < 0:
            return turn
        if turn["role"] != "system":
            start = place + len(content)
    return None
