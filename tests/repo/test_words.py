"""One word for one thing, and the one that readers of today use: what comments, messages and documents do not say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

INSTEAD = {
    r"fore(tell|tells|told|telling)": "predict",
    r"dear(er|est)?": "costly",
    r"anew|afresh": "again",
    r"learnt|spoilt|spelt|burnt": "learned, spoiled, spelled, burned",
    r"whence|thereof|therein|thereby|hitherto|henceforth|whilst|amongst|upon|albeit|lest|naught|nought": "a plain word",
    r"(its|the report's|the file's) place is|place of (the|its|a) (report|file|cache)|the report's place|print its place": "path",
    r"roundings|round-?off|rounding (noise|difference|differences)": "rounding error",
    r"teacher labels|gold labels": "weak labels, true labels",
    r"weak teacher": "weak supervisor",
}
"""Pattern of whole words, case ignored, and what is said instead."""

EXEMPT = {"CHANGELOG.md", "paper.md", "paper.bib", "tests/repo/test_words.py"}
"""Texts with names of papers, or of what was."""

SUFFIXES = {".py", ".md", ".smk", ".yaml", ".yml", ".rst", ".j2", ".toml", ".ipynb", ""}


def texts() -> list[Path]:
    """Files of the project that people read, whether or not git has them yet."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [ROOT / n for n in names if n not in EXEMPT and Path(n).suffix in SUFFIXES and (ROOT / n).is_file()]


@pytest.mark.parametrize(("pattern", "instead"), INSTEAD.items(), ids=INSTEAD.values())
def test_a_word_is_not_used(pattern, instead):
    whole = re.compile(rf"\b(?:{pattern})\b", flags=re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {hit[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (hit := whole.search(line))
    ]
    assert found == [], f"say {instead}"


def test_the_search_finds_what_it_should():
    lines = {"it foretells": 0, "a dear fit": 1, "made anew": 2, "was learnt": 3, "based upon": 4, "a roundoff": 6}
    patterns = list(INSTEAD)
    for line, which in lines.items():
        assert [k for k, p in enumerate(patterns) if re.search(rf"\b(?:{p})\b", line)] == [which]
