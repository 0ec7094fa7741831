"""A conda channel on disk, made of what pip has installed: names, versions and needs are real, contents are links.

An environment that is made from it holds what its file asks for, and what that needs, and no more. So a package that an
environment file forgets is missing in the jobs; whether conda-forge's builds work is not shown. Run as a program, with the
environment files as arguments: ``python -m tests.conda.channel FOLDER envs/*.yaml``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata as metadata
import io
import json
import os
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.requirements import Requirement

PIP_NAMES = {"pytorch": "torch", "snakemake-minimal": "snakemake"}
"""Conda's names of packages whose name on PyPI is another one."""
VERSION = sysconfig.get_python_version()
PLATFORMS = ("linux-64", "noarch")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(files: list[Path]) -> dict[str, str]:
    """Conda's name of every package in the environment files, by its name on PyPI."""
    entries = [entry for file in files for entry in yaml.safe_load(file.read_text())["dependencies"]]
    names = {re.split(r"[=<> ]", entry)[0] for entry in entries} - {"python"}
    return {normal(PIP_NAMES.get(name, name)): name for name in sorted(names)}


def needs(found: metadata.Distribution) -> list[str]:
    """Names on PyPI of what a distribution requires on this machine."""
    parsed = [Requirement(text) for text in found.requires or []]
    return sorted({normal(r.name) for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})})


def closure(names: list[str]) -> dict[str, metadata.Distribution]:
    """The named distributions and all that they need; what pip left out of the lock is left out here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in names:
                raise
            continue
        waiting += needs(found[name])
    return found


def linked(found: metadata.Distribution) -> dict[str, Path]:
    """Top-level modules and folders of a distribution: place in the package and the file that is linked to."""
    site = Path(str(found.locate_file("")))
    tops = {path.parts[0] for path in found.files or [] if path.parts[0] not in ("..", "__pycache__")}
    return {f"site-packages/{top}": site / top for top in sorted(tops) if (site / top).exists()}


def interpreter() -> dict[str, Path | bytes]:
    """The files of the package ``python``: a virtual environment over the interpreter that runs this."""
    base = Path(os.path.realpath(sys.executable))
    settings = f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {VERSION}\n"
    files: dict[str, Path | bytes] = {"pyvenv.cfg": settings.encode(), f"lib/python{VERSION}/site-packages/.keep": b""}
    return files | dict.fromkeys(("bin/python", "bin/python3", f"bin/python{VERSION}"), base)


def members(files: dict, index: dict, kind: dict) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The entries of a package's archive: conda's description of it first, then the files and links."""
    paths = []
    for place, content in files.items():
        data = b"" if isinstance(content, Path) else content
        shape = "softlink" if isinstance(content, Path) else "hardlink"
        paths.append(
            {"_path": place, "path_type": shape, "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        )
    described = {"index.json": index, "paths.json": {"paths": paths, "paths_version": 1}, "about.json": {}, **kind}
    for name, fact in described.items():
        yield entry(f"info/{name}", json.dumps(fact).encode())
    yield entry("info/files", "".join(f"{place}\n" for place in files).encode())
    for place, content in files.items():
        yield entry(place, content)


def entry(place: str, content: Path | bytes) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(place)
    if isinstance(content, Path):
        made.type, made.linkname = tarfile.SYMTYPE, str(content)
        return made, b""
    made.size, made.mode = len(content), 0o644
    return made, content


def save_package(folder: Path, name: str, version: str, depends: list[str], files: dict) -> dict:
    """Writes one package into its platform's folder, and returns its entry in the channel's index by file name."""
    index = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": depends,
        "subdir": folder.name,
    }
    kind = {}
    if folder.name == "noarch":
        index["noarch"] = "python"
        kind = {"link.json": {"noarch": {"type": "python"}, "package_metadata_version": 1}}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as archive:
        for member, data in members(files, index, kind):
            archive.addfile(member, io.BytesIO(data))
    content = packed.getvalue()
    target = folder / f"{name}-{version}-0.tar.bz2"
    target.write_bytes(content)
    sums = {algorithm: hashlib.new(algorithm, content).hexdigest() for algorithm in ("md5", "sha256")}
    return {target.name: index | sums | {"size": len(content)}}


def build(base: Path, files: list[Path], *, leave_out: frozenset[str] = frozenset()) -> int:
    """Makes the channel conda-forge below ``base``, and an empty bioconda; returns the number of packages.

    Args:
        base: Folder of all channels.
        files: Environment files whose packages are offered.
        leave_out: Names on PyPI that are not offered, to see that a solver misses them.
    """
    names = asked_for(files)
    found = {name: one for name, one in closure(list(names)).items() if name not in leave_out}
    entries: dict[str, dict] = {platform: {} for platform in PLATFORMS}
    for channel in ("conda-forge", "bioconda"):
        for platform in PLATFORMS:
            (base / channel / platform).mkdir(parents=True, exist_ok=True)
    home = base / "conda-forge"
    for name, one in found.items():
        depends = [f"python >={VERSION}", *(names.get(n, n) for n in needs(one) if n in found)]
        version = one.version.split("+")[0]
        entries["noarch"] |= save_package(home / "noarch", names.get(name, name), version, depends, linked(one))
    entries["linux-64"] |= save_package(home / "linux-64", "python", sys.version.split()[0], [], interpreter())
    for channel in ("conda-forge", "bioconda"):
        for platform in PLATFORMS:
            packages = entries[platform] if channel == "conda-forge" else {}
            index = {"info": {"subdir": platform}, "packages": packages, "packages.conda": {}, "repodata_version": 1}
            (base / channel / platform / "repodata.json").write_text(json.dumps(index))
    return sum(map(len, entries.values()))


if __name__ == "__main__":
    count = build(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
    sys.stdout.write(f"{count} packages\n")
