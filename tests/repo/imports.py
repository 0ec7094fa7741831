"""What a script imports, followed through the package as far as it reaches; what pyproject.toml asks for."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from tests.conda.channel import normal

ROOT = Path(__file__).resolve().parents[2]
OWNERS = metadata.packages_distributions()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_file(name: str) -> Path | None:
    """File of a module of the package, None for modules of others."""
    place = ROOT / name.replace(".", "/")
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.exists()), None)


def imported(statement: ast.AST) -> Iterator[str]:
    """Full names that an import statement may load; ``from w2sg import x`` loads the module ``w2sg.x``."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    if isinstance(statement, ast.ImportFrom) and statement.module:
        yield statement.module
        yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def reached(tree: ast.Module, names: set[str]) -> Iterator[ast.AST]:
    """Nodes of a module that run: its top level, and functions and classes that somebody mentions by name."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if is_for_checkers(node):
            continue
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not (node.name in names or node.name.startswith("__")):
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def needed(script: Path) -> set[str]:
    """Top-level modules of others that running a script may import."""
    files, names, foreign = {script}, {"main"}, set()
    while True:
        before = (len(files), len(names), len(foreign))
        for path in sorted(files):
            for node in reached(parsed(path), names):
                names |= {getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "") or ""} - {""}
                for name in imported(node):
                    if name.split(".")[0] == "w2sg":
                        files |= {found for found in [module_file(name), module_file("w2sg")] if found}
                        names.add(name.split(".")[-1])
                    else:
                        foreign.add(name.split(".")[0])
        if before == (len(files), len(names), len(foreign)):
            return foreign


def lacking(script: Path, listed: set[str]) -> list[str]:
    """Modules that a script imports and no listed package owns."""
    modules = needed(script) - sys.stdlib_module_names - {"w2sg", "snakemake"}  # snakemake: for type checkers only
    return sorted(m for m in modules if not {normal(owner) for owner in OWNERS.get(m, [])} & listed)


def asked_by_extra(extra: str | None) -> set[str]:
    """Packages that pyproject.toml asks for directly: by an extra, by the extras that it contains and by the core."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(text) for text in project["dependencies"]]
    waiting = [extra] if extra else []
    while waiting:
        found = [Requirement(text) for text in project["optional-dependencies"][waiting.pop()]]
        asked += [one for one in found if one.name != project["name"]]
        waiting += [name for one in found if one.name == project["name"] for name in one.extras]
    return {normal(one.name) for one in asked}
