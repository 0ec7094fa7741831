"""From a model's entry to its revisions, and from a revision to the folder or branch that holds it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2sg.study.fields import ConfigError, Key, Mistake, did_you_mean
from w2sg.study.lists.folders import HERE, is_model, read_folder, said_step
from w2sg.study.lists.rows import HUB_DEFAULT, RANDOM, Revision, check_rising, read_revisions
from w2sg.study.pretraining import pythia_schedule, revision_name


def revisions_of(name: str, model: Mapping[str, Any], root: Path) -> tuple[Revision, ...]:
    """Returns every published revision of a model, sorted by step; of a Hub model without a list, ``main`` alone.

    Paths of lists are relative to ``root``, the project's folder; ``name`` is for messages.

    Raises:
        ConfigError: If the list or the local folder cannot be read, two revisions mean one local folder, local folders say another
            order than the list, tokens fall while steps rise, or the model's seed is not one of the list's.
    """
    if model["source"] == "pretrain":
        settings = model["pretraining"]
        per_step = settings["batch_size"] * settings["sequence_length"] / 1e9
        steps = pythia_schedule(settings["steps"], settings["save_every"])
        return tuple(Revision(name=revision_name(step), step=step, tokens=step * per_step) for step in steps)
    if "revisions" in model:
        path = Path(model["revisions"])
        listed = _of_seed(read_revisions(path if path.is_absolute() else root / path), model, ("models", name, "seed"))
        if model["source"] == "local":
            _check_folders(listed, model, ("models", name, "revisions"))
        return listed
    if "seed" in model:
        raise ConfigError([Mistake(("models", name, "seed"), "only a list tells seeds apart; give key revisions")])
    if model["source"] == "hub":
        return (Revision(name=HUB_DEFAULT, step=0, tokens=math.nan),)
    folder = Path(model["path"])
    try:
        found = read_folder(folder, model.get("tokens_per_step"))
    except ValueError as error:
        raise ConfigError([Mistake(("models", name, "path"), str(error))]) from None
    check_rising(found, {one.name: str(folder / one.name) for one in found})
    _check_folders(found, model, ("models", name, "path"))
    return found


def _check_folders(rows: Sequence[Revision], model: Mapping[str, Any], place: Key) -> None:
    """Raises an error if two rows mean one folder, also by links, or the folders say another order than the rows' steps.

    On the Hub one subfolder of two branches holds two states. A list may count steps otherwise, such as from an earlier training.
    """
    names: dict[str, str] = {}
    before: tuple[Revision, int] | None = None
    giver = f"the list {model['revisions']}" if "revisions" in model else f"a link in {model['path']}"
    for row in sorted(rows, key=lambda one: one.step):
        folder = local_folder(model, row.name, row.place)
        real = os.path.realpath(folder)
        try:
            if (other := names.setdefault(real, row.name)) != row.name:
                raise ValueError(f"{giver} gives {other} and {row.name} the same folder {real}")
            if (said := said_step(folder)) is None:
                continue
            if before and said < before[1]:
                rows_say = f"{before[0].name} is step {before[0].step} and {row.name} step {row.step}"
                raise ValueError(
                    f"{giver} says that {rows_say}; by name or trainer_state.json they are steps {before[1]} and {said}"
                )
            before = row, said
        except ValueError as error:
            raise ConfigError([Mistake(place, str(error))]) from None


def _of_seed(rows: Sequence[Revision], model: Mapping[str, Any], place: Key) -> tuple[Revision, ...]:
    """The rows of the pre-training that is meant."""
    seeds, wanted = list(dict.fromkeys(row.seed for row in rows if row.seed)), model.get("seed", "")
    if wanted not in (seeds or [""]):
        there = f"the list {model['revisions']} holds the seeds {', '.join(seeds)}"
        if not seeds:
            text = f"got {wanted!r}, but the list {model['revisions']} has no column seed"
        elif not wanted:
            text = f"missing; {there}: name one, or several as seeds of the family"
        else:
            text = f"got {wanted!r}; {did_you_mean(wanted, seeds)}{there}"
        raise ConfigError([Mistake(place, text)])
    return tuple(row for row in rows if row.seed == wanted)


def list_notes(name: str, model: Mapping[str, Any], root: Path) -> list[str]:
    """Returns what a local model's revision list leaves out, and which of its columns do not count, in words; nothing without a list."""
    folder = Path(model.get("path", ""))
    if model["source"] != "local" or "revisions" not in model or not folder.is_dir():
        return []
    listed = revisions_of(name, model, root)
    named = {local_folder(model, one.name, one.place) for one in listed}
    others = sorted(child.name for child in folder.iterdir() if is_model(child) and child not in named)
    unread = [column for column in ("repo", "commit") if any(getattr(one, column) for one in listed)]
    said = {
        f"folders with a model that its list does not name ({len(others)})": others,
        "columns of its list that count for models on the Hub alone; what lies in the folder is read": unread,
    }
    return [f"{text}: {', '.join(names)}" for text, names in said.items() if names]


def supervises_as_main(model: Mapping[str, Any]) -> bool:
    """Returns whether a model has final weights beside its revisions: on the Hub always, in a folder if it holds a model."""
    return model["source"] == "hub" or (model["source"] == "local" and is_model(Path(model["path"])))


def with_twin(listed: Sequence[Revision], selected: Sequence[Revision]) -> tuple[Revision, ...]:
    """Returns the selected revisions, before them the random twin where the list has no step 0."""
    has_start = any(revision.step == 0 for revision in listed)
    return tuple(selected) if has_start else (Revision(name=RANDOM, step=0, tokens=0.0), *selected)


def files_of(revision: str, listed: Sequence[Revision]) -> str:
    """Returns the revision whose files are opened: of the random twin that is the first of the list."""
    return min(listed, key=lambda one: one.step).name if revision == RANDOM else revision


def place_of(revision: str, listed: Sequence[Revision], model: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the name of a revision does not say of where its files lie: repo, subfolder, commit, where given."""
    opened = files_of(revision, listed)
    if model["source"] == "local" and opened == HUB_DEFAULT:
        return {"subfolder": HERE}
    return next((one.place for one in listed if one.name == opened), {})


def local_folder(model: Mapping[str, Any], revision: str, place: Mapping[str, str]) -> Path:
    """Returns the folder of a local model's revision, which lies at :func:`place_of`."""
    return Path(model["path"]) / place.get("subfolder", revision)
