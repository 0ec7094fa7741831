"""Revision lists and selections: exact counts, order, nesting, clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2sg import sweep
from w2sg.config import ConfigError
from w2sg.sweep import Revision, select

ROOT = Path(__file__).resolve().parents[2]


def numbered(n: int) -> list[Revision]:
    return [Revision(name=f"step{i}", step=i, tokens=i / 10) for i in range(n)]


def steps(selection) -> list[int]:
    return [revision.step for revision in selection]


def test_everything_by_default_whatever_the_order_of_the_list():
    assert steps(select(numbered(5)[::-1])) == [0, 1, 2, 3, 4]


def test_stride_continues_the_grid_from_the_first_block():
    assert steps(select(numbered(20), first=3, stride=5)) == [0, 1, 2, 7, 12, 17]
    assert steps(select(numbered(20), stride=5)) == [4, 9, 14, 19]


@pytest.mark.parametrize("total", [558, 832, 928, 317, 318])
def test_count_is_exact_starts_with_the_first_and_ends_with_the_last(total):
    chosen = steps(select(numbered(total), first=100, count=317))
    assert len(set(chosen)) == 317
    assert chosen[:100] == list(range(100))
    assert chosen[-1] == total - 1
    gaps = {b - a for a, b in zip(chosen[99:], chosen[100:], strict=False)}
    assert max(gaps) - min(gaps) <= 1


def test_last_cuts_the_list():
    assert steps(select(numbered(30), first=2, stride=4, last=12)) == [0, 1, 5, 9]


def test_thinned_selections_are_nested_and_keep_the_last():
    whole = numbered(154)
    coarse, middle = (set(steps(select(whole, thin=n))) for n in (16, 4))
    assert coarse < middle < set(range(154))
    assert 153 in coarse


def test_added_names_come_in_their_place():
    assert steps(select(numbered(20), first=2, stride=9, add=["step5"])) == [0, 1, 5, 10, 19]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 2, "count": 3}, "exclude"),
        ({"first": 0}, "first: must be at least 1"),
        ({"count": 50}, "count: 50"),
        ({"first": 50}, "first: 50"),
        ({"last": 50}, "last: position 50"),
        ({"first": 9, "count": 3}, "less than first"),
        ({"add": ["step99"]}, "nearest are"),
    ],
)
def test_impossible_selections_say_why(arguments, message):
    with pytest.raises(ValueError, match=message):
        select(numbered(20), **arguments)


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("pythia", 154, "step143000"),
        ("OLMo-7B", 558, "step557000-tokens2464B"),
        ("OLMo-7B-0424-hf", 832, None),
    ],
)
def test_shipped_lists(name, count, last):
    rows = sweep.read_revisions(ROOT / "resources" / "revisions" / f"{name}.tsv")
    assert len(rows) == count
    assert list(rows) == sorted(rows, key=lambda row: row.step)
    if last:
        assert rows[-1].name == last


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("revision\tstep\nstep1\t1\n", "line 2: expected tab-separated columns"),
        ("revision\tstep\ttokens_billion\nstep1\tx\t1\n", "line 2"),
        ("revision\tstep\ttokens_billion\nstep1\t1\t1\nstep1\t2\t1\n", "line 3: revision name 'step1'"),
        ("revision\tstep\ttokens_billion\n../x\t1\t1\n", "odd characters"),
    ],
)
def test_broken_lists_name_file_and_line(tmp_path, text, message):
    path = tmp_path / "list.tsv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        sweep.read_revisions(path)
    assert str(path) in str(caught.value)


SHIPPED = {"pythia": 154, "OLMo-7B": 558, "OLMo-7B-0424-hf": 832, "OLMo-7B-0724-hf": 819, "OLMo-2-1124-7B-stage1": 928}


@pytest.mark.parametrize(
    ("name", "rule", "count"),
    [
        ("pythia", {}, 154),
        ("OLMo-7B", {"first": 100, "count": 317}, 317),
        ("OLMo-7B-0424-hf", {"first": 100, "count": 317}, 317),
        ("OLMo-2-1124-7B-stage1", {"first": 100, "count": 317}, 317),
        ("OLMo-7B", {"first": 100, "stride": 5}, 191),
        ("OLMo-7B-0424-hf", {"first": 100, "stride": 5}, 246),
        ("OLMo-7B-0724-hf", {"first": 100, "stride": 5}, 243),
        ("OLMo-2-1124-7B-stage1", {"first": 100, "stride": 5}, 265),
        ("OLMo-2-1124-7B-stage1", {"first": 100, "stride": 4}, 307),
        ("OLMo-7B", {"first": 100, "count": 317, "thin": 16}, 21),
    ],
)
def test_counts_on_the_shipped_lists(name, rule, count):
    """The arithmetic of docs/limits.md: no shipped list gives 317 by the paper's text."""
    rows = sweep.read_revisions(ROOT / "resources" / "revisions" / f"{name}.tsv")
    assert len(rows) == SHIPPED[name]
    assert len(select(rows, **rule)) == count


def test_the_papers_rule_and_the_one_that_gives_its_number():
    """First 100, then every fifth to the 962nd: 272. First 101, then every fourth, and the last of 962: 317."""
    assert len(select(numbered(962), first=100, stride=5)) == 272
    assert len(select(numbered(962), first=101, stride=4, add=["step961"])) == 317


HUB = {"source": "hub", "repo": "o/m"}


def test_main_can_supervise_with_and_without_a_list():
    listed = HUB | {"revisions": "resources/revisions/pythia.tsv"}
    config = {"models": {"strong": listed, "weak": listed, "bare": HUB}, "families": {}}
    for weak, wanted, expected in [("bare", "last", "main"), ("weak", "main", "main"), ("weak", "last", "step143000")]:
        config["families"]["f"] = {"strong": "strong", "weak": weak, "weak_revision": wanted}
        assert sweep.resolve_family("f", config, ROOT).weak_revision == expected
    config["families"]["f"]["weak_revision"] = "step5"
    with pytest.raises(ConfigError, match="no revision 'step5'"):
        sweep.resolve_family("f", config, ROOT)


def test_used_revisions_name_each_once_and_the_supervisors_too():
    families = {
        name: sweep.Family(name=name, strong="s", weak=weak, weak_revision="step9", revisions=tuple(numbered(3)))
        for name, weak in (("one", "w"), ("two", "s"))
    }
    assert sweep.used_revisions(families) == {"s": ["step0", "step1", "step2", "step9"], "w": ["step9"]}


@pytest.mark.parametrize(("snapshots", "downloads"), [(1, 1), (2, 1), (3, 2), (9, 4)])
def test_fetches_leave_a_place_for_the_one_in_use(snapshots, downloads):
    assert sweep.fetch_limits(snapshots) == {"snapshots": snapshots, "downloads": downloads}
