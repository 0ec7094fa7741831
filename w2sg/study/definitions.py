"""What a study shares with others in the same folder, and whether they mean the same by it.

Pre-trained models, corpora, pairs and features are made once for all studies of a folder, under the names that the studies
give them. Each study leaves its definitions in ``results/<study>/definitions.json``; one that means something else by a name
is refused, or the two would overwrite each other's files in turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from w2sg.study.families import Family, kept_layers, used_revisions
from w2sg.study.fields import ConfigError, Mistake

SHARED_NAMES = ("activations", "audit", "pretrained", "snapshots")
"""Folders below ``results/`` that all studies share; no study can go by these names."""

FILE = "definitions.json"
"""Name of the file that a study leaves in its folder."""

_MACHINE = ("batch_tokens", "device", "threads")


def identity(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a model's entry that decides its numbers: how often it is saved, or listed, does not."""
    entry = {key: value for key, value in model.items() if key not in ("revisions", "tokens_per_step")}
    if entry["source"] == "pretrain":
        entry["pretraining"] = {k: v for k, v in entry["pretraining"].items() if k not in ("save_every", "state_every")}
    return entry


def forward_settings(activations: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of section ``activations`` that decides the numbers: how a machine is best used does not."""
    return {name: value for name, value in activations.items() if name not in _MACHINE}


def shared_definitions(config: Mapping[str, Any], families: Mapping[str, Family]) -> dict[str, Any]:
    """Returns what decides the files that a study shares with others, by section and name.

    Args:
        config: The checked configuration.
        families: The study's families, resolved.
    """
    used = used_revisions(families)
    datasets = {name: config["datasets"][name] for name in config["sweep"]["datasets"]}
    models = {name: config["models"][name] for name in used}
    corpora = [entry["corpus"] for entry in (*datasets.values(), *models.values()) if "corpus" in entry]
    settings = forward_settings(config["activations"])
    return {
        "corpora": {name: config["corpora"][name] for name in {*corpora, config["evaluation"]["corpus"]}},
        "datasets": datasets,
        "models": {name: entry if entry["source"] == "pretrain" else identity(entry) for name, entry in models.items()},
        # Of the features of a revision: which layers are kept, and how and on what text the revision is run.
        "features": {
            f"{model}/{revision}": {
                "activations": settings | {"layers": kept_layers(settings["layers"], families, model, revision)},
                "evaluation": config["evaluation"],
            }
            for model, names in used.items()
            for revision in names
        },
    }


def check_others(study: str, own: Mapping[str, Any], results: Path) -> None:
    """Raises :class:`ConfigError` if another study of this folder means something else by a name that both use.

    Args:
        study: Name of this study.
        own: Its :func:`shared_definitions`.
        results: The folder that holds a folder for each study.

    Raises:
        ConfigError: Naming the key, both values and the other study's file; or if the study has the name of a shared folder.
    """
    if study in SHARED_NAMES:
        text = f"{study!r} is a folder that all studies share ({results / study}); choose another name"
        raise ConfigError([Mistake(("study",), text)])
    for path in sorted(results.glob(f"*/{FILE}")):
        if path.parent.name == study:
            continue
        theirs = json.loads(path.read_text(encoding="utf-8"))
        for section, entries in own.items():
            for name in sorted(set(entries) & set(theirs.get(section, {}))):
                for key, mine, other in differences(json.loads(as_json(entries[name])), theirs[section][name]):
                    text = (
                        f"{key} is {mine!r} here and {other!r} in study {path.parent.name} ({path}); both studies "
                        f"would write the same files. Give one of them another name, run with --directory in another folder, or "
                        f"delete {path.parent} if that study is no longer wanted"
                    )
                    raise ConfigError([Mistake((section, name), text)])


def differences(wanted: Any, found: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields the dotted key, the wanted and the found value wherever two plain values differ; None where one has no such key."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*wanted, *found]):
            yield from differences(wanted.get(name), found.get(name), f"{key}.{name}" if key else name)
    elif wanted != found:
        yield key or "it", wanted, found


def as_json(own: Mapping[str, Any]) -> str:
    """Returns :func:`shared_definitions` as the text of ``definitions.json``."""
    return json.dumps(own, indent=1, sort_keys=True) + "\n"
