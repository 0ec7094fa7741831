"""Near-duplicates: what training may not read because pairs are made of it, and which texts belong together.

Definition. A text is a sequence of words (runs of letters and digits, case folded). Its shingles are its runs
of ``ngram`` consecutive words. A *window* of a protected text is any run of ``window`` consecutive words of
it (the whole text where it is shorter). A text near-duplicates a protected text if, for at least one window,
a share of at least ``containment`` of the window's shingles occur in the text, anywhere and in any order.

With the defaults (5, 40, 0.5) a window has 36 shingles and 18 must be found. So a run of 22 or more words in
common is always found; up to three changed words per window are always forgiven; runs of four common words or
fewer never count. Signatures, attributions ("in article ... writes") and quotations are runs of words like
any other: they count when they fill half of a window; a shared name or a short signature does not. Texts of
fewer than ``ngram`` words have no shingles: they neither protect nor match anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from w2sg.study.texts.corpora import DuplicateRule, HeldoutPart
from w2sg.study.texts.spelling import fold, normalise

_WORD = re.compile(r"[^\W_]+")

_ENDS = " .,:;!?"

_SHARED, _FEW = 4, 5
"""Shingles that near-duplicate prompts share at least, and texts that may always share one, or be one group."""

_BLOCK = 4096
"""Texts compared at a time; bounds memory, changes no result."""


@dataclass(frozen=True, kw_only=True)
class Shingles:
    """Hashed word runs of texts, in text order."""

    hashes: np.ndarray
    """64-bit content hashes of the shingles, uint64 of shape (s,); equal word runs have equal hashes."""
    texts: np.ndarray
    """Index of the text each shingle belongs to, int64 of shape (s,), ascending."""
    counts: np.ndarray
    """Shingles per text, int64 of shape (n,)."""

    def take(self, index: np.ndarray) -> Shingles:
        """Returns the shingles of chosen texts, renumbered 0, 1, ...; ``index`` ascends."""
        renumbered = np.full(len(self.counts), -1, dtype=np.int64)
        renumbered[index] = np.arange(len(index))
        kept = renumbered[self.texts] >= 0
        return Shingles(hashes=self.hashes[kept], texts=renumbered[self.texts[kept]], counts=self.counts[index])


def shingle(texts: Sequence[str], ngram: int) -> Shingles:
    """Returns the hashed shingles of texts.

    Hashes are made of the words' contents only, so they do not depend on which other texts there are. Two
    different shingles among m share a hash with probability below m^2 / 2^65: 4e-7 for five million.

    Args:
        texts: n texts.
        ngram: Words in a shingle.
    """
    table: dict[str, int] = {}
    codes: list[int] = []
    lengths = np.zeros(len(texts), dtype=np.int64)
    for number, text in enumerate(texts):
        words = _WORD.findall(text.casefold())
        codes.extend([table.setdefault(word, len(table)) for word in words])
        lengths[number] = len(words)
    digests = b"".join(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in table)
    words_hashed = np.frombuffer(digests, dtype="<u8").astype(np.uint64)[np.array(codes, dtype=np.int64)]
    counts = np.maximum(lengths - ngram + 1, 0)
    owner = np.repeat(np.arange(len(texts)), lengths)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    first = np.flatnonzero(position < counts[owner])
    hashes = np.zeros(len(first), dtype=np.uint64)
    for offset in range(ngram):
        # An odd multiplier permutes the 64-bit words; the shift lets high bits reach low ones.
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + words_hashed[first + offset]
        hashes ^= hashes >> np.uint64(29)
    return Shingles(hashes=hashes, texts=owner[first], counts=counts)


def find_overlaps(protected: Shingles, texts: Shingles, rule: DuplicateRule) -> pd.DataFrame:
    """Returns every pair of a text and a protected text that it near-duplicates; a pair of equal texts included.

    Args:
        protected: Shingles whose windows must not be found.
        texts: Shingles searched.
        rule: Definition; ``rule.ngram`` must be the one both were made with.

    Returns:
        A row per pair, sorted, with ``text`` and ``protected``, their indices, and ``containment``, the largest share of a
        window's shingles found.
    """
    # Positions of protected shingles, with a gap of one window between texts: no window spans two of them.
    place = np.arange(len(protected.hashes)) + protected.texts * rule.span
    stride = int(place[-1]) + rule.span + 1 if len(place) else 1
    size = np.minimum(protected.counts, rule.span)
    # Rounded up with room for the rounding of the product: 0.7 * 10 shingles are 7, not 8.
    needed = np.maximum(np.ceil(rule.containment * size - 1e-9), 1)
    known = pd.DataFrame({"hash": protected.hashes, "place": place})
    searched = pd.DataFrame({"hash": texts.hashes, "text": texts.texts})
    searched = searched[searched["hash"].isin(known["hash"])].drop_duplicates()
    found = [pd.DataFrame({"text": place[:0], "protected": place[:0], "containment": np.zeros(0)})]
    for _, block in searched.groupby(searched["text"] // _BLOCK):
        matches = block.merge(known, on="hash")
        # One sorted key per (text, protected position): a window is then a range of keys.
        keys = np.sort((matches["text"] * stride + matches["place"]).to_numpy())
        shared = np.searchsorted(keys, keys + rule.span) - np.arange(len(keys))
        owner = protected.texts[np.searchsorted(place, keys % stride)]
        windows = pd.DataFrame({"text": keys // stride, "protected": owner, "containment": shared / size[owner]})
        enough = windows[shared >= needed[owner]]
        found.append(enough.groupby(["text", "protected"], as_index=False).max())
    return pd.concat(found, ignore_index=True)


def cluster(shingles: Shingles, rule: DuplicateRule) -> np.ndarray:
    """Returns for every text the smallest index of a text it is connected to by a chain of near-duplicates.

    Args:
        shingles: Shingles of n texts.
        rule: Definition; a pair counts if either text near-duplicates the other.

    Returns:
        int64 of shape (n,); a text without near-duplicates has its own index.
    """
    return _connect(find_overlaps(shingles, shingles, rule), len(shingles.counts))


def _connect(overlaps: pd.DataFrame, n: int) -> np.ndarray:
    """Returns for each of n texts the smallest index that a chain of overlaps leads to, (n,)."""
    graph = coo_array((np.ones(len(overlaps)), (overlaps["text"], overlaps["protected"])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    return np.unique(labels, return_index=True)[1][labels]


def decontaminate(
    documents: pd.DataFrame, rule: DuplicateRule, heldout: HeldoutPart
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns documents whose training part near-duplicates neither pair texts nor held-out documents.

    Training documents that resemble pair texts go first; then ``heldout.fraction`` of the original
    training part is drawn from the rest as held-out text, and training documents that resemble it go too.

    Args:
        documents: ``doc_id`` (unique), ``part`` in (train, pair_texts), ``text``, and any other columns.
        rule: Definition of near-duplicates.
        heldout: Share of the original number of training documents; the draw depends on its seed and the sorted ids.

    Returns:
        The documents that may be used, with ``part`` in (train, heldout, pair_texts), and ``cluster``; and a row for each one
        that was dropped: ``doc_id``, ``resembles`` (doc_id), ``part`` of that, ``containment``.

    Raises:
        ValueError: If a part is empty, or too little training text is left.
    """
    frame = documents.sort_values("doc_id", ignore_index=True)
    part = frame["part"].to_numpy(dtype=object).copy()
    wanted = math.ceil(heldout.fraction * (part == "train").sum())
    if not (part == "train").any() or not (part == "pair_texts").any():
        raise ValueError(f"documents: parts are {sorted(set(part))}, expected both train and pair_texts")
    shingles = shingle(frame["text"].tolist(), rule.ngram)
    dropped = [_drop(frame, part, shingles, rule, source="pair_texts")]
    left = np.flatnonzero(part == "train")
    if len(left) <= wanted:
        raise ValueError(f"heldout: {wanted} documents wanted, {len(left)} are left after decontamination")
    part[np.random.default_rng(heldout.seed).choice(left, size=wanted, replace=False)] = "heldout"
    dropped.append(_drop(frame, part, shingles, rule, source="heldout"))
    kept = part != "dropped"
    groups = np.arange(len(frame))
    own = np.flatnonzero(part == "pair_texts")
    groups[own] = own[cluster(shingles.take(own), rule)]
    clusters = frame["doc_id"].to_numpy()[groups]
    usable = frame.assign(part=part, cluster=clusters).loc[kept].reset_index(drop=True)
    return usable, pd.concat(dropped, ignore_index=True)


def _drop(
    frame: pd.DataFrame, part: np.ndarray, shingles: Shingles, rule: DuplicateRule, *, source: str
) -> pd.DataFrame:
    """Marks in ``part`` the training documents that resemble those of ``source``; returns them and why."""
    train, protected = np.flatnonzero(part == "train"), np.flatnonzero(part == source)
    overlaps = find_overlaps(shingles.take(protected), shingles.take(train), rule)
    like, owner, ids = train[overlaps["text"]], protected[overlaps["protected"]], frame["doc_id"].to_numpy()
    found = pd.DataFrame({"doc_id": ids[like], "resembles": ids[owner], "part": source})
    found["containment"] = overlaps["containment"]
    part[like] = "dropped"
    ordered = found.sort_values(["doc_id", "containment", "resembles"], ascending=[True, False, True])
    return ordered.drop_duplicates("doc_id", ignore_index=True)


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Which of n texts mean the same."""

    same: list[str]
    """What each is compared by, (n,): :func:`w2sg.study.texts.spelling.normalise` without punctuation at the ends; empty for none."""
    groups: list[str]
    """Group of each, (n,): the first in alphabetical order of those linked by a chain of near-duplicates; empty for none."""
    apart: int
    """Texts that resemble so many others that nothing could be dealt if they stayed together: each is a group by itself."""


def compare_texts(texts: Sequence[str], rule: DuplicateRule | None = None) -> Likeness:
    """Returns which of the given prompts, or other short texts, are the same and which nearly.

    Near-duplicates share at least half of a window's shingles, as defined above, and four of them (a run of eight words),
    or all where there are fewer. Shingles that more than a tenth of the distinct texts hold (an instruction before
    each question) do not count, and a group that would hold more than a tenth of the texts is taken apart again.

    Args:
        texts: n texts; empty ones are compared with nothing.
        rule: Definition of near-duplicates.
    """
    rule = rule or DuplicateRule()
    same = [_without_ends(normalise(text)) for text in texts]
    # Groups are dealt in the order of their names. With unseen characters, as texts hold them, that order, and so the deal,
    # changes only where two texts mean the same. Of several spellings the first in order counts, whatever the order of the rows.
    spellings = zip(same, (_without_ends(fold(text)) for text in texts), strict=True)
    written = {text: spelling for text, spelling in sorted(spellings, reverse=True) if text}
    names = sorted(written, key=lambda text: (written[text], text))
    if not names:
        return Likeness(same=same, groups=same, apart=0)
    shingles = _without_common(shingle(names, rule.ngram), most=max(_FEW, len(names) // 10))
    overlaps = find_overlaps(shingles, shingles, rule)
    size = np.minimum(shingles.counts, rule.span)[overlaps["protected"]]
    near = overlaps[overlaps["containment"] * size > np.minimum(_SHARED, size) - 0.5]
    head = _connect(near, len(names))
    position = {name: place for place, name in enumerate(names)}
    rows = np.bincount([head[position[text]] for text in same if text], minlength=len(names))
    large = rows > max(_FEW, len(texts) // 10)
    large &= np.bincount(head, minlength=len(names)) > 1
    alone = large[head]
    named = {name: written[name if alone[place] else names[head[place]]] for name, place in position.items()}
    return Likeness(
        same=same,
        groups=[named.get(text, "") for text in same],
        apart=sum(bool(text) and bool(alone[position[text]]) for text in same),
    )


def _without_ends(text: str) -> str:
    return text.strip(_ENDS) or text


def _without_common(shingles: Shingles, *, most: int) -> Shingles:
    """Returns the shingles that at most so many texts hold."""
    pairs = pd.DataFrame({"hash": shingles.hashes, "text": shingles.texts})
    holders = pairs.drop_duplicates()["hash"].value_counts()
    kept = ~pairs["hash"].isin(holders.index[holders > most]).to_numpy()
    counts = np.bincount(shingles.texts[kept], minlength=len(shingles.counts))
    return Shingles(hashes=shingles.hashes[kept], texts=shingles.texts[kept], counts=counts)
