"""The parser of revision lists: every line is a revision, an error that names it, or blank."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from w2sg.study.fields import NAME, ConfigError
from w2sg.study.lists.rows import Revision, check_rising, read_revisions

HEADER = "revision\tstep\ttokens_billion\tnote"
STEADY = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def saved(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def names(path: Path) -> list[str]:
    return [revision.name for revision in read_revisions(path)]


NOTES = st.text(st.characters(exclude_characters="\t\r\n\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', '"open', '""', "'", "NA", "# x", "\\t", "\u2028", "\x0b", "\x85", "\ufeff"]
)
NAMES = st.from_regex(NAME, fullmatch=True).filter(lambda name: name not in ("main", "random") and len(name) <= 120)


@STEADY
@given(st.lists(st.tuples(NAMES, NOTES), min_size=1, max_size=8, unique_by=lambda row: row[0]), st.data())
def test_as_many_revisions_as_rows_whatever_the_notes_hold(tmp_path, rows, data):
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    mark = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    blank = data.draw(st.integers(0, len(rows)))
    lines = [HEADER, *(f"{name}\t{step}\t{step}\t{note}" for step, (name, note) in enumerate(rows))]
    lines.insert(blank + 1, data.draw(st.sampled_from(["", " ", "\t\t\t"])))
    path = saved(tmp_path, mark + end.join(lines).encode() + data.draw(st.sampled_from([b"", end.encode()])))
    assert names(path) == [name for name, _ in rows]


@STEADY
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n"), max_size=8))
def test_a_name_is_kept_or_refused_and_what_is_kept_fits_the_wildcards(tmp_path, name):
    path = saved(tmp_path, f"{HEADER}\n{name}\t0\t0\t-\nstep1\t1\t1\t-\n")
    try:
        found = names(path)
    except ConfigError as error:
        assert re.search(r"list\.tsv, line 2: ", str(error))
    else:
        assert found == [name, "step1"] and re.fullmatch(NAME, name)


@pytest.mark.parametrize("name", ["NA", "nan", "null", "None", "true", "1000", "1e3", "a.b", "v0.1_x-y", "0"])
def test_names_that_other_readers_take_for_something_else_are_names(tmp_path, name):
    assert names(saved(tmp_path, f"{HEADER}\n{name}\t1\t1\t\n")) == [name]


@pytest.mark.parametrize("name", ["_a", "-a", ".a", "a b", "a/b", "ä", "a\u00a0", '"a"', "a ", "", "a" * 121, "main"])
def test_names_that_rules_could_not_match_are_refused_with_their_line(tmp_path, name):
    with pytest.raises(ConfigError, match=rf"line 3: revision name .*{re.escape(repr(name)[1:15])}"):
        read_revisions(saved(tmp_path, f"{HEADER}\nstep0\t0\t0\t\n{name}\t1\t1\t\n"))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"{HEADER}\nstep0\t0\t0\t\n".encode("utf-16"), 1),
        (f"{HEADER}\nstep0\t0\t0\t\n".encode("utf-16-le"), 1),
        (f"{HEADER}\nstep0\t0\t0\t\nstep1\t1\t1\tprès\n".encode("latin-1"), 3),
        (b"\x1f\x8b\x08\x00", 1),
        (f"{HEADER}\nstep0\t0\t0\t\nstep1\t1\t1\ta\0b\n".encode(), 3),
    ],
    ids=["utf-16", "utf-16 without mark", "latin-1", "gzip", "nul"],
)
def test_another_encoding_is_named_with_its_line(tmp_path, content, line):
    with pytest.raises(ConfigError, match=rf"list\.tsv, line {line}: .* no text in UTF-8"):
        read_revisions(saved(tmp_path, content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("revision,step,tokens_billion\nstep0,0,0\n", "line 1: expected tab-separated columns"),
        ('"revision"\t"step"\t"tokens_billion"\n"a"\t"0"\t"0"\n', "line 1: .*did you mean"),
        ("revision\tstep\tstep\ttokens_billion\na\t0\t0\t0\n", "line 1: column step is repeated"),
        ("revision\tstep\ttokens_billion\tCommit\na\t0\t0\tx\n", "line 1: column 'Commit': did you mean 'commit'"),
        ("revision\tstep\ttokens_billion\tseeds\na\t0\t0\t1\n", "line 1: column 'seeds': did you mean 'seed'"),
        (f"{HEADER}\na\t0\t0\n", "line 2: 3 cells, the header has 4"),
        (f"{HEADER}\na\t0\t0\t\tx\n", "line 2: 5 cells, the header has 4"),
        (f"{HEADER}\na\t1_0\t1\t\n", "line 2: step is '1_0', expected an integer"),
        (f"{HEADER}\na\t1.0\t1\t\n", "line 2: step is '1.0'"),
        (f"{HEADER}\na\t١\t1\t\n", "line 2: step is"),
        (f"{HEADER}\na\t{2**60}\t1\t\n", "line 2: step 1152921504606846976"),
        (f"{HEADER}\na\t{'9' * 5000}\t1\t\n", "line 2: step is '999"),
        (f"{HEADER}\na\t1\t4,19\t\n", "line 2: tokens_billion is '4,19', expected a number"),
        (f"{HEADER}\na\t1\t 1\t\n", "line 2: tokens_billion is ' 1'"),
        (f"{HEADER}\na\t1\tinf\t\n", "line 2: step 1 and tokens_billion inf"),
        (f"{HEADER}\na\t1\t\t\n", "line 2: tokens_billion is ''"),
        ("revision\tstep\ttokens_billion\trepo\na\t0\t0\tjust-a-name\n", "line 2: repo is 'just-a-name', expected owner"),
        ("revision\tstep\ttokens_billion\tcommit\na\t0\t0\tabc\n", "line 2: commit is 'abc', expected a commit of 40"),
        ("revision\tstep\ttokens_billion\tsubfolder\na\t0\t0\t../x\n", "line 2: subfolder is '../x'"),
        ("revision\tstep\ttokens_billion\tsubfolder\na\t0\t0\tx\0y\n", "line 2: this revision list is no text"),
        ("revision\tstep\ttokens_billion\tsubfolder\na\t0\t0\tx\x01y\n", "line 2: subfolder is 'x"),
        (f"revision\tstep\ttokens_billion\tsubfolder\na\t0\t0\t{'x' * 256}\n", "line 2: subfolder is .* at most 255 bytes"),
        ("revision\tstep\ttokens_billion\tsubfolder\na\t0\t0\t/x\n", "line 2: subfolder is '/x'"),
        ("revision\tstep\ttokens_billion\tseed\na\t0\t0\t1\nb\t1\t1\t-\n", "1 rows have no seed and others have one: b"),
    ],
)  # fmt: skip
def test_what_a_row_lacks_is_said_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_revisions(saved(tmp_path, text))
    assert "list.tsv" in str(caught.value)


@STEADY
@given(st.lists(st.floats(0.001, 1e6), min_size=2, max_size=8))
def test_tokens_that_fall_are_refused_and_others_are_not(tmp_path, tokens):
    rows = "".join(f"s{step}\t{step}\t{value!r}\t\n" for step, value in enumerate(tokens, start=1))
    path = saved(tmp_path, f"{HEADER}\n{rows}")
    falls = [place for place in range(1, len(tokens)) if tokens[place] < max(tokens[:place])]
    if not falls:
        assert [revision.tokens for revision in read_revisions(path)] == tokens
        return
    with pytest.raises(ConfigError, match=rf"list\.tsv, line {falls[0] + 2}: .*\(s{falls[0] + 1}\) are fewer than the"):
        read_revisions(path)


def test_equal_tokens_of_rounded_names_are_allowed_and_the_order_of_rows_is_free():
    rising = [
        Revision(name=f"s{step}", step=step, tokens=tokens) for step, tokens in ((9, 3), (1, 0.5), (5, 3), (0, 0))
    ]
    check_rising(rising, {one.name: one.name for one in rising})


def test_trajectories_of_several_seeds_are_checked_each_on_its_own(tmp_path):
    text = "revision\tstep\ttokens_billion\tseed\nstep1\t1\t5\ta\nstep2\t2\t6\ta\nstep1\t1\t1\tb\nstep2\t2\t2\tb\n"
    found = read_revisions(saved(tmp_path, text))
    assert [(one.seed, one.name, one.tokens) for one in found] == [
        ("a", "step1", 5), ("a", "step2", 6), ("b", "step1", 1), ("b", "step2", 2)
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="line 4: revision name 'step1' is repeated, it stands in line 2 too"):
        read_revisions(saved(tmp_path, text.replace("\tb\n", "\ta\n")))


def test_two_rows_of_one_commit_are_refused_unless_they_are_of_other_folders_or_seeds(tmp_path):
    head = "revision\tstep\ttokens_billion\tsubfolder\tcommit\tseed\n"
    rows = [("a", 1, "x", "1"), ("b", 2, "y", "1"), ("a", 1, "x", "2")]
    text = head + "".join(f"{name}\t{step}\t{step}\t{place}\t{'ab' * 20}\t{seed}\n" for name, step, place, seed in rows)
    assert len(read_revisions(saved(tmp_path, text))) == 3
    with pytest.raises(ConfigError, match=r"list.tsv, line 5: commit abab\w+ is that of line 3 too"):
        read_revisions(saved(tmp_path, f"{text}c\t3\t3\ty\t{'ab' * 20}\t1\n"))


def test_places_are_read_and_dashes_say_nothing(tmp_path):
    text = "revision\tstep\ttokens_billion\trepo\tsubfolder\tcommit\na\t0\t0\to/early\t-\t-\nb\t1\t1\t\truns/1\t{}\n"
    first, second = read_revisions(saved(tmp_path, text.format("ab" * 20)))
    assert first.place == {"repo": "o/early"}
    assert second.place == {"subfolder": "runs/1", "commit": "ab" * 20}
