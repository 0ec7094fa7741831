import csv
from pathlib import Path

import pytest

from w2sg.study.schedule import pythia_schedule, revision_name

PYTHIA = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(1000, 143_001, 1000))


def test_gives_pythias_own_schedule():
    assert pythia_schedule(143_000, 1000) == PYTHIA
    assert len(PYTHIA) == 154


def test_agrees_with_the_committed_revision_list():
    path = Path(__file__).parents[3] / "resources" / "revisions" / "pythia.tsv"
    if not path.exists():
        pytest.skip("no revision list of Pythia here")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["revision"], int(row["step"])) for row in rows] == [(revision_name(s), s) for s in PYTHIA]


def test_gives_the_miniature_suites_schedule():
    expected = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(640, 2049, 128))
    assert pythia_schedule(2048, 128) == expected
    assert len(expected) == 23


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (1, 1, (0, 1)),
        (64, 1000, (0, 1, 2, 4, 8, 16, 32, 64)),
        (512, 3, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)),
        (600, 100, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600)),
        (1024, 512, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)),
    ],
)
def test_short_and_odd_trainings(steps, every, expected):
    assert pythia_schedule(steps, every) == expected


def test_is_ascending_without_repeats_and_ends_at_the_last_step():
    for every in (1, 7, 64, 512, 513, 1000):
        steps = every * 1100
        schedule = pythia_schedule(steps, every)
        assert list(schedule) == sorted(set(schedule))
        assert schedule[-1] == steps


@pytest.mark.parametrize(
    ("steps", "every", "name"),
    [
        (0, 1, "steps"),
        (8, 0, "every"),
        (2.0, 1, "steps"),
        (True, 1, "steps"),
        (100, 1, "steps"),
        (700, 128, "steps"),
    ],
)
def test_refuses_what_would_not_end_at_a_published_step(steps, every, name):
    with pytest.raises(ValueError, match=f"^{name}: got .*allowed"):
        pythia_schedule(steps, every)


def test_names_revisions_as_pythia_does():
    assert revision_name(0) == "step0"
    assert revision_name(143_000) == "step143000"
    with pytest.raises(ValueError, match="step"):
        revision_name(-1)
