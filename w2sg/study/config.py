"""From the merged configuration to a checked one: where each value was given, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from w2sg.study.checks import cross_checks
from w2sg.study.fields import read
from w2sg.study.mistakes import ConfigError, Key
from w2sg.study.sections import Study


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
        typed: dict[str, Any] = {}
        for word in self.words:
            key, _, text = word.partition("=")
            typed = _merged(typed, {key: _as_yaml(text)})
        return _retyped(config, self.parsed, typed)

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
                    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
                    return f"{near}, line {line}"
        return ""


def check_config(config: Mapping[str, Any], origins: Origins) -> dict[str, Any]:
    """Returns a configuration with all defaults filled in, as plain values in the order of the sections' keys.

    Args:
        config: The merged configuration.
        origins: Where it was given.

    Raises:
        ConfigError: If a key is unknown or missing, or a value is of a wrong kind, out of range, or fits no other.
    """
    study = read(Study, origins.retype(config))
    mistakes = list(cross_checks(study))
    if mistakes:
        raise ConfigError(mistakes)
    return study.model_dump()


def _as_yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        k: _merged(below[k], v)
        for k, v in above.items()
        if isinstance(v, Mapping) and isinstance(below.get(k), Mapping)
    }
    return {**below, **above, **both}


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
    except (OSError, yaml.YAMLError):
        return None


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
