"""Adaptive selection as the configuration asks for it and as tables of rounds answer it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.unit.study.test_config import ROOT
from w2sg.study import families
from w2sg.study.fields import ConfigError
from w2sg.study.labels.supervisors import Supervisor
from w2sg.study.lists.adaptive import Adaptive
from w2sg.study.lists.rows import Revision
from w2sg.study.lists.selection import Selection, select
from w2sg.study.rounds import COLUMNS, NOTE, PER_CASE, WITH_SATURATION, narrow, note_rounds, read_rounds

WEAK = Supervisor(name="w", revision="main", source="model")
REVISIONS = tuple(Revision(name=f"step{k}", step=k, tokens=float(k)) for k in range(40))


def study(folder: Path, *, seeds: tuple[str, ...] = (), begun: bool = False, **adaptive):
    """Rounds of a family of forty revisions, or of several seeds; and the families themselves."""
    entry = {"strong": "s", "weak": "w", "select": {"adaptive": adaptive}}
    config = {
        "families": {"f": entry | ({"seeds": list(seeds)} if seeds else {}), "other": {"strong": "s", "weak": "w"}},
        "models": {"s": {"source": "local"}},
        "sweep": {"families": ["f", "other"]},
        "statistics": {"late": 0.2},
    }
    names = [*families.members("f", config), "other"]
    found = {name: families.Family(name=name, strong="s", supervisor=WEAK, revisions=REVISIONS) for name in names}
    return read_rounds(config, found, folder, begun=begun), found


def write(folder: Path, number: int, rows: list[tuple[int, str]], *, end: str = "", first=None):
    """Writes a table of rounds that begins with the rounds before."""
    begun, _ = study(folder)
    kept = [vars(row) for row in begun["f"].rows] if first is None else first
    kept += [{"round": one, "revision": name, "worth": "0.1000", "reason": "because"} for one, name in rows]
    kept += [{"round": number, "revision": "", "worth": "", "reason": end}] if end else []
    path = folder / "f" / f"{number}.tsv"
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(kept).reindex(columns=list(COLUMNS)).to_csv(path, sep="\t", index=False)


def test_a_sweep_begins_with_the_first_round_for_all_its_seeds_and_no_other_family(tmp_path):
    found, whole = study(tmp_path, seeds=("a", "b"))
    assert list(found) == ["f"] and found["f"].members == ("f-a", "f-b") and found["f"].number == 1
    narrowed = narrow(whole, found)
    assert narrowed["f-a"].revisions == narrowed["f-b"].revisions and len(narrowed["f-a"].revisions) == 8
    assert narrowed["other"].revisions == REVISIONS
    assert list(found["f"].files) == [2] and found["f"].late_step == 32


def test_rounds_follow_their_tables_until_one_says_that_the_sweep_ended(tmp_path):
    write(tmp_path, 2, [(2, "step5"), (2, "step6")])
    found, whole = study(tmp_path)
    assert (
        found["f"].number == 2 and list(found["f"].files) == [2, 3] and "round 2: step5, step6" in found["f"].describe()
    )
    assert [row.revision for row in found["f"].before(2)] == [row.revision for row in found["f"].rows[:8]]
    assert {"step5", "step6"} <= {one.name for one in narrow(whole, found)["f"].revisions}
    write(tmp_path, 3, [], end="ended: enough")
    found, _ = study(tmp_path)
    assert found["f"].end == "ended: enough" and found["f"].number == 2
    assert list(found["f"].files) == [2, 3] and set(found["f"].bounds(4).values()) == {10, 40}


def test_a_table_that_does_not_follow_from_the_rounds_before_does_not_count(tmp_path):
    write(tmp_path, 2, [(2, "step5")])
    write(tmp_path, 3, [(3, "step7")], first=[])
    assert study(tmp_path)[0]["f"].number == 2
    write(
        tmp_path,
        2,
        [(2, "step5")],
        first=[{**vars(row), "reason": "other words"} for row in study(tmp_path / "new")[0]["f"].rows],
    )
    assert study(tmp_path)[0]["f"].number == 2
    write(tmp_path, 2, [(2, "step999")])  # of another list
    assert study(tmp_path)[0]["f"].number == 1


def test_a_job_sees_the_rounds_that_there_were_when_its_run_began(tmp_path):
    write(tmp_path, 2, [(2, "step5")])
    (tmp_path / NOTE).write_text(note_rounds(study(tmp_path)[0]))
    write(tmp_path, 3, [(2, "step5"), (3, "step7")])
    assert study(tmp_path)[0]["f"].number == 3
    assert study(tmp_path, begun=True)[0]["f"].number == 2


def test_costs_lie_between_the_first_round_and_the_most(tmp_path):
    found, _ = study(tmp_path, most=20)
    assert found["f"].bounds(1) == {"least": 8, "expected": 8 + PER_CASE[0], "most": 20, "all listed": 40}
    assert found["f"].bounds(4)["expected"] == 20
    both, _ = study(tmp_path, saturation=2.0)
    assert both["f"].bounds(1)["expected"] == 8 + WITH_SATURATION[0] and both["f"].bounds(1)["least"] == 8


def test_the_expected_number_is_that_of_the_simulation():
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "adaptive.tsv", sep="\t", comment="#")
    means = table[table["sweep"] == "adaptive"].assign(many=lambda rows: rows["design"] == "four cases")
    one, four = means.groupby("many")["revisions"].mean()
    assert one == pytest.approx(8 + PER_CASE[0], abs=1)
    assert four == pytest.approx(8 + PER_CASE[0] + 3 * PER_CASE[1], abs=1.5)
    both = table.loc[table["sweep"] == "adaptive, saturation within 2", "revisions"].mean()
    assert both == pytest.approx(8 + WITH_SATURATION[0], abs=1)


def test_the_simulation_reaches_what_the_documents_claim():
    table = pd.read_csv(ROOT / "benchmarks" / "results" / "adaptive.tsv", sep="\t", comment="#", dtype={"list": str})
    assert (table["studies"] >= 300).all()
    part = table[(table["sweep"] == "adaptive") & (table["design"] != "four cases")]
    means = part[part["design"] != "absent"].groupby("list")["times_as_wide"].mean()
    shares = part.groupby("list")["share"].mean()
    assert (means < 1.2).all() and shares["154"] < 0.12 and (shares[["317", "558"]] < 0.06).all()
    other = table[(table["sweep"] == "exhaustive") & (table["design"] != "four cases")]
    assert part["held"].min() >= 0.95 and part["missed"].max() == other["missed"].max() == 0
    assert part["false"].sum() <= other["false"].sum()
    both = table[table["sweep"] == "adaptive, saturation within 2"]
    assert both["held"].min() >= 0.95 and both["saturation_held"].min() >= 0.95 - 2 * (0.95 * 0.05 / 300) ** 0.5
    rise = ["steep", "gradual"]
    narrower, wider = (one[one["design"].isin(rise)]["saturation_width"].to_numpy() for one in (both, part))
    assert (narrower < 0.95 * wider).all()


def test_seeds_of_different_lists_are_refused(tmp_path):
    _, whole = study(tmp_path, seeds=("a", "b"))
    whole["f-b"] = families.Family(name="f-b", strong="s", supervisor=WEAK, revisions=REVISIONS[1:])
    config = {
        "families": {"f": {"strong": "s", "weak": "w", "select": {"adaptive": {}}, "seeds": ["a", "b"]}},
        "models": {"s": {"source": "local"}},
        "sweep": {"families": ["f"]},
        "statistics": {"late": 0.2},
    }
    with pytest.raises(ConfigError, match=r"families\.f\.select: adaptive: the seeds have different revisions"):
        read_rounds(config, whole, tmp_path)


def test_the_other_keys_say_among_which_revisions_rounds_choose():
    assert len(select(REVISIONS, Selection(first=4, count=20, adaptive=Adaptive()))) == 20
    with pytest.raises(ValueError, match="adaptive and add exclude each other"):
        select(REVISIONS, Selection(adaptive=Adaptive(), add=["step3"]))
