"""What one section cannot know: names that refer to other sections, values that must fit one another, files on the disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2sg.study.datasets import required_inputs
from w2sg.study.mistakes import ConfigError, Key, Mistake, did_you_mean
from w2sg.study.models import PretrainedModel
from w2sg.study.sections import Study

READ_SPLIT = "pair"
"""The split of the probe that summary, correlations and figures read."""


def cross_checks(study: Study) -> Iterator[Mistake]:
    """Yields what is wrong with sections that are each sound."""
    yield from _check_names(study)
    if READ_SPLIT not in study.probe.splits:
        text = f"got {study.probe.splits}, {READ_SPLIT!r} must be one of them; statistics read the pair split"
        yield Mistake(("probe", "splits"), text)
    yield from _check_sizes(study)
    yield from _check_layers(study)


def unknown_name(key: Key, name: str, section: str, known: Collection[str]) -> Mistake:
    """Returns the mistake of a name that no entry has.

    Args:
        key: Where the name stands.
        name: The name.
        section: The section it refers to.
        known: Names of that section's entries.
    """
    there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
    return Mistake(key, f"no entry {name!r} in {section}; {did_you_mean(name, known)}{there}")


def _check_names(study: Study) -> Iterator[Mistake]:
    named: list[tuple[Key, str, str]] = [(("evaluation", "corpus"), study.evaluation.corpus, "corpora")]
    for place, section, names in (
        (("sweep", "families"), "families", study.sweep.families),
        (("sweep", "datasets"), "datasets", study.sweep.datasets),
        (("banded",), "families", study.banded),
    ):
        named += [((*place, index), name, section) for index, name in enumerate(names)]
    for section in ("datasets", "models"):
        for name, entry in getattr(study, section).items():
            if hasattr(entry, "corpus"):
                named.append(((section, name, "corpus"), entry.corpus, "corpora"))
    for name, family in study.families.items():
        named += [(("families", name, role), getattr(family, role), "models") for role in ("strong", "weak")]
    for key, name, section in named:
        known = getattr(study, section)
        if name not in known:
            yield unknown_name(key, name, section, known)


def _check_sizes(study: Study) -> Iterator[Mistake]:
    """Parts of a split that would be empty; files need not say how many pairs they hold."""
    folds, share = study.heads.converged.folds, study.probe.test_fraction
    for name in study.sweep.datasets:
        pairs = study.datasets[name].pairs if name in study.datasets else None
        if pairs is None:
            continue
        if folds > pairs:
            text = f"got {folds}, allowed: at most {pairs}, which is datasets.{name}.pairs"
            yield Mistake(("heads", "converged", "folds"), text)
        tested = round(pairs * share)
        if not 0 < tested < pairs:
            text = (
                f"got {share}, which is {tested} of the {pairs} pairs of datasets.{name}; "
                f"allowed: a share that leaves a pair in both parts, such as {1 / pairs:.2g} to {1 - 1 / pairs:.2g}"
            )
            yield Mistake(("probe", "test_fraction"), text)


def _check_layers(study: Study) -> Iterator[Mistake]:
    """Layers that a model lacks or that are named twice, where the depth is known: of models that are trained here."""
    layers, key = study.activations.layers, ("activations", "layers")
    if isinstance(layers, str):
        return
    swept = [study.families[name].strong for name in study.sweep.families if name in study.families]
    for name in dict.fromkeys(swept):
        model = study.models.get(name)
        if not isinstance(model, PretrainedModel):
            continue
        depth = model.architecture.num_hidden_layers
        missing = [index for index in layers if not -(depth + 1) <= index <= depth]
        places = [index % (depth + 1) for index in layers]
        if missing:
            yield Mistake(key, f"got {missing}, allowed: 0 to {depth}, the layers of models.{name}")
        elif len(set(places)) < len(places):
            yield Mistake(key, f"{layers} names a layer of models.{name} twice; negative ones count from {depth}")


def check_sources(config: Mapping[str, Any], families: Mapping[str, Any], datasets: Sequence[str]) -> None:
    """Raises :class:`ConfigError` if a local file or folder that the study needs is not there.

    Args:
        config: The checked configuration.
        families: Resolved families of the study, by name.
        datasets: Names of the study's datasets.

    Raises:
        ConfigError: With one line per missing file.
    """
    mistakes = [
        Mistake(("datasets", name), f"no file {path}; paths are relative to the working directory {Path.cwd()}")
        for name in datasets
        for path in required_inputs(config["datasets"][name])
        if not Path(path).is_file()
    ]
    for family in families.values():
        needed = {family.strong: [r.name for r in family.revisions], family.weak: [family.weak_revision]}
        for name, revisions in needed.items():
            model = config["models"][name]
            if model["source"] == "local":
                folders = [Path(model["path"]) / revision for revision in revisions]
                mistakes += [
                    Mistake(("models", name, "path"), f"no revision folder {f}") for f in folders if not f.is_dir()
                ]
    if mistakes:
        raise ConfigError(mistakes)
