"""Promises of the documentation site that hold without building it; `make docs` builds it, where warnings are errors."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.doc_blocks import PAGES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _site(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    yield
    for name in ("mathml", "docstrings", "generated", "offline"):
        sys.modules.pop(name, None)


def test_every_formula_becomes_mathml_and_numbered_ones_an_anchor():
    import mathml

    shown = [formula for page in PAGES for formula in re.findall(r"\$\$(.+?)\$\$", page.read_text(), flags=re.S)]
    assert len(shown) > 50
    for formula in shown:
        made = mathml.display(formula)
        assert made.count("<math ") == made.count("</math>") == 1
        assert [f'id="equation-{number}"' in made for number in mathml.numbers(formula)] in ([], [True])
    with pytest.raises(ValueError, match="nosuchcommand"):
        mathml.display(r"\nosuchcommand{x}")


def test_every_cited_equation_is_in_one_document():
    import docstrings

    known = docstrings.pages_of_equations()
    assert known["25"] == "theory"
    assert known["D5"] == "measures"
    cited = {}
    for path in (ROOT / "w2sg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                for line in re.findall(r"Equation: (.*)", ast.get_docstring(node) or ""):
                    cited |= dict.fromkeys(re.findall(r"\((\w+)\)", line), path.name)
    assert len(cited) > 40
    assert not {number: name for number, name in cited.items() if number not in known}


def test_docstrings_keep_their_formulas():
    import docstrings

    line = "``a*b`` is |theta - theta*| of theta_t, see :func:`w2sg.metrics.x_` and x_. Equation: (25)."
    made = docstrings.link_equations(docstrings.escape(line))
    assert made.startswith(r"``a*b`` is \|theta - theta\*\| of theta_t, see :func:`w2sg.metrics.x_` and x\_.")
    assert made.endswith("(`25 <../theory.html#equation-25>`__).")


def test_every_module_is_on_one_page_and_every_page_exists():
    import generated

    pages = generated.modules_by_page()
    listed = sorted(name for names in pages.values() for name in names)
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "w2sg").rglob("*.py")]
    names = sorted(
        ".".join(path.parts).removesuffix(".__init__") for path in files if path.parts != ("w2sg", "__init__")
    )
    assert listed == names
    assert {path.stem for path in (ROOT / "docs" / "reference").glob("api_*.md")} == set(pages)
    assert all(pages.values())
    text = generated.table_sections()
    assert "## `metrics`" in text
    assert "All metrics of a study" in text


def test_what_would_need_a_network_is_found(tmp_path):
    import offline

    (tmp_path / "a.html").write_text('<a href="https://x.org">x</a><script src="_static/a.js"></script>')
    assert offline.loaded_from_elsewhere(tmp_path) == []
    (tmp_path / "b.html").write_text('<script async src="https://cdn.org/a.js"></script>')
    (tmp_path / "c.css").write_text('@import "//fonts.org/a"; p { background: url(https://x.org/i.png) }')
    assert offline.loaded_from_elsewhere(tmp_path) == [
        "b.html: https://cdn.org/a.js",
        "c.css: //fonts.org/a",
        "c.css: https://x.org/i.png",
    ]
