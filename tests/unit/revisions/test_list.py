"""Lists made of a repository's branches: every branch is a row, or named with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hub_branch import FILES, REPO
from tests.hub_branch import server as server
from w2sg.revisions.list import make_list, write_list
from w2sg.study.lists.rows import read_revisions

COMMIT = "ab" * 20
STEADY = settings(max_examples=80, derandomize=True, deadline=None, database=None)


def listed(*names: str, **options):
    return make_list(dict.fromkeys(names, COMMIT), **options)


@pytest.mark.parametrize(
    ("name", "step", "tokens", "seed"),
    [
        ("step1000", 1000, 2.0, ""), ("step0", 0, 0.0, ""), ("stage1-step1000-tokens3B", 1000, 2.0, ""),
        ("step-240000", 240000, 480.0, ""), ("global_step5", 5, 0.01, ""), ("step7-seed-small-aux-2", 7, 0.014, "small-aux-2"),
    ],
)  # fmt: skip
def test_names_of_known_suites(name, step, tokens, seed):
    (row,) = listed(name, tokens_per_step=2e6).rows
    assert (row.name, row.step, row.tokens, row.seed, row.commit) == (name, step, pytest.approx(tokens), seed, COMMIT)


def test_tokens_come_from_names_where_nobody_says_more():
    made = listed("step0-tokens0B", "step1000-tokens4B", "step10-tokens0B", "step5")
    assert [(row.step, row.tokens) for row in made.rows] == [(0, 0.0), (1000, 4.0)]
    assert made.skipped == {
        "step10-tokens0B": "its name says 0 billion tokens after step 0: give --tokens-per-step",
        "step5": "its name says no tokens: give --tokens-per-step",
    }


def test_what_is_no_row_has_a_reason():
    made = listed("main", "stage2-step5", "step1-seed-a", "step2", tokens_per_step=1e9)
    assert [row.name for row in made.rows] == ["step1-seed-a"]
    assert set(made.skipped) == {"main", "stage2-step5", "step2"}
    assert made.skipped["step2"] == "its name says no seed, and others do"


def test_a_pattern_of_ones_own_and_a_name_with_a_slash():
    made = listed("runs/a/ckpt_000", "runs/a/ckpt_010", pattern=r"runs/a/ckpt_(?P<step>\d+)", tokens_per_step=1e9)
    assert [(row.name, row.step) for row in made.rows] == [("runs-a-ckpt_000", 0), ("runs-a-ckpt_010", 10)]
    with pytest.raises(ValueError, match="has no group named step"):
        listed("step1", pattern="step(.*)")


@STEADY
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
        | st.integers(0, 10**6).map("step{}".format),
        unique=True,
    )
)
def test_every_branch_is_a_row_or_is_named(names):
    made = make_list(dict.fromkeys(names, COMMIT), tokens_per_step=1e6)
    assert len(made.rows) + len(made.skipped) == len(names)
    assert len(made.text().splitlines()) == 1 + len(made.rows)


def test_the_command_writes_what_a_study_reads(server, tmp_path, capsys):
    names = ["main", "step8-seed-b", "step8-seed-a", "step0-seed-a", "step0-seed-b", "nightly"]
    server.branches[REPO] = {name: FILES for name in names}
    target = tmp_path / "list.tsv"
    assert write_list([REPO, "--tokens-per-step", "1000000", "--output", str(target)]) == 0
    found = read_revisions(target)
    assert [(one.seed, one.name, one.step) for one in found] == [
        (seed, f"step{step}-seed-{seed}", step) for seed in "ab" for step in (0, 8)
    ]
    assert all(one.commit == server.commit(REPO, one.name) for one in found)
    told = capsys.readouterr().err
    assert "skipped nightly: its name does not match the pattern" in told
    assert f"{REPO}: 4 of 6 branches are in the list" in told
    assert target.read_text().startswith(
        "index\trevision\tstep\ttokens_billion\tseed\tcommit\tevidence\n0\tstep0-seed-a"
    )


@pytest.mark.parametrize(
    ("repo", "names", "said"),
    [
        ("owner/nowhere", [], "such repository"),
        (REPO, ["main", "x"], "0 of 2 branches are in the list"),
        (
            REPO,
            ["step1-tokens5B", "step2-tokens4B"],
            "line 3: 4 billion tokens at step 2",
        ),
    ],
)
def test_a_list_that_no_study_would_read_is_not_kept(server, tmp_path, capsys, repo, names, said):
    server.branches[REPO] = {name: FILES for name in names or ["main"]}
    assert write_list([repo, "--output", str(tmp_path / "list.tsv")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "list.tsv").exists()
