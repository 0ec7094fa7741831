"""Prints a hash of the tree, so that `make test` need not repeat a run that has passed on the same files.

python -m tests.passed      # nothing is printed outside of a git checkout: then tests always run
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def digest(root: Path = ROOT) -> str:
    """Returns the SHA-256 over names and contents of all files that git does not ignore; empty without git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    total = hashlib.sha256(sys.version.encode())
    for name in sorted(set(listed.split(b"\0")) - {b""}):
        path = root / name.decode()
        content = path.read_bytes() if path.is_file() else b"absent"
        total.update(name + b"\0" + hashlib.sha256(content).digest())
    return total.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(digest())
