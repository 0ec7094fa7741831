"""Which code and which libraries made a result."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
"""Where this code lies."""

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "altair",
    "torch",
    "transformers",
)
"""Libraries whose versions are reported where they are installed."""


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
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
