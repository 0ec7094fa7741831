"""The layout that results/README.md promises, as patterns of paths with the schema of each table."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "results" / "README.md"


def layout() -> list[tuple[re.Pattern[str], str]]:
    """Returns a pattern below results/ and the schema's pattern for each path of the README's table."""
    lines = [line.split("|") for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    rows = [(cells[1], cells[3].strip(" `")) for cells in lines if len(cells) == 6]
    return [(_pattern(path), schema) for paths, schema in rows for path in re.findall(r"`([^`]+)`", paths)]


def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path)
    text = re.sub(r"<\w+>", r"[^/]+", text)
    text = re.sub(r"\\\{([^}]+)\\\}", lambda found: f"(?:{found[1].replace(',', '|')})", text)
    return re.compile(text)


def schema_of(path: str) -> str | None:
    """Returns the schema that the README gives a file below results/ (empty: none); None if no row names the file."""
    for pattern, schema in layout():
        if pattern.fullmatch(path):
            return schema
    return None
