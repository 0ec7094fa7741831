"""Which code, which libraries and which configuration made a result."""

from __future__ import annotations

import contextlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from w2sg.runtime.files import sha256

FOLDER = Path(__file__).resolve().parent.parent
"""Where this code lies."""

PACKAGES = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "altair", "torch", "transformers", "tokenizers")
"""Libraries whose versions are reported where they are installed."""

NUMERIC = ("python", "numpy", "torch", "transformers", "tokenizers")
"""What every origin names the version of, where it is installed: its last digits decide rounding or tokens."""

Versions = Mapping[str, Mapping[str, Sequence[str]]]
"""Versions by stage and library; several where files were made with several."""


def code_commit(folder: Path = FOLDER) -> str:
    """Returns the commit of the code in a folder, with a note if files differ from it; in words if there is none."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"
    return commit + (" with uncommitted changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Returns the version of Python and of every installed library of ``PACKAGES``."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def origin(
    stage: str,
    made: Mapping[str, Any],
    *,
    inputs: Iterable[Versions] = (),
    config: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns what a file says of its origin: nothing that differs between two runs of one commit.

    Args:
        stage: Rule that writes the file.
        made: What decides its content, by dotted key of the configuration.
        inputs: Versions in the origins of the files that it is made from.
        config: The whole configuration, for a file of one study: adds its name and text and the commit of the code.

    Returns:
        ``made`` and ``versions``; with ``config`` also ``study``, ``config`` (JSON, keys sorted), ``config_sha256``, ``code``.
    """
    installed = versions()
    found = {stage: {name: {installed[name]} for name in NUMERIC if name in installed}}
    for stages in inputs:
        for name, libraries in stages.items():
            for library, numbers in libraries.items():
                found.setdefault(name, {}).setdefault(library, set()).update(numbers)
    facts: dict[str, Any] = {
        "made": dict(made),
        "versions": {name: {key: sorted(kept) for key, kept in libraries.items()} for name, libraries in found.items()},
    }
    if config is not None:
        text = json.dumps(config, sort_keys=True, separators=(",", ":"))
        facts |= {
            "study": config["study"],
            "config": text,
            "config_sha256": sha256(text.encode()),
            "code": code_commit(),
        }
    return facts


def mixtures(stages: Versions) -> list[str]:
    """Returns, in words, each library of which several versions made the files of one stage."""
    return [
        f"{stage}: {library} {', '.join(numbers)}"
        for stage, libraries in stages.items()
        for library, numbers in libraries.items()
        if len(numbers) > 1
    ]
