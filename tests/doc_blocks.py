"""Fenced blocks of the documents: what each is for, and a folder in which they do what they do in a checkout."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.studies import made_metrics
from w2sg.runtime.provenance import origin
from w2sg.tables import schemas
from w2sg.tables.files import write_table

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])
"""Documents whose blocks are executed."""

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,}) *(?P<info>[^\n]*)\n(?P<code>.*?)^ *(?P=ticks) *$", re.M | re.S
)
_MARKERS = {
    "bash": re.compile(r"run|dry|parse: \S.*"),
    "python": re.compile(r"run"),
    "text": re.compile(r"output"),
    "yaml": re.compile(r"file=[\w.-]+"),
    "tsv": re.compile(r"file=[\w.-]+"),
}
_PLANNED = {
    "snakemake": f'exec "{sys.executable}" -m snakemake -n --quiet=rules "$@"',
    "make": 'exec /usr/bin/make -n "$@"',
}
"""Commands of ``dry`` blocks, and what runs in their place."""
_LEFT_OUT = (
    ".*",
    "results",
    "logs",
    "scratch",
    "build",
    "benchmarks",
    "tests",
    "w2sg",
    "corpora",
    "pairs",
    "tokenizers",
    "packages",
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a document."""

    place: str
    """Document and line."""
    language: str
    """First word after the fence."""
    marker: str
    """The words after it."""
    code: str
    """What is between the fences."""

    def check(self) -> None:
        """Raises ValueError if the marker is not one that says what to do with the block."""
        allowed = _MARKERS.get(self.language)
        if not allowed or not allowed.fullmatch(self.marker):
            known = "; ".join(f"{name} {pattern.pattern}" for name, pattern in _MARKERS.items())
            raise ValueError(f"{self.place}: a block is marked {f'{self.language} {self.marker}'!r}; allowed: {known}")


def blocks_of(path: Path) -> list[Block]:
    """Returns the fenced blocks of a document, without directives of the site such as ``{toctree}``."""
    text, found = path.read_text(encoding="utf-8"), []
    for match in _FENCE.finditer(text):
        language, _, marker = match["info"].partition(" ")
        if not language.startswith("{"):
            place = f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{text[: match.start()].count(chr(10)) + 1}"
            found.append(Block(place=place, language=language, marker=marker.strip(), code=match["code"]))
    return found


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of the project that blocks may write into, with the tables of a small study."""

    folder: Path
    """Its path."""

    @classmethod
    def at(cls, folder: Path) -> Checkout:
        """Makes the copy; the package is linked, so that its compiled functions are not compiled again."""
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        (folder / "w2sg").symlink_to(ROOT / "w2sg")
        for name, command in _PLANNED.items():
            path = folder / ".planned" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/bash\n{command}\n")
            path.chmod(0o755)
        write_table(
            made_metrics(effect=True),
            folder / "results/nano/tables/metrics.parquet",
            schemas.METRICS,
            provenance=origin("collect_metrics", {}, config={"study": "nano"}),
        )
        return cls(folder=folder)

    def execute(self, block: Block) -> str:
        """Does with a block what its marker says; returns its output.

        Raises:
            ValueError: If the marker or a command of a ``dry`` block is not allowed.
            AssertionError: If the block fails.
        """
        block.check()
        kind = block.marker.partition(":")[0].partition("=")[0]
        if kind == "output":
            return ""
        if kind == "file":
            (self.folder / block.marker.partition("=")[2]).write_text(block.code)
            return ""
        if block.language == "python":
            return self._call([sys.executable, "-W", "error", "-c", block.code], block)
        if kind == "parse":
            return self._call(["bash", "-n", "-c", block.code], block)
        if kind == "dry":
            check_plannable(block)
        return self._call(["bash", "-euo", "pipefail", "-c", block.code], block, planned=kind == "dry")

    def _call(self, command: list[str], block: Block, *, planned: bool = False) -> str:
        path = [str(self.folder / ".planned")] if planned else []
        path += [str(Path(sys.executable).parent), os.environ["PATH"]]
        unreachable = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT")}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **unreachable, "PATH": ":".join(path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{block.place}:\n{block.code}\n{(done.stdout + done.stderr)[-4000:]}"
        return done.stdout + done.stderr


def check_plannable(block: Block) -> None:
    """Raises ValueError if a command of a ``dry`` block is none that can be planned instead of run."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words and words[0] not in _PLANNED:
            raise ValueError(f"{block.place}: {words[0]!r} cannot be planned; only {', '.join(_PLANNED)} in dry blocks")
