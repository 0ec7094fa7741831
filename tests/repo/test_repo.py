"""Promises about the repository itself: scripts, environments, recipes, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
LIGHT = [
    "data.door.files",
    "data.door.labels",
    "study.config",
    "study.definitions",
    "study.families",
    "revisions.offline",
    "revisions.scratch",
    "runtime.driver",
    "runtime.files",
    "runtime.slurm",
    "report.catalogue",
    "theory.experiments.catalogue",
    "theory.figures.catalogue",
]
"""Modules that every reading of the Snakefile loads, in each job of a cluster again."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_an_adaptor(path):
    """Snakemake puts its own lines in front, so a ``__future__`` import would break every job."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert "from __future__" not in text
    assert text.count("snakemake.") == text.split('if __name__ == "__main__":')[1].count("snakemake.") + 1
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions[0] == "main"
    assert len(text.splitlines()) <= 100


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_belongs_to_a_rule(path):
    rules = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert f"../scripts/{path.name}" in rules


def test_modules_read_while_the_dag_is_built_do_not_import_the_heavy_ones():
    code = f"import sys; {'; '.join(f'import w2sg.{m}' for m in LIGHT)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "numpy", "pandas", "pyarrow", "scipy", "transformers"} & set(loaded)


def test_nothing_of_snakemake_is_replaced_and_every_dependency_is_real():
    forbidden = (
        r"need[r]un|_input_changed|register_resource|anc[i]ent\(|import snakemake\.(dag|persistence|jobs)"
        r"|from snakemake\.(dag|persistence|jobs|workflow) import|setattr\(|def (ensure|temp|touch|protected)\("
    )
    files = [
        ROOT / "workflow" / "Snakefile",
        *(ROOT / "workflow").rglob("*.smk"),
        *SCRIPTS,
        *(ROOT / "w2sg").rglob("*.py"),
    ]
    found = [
        f"{path.name}: {line}"
        for path in files
        for line in path.read_text("utf-8").splitlines()
        if re.search(forbidden, line)
    ]
    assert found == []


def test_every_rule_has_log_conda_docstring_and_recipe():
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for block in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            name = block.split(":")[0]
            assert '"""' in block.splitlines()[1], name
            if "script:" in block or "shell:" in block:
                assert "log:" in block, name
                assert "conda:" in block, name
            if "script:" in block:
                assert re.search(r"(recipe=recipes\.|made=|wanted=)", block), name


def test_environments_pin_what_the_lock_pins():
    pins: dict[str, list[str]] = {}
    for name in ("run.lock", "torch.txt"):
        text = (ROOT / "requirements" / name).read_text()
        for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([0-9.]+)", text, flags=re.M):
            pins.setdefault(package, []).append(version)  # a package may be pinned per Python version
    names = {"pytorch": "torch", "huggingface_hub": "huggingface-hub", "snakemake-minimal": "snakemake"}
    for path in (ROOT / "envs").glob("*.yaml"):
        for entry in yaml.safe_load(path.read_text())["dependencies"]:
            name, _, version = entry.partition("=")
            if name in ("python", "pip") or not version[:1].isdigit():
                continue
            found = pins[names.get(name, name)]
            assert any(f"{pin}.".startswith(f"{version}.") for pin in found), f"{path.name}: {entry}, locked: {found}"


def test_the_readmes_commands_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"^make (\w+)", text, flags=re.M)) == {"sweep", "test"}
    assert {"sweep", "test"} <= targets
    for name in re.findall(r"--configfile (config/\w+\.yaml)", text):
        assert (ROOT / name).exists()
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / link).exists(), link


def test_versions_agree():
    from w2sg import __version__

    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
