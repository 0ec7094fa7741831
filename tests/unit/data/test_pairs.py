"""The pair record, its id, the checks on entry and the dealing of groups to splits."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2sg.data.pairs import check_pairs, deal, deal_by_prompt, row_id
from w2sg.study.protocols import SOURCES, SPLITS
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table


def pairs(n: int = 5) -> pd.DataFrame:
    rows = [
        {"split": split, "prompt": f"p {split} {i}", "chosen": f"good {split} {i}", "rejected": f"bad {i}"}
        for split in SPLITS
        for i in range(n)
    ]
    return pd.DataFrame(rows).assign(origin="file.jsonl", row=[*range(1, n + 1)] * 3)


def changed(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    frame = frame.astype(object)
    for column, value in values.items():
        frame.at[row, column] = value
    return frame


def test_row_id_is_fixed_by_content_alone():
    assert row_id("p", "c", "r") == row_id("p", "c", "r") == "e627a5b65f0c2071"
    others = [("pc", "", "r"), ("p", "r", "c"), ("", "pc", "r"), ('p", "c', "", "r"), ("p", "c", "r ")]
    assert len({row_id(*texts) for texts in [("p", "c", "r"), *others]}) == 6
    frame = check_pairs(pairs(), name="d", minimum=5).pairs
    again = check_pairs(pairs().sample(frac=1, random_state=0), name="e", minimum=5).pairs
    assert set(frame["row_id"]) == set(again["row_id"])


def test_valid_pairs_become_the_declared_table(tmp_path):
    checked = check_pairs(pairs(), name="d", minimum=5)
    assert checked.rows == dict.fromkeys(SPLITS, 5)
    assert checked.dropped == ()
    assert checked.pairs["position"].tolist() == [*range(5)] * 3
    write_table(checked.pairs, tmp_path / "p.parquet", schemas.PAIRS, provenance={})
    back = read_table(tmp_path / "p.parquet", schemas.PAIRS)
    ordered = checked.pairs.sort_values(by=["split", "row_id"], ignore_index=True)
    pd.testing.assert_frame_equal(back, ordered, check_dtype=False)


FAULTS = [
    ({"prompt": None}, "prompt is missing"),
    ({"chosen": float("nan")}, "chosen is missing"),
    ({"chosen": ""}, "chosen is empty"),
    ({"rejected": " \n"}, "rejected is empty"),
    ({"rejected": 7}, "rejected is of type int, expected text"),
    ({"chosen": ["a"]}, "chosen is of type list, expected text"),
    ({"chosen": "bad 3"}, "chosen and rejected are equal"),
    ({"chosen": "bad 3 "}, "chosen and rejected are equal, but for white space at the ends"),
    ({"chosen": "\u200b"}, "chosen holds nothing but characters that cannot be seen, such as U+200B"),
    (
        {"chosen": "bad\u2060 3"},
        "chosen and rejected are equal, but for how accents are coded or characters that cannot be seen",
    ),
    ({"chosen": "caf\u00e9", "rejected": "cafe\u0301"}, "chosen and rejected are equal, but for how accents are coded"),
    ({"chosen": "a\ud800"}, "chosen holds half of a surrogate pair"),
]


@pytest.mark.parametrize(("values", "reason"), FAULTS)
def test_a_bad_row_is_named_with_reason_and_fix(values, reason):
    frame = changed(pairs(), 13, **values)
    with pytest.raises(ValueError) as caught:
        check_pairs(frame, name="mine", minimum=5)
    assert f"dataset mine: test row 4 (file.jsonl): {reason}" in str(caught.value)
    assert "set on_invalid: drop in datasets.mine" in str(caught.value)
    kept = check_pairs(frame, name="mine", minimum=4, on_invalid="drop")
    assert kept.rows == {"ground_truth": 5, "weak_supervision": 5, "test": 4}
    assert len(kept.dropped) == 1
    assert kept.dropped[0] in "\n".join(kept.lines())
    assert reason in kept.dropped[0]


def test_pairs_of_a_prompt_share_it_as_their_source():
    frame = changed(pairs(), 1, prompt=pairs().loc[0, "prompt"])
    made = check_pairs(changed(frame, 2, prompt=""), name="d", minimum=5).pairs
    sources = made["chosen_source"].tolist()
    assert sources == made["rejected_source"].tolist()
    assert sources[0] == sources[1] != ""
    assert set(sources[2:]) == {""}
    assert set(made["chosen_label"]) | set(made["rejected_label"]) == {""}
    named = check_pairs(frame.assign(**{column: column for column in SOURCES}), name="d", minimum=5).pairs
    assert all(set(named[column]) == {column} for column in SOURCES)


def test_an_empty_prompt_is_allowed():
    assert check_pairs(pairs().assign(prompt=""), name="d", minimum=5).rows["ground_truth"] == 5


@pytest.mark.parametrize(("row", "place"), [(7, "weak_supervision row 3"), (4, "ground_truth row 5")])
def test_repeated_triples_are_refused_in_and_across_splits(row, place):
    source = pairs().iloc[1]
    frame = changed(pairs(), row, **{field: source[field] for field in ("prompt", "chosen", "rejected")})
    expected = f"{place} (file.jsonl): same prompt, chosen and rejected as ground_truth row 2 (file.jsonl)"
    with pytest.raises(ValueError) as caught:
        check_pairs(frame, name="d", minimum=1)
    assert expected in str(caught.value)
    assert check_pairs(frame, name="d", minimum=4, on_invalid="drop").dropped == (f"dataset d: {expected}",)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("bad 1", "good ground_truth 1"), "the mirror image of ground_truth row 2 (file.jsonl)"),
        (("BAD  1", "Good ground_truth 1"), "the mirror image of ground_truth row 2 (file.jsonl)"),
        (("bad 1\u200b", "good\ufeff ground_truth 1"), "the mirror image of ground_truth row 2 (file.jsonl)"),
        (("GOOD ground_truth 1 ", "bad 1"), "same prompt, chosen and rejected as ground_truth row 2 (file.jsonl)"),
    ],
)
def test_a_pair_in_other_order_or_spelling_is_the_same_pair(texts, reason):
    frame = changed(pairs(), 7, prompt="P ground_truth  1", chosen=texts[0], rejected=texts[1])
    with pytest.raises(ValueError) as caught:
        check_pairs(frame, name="d", minimum=1)
    assert reason in str(caught.value)


def respelt(text: str, random: Random) -> str:
    """The same text in another case, width and white space."""
    wide = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
    ways = (str.upper, str.lower, str.title, lambda word: "".join(wide.get(letter, letter) for letter in word))
    words = [random.choice(ways)(word) for word in text.split()]
    return (
        random.choice(["", " ", "\t"])
        + random.choice([" ", "\u00a0", " \n "]).join(words)
        + random.choice(["", "\u2003"])
    )


@given(st.integers(0, 14), st.booleans(), st.randoms(use_true_random=False))
def test_however_a_pair_is_written_again_it_is_the_same_pair(row, mirrored, random):
    frame = pairs()
    texts = [respelt(frame.loc[row, field], random) for field in ("prompt", "chosen", "rejected")]
    again = dict(zip(("prompt", "chosen", "rejected"), [texts[0], *texts[:0:-1]] if mirrored else texts, strict=True))
    longer = pd.concat(
        [frame, pd.DataFrame([{"split": "test", "origin": "file.jsonl", "row": 6, **again}])], ignore_index=True
    )
    checked = check_pairs(longer, name="d", minimum=5, on_invalid="drop")
    assert len(checked.pairs) == 15 and len(checked.dropped) == 1
    assert "test row 6" in checked.dropped[0] and ("the mirror image of" in checked.dropped[0]) == mirrored


@given(
    st.lists(
        st.tuples(
            *[st.one_of(st.none(), st.integers(), st.sampled_from(["", " ", "a", "A ", "b", "c d", "C  D"]))] * 3
        ),
        max_size=8,
    )
)
def test_every_row_is_used_or_named_whatever_the_rows_hold(rows):
    frame = pairs()
    more = pd.DataFrame(rows, columns=["prompt", "chosen", "rejected"], dtype=object)
    longer = pd.concat([frame, more.assign(split="test", row=range(6, 6 + len(more)), origin="f")], ignore_index=True)
    checked = check_pairs(longer, name="d", minimum=5, on_invalid="drop")
    assert len(checked.pairs) + len(checked.dropped) == len(longer)
    assert len(checked.pairs) == sum(checked.rows.values())
    assert checked.pairs["row_id"].is_unique


def test_pairs_of_nearly_the_same_prompt_share_their_source_and_are_counted():
    asked = "why do the old red ships sail past the blue house every night"
    frame = changed(pairs(), 0, prompt=f"{asked}?")
    frame = changed(changed(frame, 10, prompt=f"Tell me {asked}"), 11, prompt="Why do ships sail?")
    checked = check_pairs(frame, name="d", minimum=5)
    sources = checked.pairs["chosen_source"].tolist()
    assert sources[0] == sources[10] != ""
    assert sources.count("") == 13
    assert (checked.shared_prompts["ground_truth/test"], checked.alike_prompts["ground_truth/test"]) == (0, 1)


def test_shared_prompts_are_counted_not_refused():
    frame = pairs()
    frame.loc[5, "prompt"] = frame.loc[0, "prompt"]
    frame.loc[[6, 11], "prompt"] = "same question"
    checked = check_pairs(frame, name="d", minimum=5)
    assert checked.shared_prompts == {
        "ground_truth/weak_supervision": 1,
        "ground_truth/test": 0,
        "weak_supervision/test": 1,
    }


def test_too_few_rows_name_the_number_that_would_do():
    frame = pairs().drop(index=[14])
    with pytest.raises(ValueError, match="split test has 4 valid pairs, 5 are wanted.* to at most 4"):
        check_pairs(frame, name="d", minimum=5)
    dropped = changed(pairs(), 13, chosen="")
    with pytest.raises(ValueError, match="test has 4 valid pairs after 1 rows were dropped"):
        check_pairs(dropped, name="d", minimum=5, on_invalid="drop")


def test_too_few_prompts_for_three_splits_are_counted():
    frame = pd.DataFrame(
        {"prompt": "Tell a story.", "chosen": [f"good {n}" for n in range(9)], "rejected": "bad"}, dtype=object
    )
    with pytest.raises(
        ValueError, match="all splits together have 1 distinct prompts, each of them in one split; use a larger source"
    ):
        check_pairs(deal_by_prompt(frame, seed=0), name="d", minimum=1)


def test_limit_keeps_the_first_valid_rows():
    frame = changed(pairs(), 0, chosen="")
    checked = check_pairs(frame, name="d", minimum=3, limit=3, on_invalid="drop")
    first = checked.pairs[checked.pairs["split"] == "ground_truth"]
    assert first["chosen"].tolist() == [f"good ground_truth {i}" for i in (1, 2, 3)]
    assert checked.rows == dict.fromkeys(SPLITS, 3)


def test_many_faults_are_cut_short():
    frame = pairs(30).assign(chosen="")
    with pytest.raises(ValueError) as caught:
        check_pairs(frame, name="d", minimum=1)
    assert "... and 80 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 12


def test_faults_of_a_file_that_was_dealt_come_in_the_order_of_its_rows():
    frame = pairs(30).assign(row=Random(0).sample(range(90), 90))
    bad = [2, 31, 33, 62, 64]
    frame.loc[bad, "chosen"] = ""
    dropped = check_pairs(frame, name="d", minimum=1, on_invalid="drop").dropped
    numbers = [int(line.split(" row ")[1].split()[0]) for line in dropped]
    assert numbers == sorted(frame.loc[bad, "row"])


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_dealt_whole_and_evenly_whatever_the_row_order(seed):
    rng = np.random.default_rng(seed)
    groups = [f"g{i}" for i in rng.integers(60, size=300)]
    weights, sides = rng.integers(1, 5, size=300), rng.integers(2, size=300)
    split = deal(groups, seed=seed, weights=weights, sides=sides)
    assert all(len(set(split[np.array(groups) == group])) == 1 for group in set(groups))
    for side in (0, 1):
        loads = np.bincount(split[sides == side], weights=weights[sides == side], minlength=3)
        assert loads.max() - loads.min() < 0.15 * loads.mean()
    order = rng.permutation(300)
    again = deal([groups[i] for i in order], seed=seed, weights=weights[order], sides=sides[order])
    np.testing.assert_array_equal(again, split[order])
    assert (deal(groups, seed=seed + 10) != deal(groups, seed=seed)).any()


def test_prompts_that_differ_by_an_unseen_character_are_dealt_together():
    frame = pd.DataFrame(
        {"prompt": [f"Question {n}?" for n in range(40)], "chosen": "a", "rejected": "b"}, dtype=object
    )
    twice = pd.concat([frame, frame.assign(prompt=frame["prompt"].str.replace(" ", "\u200b "))])
    for some in (twice, twice[::-1]):
        dealt = deal_by_prompt(some, seed=0)
        own = dealt.groupby(dealt["prompt"].str.replace("\u200b", ""))["split"]
        assert own.nunique().eq(1).all() and set(own.first()) == set(SPLITS)


def test_prompts_are_dealt_whole_and_rows_without_prompt_one_by_one():
    rng = np.random.default_rng(0)
    prompts = [f"p{i}" if i else "" for i in rng.integers(40, size=240)]
    frame = pd.DataFrame({"prompt": prompts, "chosen": [f"c{i}" for i in range(240)], "rejected": "r"})
    dealt = deal_by_prompt(frame, seed=3)
    asked = dealt[dealt["prompt"] != ""]
    assert (asked.groupby("prompt")["split"].nunique() == 1).all()
    assert set(dealt.loc[dealt["prompt"] == "", "split"]) == set(SPLITS)
    counts = dealt["split"].value_counts()
    assert counts.max() - counts.min() <= 10
    pd.testing.assert_frame_equal(dealt, deal_by_prompt(frame.sample(frac=1, random_state=0), seed=3))
    unasked = deal_by_prompt(frame.assign(prompt=""), seed=0)["split"].value_counts()
    assert unasked.tolist() == [80, 80, 80]
