"""Selections by a logarithmic axis, by tokens and by share of training; holes of lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dag.conftest import ROOT
from w2sg.study import fields
from w2sg.study.lists.rows import Revision, read_revisions
from w2sg.study.lists.selection import Selection, holes_in, select

STEADY = settings(max_examples=80, derandomize=True, deadline=None, database=None)
STEPS = st.lists(st.integers(0, 10**7), min_size=2, max_size=60, unique=True)


def listed(steps) -> list[Revision]:
    return [Revision(name=f"step{step}", step=step, tokens=step / 1000) for step in steps]


def chosen(steps, **rule) -> list[int]:
    return [revision.step for revision in select(listed(steps), Selection(**rule))]


@STEADY
@given(STEPS, st.data())
def test_a_logarithmic_selection_has_as_many_as_asked_with_both_ends(steps, data):
    wanted = data.draw(st.integers(2, len(steps)))
    found = chosen(steps, log=wanted)
    assert len(found) == len(set(found)) == wanted
    assert found[-1] == max(steps)
    assert found[0] == min(steps) or wanted == 2
    assert found == chosen(steps[::-1], log=wanted)


def test_a_logarithmic_selection_is_evenly_spaced_where_the_list_allows_it():
    found = chosen([0, *range(1, 100_001)], log=12)
    assert found[0] == 0
    exponents = np.diff(np.log(found[1:]))
    np.testing.assert_allclose(exponents[3:], math.log(1e5) / 10, rtol=0.02)
    assert chosen(range(10), log=10) == list(range(10))


def test_a_selection_by_tokens_or_share_takes_the_nearest():
    steps = [0, 100, 200, 400, 800, 1000]
    assert chosen(steps, tokens=[0.14, 0.9]) == [100, 800]
    assert chosen(steps, share=[0.1, 0.5, 1.0]) == [100, 400, 1000]
    assert chosen(steps, share=[0.4], last=5) == [400]
    assert chosen(steps, tokens=[0.1], add=["step0"]) == [0, 100]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"log": 7}, "log: 7 revisions wanted, the list has 6"),
        ({"log": 3, "count": 3}, "count and log exclude each other"),
        ({"tokens": [1.0], "share": [0.5]}, "tokens and share exclude each other"),
        ({"first": 2, "log": 3}, "first and log exclude each other"),
        ({"tokens": [2.0]}, "tokens: 2 is 2 billion tokens, the last revision has seen 1"),
        ({"share": [1.0], "last": 3}, "share: 1 is 1 billion tokens, the last revision has seen 0.2"),
        ({"stride": 100}, "stride: 100 leaves no revision of the 6 that there are"),
        ({"stride": 3, "last": 2}, "stride: 3 leaves no revision of the 2"),
        ({"tokens": [0.1, 0.11]}, "tokens: of both 0.1 and 0.11 the nearest revision is step100 .0.1 billion tokens."),
    ],
)
def test_what_a_list_cannot_give_is_said(rule, message):
    with pytest.raises(ValueError, match=message):
        chosen([0, 100, 200, 400, 800, 1000], **rule)


def test_a_stride_beyond_the_list_leaves_what_is_taken_in_any_case():
    assert chosen([0, 100, 200], stride=100, first=1) == [0]
    assert chosen([0, 100, 200], stride=100, add=["step100"]) == [100]


def test_unknown_tokens_cannot_be_selected_by():
    unknown = [Revision(name="a", step=1, tokens=math.nan)]
    with pytest.raises(ValueError, match="share: the tokens of the revisions are not known"):
        select(unknown, Selection(share=[0.5]))


@pytest.mark.parametrize(
    "rule", [{"log": 1}, {"tokens": [0.0]}, {"tokens": []}, {"share": [1.5]}, {"share": [0.5, 0.5]}]
)
def test_impossible_rules_are_refused_by_their_key(rule):
    with pytest.raises(fields.ConfigError, match=rf"select\.{next(iter(rule))}"):
        fields.read(Selection, rule, ("select",))


@STEADY
@given(st.integers(1, 5000), st.integers(8, 80), st.data())
def test_steps_that_are_taken_out_of_a_grid_are_a_hole(every, number, data):
    start = data.draw(st.integers(0, number - 4))
    length = data.draw(st.integers(1, number - 3 - start))
    steps = [every * place for place in range(1, number + 1)]
    assert holes_in(listed(steps)) == []
    kept = steps[:start] + steps[start + length :]
    assert holes_in(listed(kept)) == [(steps[start - 1] if start else 0, steps[start + length])]


def test_grids_that_grow_have_no_holes_and_published_ones_have_theirs():
    folder = ROOT / "resources" / "revisions"
    assert holes_in(read_revisions(folder / "pythia.tsv")) == []
    assert (89500, 237000) in holes_in(read_revisions(folder / "OLMo-7B-Twin-2T.tsv"))
    assert holes_in(listed([102500, 105000, 107500, 110000, 112500])) == [(0, 102500)]
