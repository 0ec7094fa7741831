"""A tiny study: a corpus of a hundred posts, a suite pre-trained on it, and random models of other architectures."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock

from tests import tiny
from tests.forked import run_snakemake
from tests.studies import without_costs

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = {"train": "train.tab", "pair_texts": "test.tab"}


def save_corpus(path: Path, *, posts: int = 160) -> dict:
    """A wheel in the newsgroups' format, in which two groups of words tell the labels apart; returns its config."""
    rng = np.random.default_rng(0)
    words = {"comp.x": tiny.WORDS[:16] + ["compute"], "rec.y": tiny.WORDS[8:] + ["play"]}
    sums = {}
    with zipfile.ZipFile(path, "w") as archive:
        for part, name in MEMBERS.items():
            text = io.StringIO()
            writer = csv.writer(text, delimiter="\t", lineterminator="\n")
            writer.writerows([["category", "text"], ["discrete", "string"], ["class", "meta"]])
            for number in range(posts):
                label = list(words)[number % 2]
                writer.writerow([label, " ".join(rng.choice(words[label], size=60))])
            content = text.getvalue().encode()
            archive.writestr(name, content)
            sums[part] = {"name": name, "sha256": hashlib.sha256(content).hexdigest()}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"source": "path", "path": str(path), "sha256": digest, "reader": "newsgroups", "members": sums}


def study(folder: Path) -> dict:
    """Configuration of the tiny study; its files are made in ``folder``."""
    files = tiny.save_pairs(folder / "pairs", pairs=24)
    for architecture in ("olmo", "llama"):
        tiny.save_revisions(folder / architecture, architecture, [0, 8])
    tiny.save_revisions(folder / "small", "gpt_neox", [8], weights="bin")
    trained = {
        "source": "pretrain",
        "corpus": "tiny",
        "dtype": "float32",
        "architecture": {**tiny.SIZES, "hidden_size": 32},
        "pretraining": {
            "seed": 0,
            "steps": 64,
            "save_every": 16,
            "batch_size": 4,
            "sequence_length": 32,
            "learning_rate": 2.0e-3,
            "warmup_steps": 2,
            "vocabulary_size": 300,
        },
    }
    local = {"source": "local", "dtype": "float32"}
    heads = {
        "seeds": [0, 1],
        "paper": {"learning_rates": [1.0e-5, 1.0e-2]},
        "converged": {"penalties": [0.01, 1.0], "folds": 3},
    }
    return {
        "study": "smoke",
        "banded": [],
        "sweep": {"families": ["smoke", "olmo"], "datasets": ["mine", "posts"]},
        "activations": {"batch_tokens": 512, "max_tokens": 32},
        "evaluation": {"corpus": "tiny", "documents": 3},
        "heads": heads,
        "intervals": {"bootstrap": 50},
        "corpora": {"tiny": save_corpus(folder / "corpus.whl")},
        "datasets": {
            "mine": {"source": "files", "files": {k: str(v) for k, v in files.items()}, "pairs": 24},
            "posts": {
                "source": "corpus", "corpus": "tiny", "task": "topic", "chosen": ["comp.*"], "rejected": ["rec.*"], "pairs": 24,
                "seed": 0, "words": 20, "min_words": 10, "skip_words": 0, "pool": "mean",
            },
        },
        "models": {
            "smoke-strong": trained,
            "smoke-weak": {**trained, "architecture": {**tiny.SIZES, "num_hidden_layers": 1}},
            "olmo": {**local, "path": str(folder / "olmo"), "tokens_per_step": 128},
            "llama": {**local, "path": str(folder / "llama"), "tokens_per_step": 128},
            "small": {**local, "path": str(folder / "small" / "step8")},  # itself a revision
        },
        "families": {
            "smoke": {"strong": "smoke-strong", "weak": "smoke-weak", "select": {"first": 1, "stride": 4, "add": ["step64"]}},
            "olmo": {"strong": "olmo", "weak": "small"},
            "llama": {"strong": "llama", "weak": "small", "weak_revision": "main"},
        },
    }  # fmt: skip


def remote_study(folder: Path, steps: list[int], *, elsewhere: dict[int, str] | None = None) -> dict:
    """The same for one family on a (local) Hub: ``owner/strong`` with a branch for each step, taught by ``owner/weak``.

    ``elsewhere``: repositories of those steps that lie in another one.
    """
    listed = folder / "strong.tsv"
    rows = "".join(f"step{step}\t{step}\t{step}\t{(elsewhere or {}).get(step, '-')}\n" for step in steps)
    listed.write_text(f"revision\tstep\ttokens_billion\trepo\n{rows}")
    config = study(folder / "inputs")
    config["models"] |= {
        "remote": {"source": "hub", "dtype": "float32", "repo": "owner/strong", "revisions": str(listed)},
        "remote-weak": {"source": "hub", "dtype": "float32", "repo": "owner/weak"},
    }
    config["families"] = {"remote": {"strong": "remote", "weak": "remote-weak", "weak_revision": "main"}}
    config["sweep"] = {"families": ["remote"], "datasets": ["mine"]}
    return config


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """The workflow with a configuration in a working directory of its own."""

    folder: Path
    """Working directory."""
    config: dict
    """What --configfile lays over the shipped configuration."""

    def arguments(self, *more: str) -> list[str]:
        """Returns Snakemake's arguments; the configuration file is written again."""
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump(self.config))
        fixed = [
            "--snakefile",
            ROOT / "Snakefile",
            "--workflow-profile",
            ROOT / "profiles" / "default",
            "--cores",
            2,
        ]
        return [*map(str, fixed), "--configfile", str(path), *more]

    def command(self, *arguments: str) -> list[str]:
        """Returns the command line of a Snakemake of its own, to be killed."""
        return [sys.executable, "-m", "snakemake", *self.arguments(*arguments)]

    def run(self, *arguments: str, check: bool = True) -> str:
        """Returns stdout and stderr of a run that must succeed unless ``check`` is off."""
        status, text = run_snakemake(self.arguments(*arguments), folder=self.folder, environment=os.environ)
        assert not check or status == 0, text[-6000:]
        assert check or status != 0, "the run succeeded"
        return text

    def tables(self) -> dict[str, bytes]:
        """Returns the content of every table, feature file, figure and page below results/; a report without its times."""
        kinds = (".parquet", ".csv", ".txt", ".safetensors", ".svg", ".html", ".tsv")
        found = sorted(p for p in (self.folder / "results").rglob("*") if p.suffix in kinds and ".state" not in p.parts)
        return {
            str(p.relative_to(self.folder)): without_costs(p.read_text()).encode()
            if p.suffix == ".html"
            else p.read_bytes()
            for p in found
        }


def run_once(tmp_path_factory, name: str, describe: Callable[[Path], dict]) -> Workflow:
    """A study that the first of the processes that share the tests runs, while the others wait for it.

    Its files lie in ``inputs`` below its folder and are named relative to that, so that a copy has its own.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, described = shared / name, shared / f"{name}.yaml"
    with FileLock(shared / f"{name}.lock"):
        if not described.exists():
            folder.mkdir()
            config = json.dumps(describe(folder / "inputs")).replace(f"{folder}/", "")
            workflow = Workflow(folder=folder, config=json.loads(config))
            workflow.run()
            described.write_text(yaml.safe_dump(workflow.config))
    return Workflow(folder=folder, config=yaml.safe_load(described.read_text()))


def unstarted(done: Workflow, folder: Path) -> Workflow:
    """Returns the same study in another folder, with nothing but its inputs."""
    folder.mkdir(exist_ok=True)
    (folder / "inputs").symlink_to(done.folder / "inputs")
    return Workflow(folder=folder, config=copy.deepcopy(done.config))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """The tiny study, run once; tests that change it must copy it."""
    return run_once(tmp_path_factory, "finished", study)


@pytest.fixture
def workflow(finished, tmp_path) -> Workflow:
    """A copy of the finished study, time stamps kept."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    return Workflow(folder=tmp_path / "run", config=copy.deepcopy(finished.config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One file begins with the study; what can do without it comes next, so that nobody waits for it."""
    needing = [
        item.path
        for item in items
        if item.path.parent == Path(__file__).parent and "finished" in getattr(item, "fixturenames", ())
    ]
    items.sort(key=lambda item: 0 if item.path in needing[:1] else 2 if item.path in needing else 1)
