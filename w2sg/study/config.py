"""From the merged configuration to a checked one: where each value was given, and what is wrong with it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from w2sg.study.datasets import least_pairs, required_inputs
from w2sg.study.families import PretrainedModel, expand_seeds
from w2sg.study.fields import ConfigError, Key, Mistake, did_you_mean, read
from w2sg.study.labels.supervisors import MeanOf, check_supervisors, label_files, name_lists
from w2sg.study.lists.models import local_folder
from w2sg.study.lists.rows import RANDOM
from w2sg.study.protocols import trained_kinds
from w2sg.study.sections import Study
from w2sg.study.texts.corpora import HubText, TextFile

WILDCARD = re.compile(r"\{\s*\w+\s*(,.*)?\}|<[a-z][a-z0-9_]*>")
"""What Snakemake fills in in the paths of inputs (wildcards, and path variables); nothing escapes it there."""

READ_SPLIT = "pair"
"""The split of the probe that summary, correlations and figures read."""


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Where a configuration was given; Snakemake has merged it already."""

    files: Sequence[Path]
    """Configuration files; a later one is laid over those before it."""
    words: Sequence[str]
    """What stands behind ``--config``: texts KEY=VALUE."""
    parsed: Mapping[str, Any]
    """What Snakemake makes of them: numbers at the top, texts below."""

    def retype(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns a configuration whose values from ``--config`` are read as YAML, like those of files."""
        from snakemake.utils import update_config  # only here: jobs need none of it

        typed: dict[str, Any] = {}
        for word in self.words:
            key, _, text = word.partition("=")
            update_config(typed, {key: _as_yaml(text)})
        for texts, values in _mappings(self.parsed, typed):  # a module's configuration may be a part of the whole
            config = _retyped(config, texts, values)
        return config

    def describe(self, error: ConfigError) -> str:
        """Returns every mistake of an error with file and line of what is to be corrected."""
        lines = [f"{place}: {m}" if (place := self.place(m.where)) else str(m) for m in error.mistakes]
        return "the configuration has mistakes:\n" + "\n".join(f"  - {line}" for line in lines)

    def place(self, key: Key) -> str:
        """Returns where a key was given last, or else what is around it; empty if nowhere."""
        for depth in range(len(key), 0, -1):
            if _holds(self.parsed, key[:depth]):
                return "--config"
            for path in reversed(self.files):
                line = _line(path, key[:depth])
                if line:
                    return f"{_near(path)}, line {line}"
        return ""


def lay_over(files: Sequence[Path], config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration laid over those of files, a later one of which is laid over those before it."""
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for path in files:
        update_config(merged, yaml.safe_load(path.read_text(encoding="utf-8")))
    update_config(merged, config)
    return merged


def complete_config(config: Mapping[str, Any], origins: Origins) -> dict[str, Any]:
    """Returns the merged configuration with all defaults filled in, as plain values in the order of the sections' keys.

    Families and models of the swept pre-training seeds are added (:func:`w2sg.study.families.expand_seeds`).

    Raises:
        ConfigError: If a file names a key twice, a key is unknown or missing, or a value is of a wrong kind, out of range, or
            fits no other.
    """
    if repeated := [mistake for path in origins.files for mistake in _repeated_keys(path)]:
        raise ConfigError(repeated)
    study = read(Study, origins.retype(config))
    mistakes = [
        *_check_names(study),
        *_check_sizes(study),
        *_check_layers(study),
        *_check_students(study),
    ]
    if READ_SPLIT not in study.probe.splits:
        text = f"got {study.probe.splits}, {READ_SPLIT!r} must be one of them; statistics read the pair split"
        mistakes.append(Mistake(("probe", "splits"), text))
    coverages = study.intervals.confidence, study.statistics.confidence
    if coverages[0] != coverages[1]:
        text = f"got {coverages[1]}, intervals.confidence is {coverages[0]}: they must be equal; conclusions take intervals of both kinds"
        mistakes.append(Mistake(("statistics", "confidence"), text))
    if mistakes:
        raise ConfigError(mistakes)
    return expand_seeds(name_lists(study.model_dump()))


def check_sources(config: Mapping[str, Any], families: Mapping[str, Any], datasets: Sequence[str]) -> None:
    """Raises :class:`ConfigError`, a line per mistake, if a file or folder that the study needs is not there."""
    scored = config["evaluation"]["corpus"]
    entries = {("datasets", name): config["datasets"][name] for name in datasets}
    entries["corpora", scored] = config["corpora"][scored]
    files = [(key, path) for key, entry in entries.items() for path in required_inputs(entry)]
    labels = label_files(config, [family.supervisor for family in families.values()], datasets)
    files += [(key, path) for key, (_, path) in labels.items()]
    there = f"paths are relative to the working directory {Path.cwd()}"
    mistakes = [Mistake(key, f"no file {path}; {there}") for key, path in files if not Path(path).is_file()]
    mistakes += [
        Mistake(key, f"{path}: Snakemake takes {found[0]} in a path for a wildcard; rename file or folder")
        for key, path in files
        if (found := WILDCARD.search(path))
    ]
    for family in families.values():
        needed = [(family.strong, one.name, one.place) for one in family.revisions if one.name != RANDOM]
        needed += [(one.name, one.revision, one.place) for one in family.supervisor.models]
        for name, revision, place in needed:
            if config["models"][name]["source"] == "local":
                folder = local_folder(config["models"][name], revision, place)
                mistakes += (
                    [] if folder.is_dir() else [Mistake(("models", name, "path"), f"no revision folder {folder}")]
                )
    if mistakes:
        raise ConfigError(mistakes)


def _check_names(study: Study) -> Iterator[Mistake]:
    yield from check_supervisors(study.supervisors, study.models, study.datasets)
    named: list[tuple[Key, str, str]] = [(("evaluation", "corpus"), study.evaluation.corpus, "corpora")]
    for section in ("families", "datasets"):
        named += [
            (("sweep", section, index), name, section) for index, name in enumerate(getattr(study.sweep, section))
        ]
    named += [(("banded", index), name, "families") for index, name in enumerate(study.banded)]
    for section in ("datasets", "models"):
        for name, entry in getattr(study, section).items():
            if hasattr(entry, "corpus"):
                named.append(((section, name, "corpus"), entry.corpus, "corpora"))
    for name, family in study.families.items():
        named.append((("families", name, "strong"), family.strong, "models"))
        weak = [family.weak] if isinstance(family.weak, str) else family.weak
        named += [(("families", name, "weak"), one, "models") for one in weak if one not in study.supervisors]
    for key, name, section in named:
        known = getattr(study, section)
        if name not in known:
            there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
            yield Mistake(key, f"no entry {name!r} in {section}; {did_you_mean(name, known)}{there}")
        elif section == "corpora" and key[0] != "evaluation" and isinstance(known[name], TextFile | HubText):
            text = f"{name!r} is a text of source {known[name].source}, which only evaluation can name"
            yield Mistake(key, f"{text}; expected a corpus of source pypi, npm or path")


def _check_sizes(study: Study) -> Iterator[Mistake]:
    """Parts of a split that would be empty; files need not say how many pairs they hold."""
    folds, share = study.heads.converged.folds, study.probe.test_fraction
    keep = _least_kept(study)
    for name in study.sweep.datasets:
        entry = study.datasets.get(name)
        least = least_pairs(share)
        if entry is not None and entry.minimum is not None and entry.minimum < least:
            text = f"got {entry.minimum}, allowed: at least {least}, the fewest pairs with which heads and probes are fitted"
            yield Mistake(("datasets", name, "minimum"), text)
        if entry is None or (pairs := entry.pairs) is None:
            continue
        if folds > (learned := max(1, round(pairs * keep))):
            kept = "" if keep == 1 else f" times supervisors.<name>.keep, {keep}"
            text = f"got {folds}, allowed: at most {learned}, which is datasets.{name}.pairs{kept}"
            yield Mistake(("heads", "converged", "folds"), text)
        yield from _check_cleaning(study, name, learned)
        tested = round(pairs * share)
        if not 0 < tested < pairs:
            text = (
                f"got {share}, which is {tested} of the {pairs} pairs of datasets.{name}; "
                f"allowed: a share that leaves a pair in both parts, such as {1 / pairs:.2g} to {1 - 1 / pairs:.2g}"
            )
            yield Mistake(("probe", "test_fraction"), text)


def fewest_pairs(config: Mapping[str, Any]) -> int:
    """Returns the fewest pairs of a split from which heads can be fitted, after what supervisors and cleaning leave out of them."""
    study = read(Study, config)
    least, keep = least_pairs(study.probe.test_fraction), _least_kept(study)

    def enough(pairs: int) -> bool:
        learned = max(1, round(pairs * keep))
        return learned >= least and not any(_check_cleaning(study, "", learned))

    return bisect_left(range(1 << 40), True, key=enough)


def _least_kept(study: Study) -> float:
    """Returns the smallest share of its pairs that a supervisor of the study labels."""
    return min([one.keep for one in study.supervisors.values() if isinstance(one, MeanOf) and one.keep], default=1.0)


def _check_cleaning(study: Study, dataset: str, pairs: int) -> Iterator[Mistake]:
    """Pairs that a supervisor keeps, too few to clean; halves of them are cleaned too."""
    cleaning, folds = study.heads.cleaning, study.heads.converged.folds
    if cleaning is None:
        return
    most = pairs // 2 - 1
    if cleaning.by == "knn" and cleaning.nearest > most:
        text = f"got {cleaning.nearest}, allowed: at most {most}, for halves of the pairs of datasets.{dataset} are cleaned too"
        yield Mistake(("heads", "cleaning", "neighbours"), text)
    if cleaning.kept_of(pairs) < folds:
        text = f"{cleaning.kept_of(pairs)} of the {pairs} pairs of datasets.{dataset} would be kept; heads.converged.folds needs {folds}"
        yield Mistake(("heads", "cleaning", "keep"), text)


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


def _check_students(study: Study) -> Iterator[Mistake]:
    students = study.students
    if "linear" not in students.kinds or len(set(students.kinds)) < len(students.kinds):
        text = f"got {students.kinds}, expected linear, whose supervisor labels the pairs, and each kind once"
        yield Mistake(("students", "kinds"), text)
    layers = study.activations.layers
    if trained_kinds(students.kinds) and not isinstance(layers, str) and -1 not in layers:
        text = f"got {layers}, expected all, final, or a list with -1: trained students are compared at the final layer"
        yield Mistake(("activations", "layers"), text)
    unknown = [seed for seed in students.seeds if seed not in study.heads.seeds]
    if unknown and trained_kinds(students.kinds):
        text = f"got {unknown}, allowed: {study.heads.seeds}, which are heads.seeds; the supervisor's labels have these"
        yield Mistake(("students", "seeds"), text)


def _as_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _mappings(parsed: Any, typed: Any) -> Iterator[tuple[Any, Any]]:
    """Yields two readings of the command line, and those of each mapping inside."""
    if isinstance(parsed, Mapping) and isinstance(typed, Mapping):
        yield parsed, typed
        for key in parsed.keys() & typed.keys():
            yield from _mappings(parsed[key], typed[key])


def _retyped(value: Any, parsed: Any, typed: Any) -> Any:
    """Replaces what came from the command line; a module's configuration may hold other values under the same names."""
    if isinstance(value, Mapping) and isinstance(parsed, Mapping) and isinstance(typed, Mapping):
        common = value.keys() & parsed.keys() & typed.keys()
        return {k: _retyped(v, parsed[k], typed[k]) if k in common else v for k, v in value.items()}
    return typed if value == parsed else value


def _holds(values: Any, key: Key) -> bool:
    for part in key:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


@cache
def _tree(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _repeated_keys(path: Path) -> Iterator[Mistake]:
    """Yields the keys that a mapping of a file holds twice: a reader of YAML keeps the last without a word."""
    waiting: list[tuple[Key, yaml.Node | None]] = [((), _tree(path))]
    seen: set[int] = set()
    while waiting:
        place, node = waiting.pop(0)
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            kind, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if kind in lines and key.value != "<<":
                name = ".".join(map(str, (*place, key.value)))
                text = (
                    f"{_near(path)}, lines {lines[kind]} and {line}: {name} stands twice, and only the last would count"
                )
                yield Mistake((), f"{text}; make them one")
            lines[kind] = line
        waiting += [((*place, name), inner) for name, (_, inner) in _children(node)]


def _line(path: Path, key: Key) -> int:
    """Returns the line on which a file says a key, 0 if it does not."""
    line, node = 0, _tree(path)
    for part in key:
        inner = dict(_children(node)).get(part)
        if inner is None:
            return 0
        line, node = inner
    return line


def _children(node: yaml.Node | None) -> Iterator[tuple[str | int, tuple[int, yaml.Node]]]:
    """Yields what a mapping or a list holds, with lines; what YAML's ``<<`` merges comes first, since own keys win."""
    if isinstance(node, yaml.SequenceNode):
        yield from ((index, (item.start_mark.line + 1, item)) for index, item in enumerate(node.value))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "<<":
                merged = value.value[::-1] if isinstance(value, yaml.SequenceNode) else [value]
                for other in merged:
                    yield from _children(other)
        yield from ((key.value, (key.start_mark.line + 1, value)) for key, value in node.value)
