"""Answers the calls of ``conda`` that Snakemake makes, with rattler as solver and installer, from channels on disk. It is not conda.

Runs in an environment of its own that has py-rattler and pyyaml. ``STANDIN_CHANNELS`` names the folder of the channels.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "envs"))

import lock  # noqa: E402  (envs/lock.py: the same solver as `make conda-lock`)
import rattler  # noqa: E402

VERSION = "26.7.1"
"""Snakemake 9 refuses a conda older than 24.7.1."""
ACTIVATE = """[ -d "${1:-}/conda-meta" ] || { echo "no conda environment: ${1:-}" >&2; return 1; }
export CONDA_PREFIX="$1" CONDA_SHLVL=1 PATH="$1/bin:$PATH"
"""


def put_on_path(root: Path) -> Path:
    """Writes the commands ``conda`` and ``activate`` below ``root``, and returns their folder."""
    commands = root / "bin"
    commands.mkdir(parents=True)
    (commands / "activate").write_text(ACTIVATE)
    (commands / "conda").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    (commands / "conda").chmod(0o755)
    return commands


async def create(file: Path, prefix: Path) -> None:
    """Solves an environment file and installs what it asks for."""
    cache = prefix.parent / ".packages"
    base = Path(os.environ["STANDIN_CHANNELS"]).resolve().as_uri()
    records = await lock.solve(file, "linux-64", base=base, cache=cache)
    await rattler.install(records, target_prefix=str(prefix), cache_dir=cache, show_progress=False)
    (prefix / "conda-meta" / "history").touch()


def answer(arguments: list[str]) -> None:
    """Does what a call asks for.

    Raises:
        SystemExit: For calls that Snakemake is not known to make.
    """
    root = str(Path(os.environ["STANDIN_ROOT"]))
    facts = {"conda_version": VERSION, "conda_prefix": root, "root_prefix": root, "platform": "linux-64", "envs": []}
    replies = {
        "--version": f"conda {VERSION}",
        "info --json": json.dumps(facts),
        "config --get channel_priority --json": json.dumps({"get": {"channel_priority": "strict"}}),
    }
    call = " ".join(arguments)
    if call in replies:
        sys.stdout.write(replies[call] + "\n")
    elif arguments[:2] == ["env", "create"]:
        parser = argparse.ArgumentParser()
        for option in ("--quiet", "--no-default-packages"):
            parser.add_argument(option, action="store_true")
        parser.add_argument("--file", type=Path, required=True)
        parser.add_argument("--prefix", type=Path, required=True)
        options = parser.parse_args(arguments[2:])
        asyncio.run(create(options.file, options.prefix))
    elif arguments[:1] != ["clean"]:
        raise SystemExit(f"the stand-in for conda does not know: {call}")


if __name__ == "__main__":
    status = 0
    try:
        if sys.argv[1:2] == ["--install"]:
            put_on_path(Path(sys.argv[2]))
        else:
            answer(sys.argv[1:])
    except SystemExit as error:
        sys.stderr.write(f"{error.code}\n")
        status = 2
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        status = 1
    sys.stdout.flush()
    os._exit(status)  # py-rattler 0.28 sometimes crashes in the interpreter's shutdown, after the work is done
