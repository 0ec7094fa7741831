"""Pairs made from a labelled corpus: windows of its documents, topics, word order, and no document in two splits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tests.pair_corpus import ORDER, TOPIC, documents, load_pairs
from w2sg.data import tasks
from w2sg.data.duplicates import find_overlaps, shingle
from w2sg.data.sources import load_checked
from w2sg.data.tasks import FOUND, REPEATED, Window, cut_windows
from w2sg.measures.sources import pair_clusters
from w2sg.study.datasets import CorpusPairs
from w2sg.study.protocols import SPLITS
from w2sg.study.texts.corpora import DuplicateRule


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
    assert load_checked(TOPIC, name="t", documents=documents()).skipped[FOUND] == 0


@pytest.mark.parametrize("spec", [TOPIC, ORDER], ids=["topic", "order"])
def test_pairs_name_the_source_and_the_class_of_each_text(spec):
    frame = documents().set_index("doc_id")
    every = {**spec, "pairs": 10**6, "minimum": 1}
    for pair in load_pairs(every, name="t", documents=documents()).to_dict("records"):
        for side in ("chosen", "rejected"):
            posts = frame.loc[sorted(owner(pair[side]))]
            assert pair[f"{side}_source"] in set(posts["cluster"])
            assert pair[f"{side}_label"] in set(frame.loc[frame["cluster"] == pair[f"{side}_source"], "label"])
    apart = load_pairs({**every, "deal": "document"}, name="t", documents=documents())
    assert set(frame.loc[apart["chosen_source"], "label"]) == set(apart["chosen_label"])
    assert apart["chosen_source"].isin(frame.index[frame["cluster"] != frame.index]).any()


@pytest.mark.parametrize("spec", [TOPIC, ORDER], ids=["topic", "order"])
def test_few_pairs_are_linked_by_what_they_were_taken_from(spec):
    frame = documents(n=1200)
    for pairs in (120, 10**6):
        made = load_pairs({**spec, "pairs": pairs, "minimum": 1}, name="t", documents=frame)
        for split, rows in made.groupby("split"):
            groups = pair_clusters(rows)
            sizes = np.bincount(groups)
            sources = pd.concat([made["chosen_source"], made["rejected_source"]])[made["split"].eq(split).tolist() * 2]
            assert len(sizes) > 0.4 * len(groups)
            assert sizes.max() <= sources.value_counts().max() + 1


def test_windows_are_paired_off_whatever_the_sources_sizes():
    sizes = np.random.default_rng(0).integers(1, 6, (2, 300))
    sides = [
        [Window("d", f"{s}-{i}", "", []) for i, size in enumerate(side) for _ in range(size)]
        for s, side in enumerate(sizes)
    ]
    made = tasks._pair_off(sides, np.random.default_rng(0))
    assert len(made) == min(map(len, sides)) == len(set((id(a), id(b)) for a, b in made))
    for number, side in enumerate(sides):
        assert Counter(pair[number].source for pair in made) == Counter(window.source for window in side[: len(made)])


def test_a_window_that_repeats_another_one_is_used_once():
    checked = load_checked({**TOPIC, "pairs": 10**6, "minimum": 1}, name="t", documents=documents())
    assert checked.skipped[REPEATED] > 0
    assert checked.pairs["chosen"].is_unique
    assert checked.pairs["rejected"].is_unique


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
