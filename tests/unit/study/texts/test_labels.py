"""Labels: what counts as the same one, and which class is told from the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2sg.study.texts.labels import label_name, positive_label
from w2sg.study.texts.spelling import visible

LABELS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.integers(), st.booleans(), st.floats(), st.none()
)


@pytest.mark.parametrize(
    ("same", "name"),
    [
        ((1, 1.0, "1", " 1 ", "1.0", "1.00", "+1", "01"), "1"),
        ((-1, -1.0, "-1", "-01.0"), "-1"),
        ((True, "True", "true", "TRUE"), "true"),
        ((0.5, "0.5"), "0.5"),
        (("spam", "spam\n"), "spam"),
    ],
)
def test_values_that_mean_one_label_have_one_name(same, name):
    assert {label_name(value) for value in same} == {name}


@given(LABELS)
def test_whatever_stands_there_is_a_label_or_an_error_that_says_why(value):
    try:
        name = label_name(value)
    except ValueError as error:
        if "stands for none" not in str(error):
            assert str(error) == "label is missing"
            assert value is None or value != value or not visible(str(value)).strip()
    else:
        assert name and name == label_name(name)


def test_a_list_is_no_label():
    with pytest.raises(ValueError, match="label is of type list"):
        label_name([1])


@pytest.mark.parametrize(
    ("labels", "wanted", "expected"),
    [
        (["0", "1"], None, "1"),
        (["false", "true"], "false", "false"),
        (["a", "b", "c"], "b", "b"),
        (["a", "a"], None, ValueError("every text has the same label (a), expected two classes")),
        ([], None, ValueError("every text has the same label (none)")),
        (["a", "b", "c"], None, ValueError("there are 3 labels (a, b, c); set positive")),
        (["Ham", "ham", "spam"], "spam", ValueError("labels 'Ham' and 'ham' are one but for how they are written")),
        (["a", "a\u200b"], None, ValueError(r"labels 'a' and 'a\u200b' are one but for")),
        (["a", "b"], "c", ValueError("no text has the label 'c'; labels are a, b; correct positive")),
        ([str(n) for n in range(10, 30)], None, ValueError("(10, 11, 12, 13, 14, 15, 16, 17 and 12 more)")),
    ],
)
def test_the_positive_class_is_the_wanted_one_or_the_last_of_two(labels: list[str], wanted: str | None, expected: Any):
    if isinstance(expected, str):
        assert positive_label(labels, wanted) == expected
        return
    with pytest.raises(ValueError) as caught:
        positive_label(labels, wanted)
    assert str(expected) in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "positive"), [(("+1", "-1"), "1"), (("9", "10"), "10"), ((0, 1), "1"), (("ham", "spam"), "spam")]
)
def test_of_two_numbers_the_larger_is_the_positive_class(labels, positive):
    assert positive_label(map(label_name, labels), None) == positive


def test_what_stands_for_no_label_is_no_class():
    for name in ("nan", "NaN", "<NA>"):
        with pytest.raises(ValueError, match="stands for none"):
            label_name(name)
    with pytest.raises(ValueError, match="labels are -1, 0, 1, and -1 stands for none"):
        positive_label(["0", "1", "-1"], "1")
    assert positive_label(["none", "against", "-1"], "none") == "none"
