"""Labelled single texts: read, dealt, balanced by undersampling; what is wrong with them is known at the door."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pair_corpus import documents
from tests.unit.data.test_door import config
from w2sg.data import rows as rows_of_sources
from w2sg.data.dialogues import Unusable
from w2sg.data.door.files import check_files, first_texts
from w2sg.data.duplicates import compare_texts
from w2sg.data.pairs import UNDERSAMPLED
from w2sg.data.parsers import parse_cosmos_qa, parse_labelled, parse_sciq
from w2sg.data.sources import SPARE, UNNEEDED, load_checked
from w2sg.study.fields import ConfigError
from w2sg.study.protocols import SPLITS
from w2sg.study.texts.spelling import normalise

FIELDS = {"text": "text", "label": "label"}
WORDS = st.text(st.sampled_from("{}ab \n\t%$\\é語\U0001f600") | st.characters(exclude_categories=["Cs"]), max_size=12)


def texts(n: int, share: float = 0.3, seed: int = 0) -> list[dict[str, Any]]:
    """Texts without a word in common, of which a share is spam."""
    rng = np.random.default_rng(seed)
    return [{"text": f"s{seed}n{i} s{seed}m{i}", "label": "spam" if rng.random() < share else "ham"} for i in range(n)]


def save(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return str(path)


def entry(path: str, **keys: Any) -> dict[str, Any]:
    return {"source": "files", "file": path, "task": "classification"} | keys


def sides(pairs: pd.DataFrame) -> pd.DataFrame:
    """Text, label and split of each row, and whether it is of the positive class."""
    assert set(pairs["prompt"]) == {""}
    assert ((pairs["chosen"] == "") != (pairs["rejected"] == "")).all()
    found = {name: pairs[f"chosen{name}"] + pairs[f"rejected{name}"] for name in ("", "_label")}
    return pairs[["split"]].assign(text=found[""], label=found["_label"], own=pairs["chosen"] != "")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_classes_are_balanced_in_disjoint_splits_and_what_is_left_out_is_counted(tmp_path, suffix):
    rows = texts(300)
    checked = load_checked(entry(save(tmp_path / f"f{suffix}", rows)), name="d")
    found = sides(checked.pairs)
    assert (found["own"] == (found["label"] == "spam")).all()
    counts = found.groupby(["split", "own"]).size().unstack()
    assert (counts[True] == counts[False]).all()
    spam = sum(row["label"] == "spam" for row in rows)
    assert len(found) == 2 * spam  # the smaller class is used whole
    assert checked.skipped == {UNDERSAMPLED: 300 - 2 * spam}
    assert found["text"].is_unique
    assert {row["text"]: row["label"] for row in rows}.items() >= dict(
        zip(found["text"], found["label"], strict=True)
    ).items()
    backwards = load_checked(entry(save(tmp_path / f"b{suffix}", rows[::-1])), name="d").pairs
    pd.testing.assert_frame_equal(checked.pairs, backwards)
    # The first rows are balanced too: half of a split is a smaller study of it.
    fewer = load_checked(entry(save(tmp_path / f"f{suffix}", rows), pairs=20), name="d").pairs
    assert fewer.groupby("split")["chosen"].apply(lambda own: (own == "").sum()).tolist() == [10] * 3


def test_one_class_is_told_from_the_rest_by_its_name(tmp_path):
    rows = [{"body": f"t{i} u{i}", "topic": i % 3} for i in range(90)]
    spec = entry(save(tmp_path / "f.jsonl", rows), text="body", label="topic", positive=1)
    checked = load_checked(spec, name="d")
    assert any(line.startswith("chosen, pairs per label: {") for line in checked.lines())
    found = sides(checked.pairs)
    assert Counter(found.loc[found["own"], "label"]) == {"1": 30}
    assert set(found.loc[~found["own"], "label"]) == {"0", "2"}


def test_texts_that_are_nearly_the_same_stay_in_one_split_and_are_resampled_together(tmp_path):
    body = [" ".join(f"w{i}x{j}" for j in range(30)) for i in range(60)]
    rows = [{"text": f"{text} {end}", "label": label} for text in body for end, label in (("yes", 1), ("no", 0))]
    pairs = load_checked(entry(save(tmp_path / "f.jsonl", rows)), name="d").pairs
    found = sides(pairs).assign(body=lambda frame: frame["text"].str.rsplit(n=1).str[0])
    assert found.groupby("body")["split"].nunique().max() == 1
    source = pairs["chosen_source"] + pairs["rejected_source"]
    assert (source != "").all() and source.nunique() == 60


@given(
    st.lists(
        st.tuples(st.sampled_from("ab AB\u00a0\uff41."), st.sampled_from("ab c"), st.booleans()),
        min_size=12,
        max_size=40,
    )
)
def test_no_text_is_in_two_splits_or_of_two_classes_whatever_the_rows(tmp_path_factory, drawn):
    rows = [{"text": f"{a}{b}{i % 4}", "label": label} for i, (a, b, label) in enumerate(drawn)]
    path = save(tmp_path_factory.mktemp("d") / "f.jsonl", rows)
    try:
        found = sides(load_checked(entry(path, on_invalid="drop"), name="d").pairs)
    except ValueError as error:
        assert "of which half are of either class" in str(error) or "has the same label" in str(error)
        return
    same = [normalise(text) for text in found["text"]]
    assert len(set(same)) == len(same)
    groups = pd.DataFrame({"group": compare_texts(found["text"].tolist()).same, "split": found["split"]})
    assert groups.groupby("group")["split"].nunique().max() == 1
    assert found.groupby("split")["own"].mean().tolist() == [0.5] * 3


@given(
    st.dictionaries(st.sampled_from(["a", "b b", "c"]), WORDS, min_size=3),
    WORDS.filter(lambda text: "{" not in text and "}" not in text),
)
def test_a_template_fills_in_columns_unchanged(row, between):
    text, label = parse_labelled({**row, "label": 1}, fields=FIELDS, template=f"{{a}}{between}{{b b}}")
    expected = row["a"] + between + row["b b"]
    assert label == "1"
    assert text == expected or (text == Unusable("text is empty") and not expected.strip())


@pytest.mark.parametrize(
    ("row", "template", "reason"),
    [
        ({"text": None, "label": 1}, None, "text is missing"),
        ({"text": " ", "label": 1}, None, "text is empty"),
        ({"text": 7, "label": 1}, None, "text is of type int, expected text"),
        ({"q": "a", "p": None, "label": 1}, "{q} {p}", "p is missing"),
        ({"q": "", "p": " ", "label": 1}, "{q} {p}", "is empty"),
    ],
)
def test_a_text_that_cannot_be_made_says_why(row, template, reason):
    text, _ = parse_labelled(row, fields=FIELDS, template=template)
    assert isinstance(text, Unusable) and reason in text.reason


FAULTS = [
    ({"text": ""}, "ground_truth row 3 (g.jsonl): text is empty"),
    ({"text": None}, "text is missing"),
    ({"label": None}, "label is missing"),
    ({"label": [1]}, "label is of type list"),
    ({"text": " S0N0  s0m0"}, "same text as ground_truth row 1"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_a_row_that_cannot_be_used_is_named_or_left_out(tmp_path, change, message):
    rows = [{**row, "label": number % 2} for number, row in enumerate(texts(12))]
    rows[2] = rows[2] | change
    files = {split: save(tmp_path / f"{split[0]}.jsonl", texts(40, 0.5, seed)) for seed, split in enumerate(SPLITS, 1)}
    files["ground_truth"] = save(tmp_path / "g.jsonl", rows)
    for split in SPLITS[1:]:
        save(
            Path(files[split]),
            [{**row, "label": number % 2} for number, row in enumerate(texts(12, seed=SPLITS.index(split)))],
        )
    spec = {"source": "files", "files": files, "task": "classification"}
    with pytest.raises(ValueError) as caught:
        load_checked(spec, name="d")
    assert message in str(caught.value)
    checked = load_checked(spec | {"on_invalid": "drop"}, name="d")
    assert (len(checked.dropped), checked.rows["ground_truth"]) == (1, 10)


def test_a_text_of_both_classes_is_an_error(tmp_path):
    files = {split: save(tmp_path / f"{split}.jsonl", texts(30, 0.5, seed)) for seed, split in enumerate(SPLITS)}
    first = texts(30, 0.5, 0)[0]
    other = {"spam": "ham", "ham": "spam"}[first["label"]]
    save(Path(files["test"]), [*texts(30, 0.5, 2), {"text": first["text"].upper(), "label": other}])
    with pytest.raises(
        ValueError, match=r"test row 31 .*the text of ground_truth row 1 .*, which is of the other class there"
    ):
        load_checked({"source": "files", "files": files, "task": "classification"}, name="d")


def test_of_many_texts_only_some_are_compared(tmp_path):
    checked = load_checked(entry(save(tmp_path / "f.jsonl", texts(400, 0.5)), pairs=8), name="d")
    assert checked.rows == dict.fromkeys(SPLITS, 8)
    assert checked.skipped[UNNEEDED] == 400 - 2 * SPARE * 3 * 4


def test_windows_of_a_corpus_are_labelled_by_their_documents():
    spec = {"source": "corpus", "corpus": "c", "task": "classification", "chosen": ["comp.*"], "pairs": 40}
    checked = load_checked(spec, name="d", documents=documents())
    found = sides(checked.pairs)
    assert (found["own"] == found["label"].str.startswith("comp.")).all()
    assert set(found.loc[~found["own"], "label"]) == {"rec.three", "soc.four"}
    post = found["text"].str.extract(r"^(d\d+)w")[0]
    assert found.groupby(post)["split"].nunique().max() == 1
    assert found.groupby("split")["own"].sum().tolist() == [20] * 3
    with pytest.raises(ValueError, match=r"datasets.d.chosen: \* match every label; labels are: comp.one"):
        load_checked(spec | {"chosen": ["*"]}, name="d", documents=documents())


SCIQ = {
    "question": "q?",
    "correct_answer": "right",
    "distractor1": "x",
    "distractor2": "y",
    "distractor3": "z",
    "support": "",
}


def test_questions_become_texts_with_a_right_or_a_wrong_answer():
    made = [parse_sciq(SCIQ | {"question": f"q{i}?"}) for i in range(400)]
    assert {row["text"] == f"Q: {row['question']} A: {row['answer']}" for row in made} == {True}
    assert all((row["label"] == "correct") == (row["answer"] == "right") for row in made)
    share = Counter(row["answer"] for row in made)
    assert 160 < share["right"] < 240 and min(share[answer] for answer in "xyz") > 40
    assert made == [parse_sciq(SCIQ | {"question": f"q{i}?"}) for i in range(400)]


def test_the_right_answer_none_of_the_above_is_never_shown():
    answers = {"answer0": "a", "answer1": "b", "answer2": "c", "answer3": "None of the above choices ."}
    row = {"context": "c", "question": "q", "label": 3, **answers}
    made = [parse_cosmos_qa(row | {"question": f"q{i}"}) for i in range(60)]
    assert {one["label"] for one in made if isinstance(one, dict)} == {"incorrect"}
    assert {one["answer"] for one in made if isinstance(one, dict)} == set("abc")
    made = [parse_cosmos_qa(row | {"question": f"q{i}", "label": 0}) for i in range(60)]
    assert Counter(one["label"] for one in made if isinstance(one, dict)).keys() == {"correct", "incorrect"}
    assert all((one["label"] == "correct") == (one["answer"] == "a") for one in made if isinstance(one, dict))
    assert isinstance(made[0], dict) and made[0]["text"] == f"Context: c\nQuestion: q0\nAnswer: {made[0]['answer']}"
    assert parse_cosmos_qa(row | {"label": -1}) == "the right answer is not said"


def test_rows_of_the_hub_are_read_by_parser_or_template(monkeypatch):
    asked = []

    def given_rows(entry: Any, place: str, *, split: str, file: str | None, instead: str):
        asked.append((entry.repo, split, file))
        if entry.parser == "sciq":
            rows = [SCIQ | {"question": f"q{i}w q{i}v?"} for i in range(120)]
        else:
            rows = [{"title": f"t{i}", "content": f"c{i} d{i}", "label": i % 2} for i in range(120)]
        return enumerate(rows, start=1)

    monkeypatch.setattr("w2sg.data.sources.hub_rows", given_rows)
    assert rows_of_sources.hub_rows is not given_rows
    hub = {"source": "hub", "repo": "a/b", "task": "classification", "pairs": 20}
    found = sides(load_checked(hub | {"parser": "sciq"}, name="d").pairs)
    assert (found["own"] == (found["label"] == "incorrect")).all()  # the last in alphabetical order
    found = sides(
        load_checked(
            hub | {"template": "{title} {content}", "file": "x/test.parquet", "hub_splits": ["test"]}, name="d"
        ).pairs
    )
    assert found["text"].str.fullmatch(r"t(\d+) c\1 d\1").all()
    assert asked == [("a/b", "train", None), ("a/b", "test", "x/test.parquet")]
    with pytest.raises(
        ValueError, match=r"a/b, split train, row 1: .*no field 'Title'; fields are 'title', 'content', 'label'"
    ):
        load_checked(hub | {"template": "{Title}"}, name="d")


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ([{"body": "a", "label": 1}], {}, "datasets.mine.file: {path}, row 1: no field 'text'; fields are 'body', 'label'; set text"),
        ([{"text": "a", "class": 1}], {}, "row 1: no field 'label'; fields are 'text', 'class'; set label"),
        ([{"text": "a", "label": 1}], {"template": "{title}"}, "row 1: no field 'title'; fields are 'text', 'label'; set template"),
        ([{"text": "a", "label": ""}, {"text": "b", "label": 1}], {}, "row 1: label is missing; correct or remove"),
        ([{"text": " ", "label": 0}, {"text": "b", "label": 1}], {}, "row 1: text is empty; correct or remove"),
        ([{"text": "a", "label": 1}] * 3, {}, "datasets.mine: every text has the same label (1), expected two classes"),
        ([{"text": "a", "label": n} for n in range(3)], {}, "datasets.mine: there are 3 labels (0, 1, 2); set positive"),
        ([{"text": "a", "label": n} for n in range(3)], {"positive": 7}, "no text has the label '7'; labels are 0, 1, 2"),
        (texts(100), {"pairs": 40}, "datasets.mine.file: 25 texts have the label spam, 60 are wanted; lower pairs"),
        (texts(100, 0.7), {"pairs": 40, "positive": "spam"}, "texts have the label not spam, 60 are wanted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_known_at_the_door(tmp_path, rows, keys, message):
    path = save(tmp_path / "f.csv", rows)
    with pytest.raises(ConfigError) as caught:
        check_files(config(entry(path, **keys)), ["mine"])
    assert message.format(path=path) in str(caught.value)


def test_labels_behind_the_first_rows_count_and_the_first_text_is_shown(tmp_path):
    rows = [{"title": "t{", "text": f"x{i}", "label": i // 60} for i in range(120)]
    given = config(entry(save(tmp_path / "f.jsonl", rows), pairs=8, template="{title}: {text}"))
    check_files(given, ["mine"])
    assert first_texts(given, ["mine"]) == {"mine": "t{: x0"}
    halves = {split: save(tmp_path / f"{split}.csv", rows[:61] if split == "test" else rows) for split in SPLITS}
    spec = {"source": "files", "files": halves, "task": "classification", "pairs": 8}
    with pytest.raises(ConfigError, match=r"datasets.mine.files.test: 1 texts have the label 1, 4 are wanted"):
        check_files(config(spec), ["mine"])
