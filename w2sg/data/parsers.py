"""How rows of published datasets become (prompt, chosen, rejected)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from w2sg.data.dialogues import ASSISTANT, HUMAN, is_messages, pair_of_messages, split_dialogues
from w2sg.data.rows import brief
from w2sg.study.protocols import FIELDS

Parsed = tuple[Any, Any, Any] | str
"""A pair, or the reason why a row is none by the parser's definition (it is then left out and counted)."""


def parse_columns(row: Mapping[str, Any], *, fields: Mapping[str, str | None]) -> tuple[Any, Any, Any]:
    """Returns the texts of a row: ``fields`` names the column of each, by default like the text; one set to null is empty.

    Columns may hold lists of messages, which need no prompt besides (:func:`w2sg.data.dialogues.pair_of_messages`). Where the
    prompt is set to null, whole dialogues are taken apart (:func:`w2sg.data.dialogues.split_dialogues`).

    Raises:
        ValueError: If a column is absent.
    """
    columns = [(field, fields.get(field, field)) for field in FIELDS]
    listed = any(is_messages(row.get(column)) for _, column in columns if column is not None)
    texts = []
    for field, column in columns:
        if column is None or (field == "prompt" and listed and column not in row):
            texts.append("")
        elif column in row:
            texts.append(row[column])
        else:
            raise ValueError(
                f"no field {column!r}; fields are {', '.join(map(brief, row))}; set fields: {{{field}: ...}}"
            )
    prompt, chosen, rejected = texts
    if listed:
        return pair_of_messages(prompt, chosen, rejected)
    if columns[0][1] is None and isinstance(chosen, str) and isinstance(rejected, str):
        return split_dialogues(chosen, rejected)
    return prompt, chosen, rejected


def parse_hh_single_turn(row: Mapping[str, Any]) -> Parsed:
    """Returns the texts of an HH-RLHF row (two whole dialogues) that has exactly one question and one answer.

    The prompt is everything up to and including the first assistant mark, so responses begin with a space,
    and prompt + chosen, prompt + rejected are the dialogues of the row character for character.
    """
    halves = []
    for field in ("chosen", "rejected"):
        dialogue = row[field]
        if not isinstance(dialogue, str):
            return f"{field} is no text"
        question, mark, answer = dialogue.partition(ASSISTANT)
        if not mark or not question.startswith(HUMAN):
            return f"no dialogue of the form {HUMAN!r} ... {ASSISTANT!r} ..."
        if dialogue.count(HUMAN) != 1 or ASSISTANT in answer:
            return "more than one turn"
        halves.append((question + mark, answer))
    return _one_prompt(*halves)


def parse_cai_harmless(row: Mapping[str, Any]) -> Parsed:
    """Returns the texts of a row whose chosen and rejected are lists of messages (role, content).

    Kept are dialogues of one user message and one assistant message. They are written with the marks of
    HH-RLHF, the response after one space, so that both datasets look alike to a model.
    """
    halves = []
    for field in ("chosen", "rejected"):
        messages = row[field]
        if [message["role"] for message in messages] != ["user", "assistant"]:
            return "not one user message and one assistant message"
        question, answer = (str(message["content"] or "").strip() for message in messages)
        halves.append((f"{HUMAN} {question}{ASSISTANT}", f" {answer}"))
    return _one_prompt(*halves)


def _one_prompt(chosen: tuple[str, str], rejected: tuple[str, str]) -> Parsed:
    """Returns the pair of two (prompt, response) with the same prompt."""
    if chosen[0] != rejected[0]:
        return "chosen and rejected answer different prompts"
    return chosen[0], chosen[1], rejected[1]


PARSERS: dict[str, Callable[[Mapping[str, Any]], Parsed]] = {
    "hh_single_turn": parse_hh_single_turn,
    "cai_harmless": parse_cai_harmless,
}
"""Named parsers; ``columns`` (:func:`parse_columns`) is the one that takes settings."""
