"""Check of the configuration: every mistake is named with its key and what is allowed, before anything runs.

Read whenever the Snakefile is parsed: only the standard library and jsonschema (which Snakemake needs) are imported.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from w2sg.study.checks import cross_checks
from w2sg.study.datasets import check_corpus_spec, check_pair_spec, required_inputs


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 1000.0 for an integer and YAML's .nan for a number within any bounds.
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number})
_Validator: Any = extend(Draft202012Validator, type_checker=_TYPES)


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and what was expected."""


def load_schema(path: Path) -> dict[str, Any]:
    """Returns the configuration schema (JSON Schema, written as YAML)."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_switches(config: MutableMapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Turns ``true`` and ``false`` of the top-level switches into booleans: ``--config partial=true`` gives a string.

    Args:
        config: The merged configuration, which is changed.
        schema: As for :func:`check_config`.
    """
    for key, entry in schema["properties"].items():
        value = config.get(key)
        if entry.get("type") == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
            config[key] = value.lower() == "true"


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises :class:`ConfigError` listing every key that is unknown, missing, or of a wrong type or range.

    Args:
        config: The merged configuration.
        schema: JSON Schema with ``additionalProperties: false`` throughout and a description for each key.

    Raises:
        ConfigError: With one line per mistake.
    """
    validator = _Validator(schema)
    errors = sorted(validator.iter_errors(_plain(config)), key=lambda error: [str(p) for p in error.absolute_path])
    lines = [line for error in errors for line in _explain(error, schema)]
    lines = lines or list(_entry_checks(config)) or list(cross_checks(config))
    if lines:
        raise ConfigError("the configuration has mistakes:\n" + "\n".join(f"  - {line}" for line in lines))


def _plain(value: Any) -> Any:
    """Copies mappings into dicts: Snakemake hands over ordered ones, which jsonschema does not take for objects."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _explain(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[str]:
    if error.context:  # anyOf/oneOf: the branch that got furthest is the one the user meant
        best = best_match([error])
        if best is not error:
            yield from _explain(best, schema)
            return
    place = ".".join(str(part) for part in error.absolute_path) or "the top level"
    rule: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    value: Any = error.validator_value
    instance: Any = error.instance
    own = rule.get("description", "")
    meaning = own or _meaning(schema, list(error.absolute_path))
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        allowed = sorted(rule.get("properties", {}))
        for key in sorted(set(instance) - set(allowed), key=str):
            near = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            yield f"{place}: unknown key {key!r}; {hint}allowed here: {', '.join(allowed)}"
    elif error.validator == "required":
        missing = [key for key in value if key not in instance]
        yield f"{place}: missing key {', '.join(missing)}"
    elif error.validator == "enum":
        yield f"{place}: got {instance!r}, allowed: {', '.join(map(str, value))}. {meaning}"
    elif error.validator == "type":
        kind = type(instance).__name__
        yield f"{place}: got {instance!r} ({kind}), expected {value}{_hint(instance)}. {meaning}"
    else:
        yield f"{place}: {error.message} ({error.validator}: {value}). {meaning}"


def _hint(value: Any) -> str:
    """Returns what to do about a number that YAML read as text, or that is of the wrong kind, else nothing."""
    if isinstance(value, float):
        return f" (write {value:.0f})" if value.is_integer() else "" if math.isfinite(value) else " that is finite"
    try:
        float(value)
    except (TypeError, ValueError):
        return ""
    if not isinstance(value, str):
        return ""
    return " (YAML reads 1e-5 as text: write 1.0e-5)" if "e" in value.lower() else " (remove the quotes)"


def _meaning(schema: Mapping[str, Any], path: list[Any]) -> str:
    """Returns the description of the innermost key on a path that has one."""
    node: Mapping[str, Any] = schema
    meaning = ""
    for part in path:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        inner = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part)
        node = inner if isinstance(inner, Mapping) else {}
        meaning = node.get("description", meaning)
    return meaning


def check_sources(config: Mapping[str, Any], families: Mapping[str, Any], datasets: list[str]) -> None:
    """Raises :class:`ConfigError` if a local file or folder that the study needs is not there.

    Args:
        config: The checked configuration.
        families: Resolved families of the study, by name.
        datasets: Names of the study's datasets.

    Raises:
        ConfigError: With one line per missing file.
    """
    lines = [
        f"datasets.{name}: no file {path}; paths are relative to the working directory {Path.cwd()}"
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
                lines += [f"models.{name}: no revision folder {f}" for f in folders if not f.is_dir()]
    if lines:
        raise ConfigError("files that the study needs are missing:\n" + "\n".join(f"  - {x}" for x in lines))


def _entry_checks(config: Mapping[str, Any]) -> Iterator[str]:
    """What depends on an entry's source: corpora and datasets are checked by the module that knows them."""
    for section, check in (("corpora", check_corpus_spec), ("datasets", check_pair_spec)):
        for name, spec in config[section].items():
            try:
                check(name, spec)
            except ValueError as error:
                yield from str(error).splitlines()
