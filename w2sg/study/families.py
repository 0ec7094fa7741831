"""Families of a study: strong model, supervisor, selected revisions, and what follows for its jobs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2sg.study.config import ConfigError
from w2sg.study.revision_lists import HUB_DEFAULT, Revision, revisions_of, select


@dataclass(frozen=True, kw_only=True)
class Family:
    """A strong model, its weak supervisor, and the revisions to sweep."""

    name: str
    """Name in ``families``."""
    strong: str
    """Name of the strong model in ``models``."""
    weak: str
    """Name of the weak model in ``models``."""
    weak_revision: str
    """Revision of the weak model that supervises."""
    revisions: tuple[Revision, ...]
    """Selected revisions of the strong model, by step."""


def resolve_family(name: str, config: Mapping[str, Any], root: Path) -> Family:
    """Returns a family of the study with its revisions resolved.

    Args:
        name: Name in ``families``.
        config: The checked configuration.
        root: The project's folder.

    Raises:
        ConfigError: If a model or revision is unknown, the selection does not fit the list or takes two revisions of one
            step, or the tokens of the strong model's revisions are not known.
    """
    entry = config["families"][name]
    lists = {}
    for role in ("strong", "weak"):
        if entry[role] not in config["models"]:
            raise ConfigError(
                f"families.{name}.{role}: no model {entry[role]!r}; models are {', '.join(sorted(config['models']))}"
            )
        lists[role] = revisions_of(entry[role], config["models"][entry[role]], root)
    try:
        revisions = select(lists["strong"], **entry.get("select", {}))
    except ValueError as error:
        raise ConfigError(f"families.{name}.select: {error}") from None
    for one, other in itertools.pairwise(revisions):
        if one.step == other.step:
            raise ConfigError(
                f"families.{name}.select: takes {one.name!r} and {other.name!r}, both of step {one.step}, and statistics would "
                f"average them; keep one of them in the revisions of models.{entry['strong']}"
            )
    if any(math.isnan(revision.tokens) for revision in revisions):
        raise ConfigError(_missing_tokens(entry["strong"], config["models"][entry["strong"]]))
    weak_names = [revision.name for revision in lists["weak"]]
    wanted = entry.get("weak_revision", "last")
    if wanted == HUB_DEFAULT and config["models"][entry["weak"]]["source"] == "hub":
        weak_names.append(HUB_DEFAULT)
    if wanted != "last" and wanted not in weak_names:
        raise ConfigError(f"families.{name}.weak_revision: no revision {wanted!r}; the last is {weak_names[-1]!r}")
    return Family(
        name=name,
        strong=entry["strong"],
        weak=entry["weak"],
        weak_revision=weak_names[-1] if wanted == "last" else wanted,
        revisions=revisions,
    )


def _missing_tokens(name: str, model: Mapping[str, Any]) -> str:
    """Returns what a swept model lacks: statistics place its revisions by tokens, and none would pass for zero."""
    wanted = "models.{}.{}: missing; a swept model needs {}, a supervisor does not"
    if model["source"] == "hub":
        return wanted.format(name, "revisions", "its revision list")
    return wanted.format(name, "tokens_per_step", "its training tokens per step (a number > 0), or a revision list")


def used_revisions(families: Mapping[str, Family]) -> dict[str, list[str]]:
    """Returns, per model of a study, the names of the revisions it needs, by step; a supervisor's own comes last."""
    used: dict[str, list[str]] = {}
    for family in families.values():
        used.setdefault(family.strong, []).extend(revision.name for revision in family.revisions)
    for family in families.values():
        used.setdefault(family.weak, []).append(family.weak_revision)
    return {model: list(dict.fromkeys(names)) for model, names in used.items()}


def kept_layers(layers: str | Sequence[int], families: Mapping[str, Family], model: str, revision: str) -> Any:
    """Returns the layers of a revision that a study keeps: what is asked for if it is swept, else the final one.

    A supervisor teaches from its final layer, and may have fewer layers than the models it supervises.

    Args:
        layers: ``activations.layers``.
        families: The study's families.
        model: Name of the model.
        revision: Name of the revision.
    """
    swept = (family.revisions for family in families.values() if family.strong == model)
    return layers if any(revision == one.name for revisions in swept for one in revisions) else "final"


def most_downloads(snapshots: int) -> int:
    """Returns how many jobs may fetch at once (split mode) where so many snapshots may lie on the disk.

    One snapshot is being used while the others come, and Snakemake keeps five workers for jobs without a core.
    """
    return min(max(snapshots - 1, 1), 4)
