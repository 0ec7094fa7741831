"""What an audit can know without a network, for the plan: which answers the Hub gave, what the local cache holds.

Read while the DAG is built, so the standard library only; the client's variables are read here as the client reads them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2sg.revisions.facts.descriptions import Description
from w2sg.revisions.folders import combine_digests
from w2sg.runtime.files import sha256
from w2sg.study.lists.rows import HUB_DEFAULT

HUB = "hub"
"""Origin of an answer that the Hub gave; whether it is reachable later changes nothing about it."""

CACHE = "cache"
"""Origin of an answer that was read off the local cache."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is known of a revision without reading its weights."""

    revision: str
    """Name of the revision."""
    commit: str = ""
    """What identifies the content; empty where there is none."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 per weight file, in the one format that is used."""
    spare: Mapping[str, str] = field(default_factory=dict)
    """The same of the weight files that are not used: those in the other format."""
    size: int = 0
    """Bytes of the weight files that are used."""
    missing: str = ""
    """Why there are no weights, in words; empty where there are."""
    unknown: str = ""
    """Why nothing is known of the weights, in words; empty where something is."""
    description: Description = field(default_factory=Description)
    """What its small files say; that of an earlier version's answer says nothing."""
    origin: str = ""
    """Who says so: :data:`HUB`, :data:`CACHE`, or empty where weights were hashed here."""

    @property
    def weights_hash(self) -> str:
        """The SHA-256 of the only weight file, or of the hashes of several, in name order; empty without weights."""
        return combine_digests([self.hashes[name] for name in sorted(self.hashes)]) if self.hashes else ""


def is_offline() -> bool:
    """Returns whether the user forbids the network (``HF_HUB_OFFLINE``)."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def asked_names(revisions: Sequence[str]) -> list[str]:
    """Returns the branches that an audit asks about: the given ones, and ``main``."""
    return list(dict.fromkeys([*revisions, HUB_DEFAULT]))


def read_answers(path: Path, repo: str) -> dict[str, Published]:
    """Returns the answers that earlier audits of a repository kept, by revision; none if the file cannot be used."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # there is none, or it is another version's
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["repo"] == repo:
            return {name: _answer(**answer) for name, answer in kept["answers"].items()}
    return {}


def _answer(description: Mapping[str, Any] | None = None, **known: Any) -> Published:
    return Published(**known, description=Description(**(description or {})))


def source_of(
    repo: str, revisions: Sequence[str], kept: Path, places: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """Returns what an audit made now would rest on; an audit is made again when this changes.

    With a network, and without one where the Hub once answered for every revision: the Hub. Else also the state of the
    local cache, so that a cache that was filled further is audited again, and everything once there is a network.
    ``kept``: the file with the answers of earlier audits; ``places``: as :func:`w2sg.revisions.published.ask_hub` takes them.
    """
    if not is_offline():
        return HUB
    names, answers = asked_names(revisions), read_answers(kept, repo)
    if all(name in answers and answers[name].origin == HUB for name in names):
        return HUB
    at = {name: (places or {}).get(name, {}) for name in names}
    found = "\n".join(f"{name} {' '.join(_cached_files(repo, name, at[name]))}" for name in names)
    return f"{CACHE} {sha256(found.encode())[:16]}"


def cache_root() -> Path:
    """Returns the folder of the client's cache (``HF_HUB_CACHE``, ``HF_HOME``, ``XDG_CACHE_HOME``)."""
    given = os.environ
    base = given.get("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache"))
    home = _expanded(given.get("HF_HOME", os.path.join(base, "huggingface")))
    return Path(_expanded(given.get("HF_HUB_CACHE", given.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub")))))


def _expanded(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


def _cached_files(repo: str, revision: str, place: Mapping[str, str]) -> Iterator[str]:
    """Yields the commit of a cached revision and, per file, its name with its blob's; nothing if it is not cached."""
    folder = cache_root() / f"models--{place.get('repo', repo).replace('/', '--')}"
    revision = commit = place.get("commit", revision)
    with contextlib.suppress(OSError):
        commit = (folder / "refs" / revision).read_text(encoding="utf-8")
    with contextlib.suppress(OSError):
        inside = folder / "snapshots" / commit / place.get("subfolder", "")
        paths = sorted(path for path in inside.iterdir() if path.is_file())
        yield commit
        for path in paths:
            # The name of a blob is its hash; a file that is no link is told by its size.
            yield f"{path.name}={path.readlink().name if path.is_symlink() else path.stat().st_size}"
