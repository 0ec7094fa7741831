"""The table of causal model types: complete, with a reason for what is not run; each type again on request, which takes minutes."""

from __future__ import annotations

import os
import warnings

import pytest

from tests.model_types import causal_types, linear_layers, try_type
from w2sg.revisions.facts.descriptions import model_types

TABLE = model_types()


def test_every_causal_type_of_the_library_is_in_the_table_with_a_reason_where_it_is_not_packed():
    assert set(TABLE) == {*causal_types(), "hf_olmo"}
    assert {row["how"] for row in TABLE.values()} <= {"packed", "alone", "refused", "untried"}
    assert [name for name, row in TABLE.items() if row["how"] != "packed" and not row["why"]] == []


def test_linear_layers_are_those_of_the_library():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert {kind: linear_layers(kind) for kind in causal_types()} == {
            kind: row["linear"].split() for kind, row in TABLE.items() if kind != "hf_olmo"
        }
    assert {"dense", "query_key_value"} <= set(TABLE["gpt_neox"]["linear"].split()) and not TABLE["gpt2"]["linear"]


@pytest.mark.slow
@pytest.mark.skipif("TYPES_TEST" not in os.environ, reason="takes minutes: make types-test")
@pytest.mark.parametrize("kind", causal_types())
def test_a_type_gives_the_numbers_of_each_text_alone_or_is_refused(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = try_type(kind)
    assert found.how == TABLE[kind]["how"], found.why
