"""Numbers that docs/limits.md states of a committed study are those of its table."""

from __future__ import annotations

import re

import pytest

from tests.repo.imports import ROOT
from w2sg.trajectories.summary import read_summary

LIMITS = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
STATED = re.compile(r"([+-]?[\d,.]*\d),? \((-?[\d,.]*\d) to\s(-?[\d,.]*\d)\)")
"""A value with its interval."""


def bullets() -> dict[str, str]:
    """Returns the points of the page that name a table of a study, by the table's name."""
    points = re.split(r"\n(?=- |## )", LIMITS)
    return {found[1]: point for point in points if (found := re.search(r"`docs/results/(\w+_summary\.csv)`", point))}


@pytest.mark.parametrize("name", bullets())
def test_a_value_with_its_interval_is_a_row_of_the_table(name):
    rows = read_summary(ROOT / "docs" / "results" / name)
    rows = rows[rows["level"] != "one seed"]
    stated = STATED.findall(bullets()[name])
    assert len(stated) >= 4
    for numbers in stated:
        plain = [number.replace(",", "").lstrip("+") for number in numbers]
        places = len(plain[0].partition(".")[2])
        found = {tuple(f"{number:.{places}f}" for number in row) for row in rows[["value", "low", "high"]].to_numpy()}
        assert tuple(plain) in found, numbers
