"""The rooms of the package: what each may import, read from the table in CONTRIBUTING.md, so that prose and check cannot part."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.repo.imports import ROOT, imported, is_for_checkers, parsed

PACKAGE = ROOT / "w2sg"
MODULES = {
    ".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py"
}
ROWS = re.findall(r"^\| (\d) \| ([^|]+) \|", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M)
LAYERS = {room: int(layer) for layer, rooms in ROWS for room in re.findall(r"`(\w+)`", rooms)}
INSIDE_THEORY = {"model": 1, "engines": 2, "experiments": 3, "acceptance": 4, "figures": 4, "report": 5}


def rooms_of(name: str) -> tuple[str, ...]:
    """The room of a module, with its part where the room is ``theory``."""
    parts = name.split(".")
    return tuple(parts[:2]) if parts[0] == "theory" else (parts[0],)


def arrows(path: Path, *, inner: bool = True) -> set[str]:
    """Modules of the package that a module imports; ``inner``: also inside functions and for type checkers."""
    tree = parsed(path)
    nodes = ast.walk(tree) if inner else (n for n in tree.body if not is_for_checkers(n))
    names = {name.removeprefix("w2sg.") for node in nodes for name in imported(node) if name.startswith("w2sg.")}
    return {name for name in names if name in MODULES}


def others(path: Path, *, top: bool) -> set[str]:
    """Top-level modules of other packages that a module imports; ``top``: when it is loaded itself."""
    tree = parsed(path)
    nodes = (n for n in tree.body if not is_for_checkers(n)) if top else ast.walk(tree)
    return {name.split(".")[0] for node in nodes for name in imported(node)} - {"w2sg"}


def test_every_module_lives_in_a_room_of_the_table():
    assert {name.split(".")[0] for name in MODULES} == set(LAYERS)


def test_arrows_point_to_lower_layers_only():
    wrong = []
    for name, path in MODULES.items():
        for target in arrows(path):
            here, there = rooms_of(name), rooms_of(target)
            if here == there:
                continue
            inside = here[0] == there[0] == "theory"
            order, place = (INSIDE_THEORY, 1) if inside else (LAYERS, 0)
            if order[there[place]] >= order[here[place]]:
                wrong.append(f"{name} -> {target}")
    assert wrong == []


def test_no_circle_of_modules():
    graph = {name: arrows(path) for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    ("library", "rooms", "inside"),
    [
        ("torch", {"pretraining", "activations", "heads", "students"}, {"runtime.machine"}),
        ("accelerate", {"students"}, set()),
        ("peft", {"students"}, set()),
        ("transformers", {"pretraining", "activations", "students"}, {"revisions.facts.chat"}),
        ("matplotlib", {"plotting", "report", "theory.figures"}, set()),
        ("huggingface_hub", {"revisions"}, set()),
    ],
)
def test_libraries_stay_in_their_rooms(library, rooms, inside):
    using = {name for name, path in MODULES.items() if library in others(path, top=False)}
    assert {name for name in using if ".".join(rooms_of(name)) not in rooms} <= inside
    assert not any(library in others(MODULES[name], top=True) for name in inside)


def test_nothing_is_imported_that_its_library_calls_private():
    names = {name for path in MODULES.values() for node in ast.walk(parsed(path)) for name in imported(node)}
    assert {name for name in names if "._" in name} <= {"w2sg.__version__"}


def test_a_room_has_at_most_twelve_modules_and_an_init_that_says_what_lives_there():
    sizes: dict[str, int] = defaultdict(int)
    for name in MODULES:
        sizes[name.rpartition(".")[0]] += 1
    # One experiment is one module, so the bound does not count experiments.
    assert {room for room, size in sizes.items() if size > 12} <= {"theory.experiments"}
    for room in sizes:
        tree = parsed(PACKAGE / room.replace(".", "/") / "__init__.py")
        assert len(tree.body) == 1, f"{room} re-exports"
        assert len(re.findall(r"\.(?:\s|$)", ast.get_docstring(tree) or "")) >= 3, room


def test_no_function_or_class_is_defined_in_two_rooms():
    """Constants are read with their module (``recipes.AUDIT``, ``schemas.AUDIT``); what is called or made has one name."""
    places = defaultdict(set)
    for name, path in MODULES.items():
        for node in parsed(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(name)
    shared = {name: sorted(found) for name, found in places.items() if len({rooms_of(m) for m in found}) > 1}
    assert shared == {}
