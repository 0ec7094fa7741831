"""What texts are compared by does not depend on how they are written."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2sg.study.texts.spelling import normalise, visible


def test_texts_are_compared_without_case_width_and_spaces():
    assert normalise(" Ｆull\u00a0 Width\n") == normalise("full width") == "full width"
    assert normalise("ﬁne STRASSE") == normalise("fine straße")
    assert normalise("a b") != normalise("ab")


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\u200e",
        "\x01",
        "\x7f",
        "\u3164",
        "\u2800",
        "\u115f",
        "\u1160",
        "\uffa0",
        "\ufe0f",
    ],
)
def test_characters_that_cannot_be_seen_tell_no_texts_apart(hidden):
    assert normalise(f"{hidden}Q 5{hidden}?") == normalise("Q 5?")
    assert normalise(f"cafe{hidden}\u0301") == normalise("caf\u00e9")


@given(st.text())
def test_what_is_seen_and_white_space_stays(text):
    gone = [one for one in text if one not in visible(text)]
    assert all(unicodedata.category(one) in ("Cc", "Cf", "Lo", "So", "Mn") and not one.isspace() for one in gone)
    assert visible(visible(text)) == visible(text)
    assert visible(text).split() or not text.isprintable() or not text.strip()
