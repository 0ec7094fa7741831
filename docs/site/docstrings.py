"""Docstrings for the site: formulas in plain text stay as they are, and cited equations become links.

``theta*`` and ``|x|`` mean something else in reStructuredText, so what is not a literal or a role is escaped.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from mathml import anchor, numbers
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
_KEPT = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`)")
_SPECIAL = re.compile(r"[*|\\]|(?<=\w)_(?!\w)")
_CITED = re.compile(r"(?<=\()\w+(?=\))")
_COLON = "\ue000"
"""Stands for a colon where napoleon would take the words before it for a type."""


@cache
def pages_of_equations() -> dict[str, str]:
    """Returns the page, without suffix, of every numbered equation of the documents.

    Raises:
        ValueError: If a number occurs twice.
    """
    found: dict[str, str] = {}
    for path in sorted(DOCS.glob("*.md")):
        for number in numbers(path.read_text(encoding="utf-8")):
            if number in found:
                raise ValueError(f"equation ({number}) occurs in docs/{found[number]}.md and in docs/{path.name}")
            found[number] = path.stem
    return found


def escape(line: str) -> str:
    """Returns a docstring's line in which nothing but literals and roles has a meaning of its own."""
    parts = _KEPT.split(line)
    parts[::2] = [_SPECIAL.sub(lambda found: "\\" + found.group(), part) for part in parts[::2]]
    return "".join(parts)


def link_equations(line: str) -> str:
    """Returns a line whose numbers after ``Equation:`` lead to their page, as seen from docs/reference.

    Raises:
        KeyError: If no document has an equation of that number.
    """
    before, mark, after = line.partition("Equation: ")
    return before + mark + _CITED.sub(lambda cited: _link(cited.group()), after)


def _link(number: str) -> str:
    return f"`{number} <../{pages_of_equations()[number]}.html#{anchor(number)}>`__"


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [link_equations(escape(line)) for line in lines]
    if what in ("attribute", "data"):
        lines[:] = [line.replace(": ", f"{_COLON} ") for line in lines]


def _restore_colons(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Runs before and after napoleon, which makes sections such as *Args* readable."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-docstring", _restore_colons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
