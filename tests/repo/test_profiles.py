"""The profiles name rules that exist, share what must be the same everywhere, and set only options that there are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).resolve().parents[2]
PROFILES = {path.parent.name: yaml.safe_load(path.read_text()) for path in ROOT.glob("profiles/*/config.yaml")}
SHARED = ("scheduler", "keep-going", "rerun-incomplete", "rerun-triggers", "printshellcmds")
REMOTE = [name for name, profile in PROFILES.items() if "executor" in profile]
PLUGINS = ("storage-s3-",)
"""Prefixes of options that plugins bring which no test imports."""


def rules() -> tuple[set[str], set[str]]:
    """All rules, and those that run where Snakemake runs."""
    text = "\n".join(path.read_text() for path in [ROOT / "workflow" / "Snakefile", *ROOT.glob("workflow/rules/*.smk")])
    named = re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with", text, flags=re.M)
    local = re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, flags=re.M)
    return {first or second for first, second in named}, {name for block in local for name in re.findall(r"\w+", block)}


def test_there_is_one_for_each_place():
    assert set(PROFILES) == {"default", "slurm", "kubernetes"}
    assert set(REMOTE) == {"slurm", "kubernetes"}


@pytest.mark.parametrize("name", REMOTE)
def test_a_profile_repeats_what_all_share(name):
    for key in SHARED:
        assert PROFILES[name][key] == PROFILES["default"][key], key


@pytest.mark.parametrize("name", REMOTE)
def test_a_profile_names_rules_that_exist_and_are_submitted(name):
    every, local = rules()
    profile = PROFILES[name]
    for section in ("set-resources", "set-threads", "groups"):
        assert set(profile[section]) <= every - local, section
    assert set(profile["group-components"]) <= set(profile["groups"].values())


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_sets_only_options_that_there_are(name):
    known = {option for action in get_argument_parser()._actions for option in action.option_strings}
    executor = PROFILES[name].get("executor")
    for key in PROFILES[name]:
        if executor and key.startswith(f"{executor}-"):
            plugin = pytest.importorskip(f"snakemake_executor_plugin_{executor}")
            assert key.removeprefix(f"{executor}-").replace("-", "_") in {
                f.name for f in fields(plugin.ExecutorSettings)
            }
        elif not key.startswith(PLUGINS):
            assert f"--{key}" in known, key
