"""Promises of docs/theory.md: labels exist, functions exist and cite them, experiments are listed, the example runs."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.doc_blocks import blocks_of
from w2sg.theory.experiments.catalogue import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
LABELS = re.findall(r"\\tag\{([^}]+)\}", TEXT)
MAP = re.findall(r"^\| (\([^|]+) \| ([^|]+) \|$", TEXT.split("## 10.")[1].split("## 11.")[0], flags=re.M)


def cited(docstring: str) -> tuple[set[str], set[str]]:
    """The labels that a docstring writes out, and those with the numbers inside its ranges."""
    written, spanned = set(), set()
    for line in re.findall(r"Equation: ([^\n]*)", docstring):
        written |= set(re.findall(r"\((\w+)\)", line))
        for first, last in re.findall(r"\((\w+)\)-\((\w+)\)", line):
            prefix = re.sub(r"\d", "", first)
            low, high = (int(re.sub(r"\D", "", x)) for x in (first, last))
            spanned |= {f"{prefix}{k}" for k in range(low, high + 1)}
    return written, written | spanned


def docstrings() -> dict[str, str]:
    found = {}
    for path in sorted((ROOT / "w2sg" / "theory").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[f"{path.stem}.{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_labels_are_unique_and_every_citation_has_one():
    assert len(LABELS) == len(set(LABELS)) > 50
    citing = {name: cited(text)[0] for name, text in docstrings().items() if "Equation:" in text}
    assert len(citing) > 40
    unknown = {name: sorted(labels - set(LABELS)) for name, labels in citing.items() if labels - set(LABELS)}
    assert not unknown
    assert all(citing.values()), [name for name, labels in citing.items() if not labels]


def test_every_equation_is_mapped_to_functions_that_exist_and_cite_it():
    mapped = {label for labels, _ in MAP for label in re.findall(r"\((\w+)\)", labels)}
    assert mapped == set(LABELS)
    texts = docstrings()
    for labels, functions in MAP:
        names = re.findall(r"`(\w+\.\w+)`", functions)
        reached = set()
        for name in names:
            module, attribute = name.split(".")
            (path,) = (ROOT / "w2sg" / "theory").rglob(f"{module}.py")
            imported = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            assert hasattr(imported, attribute), name
            reached |= cited(texts[name])[1]
            # A class is cited by its members.
            if name == "constants.EffectiveRegion":
                reached |= cited(texts["constants.radius"])[1]
        missing = set(re.findall(r"\((\w+)\)", labels)) - reached
        assert not missing, (names, missing)


def test_every_experiment_is_listed_with_its_section():
    table = TEXT.split("## 9.")[1].split("## 10.")[0]
    for item in EXPERIMENTS.values():
        row = next(line for line in table.splitlines() if f"`{item.name}`" in line)
        assert item.section in row.split("|")[1], item.name


def test_links_and_files_named_exist():
    headings = {
        re.sub(r"[^\w\s-]", "", h.lower()).strip().replace(" ", "-") for h in re.findall(r"^## (.+)$", TEXT, flags=re.M)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert anchor in headings, anchor
    for name in re.findall(r"`((?:w2sg|tests)/[\w/.]+)`", TEXT):
        assert (ROOT / name).exists(), name


def test_the_notebook_example_runs(capsys):
    (code,) = [block.code for block in blocks_of(ROOT / "docs" / "theory.md") if block.language == "python"]
    exec(compile(code, "docs/theory.md", "exec"), {})
    first = capsys.readouterr().out
    assert "0.894" in first  # the supervisor's distance


@pytest.mark.parametrize("label", ["3", "23", "25", "34", "H3", "E1"])
def test_control_a_missing_label_would_be_seen(label):
    assert label in cited(" ".join(docstrings().values()))[1]
