"""Pins the environments: solves envs/*.yaml and writes one explicit list of packages per file and platform (`make conda-lock`).

Snakemake takes ``envs/<name>.<platform>.pin.txt`` in place of the solver where that file is there. Needs py-rattler and
pyyaml (group `conda` of pyproject.toml), and the channels that the files name.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rattler
import yaml

PLATFORMS = ("linux-64", "osx-arm64")
VIRTUAL = {
    "linux-64": {"__unix": "0", "__linux": "5.10", "__glibc": "2.28"},
    "osx-arm64": {"__unix": "0", "__osx": "13.0"},
}
"""What a solver for another machine may assume of it: the oldest systems that the packages are promised to run on."""


def requested(path: Path) -> tuple[list[str], list[str]]:
    """Returns the channels and the package specifications of an environment file.

    Raises:
        ValueError: If it asks for anything but conda packages: an explicit list cannot hold the rest.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    others = [entry for entry in content["dependencies"] if not isinstance(entry, str)]
    if others:
        raise ValueError(f"{path}: dependencies holds {others}, expected names of conda packages only")
    return [name for name in content["channels"] if name != "nodefaults"], content["dependencies"]


async def solve(path: Path, platform: str, *, base: str, cache: Path | None = None) -> list[rattler.RepoDataRecord]:
    """Returns the packages of an environment on a platform, by name.

    Args:
        path: Environment file.
        platform: Conda's name of the platform.
        base: Address below which channels lie, such as ``https://conda.anaconda.org``.
        cache: Folder for the channels' indexes; rattler's own if None.
    """
    channels, packages = requested(path)
    config = rattler.ChannelConfig(channel_alias=f"{base}/")  # without the slash its last folder is dropped
    assumed = [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0"))
        for name, version in VIRTUAL[platform].items()
    ]
    records = await rattler.solve(
        sources=[rattler.Channel(name, config) for name in channels],
        specs=[rattler.MatchSpec(package) for package in packages],
        platforms=[platform, "noarch"],
        virtual_packages=assumed,
        gateway=rattler.Gateway(cache_dir=cache, show_progress=False) if cache else None,
    )
    return sorted(records, key=lambda record: record.name.normalized)


def explicit(records: Sequence[Any], platform: str) -> str:
    """Returns the text of an explicit list: addresses with MD5 sums, which conda checks."""
    lines = [f"# platform: {platform}", "@EXPLICIT", *(f"{record.url}#{record.md5.hex()}" for record in records)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Solves and writes; see the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base", default="https://conda.anaconda.org", help="where channels lie")
    parser.add_argument("--platforms", nargs="*", default=PLATFORMS)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        for platform in options.platforms:
            records = asyncio.run(solve(path, platform, base=options.base))
            target = options.into / f"{path.stem}.{platform}.pin.txt"
            target.write_text(explicit(records, platform), encoding="utf-8")
            sys.stdout.write(f"{target}: {len(records)} packages\n")


if __name__ == "__main__":
    main()
