"""Whose labels students learn, where that is no single model taught by true labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from w2sg.study.fields import (
    ConfigError,
    FilePath,
    Key,
    Listed,
    Mistake,
    Name,
    Named,
    Section,
    Share,
    did_you_mean,
)
from w2sg.study.lists.models import place_of, revisions_of, supervises_as_main
from w2sg.study.lists.rows import HUB_DEFAULT


class MeanOf(Section):
    """The mean of several supervisors' probabilities."""

    source: Literal["mean"]
    """Where the labels come from: other supervisors."""
    of: Annotated[Listed[Name], Field(min_length=2)]
    """Names from models or supervisors; no mean that has keep."""
    keep: Share | None = None
    """Share of the pairs that students learn: those on which the supervisors disagree least; default all."""


class Chain(Section):
    """A model that is itself a student: it learns the labels of a weaker supervisor, and what it predicts labels the same pairs."""

    source: Literal["chain"]
    """Where the labels come from: a student of another supervisor."""
    weak: Name
    """Name from models or supervisors; whose labels it learns."""
    middle: Name
    """Name from models; the student."""


class GivenLabels(Section):
    """Labels out of files: of people, of a larger model, of any procedure."""

    source: Literal["labels"]
    """Where the labels come from: files."""
    files: Named[FilePath]
    """By dataset a file (`.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`) with columns row_id, of every pair of the splits
    weak_supervision and test, and probability: that the chosen response is the better one; of labelled texts, that the class is the
    positive one.
    """


SupervisorEntry = Annotated[MeanOf | Chain | GivenLabels, Field(discriminator="source")]
"""An entry of ``supervisors``."""


@dataclass(frozen=True, kw_only=True)
class Supervisor:
    """Whose labels students learn."""

    name: str
    """Name in ``models`` or ``supervisors``."""
    revision: str
    """Revision of the model; of the others the revisions of all models behind them."""
    source: str
    """``model``, or that of its entry."""
    place: Mapping[str, str] = field(default_factory=dict)
    """Where a model's revision lies, as far as its name does not say it."""
    of: tuple[Supervisor, ...] = ()
    """Of a mean the supervisors, of a chain the weaker supervisor and its student's model."""

    @property
    def all(self) -> Iterator[Supervisor]:
        """Yields it and all that stand behind it."""
        yield self
        for one in self.of:
            yield from one.all

    @property
    def models(self) -> list[Supervisor]:
        """The models that stand behind the labels."""
        return [one for one in self.all if one.source == "model"]

    @property
    def own(self) -> Supervisor | None:
        """The model on whose features the labels are predicted, if it is one."""
        return {"model": self, "chain": self.of[-1] if self.of else None}.get(self.source)

    @property
    def facts(self) -> dict[str, str]:
        """What files of a model's features are known by."""
        return {"model": self.name, "revision": self.revision}

    @property
    def taught_by_truth(self) -> list[str]:
        """Paths of the models behind it that learn true labels; the students of chains do not."""
        return (
            [self.path]
            if self.source == "model"
            else [path for one in self.of if one is not self.own for path in one.taught_by_truth]
        )

    @property
    def path(self) -> str:
        """Folder of its tables below that of their kind."""
        return f"{self.name}/{self.revision}"


def name_lists(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration in which a list of supervisors of a family is a named mean of them.

    Raises:
        ConfigError: If another entry has that name.
    """
    families, supervisors = dict(config["families"]), dict(config["supervisors"])
    for family, entry in families.items():
        if isinstance(entry["weak"], list):
            name, made = "-and-".join(entry["weak"]), {"source": "mean", "of": entry["weak"]}
            families[family] = {**entry, "weak": name}
            if supervisors.setdefault(name, made) != made or name in config["models"]:
                text = (
                    f"the mean of {entry['weak']} goes by the name {name!r}, which another entry has; rename that one"
                )
                raise ConfigError([Mistake(("families", family, "weak"), text)])
    return {**config, "families": families, "supervisors": dict(sorted(supervisors.items()))}


def check_supervisors(
    supervisors: Mapping[str, MeanOf | Chain | GivenLabels], models: Mapping[str, Any], datasets: Mapping[str, Any]
) -> Iterator[Mistake]:
    """Yields what is wrong with entries of ``supervisors``: names that are unknown, taken, or lead back, means of a part of the pairs."""
    known = {*models, *supervisors}
    for name, entry in supervisors.items():
        place = ("supervisors", name)
        if name in models:
            yield Mistake(place, "a model has this name too; rename one of them")
        if isinstance(entry, GivenLabels):
            unknown = [(key, datasets, "datasets") for key in entry.files if key not in datasets]
        else:
            unknown = [(one, known, "models or supervisors") for one in _behind(entry) if one not in known]
            if isinstance(entry, Chain) and entry.middle in supervisors:
                yield Mistake((*place, "middle"), f"{entry.middle!r} is a supervisor, expected a model, which learns")
        for one in entry.of if isinstance(entry, MeanOf) else ():
            if isinstance(below := supervisors.get(one), MeanOf) and below.keep is not None:
                text = f"{one!r} keeps {below.keep} of its pairs, and others may keep other pairs; set keep here, and none there"
                yield Mistake((*place, "of"), text)
        for wrong, there, where in unknown:
            yield Mistake(place, f"no entry {wrong!r} in {where}; {did_you_mean(wrong, there)}")
        if not unknown and _is_circular(name, supervisors):
            yield Mistake(place, "learns from itself, over the supervisors that it names")


def label_files(
    config: Mapping[str, Any], supervisors: Iterable[Supervisor], datasets: Sequence[str]
) -> dict[Key, tuple[str, str]]:
    """Returns the files of labels that a study reads, as (dataset, path) by key.

    Raises:
        ConfigError: If a supervisor has no file for a dataset of the study.
    """
    found, mistakes = {}, []
    for name in sorted({one.name for each in supervisors for one in each.all if one.source == "labels"}):
        files, place = config["supervisors"][name]["files"], ("supervisors", name, "files")
        found |= {(*place, dataset): (dataset, files[dataset]) for dataset in datasets if dataset in files}
        if missing := [dataset for dataset in datasets if dataset not in files]:
            mistakes.append(Mistake(place, f"no file for {', '.join(missing)}, which the study sweeps"))
    if mistakes:
        raise ConfigError(mistakes)
    return found


def _behind(entry: MeanOf | Chain | GivenLabels | None) -> list[str]:
    """Names that an entry of ``supervisors`` refers to; none of a model."""
    if isinstance(entry, MeanOf):
        return entry.of
    return [entry.weak, entry.middle] if isinstance(entry, Chain) else []


def _is_circular(name: str, supervisors: Mapping[str, Any]) -> bool:
    """Returns whether a supervisor stands behind itself."""
    reached, left = set[str](), [name]
    while left:
        behind = set(_behind(supervisors.get(left.pop()))) - reached
        reached |= behind
        left += behind
    return name in reached


def resolve_supervisor(name: str, wanted: str, config: Mapping[str, Any], root: Path, place: Key) -> Supervisor:
    """Returns a supervisor with the revisions of all models behind it.

    Args:
        name: In ``models`` or ``supervisors``.
        wanted: Revision, ``last`` or ``main``, of every model.
        config: The checked configuration.
        root: The project's folder.
        place: The family's entry, for messages.

    Raises:
        ConfigError: If a model has no such revision.
    """
    if name in config["models"]:
        return _resolve_model(name, wanted, config["models"][name], root, (*place, "weak_revision"))
    entry = config["supervisors"][name]
    names = {"mean": entry.get("of"), "chain": [entry.get("weak"), entry.get("middle")], "labels": []}[entry["source"]]
    of = tuple(resolve_supervisor(one, wanted, config, root, place) for one in names)
    revisions = dict.fromkeys(one.revision for each in of for one in each.models)
    return Supervisor(name=name, revision="_".join(revisions) or "labels", source=entry["source"], of=of)


def _resolve_model(name: str, wanted: str, model: Mapping[str, Any], root: Path, place: Key) -> Supervisor:
    listed = revisions_of(name, model, root)
    names = [revision.name for revision in listed]
    if wanted == HUB_DEFAULT and supervises_as_main(model):
        names.append(HUB_DEFAULT)
    if wanted != "last" and wanted not in names:
        text = f"no revision {wanted!r}; {did_you_mean(wanted, names)}the last is {names[-1]!r}"
        raise ConfigError([Mistake(place, text)])
    revision = names[-1] if wanted == "last" else wanted
    return Supervisor(name=name, revision=revision, source="model", place=place_of(revision, listed, model))
