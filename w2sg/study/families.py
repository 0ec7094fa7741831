"""Models and families: what their entries say, which revisions a family has, and what follows for a study's jobs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from w2sg.study.fields import (
    LONGEST,
    REPO,
    TOKENIZER,
    ConfigError,
    FilePath,
    Key,
    Listed,
    Mistake,
    Name,
    Positive,
    Section,
    Seed,
    read,
)
from w2sg.study.labels.supervisors import Supervisor, resolve_supervisor
from w2sg.study.lists.models import revisions_of, with_twin
from w2sg.study.lists.rows import HUB_DEFAULT, Revision
from w2sg.study.lists.selection import Selection, select
from w2sg.study.pretraining import Architecture, PretrainingSettings

Dtype = Literal["auto", "float32", "bfloat16"]
Repo = Annotated[str, Field(pattern=REPO)]
SeedText = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)?[A-Za-z0-9][A-Za-z0-9._-]*$")]
Seeds = Annotated[
    Annotated[Listed[Seed], Tag("numbers")] | Annotated[Listed[SeedText], Tag("names")],
    Discriminator(lambda value: "names" if isinstance(value, list) and _text_first(value) else "numbers"),
]


def _text_first(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], str)


class _Model(Section):
    dtype: Dtype = "float32"
    """Type in which forward passes compute and features are kept. auto: bfloat16 on a GPU and on a processor that multiplies it
    natively, else float32; features then differ beyond rounding from one such machine to another, so sweep a model on one.
    """


class PretrainedModel(_Model):
    """A GPT-NeoX that the workflow trains itself."""

    source: Literal["pretrain"]
    """Where its revisions come from: a training run of the workflow's own."""
    corpus: Name
    """Corpus whose training part is read."""
    architecture: Architecture
    pretraining: PretrainingSettings


class LocalModel(_Model):
    """Folders on the disk."""

    source: Literal["local"]
    """Where its revisions come from: a folder."""
    path: FilePath
    """Folder that holds one Hugging Face folder per revision, or is one (config.json in it) and the only revision."""
    revisions: FilePath | None = None
    """Revision list (TSV: revision, step, tokens_billion); default the folders step<N> and checkpoint-<N>."""
    seed: Name | None = None
    """Pre-training of the list that is meant, where its column seed tells several apart."""
    tokens_per_step: Positive | None = None
    """Training tokens per step, where no list says them; default what trainer_state.json has counted
    (num_input_tokens_seen). A supervisor needs neither.
    """
    tokenizer: FilePath | None = None
    """Folder whose tokenizer all revisions use instead of their own, for checkpoints that were saved without one."""


class HubModel(_Model):
    """A repository of the Hugging Face Hub with a branch per revision."""

    source: Literal["hub"]
    """Where its revisions come from: the Hugging Face Hub."""
    repo: Repo
    """owner/name on the Hub."""
    tokenizer: Annotated[str, Field(pattern=TOKENIZER)] | None = None
    """owner/name@revision whose tokenizer all revisions use instead of their own, for branches that have none."""
    revisions: FilePath | None = None
    """Revision list (TSV: revision, step, tokens_billion); without one only main can be used, as a supervisor."""
    seed: Name | None = None
    """Pre-training of the list that is meant, where its column seed tells several apart."""


_SEEDS = {
    "pretrain": ("integers, the seeds to train with", lambda seed: isinstance(seed, int)),
    "hub": ("repositories of the Hub, or names from the column seed of its list", lambda seed: isinstance(seed, str)),
    "local": ("names from the column seed of its list", lambda seed: isinstance(seed, str) and "/" not in seed),
}
"""What seeds are by the source of the strong model."""

ModelEntry = Annotated[PretrainedModel | LocalModel | HubModel, Field(discriminator="source")]
"""An entry of ``models``."""


class FamilyEntry(Section):
    """A strong model, its weak supervisor, and the revisions to sweep."""

    strong: Name
    """Name from models."""
    weak: Annotated[
        Annotated[Name, Tag("name")] | Annotated[Listed[Name], Field(min_length=2), Tag("names")],
        Discriminator(lambda value: "names" if isinstance(value, list) else "name"),
    ]
    """Name from models or supervisors; a list of them is the mean of their probabilities."""
    weak_revision: str = "last"
    """Revision of the supervisor, of several models that of each: last, that of its list; main, the final one of any Hub
    model, or the model in a local model's folder itself; or a name.
    """
    select: Selection = Selection()
    seeds: Seeds | None = None
    """Pre-training seeds, each of which is swept as a family of its own under the one supervisor: integers where the strong
    model is trained here, else names from the column seed of its list, or repositories like its own on the Hub.
    """


@dataclass(frozen=True, kw_only=True)
class Family:
    """A strong model, its weak supervisor, and the revisions to sweep."""

    name: str
    """Name in ``families``."""
    strong: str
    """Name of the strong model in ``models``."""
    supervisor: Supervisor
    """Whose labels its students learn."""
    revisions: tuple[Revision, ...]
    """Selected revisions of the strong model, by step; where its list has no step 0 a random twin comes first."""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values, without what stands behind its supervisor."""
        weak = {"weak": self.supervisor.name, "weak_revision": self.supervisor.revision}
        return {"name": self.name, "strong": self.strong, **weak, "revisions": [asdict(one) for one in self.revisions]}


def own_teachers(families: Mapping[str, Family]) -> list[str]:
    """Returns in words which families sweep a revision that is their own supervisor: its student gains nothing by definition."""
    return [
        f"families.{family.name}: {family.strong} {one.revision} is its own supervisor, over which its student gains nothing by definition"
        for family in families.values()
        if (one := family.supervisor).source == "model" and one.name == family.strong
        if one.revision in {revision.name for revision in family.revisions}
    ]


def members(name: str, config: Mapping[str, Any]) -> list[str]:
    """Returns the families that an entry of ``families`` stands for: itself, or one for each of its seeds."""
    entry = config["families"][name]
    model = config["models"][entry["strong"]]
    return [f"{name}-{_tag(seed, model)}" for seed in entry["seeds"]] if "seeds" in entry else [name]


def groups(names: Sequence[str], config: Mapping[str, Any], measured: Sequence[str]) -> dict[str, list[str]]:
    """Returns, for those of the named entries that have several seeds, the members that were measured; none of only one."""
    found = {name: [member for member in members(name, config) if member in measured] for name in names}
    return {name: seeds for name, seeds in found.items() if len(seeds) > 1}


def expand_seeds(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration with the families and models of all seeds that its sweep names; the supervisor is the same.

    Raises:
        ConfigError: If the strong model's source has seeds of another kind, or a name is taken by another entry.
    """
    mistakes: list[Mistake] = []
    whole = {**config, "families": {**config["families"]}, "models": {**config["models"]}}
    for name in config["sweep"]["families"]:
        entry, place = config["families"][name], ("families", name, "seeds")
        if "seeds" not in entry:
            continue
        model = config["models"][entry["strong"]]
        allowed, fits = _SEEDS[model["source"]]
        if not all(map(fits, entry["seeds"])):
            text = f"got {entry['seeds']}, expected {allowed}: models.{entry['strong']} is of source {model['source']}"
            mistakes.append(Mistake(place, text))
        else:
            for index, (seed, member) in enumerate(zip(entry["seeds"], members(name, config), strict=True)):
                strong, seeded = _seeded(entry["strong"], model, seed)
                family = {key: value for key, value in entry.items() if key != "seeds"} | {"strong": strong}
                for section, key, made in (("models", strong, seeded), ("families", member, family)):
                    if len(key) > LONGEST:
                        text = f"{seed!r} makes {section}.{key} ({len(key)} characters), allowed: at most {LONGEST}"
                        mistakes.append(Mistake((*place, index), text))
                    if whole[section].setdefault(key, made) != made:
                        text = f"{seed!r} makes {section}.{key}, and there is another entry of that name; rename one of them"
                        mistakes.append(Mistake((*place, index), text))
    if mistakes:
        raise ConfigError(mistakes)
    return {key: dict(sorted(whole[key].items())) if key in ("families", "models") else whole[key] for key in whole}


def _seeded(name: str, model: Mapping[str, Any], seed: int | str) -> tuple[str, Mapping[str, Any]]:
    """Returns the strong model of a seed and its name; that of the entry's own seed is the entry itself."""
    if isinstance(seed, int):
        changed: dict[str, Any] = {"pretraining": {**model["pretraining"], "seed": seed}}
    else:
        changed = {"repo": seed} if "/" in seed else {"seed": seed}
    seeded = {**model, **changed}
    return (name if seeded == model else f"{name}-{_tag(seed, model)}"), seeded


def _tag(seed: int | str, model: Mapping[str, Any]) -> str:
    """Returns ``seed1``; of a repository its name, less that of the model's own repository where it begins with it."""
    if isinstance(seed, int):
        return f"seed{seed}"
    if "/" not in seed:
        return seed
    return seed.split("/")[1].removeprefix(f"{model['repo'].split('/')[1]}-")


def resolve_family(name: str, config: Mapping[str, Any], root: Path) -> Family:
    """Returns a family of the study with its revisions resolved; ``root``: the project's folder.

    Raises:
        ConfigError: If a revision is unknown, the selection does not fit the list or takes two revisions of one
            step, or the tokens of the strong model's revisions are not known.
    """
    place, models = ("families", name), config["models"]
    entry: FamilyEntry = read(FamilyEntry, config["families"][name], place)
    listed = revisions_of(entry.strong, models[entry.strong], root)
    try:
        revisions = select(listed, entry.select)
    except ValueError as error:
        raise ConfigError([Mistake((*place, "select"), str(error))]) from None
    for one, other in itertools.pairwise(revisions):
        if one.step == other.step:
            text = (
                f"takes {one.name!r} and {other.name!r}, both of step {one.step}, and statistics would "
                f"average them; keep one of them in the revisions of models.{entry.strong}"
            )
            raise ConfigError([Mistake((*place, "select"), text)])
    _check_tokens(revisions, entry.strong, models[entry.strong], place)
    return Family(
        name=name,
        strong=entry.strong,
        supervisor=resolve_supervisor(str(entry.weak), entry.weak_revision, config, root, place),
        revisions=with_twin(listed, revisions),
    )


def _check_tokens(revisions: Sequence[Revision], name: str, model: Mapping[str, Any], place: Key) -> None:
    """Raises an error unless the tokens of a swept model's revisions are known, and rise: statistics place them by tokens."""
    if unknown := [revision.name for revision in revisions if math.isnan(revision.tokens)]:
        key, what = "tokens_per_step", "its training tokens per step (a number > 0), or a revision list"
        if model["source"] == "hub":
            key, what = "revisions", "its revision list"
        elif unknown == [HUB_DEFAULT]:
            key, what = (
                "revisions",
                "a revision list that says its step and tokens, as no trainer_state.json beside it does",
            )
        text = f"missing; a swept model needs {what}, a supervisor does not (unknown of: {', '.join(unknown[:5])})"
        raise ConfigError([Mistake(("models", name, key), text)])
    trained = [revision for revision in revisions if revision.step > 0]
    if len(trained) > 1 and trained[0].tokens >= trained[-1].tokens:
        text = (
            f"takes {len(trained)} revisions from {trained[0].name} to {trained[-1].name}, all at {trained[0].tokens:g} "
            f"billion tokens; statistics need tokens that rise: give models.{name} a list with more digits"
        )
        raise ConfigError([Mistake((*place, "select"), text)])


def used_revisions(families: Mapping[str, Family]) -> dict[str, list[str]]:
    """Returns, per model of a study, the names of the revisions it needs, by step; a supervisor's own comes last."""
    used: dict[str, list[str]] = {}
    for family in families.values():
        used.setdefault(family.strong, []).extend(revision.name for revision in family.revisions)
    for family in families.values():
        for one in family.supervisor.models:
            used.setdefault(one.name, []).append(one.revision)
    return {model: list(dict.fromkeys(names)) for model, names in used.items()}


def kept_layers(layers: str | Sequence[int], families: Mapping[str, Family], model: str, revision: str) -> Any:
    """Returns the layers of a revision that a study keeps: those asked for if it is swept, else the final one.

    A supervisor teaches from its final layer, and may have fewer layers than the models it supervises.
    """
    swept = (family.revisions for family in families.values() if family.strong == model)
    return layers if any(revision == one.name for revisions in swept for one in revisions) else "final"


def most_downloads(snapshots: int) -> int:
    """Returns how many jobs may fetch at once (split mode) where so many snapshots may lie on the disk.

    One snapshot is being used while the others come, and Snakemake keeps five workers for jobs without a core.
    """
    return min(max(snapshots - 1, 1), 4)
