"""Corpora: a package file, verified and read, split into training, held-out and pair texts; or a text that is only scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2sg.data.duplicates import cluster, decontaminate, shingle
from w2sg.data.packages import locate_package
from w2sg.data.readers import read_documents
from w2sg.study.texts.corpora import CorpusEntry, DuplicateRule, HubText, TextFile


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents ready for use, and what was done to get them."""

    documents: pd.DataFrame
    """As :data:`DOCUMENTS` declares."""
    dropped: pd.DataFrame
    """Training documents that resemble protected ones: doc_id, resembles, part, containment."""
    facts: dict[str, Any]
    """Counts and settings, for the log and the provenance."""


def load_corpus(entry: CorpusEntry, *, name: str, cache: Path) -> Corpus:
    """Returns the documents of a corpus: parts dealt, pair texts cut to what pairs may use, and training cleaned.

    Args:
        entry: Entry of ``corpora``.
        name: Its key, for messages.
        cache: Folder that keeps downloaded package files.

    Raises:
        ValueError: If a file is not what the entry says.
        RuntimeError: If the package cannot be fetched; the message says what to do.
    """
    if isinstance(entry, TextFile | HubText):
        return _text_corpus(entry, name=name)
    found = read_documents(entry.reader, locate_package(entry, cache), entry.members)
    rule, own = entry.duplicates, entry.pair_texts
    dealt = found
    if "" in set(found["part"]):
        part = deal_parts(found, rule, name=name, fraction=own.fraction, seed=own.seed)
        dealt = found.assign(part=part)
    cut = _cut_pair_texts(dealt, own.words)
    deduplicated = _one_per_cluster(cut, rule) if own.deduplicate else cut
    documents, dropped = decontaminate(deduplicated, rule, entry.heldout)
    words = documents["text"].str.split().map(len).groupby(documents["part"]).sum()
    reasons = dropped["part"].value_counts().reindex(["pair_texts", "heldout"], fill_value=0)
    facts = {
        "documents_found": len(found),
        "documents": documents["part"].value_counts().sort_index().to_dict(),
        "words": words.to_dict(),
        "repeated_pair_texts": len(cut) - len(deduplicated),
        "dropped_from_training": reasons.to_dict(),
        "rule": rule.model_dump(),
    }
    return Corpus(documents=documents, dropped=dropped, facts=facts)


def _text_corpus(entry: TextFile | HubText, *, name: str) -> Corpus:
    """Returns the documents of a text that is only scored: none is trained on, so none can resemble a protected one."""
    from w2sg.data.texts import text_documents  # only here: who selects documents needs none of what it loads

    documents, skipped = text_documents(entry, name=name)
    facts = {
        "documents": {"heldout": len(documents)},
        "words": {"heldout": int(documents["text"].str.split().map(len).sum())},
        "left_out": dict(skipped),
    }
    return Corpus(documents=documents, dropped=pd.DataFrame(), facts=facts)


def deal_parts(
    documents: pd.DataFrame,
    rule: DuplicateRule,
    *,
    name: str,
    fraction: Mapping[str, float],
    seed: int,
) -> np.ndarray:
    """Returns train or pair_texts per document; near-duplicates, and chains of them, stay in one part.

    Args:
        documents: doc_id, label, text.
        rule: Definition of near-duplicates.
        name: Corpus, for messages.
        fraction: Share of each label's documents that the pair texts get, about.
        seed: Seed of the deal; the result does not depend on the order of the documents.

    Raises:
        ValueError: If ``fraction`` does not name exactly the labels there are.
    """
    labels = sorted(set(documents["label"]))
    if set(fraction) != set(labels):
        raise ValueError(f"corpora.{name}.pair_texts.fraction: got {sorted(fraction)}, expected a share for {labels}")
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
            part[groups == head] = "pair_texts"
    return pd.Series(part, index=frame.index).reindex(documents.index).to_numpy(dtype=object)


def _cut_pair_texts(documents: pd.DataFrame, words: int | None) -> pd.DataFrame:
    """Keeps the first words of pair texts: what no pair can use need not be kept out of training."""
    if words is None:
        return documents
    evaluated = documents["part"] == "pair_texts"
    short = documents["text"].str.split().str[:words].str.join(" ")
    return documents.assign(text=documents["text"].where(~evaluated, short))


def _one_per_cluster(documents: pd.DataFrame, rule: DuplicateRule) -> pd.DataFrame:
    evaluated = documents.loc[documents["part"] == "pair_texts"].sort_values(by="doc_id")
    groups = cluster(shingle(evaluated["text"].tolist(), rule.ngram), rule)
    repeated = evaluated.index[groups != np.arange(len(groups))]
    return documents.drop(index=repeated)


def facts_lines(corpus: Corpus) -> list[str]:
    """Returns what was done to a corpus as lines for a log: counts, then every dropped document and why."""
    lines = [f"{key}: {value}" for key, value in corpus.facts.items()]
    for row in corpus.dropped.to_dict("records"):
        why = f"holds {row['containment']:.2f} of a window of {row['resembles']} ({row['part']})"
        lines.append(f"dropped {row['doc_id']}: {why}")
    return lines


READABLE = ("train", "heldout")
"""Parts that may be handed out as running text; what the pairs are made of never is."""


def select_documents(frame: pd.DataFrame, part: str) -> list[str]:
    """Returns the texts of one part, in the order of their ids.

    This is the only way from a corpus to pre-training, and it has no way to the part that pairs come from.

    Args:
        frame: As :data:`w2sg.tables.schemas.DOCUMENTS` declares.
        part: ``train`` for the tokenizer and pre-training, ``heldout`` for the evaluation loss.

    Raises:
        ValueError: If another part is asked for, a text is empty, or nothing is left.
    """
    if part not in READABLE:
        raise ValueError(f"part: got {part!r}, allowed: {', '.join(READABLE)} (text of the pairs is never trained on)")
    chosen = frame.loc[frame["part"] == part, ["doc_id", "text"]].sort_values("doc_id")
    empty = chosen.loc[chosen["text"].str.strip() == "", "doc_id"]
    if len(empty):
        raise ValueError(f"frame: document {empty.iloc[0]!r} has no text, allowed: texts with at least one letter")
    if chosen.empty:
        raise ValueError(f"frame: got no document of part {part!r}, allowed: at least one")
    return chosen["text"].tolist()
