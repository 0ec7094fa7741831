"""The package that pip installs: what is in it, what it asks for, and that it works away from the clone."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conda.channel import normal
from tests.repo.imports import ROOT, asked_by_extra, imported, lacking, parsed
from w2sg import __version__

LISTS = ("resources/revisions", "resources/costs")
PLUGIN = ROOT / "snakemake_logger_plugin_w2sg"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built by the backend itself, which is installed here, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_module_and_data_file(wheel):
    def below(*folders: str) -> set[str]:
        files = {path.relative_to(ROOT).as_posix() for name in folders for path in (ROOT / name).rglob("*.*")}
        return {name for name in files if "__pycache__" not in name and (ROOT / name).is_file()}

    expected = below("w2sg", PLUGIN.name) | {"w2sg/project/workflow/Snakefile"}
    expected |= {f"w2sg/project/{n}" for n in below("workflow", "config", "profiles", "envs", *LISTS)}
    assert {"w2sg/py.typed", "w2sg/report/html/page.html.j2", "w2sg/plotting/paper.mplstyle"} <= expected
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in held if ".dist-info/" not in name} == expected
    assert wheel.name == f"w2sg-{__version__}-py3-none-any.whl"


def test_an_installed_package_works_from_another_folder(wheel, tmp_path):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", site, wheel], check=True)
    code = """if True:
        import pkgutil, sys
        from w2sg.theory.model import closed_forms
        import w2sg
        for module in pkgutil.walk_packages(w2sg.__path__, "w2sg."):
            __import__(module.name)
        from w2sg.runtime.project import installed_project
        assert (installed_project() / "config" / "models.yaml").is_file()
        print(w2sg.__file__, closed_forms.__file__, len([name for name in sys.modules if name.startswith("w2sg.")]))
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    package, closed_forms, count = done.stdout.split()
    assert (package, closed_forms) == (f"{site}/w2sg/__init__.py", f"{site}/w2sg/theory/model/closed_forms.py")
    assert int(count) == len([p for p in (ROOT / "w2sg").rglob("*.py")]) - 1


def test_the_core_is_all_that_the_model_of_the_theory_needs():
    core = asked_by_extra(None)
    names = {name for path in (ROOT / "w2sg" / "theory" / "model").glob("*.py") for name in all_imports(path)}
    assert {".".join(name.split(".")[:3]) for name in names if name.startswith("w2sg.")} == {"w2sg.theory.model"}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"w2sg"} == core


def all_imports(path: Path) -> set[str]:
    return {name for node in ast.walk(parsed(path)) for name in imported(node)}


def test_the_workflow_asks_for_what_it_imports_and_for_nothing_else():
    sources = [*(ROOT / "w2sg").rglob("*.py"), *PLUGIN.glob("*.py"), *(ROOT / "workflow" / "scripts").glob("*.py")]
    modules = {name.split(".")[0] for path in sources for name in all_imports(path)}
    owners = metadata.packages_distributions()
    packages = {normal(owners[name][0]) for name in modules - sys.stdlib_module_names - {"w2sg"}}
    assert packages == asked_by_extra("run")


def test_the_extra_for_the_theory_is_enough_for_its_scripts():
    rules = (ROOT / "workflow" / "rules" / "theory.smk").read_text(encoding="utf-8")
    scripts = re.findall(r'"\.\./scripts/(\w+\.py)"', rules)
    assert len(scripts) >= 4
    assert {name: lacking(ROOT / "workflow" / "scripts" / name, asked_by_extra("theory")) for name in scripts} == {
        name: [] for name in scripts
    }
