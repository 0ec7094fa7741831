"""Nothing that is read can run: no pickles, no remote code, no shell, no markup from texts in reports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from w2sg.study import fields

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted([*ROOT.glob("w2sg/**/*.py"), *ROOT.glob("workflow/**/*.py"), *ROOT.glob("benchmarks/*.py")])
RULES = [ROOT / "workflow" / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
BANNED_MODULES = {"cloudpickle", "dill", "marshal", "shelve"}
HARMLESS = {"pickle.UnpicklingError"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pd.read_pickle", "joblib.load"}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_true(value: ast.AST | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def dangers(tree: ast.AST) -> Iterator[str]:
    """What in a program would run what it reads, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in BANNED_MODULES)
        if dotted(node).startswith("pickle.") and dotted(node) not in HARMLESS:
            yield f"{node.lineno}: {dotted(node)}"  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(node, ast.ImportFrom) and node.module == "pickle":
            yield f"{node.lineno}: from pickle"
        if not isinstance(node, ast.Call):
            continue
        name, options = dotted(node.func), {k.arg: k.value for k in node.keywords}
        if name in BANNED_CALLS:
            yield f"{node.lineno}: {name}"
        if name == "torch.load" and not is_true(options.get("weights_only")):
            yield f"{node.lineno}: torch.load without weights_only=True"
        if name.startswith("yaml.") and name.split(".")[1] in ("load", "unsafe_load", "full_load"):
            yield f"{node.lineno}: {name}"
        for option in ("allow_pickle", "trust_remote_code", "shell"):
            if option in options and not (isinstance(options[option], ast.Constant) and options[option].value is False):
                yield f"{node.lineno}: {option}"


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_program_runs_what_it_reads(path):
    assert list(dangers(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "line",
    [
        "pickle.loads(b)", "from pickle import loads", "from joblib import dump; joblib.load(p)", "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)", "AutoModel.from_pretrained(p, trust_remote_code=flag)",
        "subprocess.run(c, shell=True)", "os.system(c)", "eval(c)", "yaml.load(c)",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_should(line):
    assert len(list(dangers(ast.parse(line)))) == 1
    assert list(dangers(ast.parse("torch.load(p, weights_only=True); yaml.safe_load(c)"))) == []


def test_shell_commands_of_rules_hold_nothing_but_names_of_files():
    """Wildcards cannot hold what a shell would act on (common.smk), and no configuration reaches a command."""
    commands = [
        c for path in RULES for c in re.findall(r"^ +shell:\n +(.*)$", path.read_text(encoding="utf-8"), flags=re.M)
    ]
    assert len(commands) == sum(path.read_text(encoding="utf-8").count("shell:\n") for path in RULES)
    for command in commands:
        assert set(re.findall(r"{([^}]*)}", command)) <= {
            "input",
            "input.text",
            "input.verdict",
            "input.report",
            "output",
            "log",
        }, command
    constraints = re.search(r"^NAME = (.*)$", (ROOT / "workflow/rules/common.smk").read_text(), flags=re.M)
    assert constraints
    assert constraints[1] == 'fields.NAME.strip("^$")'
    assert fields.NAME == r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


EXEMPT = {
    "as_script": "JSON in which every < is written as an escape of JavaScript: it cannot end its script element",
    "chart_library": "the plotting library, whose end tags are broken up; no data in it",
}
"""Functions that may say of a text that a template need not escape it."""


def test_every_template_escapes_what_it_shows():
    """That it does so is shown in tests/unit; here: no template is left out, and nothing is exempt but the above."""
    makers, exempt = [], set()
    for path in PYTHON:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in ("Environment", "Template"):
                makers.append(is_true({k.arg: k.value for k in node.keywords}.get("autoescape")))
            if isinstance(node, ast.FunctionDef):
                calls = [dotted(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)]
                exempt |= {node.name for name in calls if name.split(".")[-1] == "Markup"}
    assert makers
    assert all(makers)
    assert exempt <= set(EXEMPT)
    for path in [*PYTHON, *ROOT.glob("w2sg/**/*.j2")]:
        assert not re.search(r"{{[^}]*\|\s*safe|autoescape\s+false", path.read_text(encoding="utf-8")), path
