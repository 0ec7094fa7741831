"""Pairs made from a labelled corpus: windows of its documents, topics, word order, and no document in two splits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tests.pair_corpus import ORDER, TOPIC, documents, load_checked, load_pairs
from w2sg.data.duplicates import find_overlaps, shingle
from w2sg.data.tasks import FOUND, cut_windows
from w2sg.study.datasets import CorpusPairs, DuplicateRule
from w2sg.study.protocols import SPLITS


def owner(text: str) -> set[str]:
    return {f"pair_texts-{int(word[1:].split('w')[0]):04d}" for word in text.split()}


# Windows


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (23, []),
        (24, [(0, 24)]),
        (60, [(0, 40)]),  # nothing skipped; the remaining 20 are too few
        (61, [(8, 48)]),
        (72, [(8, 48), (48, 72)]),
        (71, [(8, 48)]),
        (500, [(8, 48), (48, 88)]),
    ],
)
def test_windows_of_the_default_rule(length, expected):
    words = [f"w{i}" for i in range(length)]
    assert cut_windows(" ".join(words), CorpusPairs(**TOPIC)) == [words[low:high] for low, high in expected]


# Corpus tasks


def test_topic_pairs_take_their_sides_from_the_labels():
    frame = documents()
    pairs = load_pairs(TOPIC, name="t", documents=frame)
    assert Counter(pairs["split"]) == dict.fromkeys(SPLITS, 20)
    assert set(pairs["prompt"]) == {""}
    label = frame.set_index("doc_id")["label"]
    text = frame.set_index("doc_id")["text"]
    for side, allowed in (("chosen", {"comp.one", "comp.two"}), ("rejected", {"rec.three", "soc.four"})):
        for window in pairs[side]:
            assert 24 <= len(window.split()) <= 40
            sources = [doc for doc in text.index if window in text[doc]]
            assert {label[doc] for doc in sources} & allowed


@pytest.mark.parametrize("spec", [TOPIC, ORDER], ids=["topic", "order"])
def test_no_document_and_no_near_duplicate_is_in_two_splits(spec):
    pairs = load_pairs({**spec, "pairs": 10**6, "minimum": 1}, name="t", documents=documents())
    sources = {
        split: {doc for text in pd.concat([rows["chosen"], rows["rejected"]]) for doc in owner(text)}
        for split, rows in pairs.groupby("split")
    }
    assert len(set.union(*sources.values())) == sum(map(len, sources.values())) > 100
    texts = {split: shingle(rows["chosen"].tolist(), 5) for split, rows in pairs.groupby("split")}
    for one in SPLITS:
        for two in set(SPLITS) - {one}:
            assert not len(find_overlaps(texts[one], texts[two], DuplicateRule()))


def test_dealing_documents_instead_of_clusters_leaks():
    pairs = load_pairs({**TOPIC, "pairs": 10**6, "minimum": 1, "deal": "document"}, name="t", documents=documents())
    texts = {split: shingle(pd.concat([r["chosen"], r["rejected"]]).tolist(), 5) for split, r in pairs.groupby("split")}
    assert len(find_overlaps(texts["ground_truth"], texts["test"], DuplicateRule()))


def test_order_pairs_keep_words_and_last_word():
    pairs = load_pairs(ORDER, name="o", documents=documents())
    assert len(pairs) == 60
    for chosen, rejected in zip(pairs["chosen"].str.split(), pairs["rejected"].str.split(), strict=True):
        assert len(chosen) == 32
        assert sorted(chosen) == sorted(rejected)
        assert chosen != rejected
        assert chosen[-1] == rejected[-1]
    text = " | ".join(documents()["text"])
    assert all(chosen in text for chosen in pairs["chosen"])
    assert not any(rejected in text for rejected in pairs["rejected"])


def test_monotonous_windows_give_no_order_pair():
    frame = documents().assign(text=lambda f: np.where(f.index % 2, "same " * 40, f["text"]))
    pairs = load_pairs({**ORDER, "minimum": 1}, name="o", documents=frame)
    assert not pairs["chosen"].str.contains("same").any()


@pytest.mark.parametrize("spec", [TOPIC, ORDER], ids=["topic", "order"])
def test_pairs_depend_on_the_seed_and_not_on_the_order_of_documents(spec):
    frame = documents()
    first = load_pairs(spec, name="t", documents=frame)
    pd.testing.assert_frame_equal(first, load_pairs(spec, name="t", documents=frame.sample(frac=1, random_state=0)))
    assert set(first["row_id"]) != set(load_pairs({**spec, "seed": 1}, name="t", documents=frame)["row_id"])
    fewer = load_pairs({**spec, "pairs": 8}, name="t", documents=frame)
    assert set(fewer["row_id"]) <= set(first["row_id"])


def test_only_pair_texts_are_used_and_none_found_in_training():
    frame = documents()
    words = [f"d40w{j}" for j in range(76)]
    leaked = words[-28:]  # all of the second window, and no more
    frame.loc[40, "text"] = " ".join(words)
    frame.loc[frame["doc_id"] == "train-0003", "text"] = "before " * 9 + " ".join(leaked) + " after"
    checked = load_checked({**TOPIC, "pairs": 10**6, "minimum": 1}, name="t", documents=frame)
    used = shingle(pd.concat([checked.pairs["chosen"], checked.pairs["rejected"]]).tolist(), 5)
    others = shingle(frame.loc[frame["part"] != "pair_texts", "text"].tolist(), 5)
    assert not len(find_overlaps(used, others, DuplicateRule()))
    assert checked.skipped[FOUND] == 1
    assert load_checked(TOPIC, name="t", documents=documents()).skipped == {FOUND: 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"chosen": ["comp"]},
            r"datasets.t.chosen: 'comp' matches no label; labels are: comp.one, comp.two, rec",
        ),
        ({"rejected": ["*"]}, r"datasets.t.rejected: '\*' matches 'comp.one', which is chosen already"),
        ({"pairs": 5000}, r"split ground_truth has \d+ valid pairs, 5000 are wanted; set pairs"),
    ],
)
def test_wrong_labels_and_sizes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        load_pairs({**TOPIC, **change}, name="t", documents=documents())


def test_documents_are_needed():
    with pytest.raises(ValueError, match="dataset t: documents of corpus c are needed"):
        load_pairs(TOPIC, name="t")
