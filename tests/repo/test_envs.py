"""Every environment lists what the scripts of its rules import, however deep inside the package."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import sys
from pathlib import Path

import pytest

from tests.conda.channel import asked_for, normal
from tests.repo.imports import ROOT, needed

OWNERS = metadata.packages_distributions()


def scripts_of_environments() -> dict[str, set[str]]:
    """Names of the scripts that rules run in each environment."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for block in re.split(r"^(?:use )?rule ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            script = re.search(r'script:\s+"\.\./scripts/(\w+)\.py"', block)
            environment = re.search(r'conda:\s+"\.\./\.\./envs/(\w+)\.yaml"', block)
            if script and environment:
                found.setdefault(environment[1], set()).add(script[1])
    return found


SCRIPTS = scripts_of_environments()


def lacking(script: Path, listed: set[str]) -> list[str]:
    """Modules that a script imports and no listed package owns."""
    modules = needed(script) - sys.stdlib_module_names - {"w2sg", "snakemake"}  # snakemake: for type checkers only
    return sorted(m for m in modules if not {normal(owner) for owner in OWNERS.get(m, [])} & listed)


def test_all_scripts_are_looked_at():
    assert set().union(*SCRIPTS.values()) == {p.stem for p in (ROOT / "workflow" / "scripts").glob("*.py")}


@pytest.mark.parametrize(("environment", "script"), [(e, s) for e, names in SCRIPTS.items() for s in sorted(names)])
def test_an_environment_lists_what_its_scripts_import(environment, script):
    listed = set(asked_for([ROOT / "envs" / f"{environment}.yaml"]))
    assert lacking(ROOT / "workflow" / "scripts" / f"{script}.py", listed) == []


def test_the_search_goes_through_functions_of_the_package():
    heads = ROOT / "workflow" / "scripts" / "train_heads.py"
    assert "torch" in lacking(heads, set())  # imported by runtime.pin_threads alone
    assert "safetensors" in lacking(heads, set())  # imported by w2sg.activations.features, inside main
