"""Every environment lists what the scripts of its rules import, however deep inside the package."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conda.channel import asked_for, closure, normal
from tests.repo.imports import OWNERS, ROOT, asked_by_extra, lacking
from tests.repo.test_repo import LIGHT


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


def test_environments_and_pyproject_list_the_same_packages():
    listed = set(asked_for(sorted((ROOT / "envs").glob("*.yaml"))))
    assert listed - {"pip"} == asked_by_extra("run")


def test_the_driver_lists_what_reading_the_snakefile_imports():
    loading = ", ".join(f"w2sg.{module}" for module in LIGHT)
    code = f"import sys, snakemake; before = set(sys.modules); import {loading}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()} & OWNERS.keys()
    installed = closure(list(asked_for([ROOT / "envs" / "driver.yaml"])))
    assert {name for name in loaded if not {normal(owner) for owner in OWNERS[name]} & installed.keys()} == set()
