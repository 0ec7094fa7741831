"""Preference tasks made from a labelled corpus: windows of its pair texts, dealt to the splits.

A window that near-duplicates a document of another part (training, held-out) is not used. The corpus is
decontaminated already, but for windows of the rule's own length: a shorter one at the end of a post can still
be half found in a training document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from w2sg.data.duplicates import find_overlaps, shingle
from w2sg.data.pairs import deal
from w2sg.study.datasets import CorpusPairs, DuplicateRule
from w2sg.study.protocols import SPLITS

Window = tuple[str, list[str]]
"""doc_id and the words of one window."""

COLUMNS = ["split", "prompt", "chosen", "rejected", "origin"]

FOUND = "window near-duplicates a training or held-out document"
"""Reason under which such windows are counted."""


def cut_windows(text: str, rule: CorpusPairs) -> list[list[str]]:
    """Returns the windows of a text, each a list of words."""
    words = text.split()
    if len(words) > rule.skip_above:
        words = words[rule.skip_words :]
    starts = range(0, rule.longest * rule.windows, rule.longest)
    pieces = [words[start : start + rule.longest] for start in starts]
    return [piece for piece in pieces if len(piece) >= rule.shortest]


def topic_pairs(documents: pd.DataFrame, rule: CorpusPairs, *, skipped: Counter[str]) -> pd.DataFrame:
    """Returns pairs whose chosen and rejected texts are windows of documents with different labels.

    Documents, not windows, are dealt to the splits, so no document is in two of them; within a split, windows
    of both sides are shuffled and paired off; there are fewer pairs than wanted if the documents do not give more.

    Args:
        documents: doc_id, part, label, cluster, text; windows come from its pair texts.
        rule: Entry of ``datasets`` with task topic.
        skipped: Counts windows left out, per reason.

    Returns:
        split, prompt (empty), chosen, rejected, origin (the two doc_ids).

    Raises:
        ValueError: If a pattern matches no label, or a label is on both sides.
    """
    evaluated = documents.loc[documents["part"] == "pair_texts"]
    number_of = _sides(sorted(set(evaluated["label"])), chosen=rule.chosen or [], rejected=rule.rejected or [])
    used = evaluated.loc[evaluated["label"].isin(list(number_of))]
    rows = []
    for split, (first, second), _ in _dealt(used, documents, rule, used["label"].map(number_of).tolist(), skipped):
        for good, bad in list(zip(first, second, strict=False))[: rule.pairs]:
            rows.append((split, "", " ".join(good[1]), " ".join(bad[1]), f"{good[0]}, {bad[0]}"))
    return pd.DataFrame(rows, columns=COLUMNS)


def order_pairs(documents: pd.DataFrame, rule: CorpusPairs, *, skipped: Counter[str]) -> pd.DataFrame:
    """Returns pairs of a window and the same words shuffled, the last word kept in its place; else as :func:`topic_pairs`.

    Both texts have the same bag of words and the same end, so only their order tells them apart. Labels play no part.
    """
    used = documents.loc[documents["part"] == "pair_texts"]
    rows = []
    for split, (windows,), rng in _dealt(used, documents, rule, [0] * len(used), skipped):
        varied = [item for item in windows if len(set(item[1][:-1])) > 1]
        for doc_id, words in varied[: rule.pairs]:
            rows.append((split, "", " ".join(words), " ".join(_disordered(words, rng)), doc_id))
    return pd.DataFrame(rows, columns=COLUMNS)


def _sides(labels: Sequence[str], *, chosen: Sequence[str], rejected: Sequence[str]) -> dict[str, int]:
    """Returns 0 for every chosen label and 1 for every rejected one."""
    sides: dict[str, int] = {}
    for number, (key, patterns) in enumerate((("chosen", chosen), ("rejected", rejected))):
        for pattern in patterns:
            matched = [label for label in labels if fnmatchcase(label, pattern)]
            if not matched:
                raise ValueError(f"{key}: {pattern!r} matches no label; labels are: {', '.join(labels)}")
            for label in matched:
                if sides.setdefault(label, number) != number:
                    raise ValueError(f"{key}: {pattern!r} matches {label!r}, which is chosen already")
    return sides


def _fresh_windows(
    used: pd.DataFrame, documents: pd.DataFrame, rule: CorpusPairs, skipped: Counter[str]
) -> list[list[list[str]]]:
    """Returns the windows of every used document, without those found in documents of the other parts."""
    cut = [cut_windows(text, rule) for text in used["text"]]
    duplicates = DuplicateRule(window=max(rule.longest, DuplicateRule().window))
    flat = shingle([" ".join(words) for windows in cut for words in windows], duplicates.ngram)
    others = documents.loc[documents["part"] != "pair_texts", "text"]
    found = set(find_overlaps(flat, shingle(others.tolist(), duplicates.ngram), duplicates).protected.tolist())
    skipped[FOUND] += len(found)
    number = iter(range(len(flat.counts)))
    return [[words for words in windows if next(number) not in found] for windows in cut]


def _dealt(
    used: pd.DataFrame, documents: pd.DataFrame, rule: CorpusPairs, sides: Sequence[int], skipped: Counter[str]
) -> Iterator[tuple[str, list[list[Window]], np.random.Generator]]:
    """Yields every split, its windows per side in an order drawn by the seed, and the generator that drew it."""
    windows = _fresh_windows(used, documents, rule, skipped)
    together = used["cluster" if rule.deal == "cluster" else "doc_id"].tolist()
    dealt = deal(together, seed=rule.seed, weights=list(map(len, windows)), sides=sides)
    parts: list[list[list[Window]]] = [[[] for _ in set(sides)] for _ in SPLITS]
    for row in np.argsort(used["doc_id"].to_numpy(dtype=str), kind="stable"):
        doc_id = str(used["doc_id"].iloc[row])
        parts[dealt[row]][sides[row]] += [(doc_id, words) for words in windows[row]]
    for number, split in enumerate(SPLITS):
        rng = np.random.default_rng([rule.seed, number])
        yield split, [[side[index] for index in rng.permutation(len(side))] for side in parts[number]], rng


def _disordered(words: list[str], rng: np.random.Generator) -> list[str]:
    """Returns the words in another order, the last one in its place; two of the others must differ."""
    while True:
        body = [words[index] for index in rng.permutation(len(words) - 1)]
        if body != words[:-1]:
            return [*body, words[-1]]
