"""Kinds of values that a configuration holds, the class of its sections, and what is said of a wrong value.

Read whenever the Snakefile is parsed: the standard library, yaml and pydantic are all that may be imported.
"""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

Key = tuple[str | int, ...]
"""Names from the top of the configuration down to a value, such as ``("heads", "seeds", 0)``."""

NAME, TEXT = r"^[A-Za-z0-9][A-Za-z0-9._-]*$", r"\S"
REPO = r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$"
TOKENIZER = r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?$"
LONGEST = 120
"""Characters of a name: file systems allow 255 for a name with its suffixes, and those of a file that is being written."""

_LONGEST_PATH, _LONGEST_PART = 4000, 255
"""Bytes that file systems and the kernel allow for a path, less some for the working directory, and for one name in it."""

WORDS = {
    NAME: "letters, digits, dot, dash or underscore, a letter or digit first",
    REPO: "owner/name",
    TOKENIZER: "owner/name or owner/name@revision",
    r"^([A-Za-z0-9._-]+/)?[A-Za-z0-9][A-Za-z0-9._-]*$": "owner/name of a repository, or a seed of the model's list",
    r"^[0-9a-f]{40}$": "a commit of 40 hexadecimal digits",
    r"^(@[A-Za-z0-9][A-Za-z0-9_.-]*/)?[A-Za-z0-9][A-Za-z0-9_.-]*$": "a package name",
    r"^[0-9][A-Za-z0-9_.+-]*$": "an exact version, as text",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    TEXT: "text that is not empty",
}
"""Patterns of texts, with what they ask for."""

_RENAMED = {"metrics": "intervals", "evaluation": "pair_texts", "evaluation_words": "pair_texts"}
"""Keys that had another name once."""

_KINDS = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a number that is finite",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_NAMES = {
    str: "text",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}

_SHOWN = 60
"""Letters of a long value that a message shows."""

T = TypeVar("T")


def _unlike(values: list[T]) -> list[T]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError(f"{values} repeats a value")
    return values


def _possible(path: str) -> str:
    if "\0" in path or "\n" in path:
        raise ValueError(f"got {path!r}, expected a path without line breaks and NUL characters")
    if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_PART for part in path.split("/")):
        text = f"of at most {_LONGEST_PATH} bytes, {_LONGEST_PART} for each folder and file"
        raise ValueError(f"got {path[:40]!r}... ({len(path.encode())} bytes), expected a path {text}")
    return path


def check_repeats(name: str) -> str:
    """Returns a name; ValueError for one that Snakemake refuses as a wildcard: its end is one part twenty times."""
    if re.search(r"(.+?)\1{19,}$", name):
        raise ValueError(f"got {name!r:.60}, expected a name that does not end in the same letters twenty times")
    return name


Name = Annotated[str, Field(pattern=NAME, max_length=LONGEST), AfterValidator(check_repeats)]
Text = Annotated[str, Field(pattern=TEXT)]
FilePath = Annotated[str, Field(pattern=TEXT), AfterValidator(_possible)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Coverage = Annotated[float, Field(gt=0.5, lt=1)]
Listed = Annotated[list[T], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_unlike)]
"""A list of at least one value, none of them twice."""
Named = Annotated[dict[Name, T], AfterValidator(lambda entries: dict(sorted(entries.items())))]
"""Entries by name; sorted, so that the order of a file decides nothing."""


class Section(BaseModel):
    """A part of the configuration: unknown keys, and values of another kind, are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_serializer(mode="wrap")
    def _given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what was not given and has no default."""
        fields = type(self).model_fields
        return {k: v for k, v in write(self).items() if v is not None or fields[k].default is not None}


class KeyMistake(ValueError):
    """The error by which a section's validator blames one of its keys."""

    def __init__(self, key: str, text: str) -> None:
        """Keeps the key and what is wrong with it."""
        super().__init__(f"{key}: {text}")
        self.key, self.text = key, text


def read(kind: Any, value: Any, place: Key = ()) -> Any:
    """Returns a value, which stands at ``place`` in the configuration, as a section of the given class or union.

    Raises:
        ConfigError: With one line per mistake.
    """
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise ConfigError(_mistake(dict(detail), kind, place) for detail in error.errors(include_url=False)) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@dataclass(frozen=True)
class Mistake:
    """One thing to correct."""

    key: Key
    """Where; empty where no key of the configuration is to blame."""
    text: str
    """What is wrong, and what is allowed."""
    culprit: tuple[str | int, ...] = ()
    """What stands in ``key`` and should not."""

    @property
    def where(self) -> Key:
        """What is to be corrected."""
        return (*self.key, *self.culprit)

    def __str__(self) -> str:
        """Returns key and text."""
        return f"{'.'.join(map(str, self.key))}: {self.text}" if self.key else self.text


class ConfigError(ValueError):
    """A configuration that cannot be run."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        """Keeps the mistakes; the error's own text is a line for each."""
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


def did_you_mean(name: object, allowed: Iterable[str]) -> str:
    """Returns a question that names the most similar of the allowed names, with a space behind; nothing if none is."""
    known = list(allowed)
    near = [new for old, new in _RENAMED.items() if old == name and new in known]
    near += difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def _mistake(detail: dict[str, Any], kind: Any, place: Key) -> Mistake:
    key, kind, meaning, parent = _locate(kind, detail["loc"])
    name, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    where = (*place, *key)
    if name in ("extra_forbidden", "invalid_key"):
        allowed = sorted(parent.model_fields) if parent else []
        text = f"unknown key {key[-1]!r}; {did_you_mean(key[-1], allowed)}allowed here: {', '.join(allowed)}"
        return Mistake(where[:-1], text, where[-1:])
    if name == "missing":
        return Mistake(where[:-1], f"missing key {key[-1]!r}. {meaning}")
    if name.startswith("union_tag"):
        allowed = f"allowed: {', '.join(label for option in options(kind) for label in _labels(option))}"
        if name == "union_tag_not_found":
            return Mistake(where, f"missing key 'source', {allowed}")
        return Mistake((*where, "source"), f"got {value['source']!r}, {allowed}")
    if name == "value_error":
        error = context["error"]
        return Mistake((*where, error.key), error.text) if isinstance(error, KeyMistake) else Mistake(where, str(error))
    shown = repr(value)
    shown = f"{shown[:_SHOWN]}..." if len(shown) > 2 * _SHOWN else shown
    return Mistake(where, f"got {shown}{_expected(detail, kind)}. {meaning}".rstrip(". ") + ".")


def _expected(detail: dict[str, Any], kind: Any) -> str:
    name, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if name == "literal_error":
        return f", allowed: {', '.join(map(str, get_args(kind)))}"
    if name in _KINDS:
        return f" ({_NAMES.get(type(value), '?')}), expected {_KINDS[name]}{_hint(name, value)}"
    if name == "string_pattern_mismatch":
        return f", expected {WORDS[context['pattern']]}"
    if name == "string_too_long":
        return f" ({len(value)} characters), allowed: at most {context['max_length']}"
    if name == "too_short":
        return f", expected at least {context['min_length']} of them"
    bounds = [f"{word} {context[bound]:g}" for bound, word in _BOUNDS.items() if bound in context]
    return f", allowed: {bounds[0]}" if bounds else f" ({detail['msg']})"


def _hint(name: str, value: Any) -> str:
    """Returns what to do about a number that YAML read as text or the other way round, or of the wrong kind; else nothing."""
    if name == "string_type" and isinstance(value, int | float):
        return " (put it in quotes)"
    if name == "int_type" and isinstance(value, float) and value.is_integer():
        return f" (write {value:.0f})"
    if name not in ("int_type", "float_type") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    return " (YAML reads 1e-5 as text: write 1.0e-5)" if "e" in value.lower() else " (remove the quotes)"


def _locate(kind: Any, loc: Iterable[str | int]) -> tuple[Key, Any, str, type[BaseModel] | None]:
    """Follows pydantic's location: the key without the names of union members, the type there, its meaning, its section."""
    key: list[str | int] = []
    meaning, parent = "", None
    for part in loc:
        kind = bare(kind)
        if part == "[key]":
            return tuple(key), str, "", None
        if options(kind):
            kind = next(option for option in options(kind) if part in _labels(option))
            continue
        key.append(part)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            parent, kind = kind, field.annotation if field else None
            meaning = (field.description if field else None) or getattr(bare(kind), "__doc__", None) or ""
        else:
            kind = get_args(kind)[0 if get_origin(kind) is list else 1]
    return tuple(key), bare(kind), " ".join(meaning.split("\n\n")[0].split()), parent


def bare(kind: Any) -> Any:
    """Returns a type without its annotations, and without None where that only means: not given."""
    while get_origin(kind) is Annotated or (type(None) in get_args(kind) and len(get_args(kind)) == 2):
        kind = get_args(kind)[0]
    return kind


def options(kind: Any) -> tuple[Any, ...]:
    """Returns the members of a union, none for another type."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()


def _labels(option: Any) -> list[str]:
    """Returns the names by which pydantic refers to a member of a union."""
    tags = [extra.tag for extra in get_args(option)[1:] if isinstance(extra, Tag)]
    return tags or list(get_args(bare(option).model_fields["source"].annotation))
