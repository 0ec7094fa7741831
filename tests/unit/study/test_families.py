"""Revision lists and selections: exact counts, order, nesting, clear refusals."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from w2sg.study.config import ConfigError
from w2sg.study.families import Family, kept_layers, most_downloads, resolve_family, used_revisions
from w2sg.study.labels.supervisors import Supervisor
from w2sg.study.lists import selection
from w2sg.study.lists.models import files_of, revisions_of
from w2sg.study.lists.rows import Revision, read_revisions
from w2sg.study.lists.selection import Selection

ROOT = Path(__file__).resolve().parents[3]


def numbered(n: int) -> list[Revision]:
    return [Revision(name=f"step{i}", step=i, tokens=i / 10) for i in range(n)]


def select(revisions, **rule) -> tuple[Revision, ...]:
    return selection.select(revisions, Selection(**rule))


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


FAMILIES = {
    "pythia-31m": (154, "EleutherAI/pythia-31m", "EleutherAI/pythia-14m"),
    "pythia-70m": (154, "EleutherAI/pythia-70m", "EleutherAI/pythia-14m"),
    "pythia-160m": (154, "EleutherAI/pythia-160m", "EleutherAI/pythia-14m"),
    "pythia-410m": (154, "EleutherAI/pythia-410m", "EleutherAI/pythia-70m"),
    "pythia-1b": (154, "EleutherAI/pythia-1b", "EleutherAI/pythia-160m"),
    "pythia-1.4b": (154, "EleutherAI/pythia-1.4b", "EleutherAI/pythia-160m"),
    "pythia-2.8b": (154, "EleutherAI/pythia-2.8b", "EleutherAI/pythia-410m"),
    "pythia-6.9b": (154, "EleutherAI/pythia-6.9b", "EleutherAI/pythia-1b"),
    "pythia-12b": (154, "EleutherAI/pythia-12b", "EleutherAI/pythia-1b"),
    "olmo-7b": (558, "allenai/OLMo-7B", "allenai/OLMo-1B-hf"),
    "olmo-7b-0424": (832, "allenai/OLMo-7B-0424-hf", "allenai/OLMo-1B-hf"),
    "olmo2-1b": (228, "allenai/OLMo-2-0425-1B", "EleutherAI/pythia-160m"),
    "olmo2-7b": (928, "allenai/OLMo-2-1124-7B", "allenai/OLMo-2-0425-1B"),
    "olmo3-7b": (1415, "allenai/Olmo-3-1025-7B", "allenai/OLMo-2-0425-1B"),
    "smollm2-135m": (8, "HuggingFaceTB/SmolLM2-135M-intermediate-checkpoints", "EleutherAI/pythia-14m"),
    "smollm2-360m": (
        16,
        "HuggingFaceTB/SmolLM2-360M-intermediate-checkpoints",
        "HuggingFaceTB/SmolLM2-135M-intermediate-checkpoints",
    ),
    "datadecide-150m": (32, "allenai/DataDecide-c4-150M", "allenai/DataDecide-c4-8M"),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_shipped_families(name):
    """Strong and weak repository, and how many revisions are published of the strong model."""
    config = yaml.safe_load((ROOT / "config" / "models.yaml").read_text())
    family = resolve_family(name, config, ROOT)
    published = revisions_of(family.strong, config["models"][family.strong], ROOT)
    repos = [config["models"][model]["repo"] for model in (family.strong, family.supervisor.name)]
    assert (len(published), *repos) == FAMILIES[name]
    assert family.revisions[-1] == published[-1]


@pytest.mark.parametrize("path", sorted((ROOT / "resources" / "revisions").glob("*.tsv")), ids=lambda path: path.stem)
def test_shipped_lists_are_sorted_and_say_how_each_row_is_known(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["evidence"] for row in rows} <= {"listed", "seen", "computed"}
    listed = read_revisions(path)
    for seed in {row.seed for row in listed}:
        own = [row for row in listed if row.seed == seed]
        assert [int(row["index"]) for row in rows if row.get("seed", "") == seed] == list(range(len(own)))
        assert own == sorted(own, key=lambda row: row.step)
    assert all(str(row.step) in row.name for row in listed)
    sources = (ROOT / "resources" / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{re.escape(path.name)}` \| {len(rows):,} \| [^|]+ \| [^|]+ \|$", sources, flags=re.M)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("revision\tstep\nstep1\t1\n", "line 1: expected tab-separated columns"),
        ("revision\tstep\ttokens_billion\nstep1\tx\t1\n", "line 2"),
        ("revision\tstep\ttokens_billion\nstep1\t1\t1\nstep1\t2\t1\n", "line 3: revision name 'step1'"),
        ("revision\tstep\ttokens_billion\n../x\t1\t1\n", "odd characters"),
        ("revision\tstep\ttokens_billion\nstep1\t1\tnan\n", "line 2: step 1 and tokens_billion nan, allowed"),
        ("revision\tstep\ttokens_billion\nstep0\t0\t0\nstep1\t1\t0\n", "line 3: step 1 and tokens_billion 0, allowed"),
        ("revision\tstep\ttokens_billion\nx\t-1\t0\n", "line 2: step -1"),
        ("revision\tstep\ttokens_billion\nrandom\t0\t0\n", "line 2: revision name 'random' is kept for"),
    ],
)
def test_broken_lists_name_file_and_line(tmp_path, text, message):
    path = tmp_path / "list.tsv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_revisions(path)
    assert str(path) in str(caught.value)


def shipped(name: str) -> tuple[Revision, ...]:
    return read_revisions(ROOT / "resources" / "revisions" / f"{name}.tsv")


@pytest.mark.parametrize(
    ("name", "rule", "count"),
    [
        ("pythia", {}, 154),
        ("OLMo-7B", {"first": 100, "count": 317}, 317),
        ("OLMo-7B-0424-hf", {"first": 100, "count": 317}, 317),
        ("OLMo-2-1124-7B-stage1", {"first": 100, "count": 317}, 317),
        ("OLMo-7B", {"first": 100, "count": 317, "thin": 16}, 21),
    ],
)
def test_counts_on_the_shipped_lists(name, rule, count):
    assert len(select(shipped(name), **rule)) == count


def test_the_arithmetic_of_the_limits_page():
    """Every row of its table, recomputed; and that no list gives the paper's 317 by the paper's text."""
    text = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ +\| `(\S+)\.tsv` \| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) \|$", text, flags=re.M)
    assert len(rows) == 9 and {name for name, *_ in rows} <= {
        path.stem for path in (ROOT / "resources" / "revisions").glob("*.tsv")
    }
    for name, *stated in rows:
        listed = shipped(name)
        cut = select(listed, first=100, stride=5, last=min(962, len(listed)))
        found = [listed, cut, *(select(listed, first=100, stride=stride) for stride in (5, 4))]
        assert [int(number.replace(",", "")) for number in stated] == [len(part) for part in found], name
        assert 317 not in map(len, found[1:]), name


@pytest.mark.parametrize(
    ("stride", "totals"), [(4, range(968, 972)), (5, range(1185, 1190))], ids=["every fourth", "every fifth"]
)
def test_lists_that_would_give_317(stride, totals):
    lengths = range(totals[0] - 1, totals[-1] + 2)
    fitting = [total for total in lengths if len(select(numbered(total), first=100, stride=stride)) == 317]
    assert fitting == list(totals)


def test_the_papers_rule_and_the_one_that_gives_its_number():
    """First 100, then every fifth to the 962nd: 272. First 101, then every fourth, and the last of 962: 317."""
    assert len(select(numbered(962), first=100, stride=5)) == 272
    assert len(select(numbered(962), first=101, stride=4, add=["step961"])) == 317


@pytest.mark.parametrize("seed", range(60))
def test_any_selection_keeps_its_promises(seed):
    """Random lists and rules: sorted, unique, independent of the list's order, first block whole, last one kept, nested."""
    rng = np.random.default_rng(seed)
    total = int(rng.integers(1, 400))
    steps_of = np.sort(rng.choice(10_000, size=total, replace=False)).tolist()
    listed = [Revision(name=f"step{step}", step=step, tokens=step / 10) for step in steps_of]
    last = int(rng.integers(1, total + 1))
    first = int(rng.integers(1, last + 1))
    spaced = (
        {"stride": int(rng.integers(1, 12))} if rng.random() < 0.5 else {"count": int(rng.integers(first, last + 1))}
    )
    rule = {"first": first, "last": last, **spaced}
    whole = steps(select(listed, **rule))
    assert whole == steps(select(rng.permutation(np.array(listed, dtype=object)).tolist(), **rule))
    assert whole == sorted(set(whole)) and set(whole) <= set(steps_of[:last])
    assert whole[:first] == steps_of[:first]
    if "count" in rule:
        assert len(whole) == rule["count"]
        assert rule["count"] == first or whole[-1] == steps_of[last - 1]
    else:
        assert len(whole) == first + (last - first) // rule["stride"]
    previous = set(whole)
    for thin in (2, 4, 16):
        thinned = set(steps(select(listed, **rule, thin=thin)))
        assert thinned <= previous and {whole[0], whole[-1]} <= thinned
        assert len(thinned) in (-(-len(whole) // thin), -(-len(whole) // thin) + 1)
        previous = thinned
    name = f"step{steps_of[int(rng.integers(total))]}"
    assert set(steps(select(listed, **rule, add=[name]))) == set(whole) | {int(name[4:])}


HUB = {"source": "hub", "repo": "o/m"}


def test_main_can_supervise_with_and_without_a_list():
    listed = HUB | {"revisions": "resources/revisions/pythia.tsv"}
    config = {"models": {"strong": listed, "weak": listed, "bare": HUB}, "families": {}}
    for weak, wanted, expected in [("bare", "last", "main"), ("weak", "main", "main"), ("weak", "last", "step143000")]:
        config["families"]["f"] = {"strong": "strong", "weak": weak, "weak_revision": wanted}
        assert resolve_family("f", config, ROOT).supervisor.revision == expected
    config["families"]["f"]["weak_revision"] = "step5"
    with pytest.raises(ConfigError, match="no revision 'step5'"):
        resolve_family("f", config, ROOT)


def test_a_swept_model_says_its_tokens_and_a_supervisor_need_not(tmp_path):
    """Missing tokens were zero: onset and change point stood at 0 billion tokens in the report."""
    for name in ("step0", "step8"):
        (tmp_path / name).mkdir()
    local = {"source": "local", "path": str(tmp_path)}
    config = {
        "models": {"silent": local, "known": local | {"tokens_per_step": 2_000_000}, "bare": HUB},
        "families": {
            "f": {"strong": "silent", "weak": "silent"},
            "g": {"strong": "known", "weak": "silent"},
            "h": {"strong": "bare", "weak": "silent"},
        },
    }
    with pytest.raises(
        ConfigError, match=r"models\.silent\.tokens_per_step: missing; a swept model .* or a revision list"
    ):
        resolve_family("f", config, ROOT)
    _, revision = resolve_family("g", config, ROOT).revisions
    assert (revision.name, revision.tokens) == ("step8", 0.016)
    with pytest.raises(ConfigError, match=r"models\.bare\.revisions: missing; a swept model needs its revision list"):
        resolve_family("h", config, ROOT)


def test_a_selection_takes_one_revision_of_a_step(tmp_path):
    """A list may hold more, as long as the selection does not: statistics know a revision by its step."""
    listed = tmp_path / "list.tsv"
    listed.write_text("revision\tstep\ttokens_billion\nstep0\t0\t0\nstep2-a\t2\t2\nstep2-b\t2\t2\n")
    model = HUB | {"revisions": str(listed)}
    config = {"models": {"strong": model, "weak": HUB}, "families": {"f": {"strong": "strong", "weak": "weak"}}}
    with pytest.raises(
        ConfigError, match=r"families\.f\.select: takes 'step2-a' and 'step2-b', both of step 2.*models\.strong"
    ):
        resolve_family("f", config, ROOT)
    config["families"]["f"]["select"] = {"last": 2}
    assert [revision.name for revision in resolve_family("f", config, ROOT).revisions] == ["step0", "step2-a"]


def test_tokens_of_a_selection_must_rise(tmp_path):
    """Rounded tokens of the first branches may all be equal; a curve over them has no extent."""
    listed = tmp_path / "list.tsv"
    listed.write_text("revision\tstep\ttokens_billion\na\t1\t1\nb\t2\t1\nc\t3\t2\n")
    models = {"strong": HUB | {"revisions": str(listed)}, "weak": HUB}
    config = {"models": models, "families": {"f": {"strong": "strong", "weak": "weak", "select": {"last": 2}}}}
    with pytest.raises(
        ConfigError, match=r"families\.f\.select: takes 2 revisions from a to b, all at 1 billion tokens"
    ):
        resolve_family("f", config, ROOT)
    config["families"]["f"]["select"] = {}
    assert len(resolve_family("f", config, ROOT).revisions) == 1 + 3


def test_a_list_without_step_0_is_preceded_by_a_random_twin_that_no_selection_counts():
    config = yaml.safe_load((ROOT / "config" / "models.yaml").read_text())
    revisions = resolve_family("olmo2-7b", config, ROOT).revisions
    assert len(revisions) == 1 + 317
    assert revisions[0] == Revision(name="random", step=0, tokens=0.0)
    listed = shipped("OLMo-2-1124-7B-stage1")
    assert revisions[1:] == select(listed, first=100, count=317)
    assert files_of("random", listed[::-1]) == "stage1-step150-tokens1B"
    assert files_of("stage1-step1000-tokens5B", listed) == "stage1-step1000-tokens5B"
    config["families"]["pythia-70m"]["select"] = {"first": 1, "stride": 50, "thin": 2}
    assert resolve_family("pythia-70m", config, ROOT).revisions[0].name == "step0"
    assert "random" not in {revision.name for revision in revisions_of("m", config["models"]["olmo2-7b"], ROOT)}


def taught(name: str, revision: str) -> Supervisor:
    return Supervisor(name=name, revision=revision, source="model")


def test_used_revisions_name_each_once_and_the_supervisors_too():
    families = {
        name: Family(name=name, strong="s", supervisor=weak, revisions=tuple(numbered(3)))
        for name, weak in (("one", taught("w", "step9")), ("two", taught("s", "step9")))
    }
    assert used_revisions(families) == {"s": ["step0", "step1", "step2", "step9"], "w": ["step9"]}


@pytest.mark.parametrize(("snapshots", "downloads"), [(1, 1), (2, 1), (3, 2), (9, 4)])
def test_fetches_leave_a_place_for_the_one_in_use(snapshots, downloads):
    assert most_downloads(snapshots) == downloads


def test_only_swept_revisions_keep_the_layers_asked_for():
    swept = tuple(numbered(3))
    families = {
        "a": Family(name="a", strong="big", supervisor=taught("small", "step9"), revisions=swept),
        "b": Family(name="b", strong="small", supervisor=taught("big", "step1"), revisions=swept[:1]),
    }
    for model, revision, expected in [
        ("big", "step2", [1, 2]), ("big", "step1", [1, 2]), ("small", "step0", [1, 2]),
        ("small", "step9", "final"), ("big", "step9", "final"),
    ]:  # fmt: skip
        assert kept_layers([1, 2], families, model, revision) == expected
