"""A study where paths have spaces, braces, quotes and dollars, by an interpreter that lies there too, taken in as a module."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sysconfig
import venv

import pandas as pd
import yaml

from tests import tiny
from tests.dag.conftest import ROOT
from tests.forked import run_snakemake

TEXT, PAIRS, RUNS = 'a "text" {o f} $mine.txt', "the pair's {x y} file.jsonl", "my {runs} & 'more'"
STUDY = {
    "study": "odd",
    "banded": [],
    "sweep": {"families": ["own"], "datasets": ["mine"]},
    "evaluation": {"corpus": "text", "documents": 2},
    "corpora": {"text": {"source": "file", "path": TEXT}},
    "datasets": {"mine": {"source": "files", "file": PAIRS, "split": {"seed": 0}}},
    "models": {"own": {"source": "local", "path": RUNS, "tokens_per_step": 128, "dtype": "float32"}},
    "families": {"own": {"strong": "own", "weak": "own", "weak_revision": "step8"}},
}


def test_a_study_in_an_odd_place(tmp_path):
    place = tmp_path / """a {b} 'c' "d" $e"""
    venv.create(place / "the env", symlinks=True)
    (packages,) = (place / "the env").glob("lib/python3*/site-packages")
    (packages / "outside.pth").write_text(sysconfig.get_path("purelib"))
    tiny.save_revisions(place / RUNS, "llama", [0, 8])
    rows = [{"prompt": f"question {n}", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(24)]
    (place / PAIRS).write_text("\n".join(map(json.dumps, rows)))
    (place / TEXT).write_text("One paragraph.\n\nAnd another.\n")
    (place / "the study {x}.yaml").write_text(yaml.safe_dump({"w2sg": STUDY, "own": 1}))
    module = f'module w2sg:\n    snakefile: "{ROOT / "workflow" / "Snakefile"}"\n    config: config["w2sg"]\n\n\nuse rule * from w2sg\n'
    (place / "Snakefile").write_text(module)
    given = "w2sg={intervals: {bootstrap: 60}, statistics: {late: 0.25}}"
    targets = ("resources/corpora/text.parquet", "resources/pairs/mine.parquet")
    command = f"-m snakemake --cores 1 --configfile 'the study {{x}}.yaml' --config '{given}' -- {' '.join(targets)}"
    command_line = [place / "the env" / "bin" / "python", *shlex.split(command)]
    done = subprocess.run(command_line, cwd=place, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(pd.read_parquet(place / "resources" / "pairs" / "mine.parquet")) == 24
    assert len(pd.read_parquet(place / "resources" / "corpora" / "text.parquet")) == 2


def test_a_project_in_a_folder_with_braces_is_refused_by_name(tmp_path):
    (tmp_path / "a {b}").symlink_to(ROOT)
    arguments = ["--snakefile", str(tmp_path / "a {b}" / "workflow" / "Snakefile"), "--cores", "1", "-n"]
    status, text = run_snakemake(arguments, folder=tmp_path, environment=os.environ)
    assert status != 0 and f"the project lies in {tmp_path / 'a {b}'}" in text and "without braces" in text
