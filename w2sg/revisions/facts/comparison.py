"""Which revisions of a model have another tokenizer or configuration than most: they are no further states of one training.

Read while the DAG is built, so nothing but the standard library and the configuration.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from w2sg.revisions.facts import readable
from w2sg.revisions.facts.descriptions import (
    Description,
    describe_folder,
    layer_fault,
    target_fault,
    window_note,
)
from w2sg.revisions.folders import folder_fault
from w2sg.revisions.offline import read_answers
from w2sg.study.families import Family, kept_layers, members, used_revisions
from w2sg.study.fields import ConfigError, Mistake
from w2sg.study.lists.models import local_folder
from w2sg.study.lists.rows import RANDOM
from w2sg.study.texts.templates import Dialogue


def changed_settings(here: Description, there: Description) -> list[str]:
    """Returns in words which settings of a configuration are not those of another one.

    Of two that other versions of the library wrote, only what both say is compared.
    """
    names = sorted({*here.config, *there.config})
    if here.writer != there.writer:
        names = [name for name in names if name in here.config and name in there.config]
    return [
        f"{name} {_shown(here.config, name)}, not {_shown(there.config, name)}"
        for name in names
        if here.config.get(name) != there.config.get(name)
    ]


def _shown(config: Mapping[str, Any], name: str) -> str:
    return json.dumps(config[name], sort_keys=True)[:80] if name in config else "(none)"


def differences_from_most(known: Mapping[str, Description]) -> Iterator[tuple[str, str]]:
    """Yields each revision whose tokenizer or configuration is not that of most others, with what differs, in words.

    Args:
        known: Descriptions of a model's revisions, by step; where there are as many of each kind the later one is right.
    """
    told = {name: one for name, one in known.items() if one.tokenizer and one.config}
    for name, same in odd_ones({name: one.tokenizer for name, one in told.items()}).items():
        yield name, f"its tokenizer is not that of {named(same)}"
    configs = {name: json.dumps([one.config, one.writer], sort_keys=True) for name, one in told.items()}
    for name, same in odd_ones(configs).items():
        if changed := changed_settings(told[name], told[same[0]]):
            yield name, f"its configuration is not that of {named(same)} ({'; '.join(changed)})"


def named(revisions: Sequence[str]) -> str:
    """Returns the first of several revisions, and how many there are besides."""
    more = len(revisions) - 1
    return f"{revisions[0]} and {more} more revision{'s' * (more > 1)}" if more else revisions[0]


def check_local(
    config: Mapping[str, Any], families: Mapping[str, Family], dialogues: Mapping[str, Sequence[Dialogue]] | None = None
) -> list[str]:
    """Returns what to say of revisions on the disk: those unlike most of their model, and where texts are cut or split unexpectedly.

    Args:
        config: The checked configuration.
        families: The study's families, resolved.
        dialogues: First rows of datasets that a chat template writes, where files tell them; it is tried on a question and its
            answer where they do not.

    Raises:
        ConfigError: Naming each revision that cannot be run or read, or lacks a wanted layer.
    """
    mistakes, odd = [], []
    asked = {"place": "a question and its answer", "prompt": "Which is it?", "response": "This one."}
    tried = {name: [Dialogue(**asked, spec=config["datasets"][name])] for name in chat_wanted(config)}
    reader = readable.Reader([*chain(*(tried | dict(dialogues or {})).values())])
    for model, revisions in used_revisions(families).items():
        entry = config["models"][model]
        if entry["source"] == "pretrain":  # its tokenizer has no chat template
            fault = target_fault(config["students"], "gpt_neox") or chat_fault(config, Description())
            mistakes += [Mistake(("models", model), fault)] if fault else []
        if entry["source"] != "local":
            continue
        folders = local_folders(config, families, model, revisions)
        tokenizer = Path(entry["tokenizer"]) if "tokenizer" in entry else None
        if tokenizer is not None and not tokenizer.is_dir():
            text = f"no folder {tokenizer}; paths are relative to the working directory {Path.cwd()}"
            mistakes.append(Mistake(("models", model, "tokenizer"), text))
            continue
        known = {name: describe_folder(folder, tokenizer=tokenizer) for name, folder in folders.items()}
        faults, notes = [], []
        for name, one in known.items():
            layers = kept_layers(config["activations"]["layers"], families, model, name)
            fault = folder_fault(folders[name]) or one.fault
            fault = fault or asked_fault(config, layers, one) or chat_fault(config, one)
            unread, note = ("", "") if fault else reader.fault_and_note(folders[name], tokenizer)
            faults.append((name, fault or unread))
            notes.append((name, note))
        mistakes += [Mistake(("models", model, "path"), text) for text in together(faults)]
        odd += [
            f"models.{model}: revision {name}: {reason}; it will be flagged and left out (audit.exclude)"
            for name, reason in differences_from_most(known)
        ]
        odd += [f"models.{model}: {note}" for note in [*window_notes(config, known), *together(notes)]]
    if mistakes:
        raise ConfigError(mistakes)
    return odd


def wanted_layers(name: str, config: Mapping[str, Any]) -> str | Sequence[int]:
    """Returns the layers that the study keeps of a model's revisions; of one that only supervises the final one."""
    swept = [member for family in config["sweep"]["families"] for member in members(family, config)]
    is_swept = any(config["families"][family]["strong"] == name for family in swept)
    return config["activations"]["layers"] if is_swept else "final"


def asked_fault(config: Mapping[str, Any], layers: str | Sequence[int], one: Description) -> str:
    """Returns what a study asks of a revision that it lacks, in words: layers, or targets of LoRA."""
    kind = str(one.config.get("model_type"))
    return layer_fault(layers, one.depth) or target_fault(config["students"], kind)


def local_folders(
    config: Mapping[str, Any], families: Mapping[str, Family], model: str, revisions: Sequence[str]
) -> dict[str, Path]:
    """Returns the folders of a local model's used revisions, by name; a random twin has none of its own."""
    places = {one.name: one.place for family in families.values() if family.strong == model for one in family.revisions}
    behind = [one for family in families.values() for one in family.supervisor.models]
    places |= {one.revision: one.place for one in behind if one.name == model}
    return {name: local_folder(config["models"][model], name, places[name]) for name in revisions if name != RANDOM}


def check_audited(config: Mapping[str, Any], families: Mapping[str, Family], folder: Path) -> None:
    """Raises :class:`ConfigError` if a Hub model lacks a wanted layer or target of LoRA, as far as earlier audits tell.

    Args:
        config: The checked configuration.
        families: The study's families, resolved.
        folder: Where audits keep what they learned, in a file ``<model>.json`` each.
    """
    mistakes = []
    for model, revisions in used_revisions(families).items():
        entry = config["models"][model]
        answers = read_answers(folder / f"{model}.json", entry["repo"]) if entry["source"] == "hub" else {}
        faults = []
        for name in (name for name in revisions if name in answers):
            layers = kept_layers(config["activations"]["layers"], families, model, name)
            faults.append((name, asked_fault(config, layers, answers[name].description)))
        mistakes += [Mistake(("models", model, "repo"), text) for text in together(faults)]
    if mistakes:
        raise ConfigError(mistakes)


def window_notes(config: Mapping[str, Any], known: Mapping[str, Description]) -> list[str]:
    """Returns which revisions cut texts sooner than the study asks for, in words."""
    return together(
        (name, window_note(config["activations"]["max_tokens"], one.context)) for name, one in known.items()
    )


def together(told: Iterable[tuple[str, str]]) -> list[str]:
    """Returns what is said of revisions, each text once with those that it holds for; empty ones are left out."""
    names: dict[str, list[str]] = {}
    for name, text in told:
        names.setdefault(text, []).append(name)
    return [f"revision {named(same)}: {text}" for text, same in names.items() if text]


def chat_fault(config: Mapping[str, Any], one: Description) -> str:
    """Returns which datasets want a chat template that a revision does not have, in words; empty text if none."""
    wanting = chat_wanted(config)
    return (
        ""
        if one.chat or not wanting
        else f"no chat template, which chat: true of datasets.{wanting[0]} needs (of several templates the one named default)"
    )


def chat_wanted(config: Mapping[str, Any]) -> list[str]:
    """Returns the study's datasets that are written by a chat template."""
    return [name for name in config["sweep"]["datasets"] if config["datasets"][name]["chat"]]


def odd_ones(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Returns, for each name whose value is not the usual one, the names that have the usual one.

    Usual is what most have; of several such values the one that occurs last.
    """
    latest = {value: place for place, value in enumerate(values.values())}
    counts = Counter(values.values())
    usual = max(latest, key=lambda value: (counts[value], latest[value]), default=None)
    same = [name for name, value in values.items() if value == usual]
    return {name: same for name, value in values.items() if value != usual}
