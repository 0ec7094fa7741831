"""The text that a model reads of a pair: prompt and response joined, filled into a template, or turns for a chat template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from w2sg.study.fields import KeyMistake, Section, Text

PLACES = ("prompt", "response")
"""What a template of pairs has places for."""

_WORDS = {True: "yes", False: "no"}
Mark = Annotated[
    Literal["auto", "yes", "no"], BeforeValidator(lambda value: _WORDS[value] if isinstance(value, bool) else value)
]
"""YAML reads a bare ``yes`` or ``no`` as a truth value."""

_TURN = re.compile(r"\n\n(System|Human|Assistant):")
_STRIPPED = re.compile(r"(?:System|Human):(?s:.*)\n\n(?:Human|Assistant):")
"""A dialogue with such marks whose first one has lost its empty line."""
_ROLES = {"System": "system", "Human": "user", "Assistant": "assistant"}

SHOWN = 1000
"""Characters of an example that are shown at either end."""


class TextForm(Section):
    """How a model's text is made of prompt and response."""

    template: Text | None = None
    """The text that a model reads, with places `{prompt}` and `{response}`, such as `"{prompt}\\n\\nAssistant: {response}"` in
    double quotes; `{{` and `}}` stand for braces. Of lists of messages the prompt is then the user's message without a mark, and
    the response the assistant's. Default: the response behind the prompt, in files and columns with a space between them unless
    one of them has white space there. Of task classification places are columns, such as
    `"Passage: {passage}\\nQuestion: {question}"`; default: the column of the text.
    """
    chat: bool = False
    """Whether texts are written by the tokenizer's own chat template, prompt and response as turns of user and assistant;
    prompts with marks of HH-RLHF are taken apart into their turns. The template has to write every turn; the date that it is told is
    26 July 2024 on every day.
    """
    bos: Mark = "auto"
    """Start-of-text mark in front of each text: auto, as the tokenizer's file has it (none with `chat`, whose template writes
    marks itself); yes (an error where the template writes it too) or no.
    """
    eos: Mark = "auto"
    """End-of-text mark behind each text, likewise."""

    @model_validator(mode="after")
    def _template_fits(self) -> Self:
        labelled = getattr(self, "task", None) == "classification"
        if self.chat and labelled:
            raise KeyMistake("chat", "single texts are no turns of a dialogue; remove chat, or write them by template")
        if self.template is not None:
            if self.chat:
                raise KeyMistake(
                    "template", "chat: true writes texts by the tokenizer's own template; remove one of them"
                )
            try:
                places = [name for _, name in template_parts(self.template, None if labelled else PLACES) if name]
            except ValueError as error:
                raise KeyMistake("template", str(error)) from None
            if "\\n" in self.template:
                raise KeyMistake(
                    "template",
                    f"got {self.template!r}, with a backslash and n for each line break; write it in double quotes",
                )
            if labelled and (label := getattr(self, "label", None) or "label") in places:
                raise KeyMistake("template", f"got {self.template!r}, which would show the model the label ({label})")
            if not places or not (labelled or "response" in places):
                wanted = "a column" if labelled else "{response}"
                raise KeyMistake("template", f"got {self.template!r}, which has no place for {wanted}")
        return self


def template_parts(template: str, places: Sequence[str] | None = PLACES) -> list[tuple[str, str | None]]:
    """Returns a template as literal texts, each with the name of the place behind it; None behind the last.

    Args:
        template: The template.
        places: Names that places may have; None: any.

    Raises:
        ValueError: If a brace stands alone, or a place has another name or a format.
    """
    known = "names of columns in braces" if places is None else " and ".join(f"{{{name}}}" for name in places)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"got {template!r}, which is no template ({error}); write {{{{ and }}}} for braces") from None
    for _, name, form, conversion in parts:
        unknown = not name if places is None else name not in places
        if name is not None and (unknown or form or conversion):
            shown = "{" + name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "") + "}"
            raise ValueError(f"got {template!r} with {shown}, allowed: {known}, and {{{{ and }}}} for braces")
    return [(literal, name) for literal, name, _, _ in parts]


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Returns a template with its places filled; braces inside of the values are text like any other."""
    return "".join(literal + (values[name] if name else "") for literal, name in template_parts(template, [*values]))


def join_texts(prompt: str, response: str) -> str:
    """Returns prompt and response, with a space between them unless one of them is empty or has white space there."""
    bare = prompt and response and not prompt[-1].isspace() and not response[0].isspace()
    return f"{prompt} {response}" if bare else prompt + response


def is_spaced(spec: Mapping[str, Any]) -> bool:
    """Returns whether an entry's prompts and responses are columns of a user's, with a border that nobody has looked at.

    Whole dialogues (no column of the prompt) are taken apart at a border that they have.
    """
    whole = spec.get("fields", {}).get("prompt", "prompt") is None
    columns = spec["source"] == "files" or (spec["source"] == "hub" and spec.get("parser", "columns") == "columns")
    return columns and not whole


def form_text(spec: Mapping[str, Any], prompt: str, response: str) -> str:
    """Returns the text of a pair's side by an entry of ``datasets`` that has no ``chat``; labelled texts are made already."""
    if spec.get("task") == "classification":
        return response
    if spec.get("template") is not None:
        return fill_template(spec["template"], {"prompt": prompt, "response": response})
    return join_texts(prompt, response) if is_spaced(spec) else prompt + response


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """A text that a chat template has to write."""

    place: str
    """Where it comes from, for messages."""
    prompt: str
    response: str
    spec: Mapping[str, Any]
    """Entry of ``datasets``: the marks it wants around a text."""


def turns_of(prompt: str, response: str) -> list[dict[str, str]]:
    """Returns a pair's side as messages (role, content), without white space around the contents."""
    if _STRIPPED.match(prompt):
        prompt = f"\n\n{prompt}"
    if not _TURN.match(prompt):
        asked = [{"role": "user", "content": prompt.strip()}] if prompt.strip() else []
        return [*asked, {"role": "assistant", "content": response.strip()}]
    answered = [mark[1] for mark in _TURN.finditer(prompt)][-1] == "Assistant"
    _, *pieces = _TURN.split(prompt + ("" if answered else "\n\nAssistant:") + response)
    marked = zip(pieces[::2], pieces[1::2], strict=True)
    return [{"role": _ROLES[name], "content": content.strip()} for name, content in marked]


def shorten(text: str, most: int = SHOWN) -> str:
    """Returns a text as it is, or its two ends with the number of characters between them."""
    left_out = len(text) - 2 * most
    return text if left_out <= 0 else f"{text[:most]} [... {left_out:,} characters ...] {text[-most:]}"
