"""Jobs behind ancient inputs are planned for reasons of their own, and only for those; fewer inputs can be no reason."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
if config.get("whole", 1):
    from snakemake.dag import DAG
    from w2sg import planning
    planning.complete_plans(DAG)
    planning.complete_plans(DAG)

rule d:
    input: "c.txt"
    output: "d.txt"
    shell: "cp {input} {output}"

rule a:
    output: "a.txt"
    params: config.get("in_a")
    shell: "touch {output}"

rule b:
    input: ancient("a.txt")
    output: "b.txt"
    params: config.get("in_b")
    shell: "touch {output}"

rule c:
    input: ancient("b.txt")
    output: "c.txt"
    params: config.get("in_c")
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    (folder / "Snakefile").write_text(SNAKEFILE)
    snakemake(folder, "in_a=1", "in_b=1", "in_c=1")
    return folder


def snakemake(folder: Path, *config: str, arguments: tuple[str, ...] = ()) -> str:
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from snakemake.cli import main; main()",
    ]
    done = subprocess.run(
        [*command, "--cores", "1", "--quiet", "rules", *arguments, "--config", *config],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def planned(folder: Path, *config: str) -> set[str]:
    text = snakemake(folder, *config, arguments=("-n",))
    return set(re.findall(r"^([a-d]) +1$", text, flags=re.M))


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        (["in_a=1", "in_b=1", "in_c=1"], ""),
        (["in_a=2", "in_b=1", "in_c=1"], "a"),
        (["in_a=2", "in_b=2", "in_c=1"], "ab"),
        (["in_a=2", "in_b=1", "in_c=2"], "acd"),
        (["in_a=2", "in_b=2", "in_c=2"], "abcd"),
    ],
)
def test_changes_behind_ancient_inputs_are_planned_at_once(folder, config, rules):
    assert planned(folder, *config) == set(rules)


def test_what_is_missing_behind_an_ancient_input_is_made_in_the_same_run(folder):
    for name in ("c.txt", "d.txt"):
        (folder / name).unlink()
    assert planned(folder, "in_a=2", "in_b=1", "in_c=1", "whole=0") == {
        "a"
    }  # Snakemake's own plan: c and d stay missing
    snakemake(folder, "in_a=2", "in_b=1", "in_c=1")
    assert (folder / "d.txt").exists()
    assert planned(folder, "in_a=2", "in_b=1", "in_c=1") == set()


MANY = """
from snakemake.persistence import PersistenceBase
from w2sg import planning

for _ in range(2):
    planning.allow_fewer_inputs(PersistenceBase, rules=("a", "b") if config["fewer"] else ())

NAMES = config["names"].split("+")

rule d:
    input: expand("out/{name}.txt", name=NAMES)
    output: "d.txt"
    shell: "cat {input} > {output}"

rule c:
    output: "in/{name}.txt"
    shell: "touch {output}"

rule a:
    input: ancient(expand("in/{name}.txt", name=NAMES))
    output: temp("ticket.txt")
    shell: "touch {output}"

rule b:
    input: "ticket.txt", expand("in/{name}.txt", name=NAMES)
    output: expand("out/{name}.txt", name=NAMES)
    params: config.get("in_b", 1)
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    (folder / "Snakefile").write_text(MANY)
    snakemake(folder, "names=x+y", "fewer=1")
    return folder


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        (["names=x+y", "fewer=0"], ""),
        (["names=x", "fewer=0"], "dab"),  # Snakemake's own plan
        (["names=y+x", "fewer=1"], ""),
        (["names=x", "fewer=1"], "d"),
        (["names=x", "fewer=1", "in_b=2"], "dab"),
        (["names=x+z", "fewer=1"], "abcd"),
    ],
)
def test_one_input_less_is_no_reason_where_the_rule_allows_it(many, config, rules):
    assert planned(many, *config) == set(rules)


def test_an_input_that_is_newer_is_a_reason_with_fewer_inputs_too(many):
    (many / "in" / "x.txt").write_text("changed")
    assert planned(many, "names=x", "fewer=1") == set("dab")
    assert planned(many, "names=y", "fewer=1") == {"d"}
