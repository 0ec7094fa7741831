"""What pages of the reference get from the code when they are read: declared tables, model types, the package's modules."""

from __future__ import annotations

import csv
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import w2sg
from w2sg.revisions.facts.descriptions import TYPES
from w2sg.tables.reference import MODULES, columns_table, declared_tables

FOLDER = "docs/reference"
ROOMS = sorted(path.parent.name for path in Path(w2sg.__file__).parent.glob("*/__init__.py"))
"""Rooms of the package; each has a page ``api_<room>``."""


def table_sections() -> str:
    """Returns the tables in Markdown: what each holds, as its declaration says, its keys and its columns."""
    text = []
    for (module, name), schema in declared_tables().items():
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        note = "\n".join(analyzer.attr_docs["", name])
        text.append(f"## `{schema.name}`\n\n{note}\n\nDeclared as `{module}.{name}`. {columns_table(schema)}")
    return "\n".join(text)


def types_table() -> str:
    """Returns the causal model types in Markdown, and how each goes through a forward pass."""
    with TYPES.open(newline="", encoding="utf-8") as file:
        rows = [
            (f"`{row['type']}`", row["how"], row["why"].replace("|", "&#124;"))
            for row in csv.DictReader(file, delimiter="\t")
        ]
    lines = [("type", "how", "why"), ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def modules_by_page() -> dict[str, list[str]]:
    """Returns the names of all modules of the package, in alphabetical order, by page of the reference."""
    root = Path(w2sg.__file__).parent
    names = [path.relative_to(root).with_suffix("").parts for path in sorted(root.glob("*/**/*.py"))]
    modules = [".".join(["w2sg", *parts]).removesuffix(".__init__") for parts in names]
    return {f"api_{room}": [name for name in modules if name.split(".")[1] == room] for room in ROOMS}


def module_sections(page: str) -> str:
    """Returns a section in Markdown for each module of a page."""
    return "\n".join(
        f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n" for name in modules_by_page()[page]
    )


def _append(app: Sphinx, docname: str, source: list[str]) -> None:
    folder, _, page = docname.rpartition("/")
    if folder != FOLDER:
        return
    if page == "tables":
        source[0] += "\n" + table_sections()
        for module in MODULES:
            app.env.note_dependency(str(Path(module.__file__ or "")))
    elif page == "types":
        source[0] += "\n" + types_table()
        app.env.note_dependency(str(TYPES))
    elif page.startswith("api_"):
        source[0] += "\n" + module_sections(page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the sections when a page is read."""
    app.connect("source-read", _append)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
