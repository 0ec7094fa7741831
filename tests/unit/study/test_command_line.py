"""Values behind --config are read as those of files are: YAML, whatever Snakemake makes of them."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from snakemake.cli import parse_config

from tests.unit.study.test_config import put, shipped
from w2sg.study.config import Origins, complete_config
from w2sg.study.fields import ConfigError

LIKE_NUMBERS = [
    "1",
    "-2",
    "1.5",
    "1e-3",
    "true",
    "null",
    "~",
    "0x10",
    "1_000",
    "2024-01-01",
    "",
    "a: b",
    "{x}",
    "'q'",
    '"',
    "#c",
    "a=b",
    "ü",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(LIKE_NUMBERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b-c", "1"]), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@drawn(value=VALUES)
def test_any_value_is_what_yaml_says_and_others_stay(value):
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).removesuffix("...\n").strip()
    parsed = parse_config([f"key={text}"])
    found = Origins(files=[], words=[f"key={text}"], parsed=parsed).retype(parsed | {"other": "1"})
    assert repr(found) == repr({"key": value, "other": "1"})
    if isinstance(value, dict):  # taken as the configuration of a module
        part = Origins(files=[], words=[f"key={text}"], parsed=parsed).retype(parsed["key"])
        assert repr(part) == repr(value)


@pytest.mark.parametrize(
    ("word", "path", "value"),
    [
        ("partial=true", "partial", True),
        ("partial=False", "partial", False),
        ("intervals={bootstrap: 60}", "intervals/bootstrap", 60),
        ("heads={seeds: [0], margin: single}", "heads/seeds", [0]),
        ("heads={'paper': {'learning_rates': [1.0e-3]}}", "heads/paper/learning_rates", [1e-3]),
        ("study=nano2", "study", "nano2"),
    ],
)
def test_values_of_the_command_line_are_read_as_yaml(word, path, value):
    checked = complete_config(*given(word))
    for key in path.split("/"):
        checked = checked[key]
    assert checked == value


def given(word: str) -> tuple[dict, Origins]:
    """The shipped configuration with what Snakemake makes of a word behind --config, laid over it as Snakemake does."""
    from snakemake.utils import update_config

    config, parsed = shipped(), parse_config([word])
    update_config(config, parsed)
    return config, Origins(files=[], words=[word], parsed=parsed)


def test_mistakes_of_the_command_line_are_told_as_such():
    config, found = given("heads={seeds: [zero], loss: hard}")
    with pytest.raises(ConfigError) as caught:
        complete_config(config, found)
    assert "\n  - --config: heads.seeds.0: got 'zero' (text), expected an integer. Seeds" in found.describe(
        caught.value
    )


def test_text_in_a_file_stays_text_whatever_the_command_line_says():
    config, found = given("heads={seeds: [0]}")
    with pytest.raises(ConfigError, match="remove the quotes"):
        complete_config(put(config, "intervals/bootstrap", "60"), found)
