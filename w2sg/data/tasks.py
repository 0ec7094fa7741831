"""Preference tasks, and one of single texts, made from a labelled corpus: windows of its pair texts, dealt to the splits.

A window that near-duplicates a document of another part (training, held-out) is not used. The corpus is
decontaminated already, but for windows of the rule's own length: a shorter one at the end of a post can still
be half found in a training document.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import pandas as pd

from w2sg.data.duplicates import find_overlaps, shingle
from w2sg.data.pairs import deal
from w2sg.study.datasets import CorpusPairs
from w2sg.study.protocols import FIELDS, SOURCES, SPLITS
from w2sg.study.texts.corpora import DuplicateRule


class Window(NamedTuple):
    """A piece of a document."""

    doc_id: str
    """The document."""
    source: str
    """What stays together: its near-duplicate cluster, or the document itself."""
    label: str
    """Class of the document."""
    words: list[str]
    """The text."""


COLUMNS = ["split", *FIELDS, *SOURCES, "origin"]

FOUND = "window near-duplicates a training or held-out document"
REPEATED = "window repeats another one word for word"
"""Reasons under which windows are counted that are not used."""


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

    Documents, not windows, are dealt to the splits, so no document is in two of them; within a split, the documents
    of both sides are shuffled and their windows paired off, such that few documents are linked by pairs
    (:func:`_pair_off`); there are fewer pairs than wanted if the documents do not give more.

    Args:
        documents: doc_id, part, label, cluster, text; windows come from its pair texts.
        rule: Entry of ``datasets`` with task topic.
        skipped: Counts windows left out, per reason.

    Returns:
        split, prompt (empty), chosen, rejected, source and label of each, origin (the two doc_ids).

    Raises:
        ValueError: If a pattern matches no label, or a label is on both sides.
    """
    used, numbers = _used(documents, rule)
    rows = []
    for split, sides, rng in _dealt(used, documents, rule, numbers, skipped):
        for good, bad in _pair_off(sides, rng)[: rule.pairs]:
            shared = (good.source, bad.source, good.label, bad.label)
            rows.append((split, "", " ".join(good.words), " ".join(bad.words), *shared, f"{good.doc_id}, {bad.doc_id}"))
    return pd.DataFrame(rows, columns=COLUMNS)


def class_texts(documents: pd.DataFrame, rule: CorpusPairs, *, skipped: Counter[str]) -> pd.DataFrame:
    """Returns windows as pairs with one side: chosen if their document has one of the chosen labels, else rejected.

    Arguments, columns and errors are those of :func:`topic_pairs`; what is rejected are by default all other labels.
    """
    used, numbers = _used(documents, rule)
    rows = []
    for split, (own, others), _ in _dealt(used, documents, rule, numbers, skipped):
        for doc_id, source, label, words in own:
            rows.append((split, "", " ".join(words), "", source, "", label, "", doc_id))
        for doc_id, source, label, words in others:
            rows.append((split, "", "", " ".join(words), "", source, "", label, doc_id))
    return pd.DataFrame(rows, columns=COLUMNS)


def order_pairs(documents: pd.DataFrame, rule: CorpusPairs, *, skipped: Counter[str]) -> pd.DataFrame:
    """Returns pairs of a window and the same words shuffled, the last word kept in its place; else as :func:`topic_pairs`.

    Both texts have the same bag of words and the same end, so only their order tells them apart. Labels play no part.
    """
    used = _pair_texts(documents)
    rows = []
    for split, (windows,), rng in _dealt(used, documents, rule, [0] * len(used), skipped):
        varied = [window for window in windows if len(set(window.words[:-1])) > 1]
        for doc_id, source, label, words in varied[: rule.pairs]:
            texts = (" ".join(words), " ".join(_disordered(words, rng)))
            rows.append((split, "", *texts, source, source, label, label, doc_id))
    return pd.DataFrame(rows, columns=COLUMNS)


def _pair_texts(documents: pd.DataFrame) -> pd.DataFrame:
    """Returns the documents that pairs are made of, by doc_id, so that nothing depends on the order of the rows."""
    return documents.loc[documents["part"] == "pair_texts"].sort_values("doc_id")


def _used(documents: pd.DataFrame, rule: CorpusPairs) -> tuple[pd.DataFrame, list[int]]:
    """Returns the documents whose labels are asked for, and of each 0 if it is chosen, else 1."""
    evaluated = _pair_texts(documents)
    labels = sorted(set(evaluated["label"]))
    number_of = _sides(labels, chosen=rule.chosen or [], rejected=rule.rejected or [])
    if rule.labelled and not rule.rejected:
        number_of |= {label: 1 for label in labels if label not in number_of}
    used = evaluated.loc[evaluated["label"].isin(list(number_of))]
    if len(set(number_of.values())) < 2:
        raise ValueError(f"chosen: {', '.join(rule.chosen or [])} match every label; labels are: {', '.join(labels)}")
    return used, used["label"].map(number_of).tolist()


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
    used: pd.DataFrame, documents: pd.DataFrame, rule: CorpusPairs, sides: Sequence[int], skipped: Counter[str]
) -> list[list[list[str]]]:
    """Returns the windows of every used document, without repetitions and those found in documents of the other parts."""
    cut = [cut_windows(text, rule) for text in used["text"]]
    texts = [" ".join(words) for windows in cut for words in windows]
    duplicates = DuplicateRule(window=max(rule.longest, DuplicateRule().window))
    others = documents.loc[documents["part"] != "pair_texts", "text"]
    flat, foreign = (shingle(some, duplicates.ngram) for some in (texts, others.tolist()))
    found = np.isin(np.arange(len(texts)), find_overlaps(flat, foreign, duplicates).protected)
    frame = pd.DataFrame({"side": np.repeat(sides, list(map(len, cut))), "text": texts})
    # Two such windows in two pairs could be the same pair; as single texts they could be of both classes.
    repeated = ~found & frame.duplicated("text" if rule.labelled else None).to_numpy()
    skipped.update({FOUND: int(found.sum()), REPEATED: int(repeated.sum())})
    usable = iter(~(found | repeated))
    return [[words for words in windows if next(usable)] for windows in cut]


def _dealt(
    used: pd.DataFrame, documents: pd.DataFrame, rule: CorpusPairs, sides: Sequence[int], skipped: Counter[str]
) -> Iterator[tuple[str, list[list[Window]], np.random.Generator]]:
    """Yields every split, its windows per side, those of a source together in an order drawn by the seed, and its generator."""
    windows = _fresh_windows(used, documents, rule, sides, skipped)
    together = used["cluster" if rule.deal == "cluster" else "doc_id"].tolist()
    dealt = deal(together, seed=rule.seed, weights=list(map(len, windows)), sides=sides)
    parts: list[list[dict[str, list[Window]]]] = [[{} for _ in set(sides)] for _ in SPLITS]
    rows = zip(used["doc_id"], together, used["label"], windows, dealt, sides, strict=True)
    for doc_id, source, label, cut, split, side in rows:
        parts[split][side].setdefault(source, []).extend(Window(doc_id, source, label, words) for words in cut)
    for number, name in enumerate(SPLITS):
        rng = np.random.default_rng([rule.seed, number])
        sources = [list(found.values()) for found in parts[number]]
        yield name, [[window for at in rng.permutation(len(found)) for window in found[at]] for found in sources], rng


def _pair_off(sides: list[list[Window]], rng: np.random.Generator) -> list[tuple[Window, Window]]:
    """Returns pairs of a window of either side, as many as the shorter side gives, in an order drawn by ``rng``.

    Pairs that are linked by sources stay together, and they are few: the largest source left meets the largest ones of
    the other side that it has room for, so that both sides soon end together and a new group begins.
    """
    number = min(map(len, sides))
    left = []
    for side in sides:
        sources = groupby(islice(side, number), key=attrgetter("source"))
        left.append(sorted((list(windows) for _, windows in sources), key=len))
    groups: list[list[tuple[Window, Window]]] = [[]]
    lined: tuple[list[Window], list[Window]] = ([], [])
    while any(left):
        behind = len(lined[0]) - len(lined[1])
        if behind == 0:
            side, place = int(len(left[1][-1]) > len(left[0][-1])), -1
        else:
            side = int(behind > 0)
            place = max(bisect_right(left[side], abs(behind), key=len) - 1, 0)
        lined[side].extend(left[side].pop(place))
        if len(lined[0]) == len(lined[1]):
            groups.append(list(zip(*lined, strict=True)))
            lined = ([], [])
    return list(chain.from_iterable(groups[at] for at in rng.permutation(len(groups))))


def _disordered(words: list[str], rng: np.random.Generator) -> list[str]:
    """Returns the words in another order, the last one in its place; two of the others must differ."""
    while True:
        body = [words[index] for index in rng.permutation(len(words) - 1)]
        if body != words[:-1]:
            return [*body, words[-1]]
