"""How rows of published datasets become (prompt, chosen, rejected), or a text with its label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from w2sg.data.dialogues import (
    ASSISTANT,
    HUMAN,
    MARKED,
    Unusable,
    is_messages,
    pair_of_messages,
    split_dialogues,
    text_fault,
)
from w2sg.data.rows import brief
from w2sg.runtime.files import sha256
from w2sg.study.protocols import FIELDS
from w2sg.study.texts.labels import label_name, positive_label
from w2sg.study.texts.spelling import fold, visible
from w2sg.study.texts.templates import fill_template, template_parts, turns_of

Parsed = tuple[Any, Any, Any] | str
"""A pair, or the reason why a row is none by the parser's definition (it is then left out and counted)."""


def absent(column: str, row: Mapping[str, Any]) -> str:
    """Returns in words that a row lacks a column, and which ones it has."""
    return f"no field {column!r}; fields are {quoted(row)}"


def quoted(names: Iterable[str]) -> str:
    """Returns names of columns in quotes, so that spaces around them are seen."""
    return ", ".join(repr(brief(name)) for name in names)


def holds_messages(row: Mapping[str, Any], fields: Mapping[str, str | None]) -> bool:
    """Returns whether one of the columns that are read holds a list of messages."""
    columns = [fields.get(field, field) for field in FIELDS]
    return any(is_messages(row.get(column)) for column in columns if column is not None)


def parse_columns(
    row: Mapping[str, Any], *, fields: Mapping[str, str | None], bare: bool = False, chat: bool = False
) -> tuple[Any, Any, Any]:
    """Returns the texts of a row.

    Columns may hold lists of messages, which need no prompt besides (:func:`w2sg.data.dialogues.pair_of_messages`). Where the
    prompt is set to null, whole dialogues are taken apart (:func:`w2sg.data.dialogues.split_dialogues`).

    Args:
        row: Values by column.
        fields: Column of each text, by default named like it; a text whose column is null is empty.
        bare: Whether messages are written without the marks around them, which a template then writes.
        chat: Whether the texts are taken apart into turns again.

    Raises:
        ValueError: If a column is absent.
    """
    columns = [(field, fields.get(field, field)) for field in FIELDS]
    listed = holds_messages(row, fields)
    texts = []
    for field, column in columns:
        if column is None or (field == "prompt" and listed and column not in row):
            texts.append("")
        elif column in row:
            texts.append(row[column])
        else:
            raise ValueError(f"{absent(column, row)}; set fields: {{{field}: ...}}")
    prompt, chosen, rejected = texts
    if listed:
        return pair_of_messages(prompt, chosen, rejected, bare=bare, chat=chat)
    if columns[0][1] is None and isinstance(chosen, str) and isinstance(rejected, str):
        prompt, chosen, rejected = split_dialogues(chosen, rejected)
    if chat and all(isinstance(text, str) for text in (prompt, chosen, rejected)):
        turns = len(turns_of(prompt, ""))
        if any(len(turns_of(prompt, response)) != turns for response in (chosen, rejected)):
            return "", Unusable(MARKED), ""
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


def parse_labelled(
    row: Mapping[str, Any], *, fields: Mapping[str, Any], template: str | None = None
) -> tuple[Any, Any]:
    """Returns text and label of a row; what is wrong with one of them is :class:`w2sg.data.dialogues.Unusable`.

    Args:
        row: The row.
        fields: Columns of ``text`` and ``label``.
        template: Makes the text of the columns that it names, instead of ``text``.

    Raises:
        ValueError: If a column is absent.
    """
    wanted = [name for _, name in template_parts(template, None) if name] if template else [fields["text"]]
    for column in (*wanted, fields["label"]):
        if column not in row:
            what = "label" if column not in wanted else "template" if template else "text"
            raise ValueError(f"{absent(column, row)}; set {what}")
    values = {column: row[column] for column in wanted}
    # A column of a template may be empty; what it makes must not be.
    faults = [
        text_fault(column, value)
        for column, value in values.items()
        if not (template and isinstance(value, str) and not visible(value).strip())
    ]
    text = fill_template(template, values) if template and not any(faults) else values[wanted[0]]
    fault = next(filter(None, faults), None) or text_fault("text", text)
    try:
        label = label_name(row[fields["label"]])
    except ValueError as error:
        label = Unusable(str(error))
    return (Unusable(fault) if fault else text), label


def as_sides(
    rows: Iterable[tuple[Any, Any, int, str]], positive: str | None, *, place: str
) -> Iterator[tuple[Any, ...]]:
    """Yields texts with labels as pairs with one side: prompt, chosen, rejected, row, origin, and a label for either side.

    Args:
        rows: Text, label, row number and origin, as :func:`parse_labelled` gives the first two.
        positive: Label of the positive class, where the configuration names it.
        place: What errors begin with.

    Raises:
        ValueError: If labels are not two classes (:func:`w2sg.study.texts.labels.positive_label`).
    """
    found = list(rows)
    try:
        own = positive_label([label for _, label, _, _ in found if isinstance(label, str)], positive)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    for text, label, number, origin in found:
        if not isinstance(label, str):
            yield "", label, "", number, origin, "", ""
        elif label == own:
            yield "", text, "", number, origin, label, ""
        else:
            yield "", "", text, number, origin, "", label


def _draw(content: str, size: int) -> int:
    """Returns a number below ``size`` that depends on a text alone, so that no order of rows changes it."""
    return int(sha256(fold(content).encode("utf-8", "surrogatepass"))[:15], 16) % size


def parse_sciq(row: Mapping[str, Any]) -> dict[str, str]:
    """Returns question, answer and label (correct, incorrect) of a row: by a fair draw its answer, or one of its distractors.

    Reference: Burns et al. 2024, whose code forms the text `Q: ... A: ...` likewise.
    """
    question = row["question"]
    wrong = [row[f"distractor{number}"] for number in (1, 2, 3)]
    drawn = _draw(question, 6)
    answer, label = (row["correct_answer"], "correct") if drawn < 3 else (wrong[drawn - 3], "incorrect")
    return {"question": question, "answer": answer, "label": label, "text": f"Q: {question} A: {answer}"}


def parse_cosmos_qa(row: Mapping[str, Any]) -> dict[str, str] | str:
    """Returns context, question, answer and label of a row, as :func:`parse_sciq` does.

    Where the right answer is "None of the above choices", which is no statement, one of the others is taken, as incorrect.
    """
    answers = [row[f"answer{number}"] for number in range(4)]
    if row["label"] not in range(4):
        return "the right answer is not said"
    right = answers[row["label"]]
    wrong = [answer for answer in answers if answer != right]
    drawn = _draw(row["context"] + row["question"], 6)
    none = "None of the above choices" in right
    if not wrong:
        return "all answers are the same"
    answer = right if drawn < 3 and not none else wrong[drawn % len(wrong)]
    parts = {"context": row["context"], "question": row["question"], "answer": answer}
    text = "\n".join(f"{name.capitalize()}: {part}" for name, part in parts.items())
    return {**parts, "label": "correct" if answer == right else "incorrect", "text": text}


LABELLED_PARSERS: dict[str, Callable[[Mapping[str, Any]], dict[str, str] | str]] = {
    "sciq": parse_sciq,
    "cosmos_qa": parse_cosmos_qa,
}
"""Named parsers of rows that become labelled ones, with columns text and label, or the reason why a row is left out."""
