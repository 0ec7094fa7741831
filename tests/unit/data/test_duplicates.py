"""Near-duplicates against a naive oracle on planted texts, and the guarantees that the module states."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2sg.data import duplicates
from w2sg.data.duplicates import cluster, compare_texts, find_overlaps, shingle
from w2sg.study.texts.corpora import DuplicateRule, HeldoutPart
from w2sg.study.texts.spelling import visible

RULES = [
    DuplicateRule(ngram=3, window=12, containment=0.5),
    DuplicateRule(ngram=2, window=6, containment=0.7),
    DuplicateRule(ngram=1, window=5, containment=1.0),
    DuplicateRule(ngram=4, window=4, containment=0.3),
    DuplicateRule(),
]


def oracle(protected: list[str], texts: list[str], rule: DuplicateRule) -> dict[tuple[int, int], float]:
    """The definition read aloud: every window of every protected text against every text."""

    def words(text: str) -> list[str]:
        return re.findall(r"[a-z0-9]+", text.lower())

    def runs(sequence: list[str]) -> list[tuple[str, ...]]:
        return [tuple(sequence[i : i + rule.ngram]) for i in range(len(sequence) - rule.ngram + 1)]

    windows = []
    for p, other in enumerate(protected):
        sequence = words(other)
        for start in range(max(1, len(sequence) - rule.window + 1)):
            windows.append((p, runs(sequence[start : start + rule.window])))
    found: dict[tuple[int, int], float] = {}
    for t, text in enumerate(texts):
        known = set(runs(words(text)))
        for p, window in windows:
            share = sum(run in known for run in window) / len(window) if window else 0.0
            if share > 0 and share >= rule.containment - 1e-9:
                found[t, p] = max(share, found.get((t, p), 0.0))
    return found


def fast(protected: list[str], texts: list[str], rule: DuplicateRule) -> dict[tuple[int, int], float]:
    result = find_overlaps(shingle(protected, rule.ngram), shingle(texts, rule.ngram), rule)
    return result.set_index(["text", "protected"])["containment"].to_dict()


def random_words(rng: np.random.Generator, n: int, vocabulary: int = 60) -> list[str]:
    return [f"w{i}" for i in rng.integers(vocabulary, size=n)]


def planted(seed: int) -> tuple[list[str], list[str]]:
    """Protected texts, and texts that copy them with word edits, quote marks, changed case, or not at all."""
    rng = np.random.default_rng(seed)
    protected = [random_words(rng, int(rng.integers(0, 90))) for _ in range(12)]
    texts = [" ".join(random_words(rng, int(rng.integers(0, 120)))) for _ in range(8)]
    for words in protected:
        low = int(rng.integers(0, max(1, len(words) - 5)))
        copied = words[low : low + int(rng.integers(5, 60))]
        edited = [f"e{rng.integers(99)}" if rng.random() < 0.1 else word for word in copied]
        quoted = "> " + "\n> ".join(" ".join(edited[i : i + 7]) for i in range(0, len(edited), 7))
        around = [" ".join(random_words(rng, 20, vocabulary=500)) for _ in range(2)]
        texts.append(f"{around[0]} Someone wrote:\n{quoted.upper()}!\n{around[1]}")
    return [" ".join(words) for words in protected] + ["", "one"], [*texts, "", "one"]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_overlaps_equal_the_naive_definition(rule, seed):
    protected, texts = planted(seed)
    expected = oracle(protected, texts, rule)
    got = fast(protected, texts, rule)
    assert got.keys() == expected.keys()
    assert got == pytest.approx(expected, abs=1e-12)


def test_the_comparison_can_fail():
    protected, texts = planted(0)
    expected = oracle(protected, texts, RULES[0])
    assert 3 < len(expected) < len(protected) * len(texts) / 2
    assert fast(protected, texts, DuplicateRule(ngram=3, window=12, containment=0.6)).keys() != expected.keys()
    assert fast(protected, texts, DuplicateRule(ngram=4, window=12)).keys() != expected.keys()
    assert fast([t[::-1] for t in protected], texts, RULES[0]).keys() != expected.keys()


def test_order_of_words_counts():
    rule = DuplicateRule(ngram=2, window=10, containment=0.1)
    assert fast(["a b c d e f g h i j"], ["j i h g f e d c b a"], rule) == {}


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_change_nothing(monkeypatch, block):
    protected, texts = planted(1)
    whole = fast(protected, texts, RULES[0])
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    assert fast(protected, texts, RULES[0]) == whole


def test_nothing_to_compare():
    rule = DuplicateRule()
    assert fast([], ["a b"], rule) == {}
    assert fast(["a b c d e f"], [], rule) == {}
    assert fast(["a b"], ["a b"], rule) == {}  # fewer words than a shingle


def filler(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


def test_stated_guarantees_of_the_default_rule():
    rule = DuplicateRule()
    post = filler("p", 100)
    for length, found in ((22, True), (21, False)):
        text = filler("a", 30) + post[50 : 50 + length] + filler("b", 30)
        assert bool(fast([" ".join(post)], [" ".join(text)], rule)) is found
    signature = filler("s", 20)  # of an author who wrote both
    both = [" ".join(filler(name, 80) + signature) for name in "xy"]
    assert fast(both[:1], both[1:], rule) == {}
    rng = np.random.default_rng(0)
    window = filler("p", 40)
    for _ in range(50):
        edited = list(window)
        for place in rng.choice(40, size=3, replace=False):
            edited[place] = "changed"
        assert fast([" ".join(window)], [" ".join(edited)], rule)


def test_shingles_do_not_depend_on_other_texts_and_take_renumbers():
    texts = [" ".join(random_words(np.random.default_rng(i), 30)) for i in range(6)]
    together = shingle(texts, 3)
    for chosen in ([0], [2, 3, 5], []):
        taken, alone = together.take(np.array(chosen, dtype=int)), shingle([texts[i] for i in chosen], 3)
        np.testing.assert_array_equal(taken.hashes, alone.hashes)
        np.testing.assert_array_equal(taken.texts, alone.texts)
        np.testing.assert_array_equal(taken.counts, alone.counts)


def test_clusters_are_the_connected_components():
    words = filler("w", 200)
    texts = [
        " ".join(filler("x", 50)),
        " ".join(words[:60]),
        " ".join(words[30:90]),  # shares 30 words with the one before
        " ".join(words[60:120]),  # shares 30 with the one before, none with the first
        " ".join(filler("y", 50)),
        "",
    ]
    np.testing.assert_array_equal(cluster(shingle(texts, 5), DuplicateRule()), [0, 1, 1, 1, 4, 5])


def corpus(seed: int = 0) -> pd.DataFrame:
    """Training documents and pair texts, of which a few quote each other."""
    rng = np.random.default_rng(seed)
    texts = [random_words(rng, int(rng.integers(30, 90)), vocabulary=4000) for _ in range(160)]
    for copy, source in ((3, 101), (4, 101), (5, 130), (6, 7), (8, 7), (120, 121)):
        texts[copy][10:45] = texts[source][0:35]
    part = ["train"] * 100 + ["pair_texts"] * 60
    ids = [f"{name}-{i:03d}" for i, name in enumerate(part)]
    return pd.DataFrame({"doc_id": ids, "part": part, "label": "x", "text": [" ".join(t) for t in texts]})


RULE = DuplicateRule(ngram=3, window=20, containment=0.5)


def decontaminate(frame: pd.DataFrame, *, seed: int = 0, fraction: float = 0.1) -> tuple[pd.DataFrame, pd.DataFrame]:
    return duplicates.decontaminate(frame, RULE, HeldoutPart(fraction=fraction, seed=seed))


@pytest.mark.parametrize("seed", range(3))
def test_no_training_document_resembles_protected_ones(seed):
    frame = corpus()
    documents, dropped = decontaminate(frame, seed=seed)
    text = {part: group["text"].tolist() for part, group in documents.groupby("part")}
    assert oracle(text["pair_texts"] + text["heldout"], text["train"], RULE) == {}
    assert oracle(text["pair_texts"], frame["text"][:100].tolist(), RULE)  # there was something to remove
    assert {"train-003", "train-004", "train-005"} <= set(dropped["doc_id"])
    assert len(text["heldout"]) == 10
    assert len(text["pair_texts"]) == 60
    assert len(documents) + len(dropped) == len(frame)
    assert not set(dropped["doc_id"]) & set(documents["doc_id"])


def test_a_document_like_heldout_text_is_dropped_with_its_evidence():
    found = (decontaminate(corpus(), seed=seed) for seed in range(200))
    documents, dropped = next(pair for pair in found if "heldout" in pair[1]["part"].tolist())
    row = dropped[dropped["part"] == "heldout"].iloc[0]
    part = documents.set_index("doc_id")["part"]
    assert part[row["resembles"]] == "heldout"
    text = corpus().set_index("doc_id")["text"]
    share = oracle([text[row["resembles"]]], [text[row["doc_id"]]], RULE)
    assert share[0, 0] == pytest.approx(row["containment"])


def test_result_does_not_depend_on_the_order_of_documents():
    frame = corpus()
    shuffled = frame.sample(frac=1, random_state=1)
    first, second = (decontaminate(f) for f in (frame, shuffled))
    pd.testing.assert_frame_equal(first[0], second[0])
    pd.testing.assert_frame_equal(first[1], second[1])


def test_pair_texts_that_quote_each_other_share_a_cluster():
    documents, _ = decontaminate(corpus())
    clusters = documents.set_index("doc_id")["cluster"]
    assert clusters["pair_texts-120"] == clusters["pair_texts-121"] == "pair_texts-120"
    assert clusters["pair_texts-150"] == "pair_texts-150"


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="ngram 9 is longer than window 8"):
        DuplicateRule(ngram=9, window=8)
    with pytest.raises(ValueError, match="containment"):
        DuplicateRule(containment=0)
    with pytest.raises(ValueError, match="expected both train and pair_texts"):
        decontaminate(corpus().assign(part="train"))
    with pytest.raises(ValueError, match="heldout: 99 documents wanted"):
        decontaminate(corpus(), fraction=0.99)


def test_threshold_is_rounded_up_exactly():
    words = filler("w", 10)
    for containment in (0.1, 0.3, 0.7, 0.9, 1.0):
        rule = DuplicateRule(ngram=1, window=10, containment=containment)
        needed = math.ceil(round(containment * 10, 6))
        assert fast([" ".join(words)], [" ".join(words[:needed])], rule)
        assert not fast([" ".join(words)], [" ".join(words[: needed - 1])], rule)


def test_an_instruction_before_every_question_makes_no_duplicates():
    instruction = "read the following question with care and give the shortest answer that you can think of:"
    texts = [f"{instruction} what is {number} times {number * 3}" for number in range(30)]
    alike = compare_texts(texts)
    assert len(set(alike.groups)) == 30
    assert alike.apart == 0
    repeated = [
        f"{instruction} why does the old ship number {n // 2} sail around the blue house every day {'x' * (n % 2)}"
        for n in range(60)
    ]
    assert all(
        a == b for a, b in zip(compare_texts(repeated).groups[::2], compare_texts(repeated).groups[1::2], strict=True)
    )


def test_texts_that_resemble_too_many_count_as_different_and_are_counted():
    words = [f"w{number}" for number in range(500)]
    chain = [" ".join(words[8 * n : 8 * n + 30]) for n in range(50)]  # each is much like its neighbours
    alike = compare_texts(chain)
    assert len(set(alike.groups)) == 50
    assert alike.apart == 50


@given(st.lists(st.text(max_size=30), max_size=12), st.randoms(use_true_random=False))
def test_comparing_does_not_depend_on_the_order(texts, random):
    order = list(range(len(texts)))
    random.shuffle(order)
    alike, other = compare_texts(texts), compare_texts([texts[place] for place in order])
    assert other.groups == [alike.groups[place] for place in order]
    assert [not group for group in alike.groups] == [not visible(text).strip() for text in texts]
