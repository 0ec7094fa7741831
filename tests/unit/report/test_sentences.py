"""The answer in words says what the verdicts of the table of conclusions say, and no more."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.conclusions import ABSENT, NOISE, made_conclusions, nothing
from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.measures.verdicts import SOME
from w2sg.report.cells import aligned, format_conclusions, format_summary
from w2sg.report.sentences import answer, short_answer, summary_text
from w2sg.trajectories import onset, summary
from w2sg.trajectories.transitions import UNSATURATED

NONE = np.nan
NO_BANDS = pd.DataFrame()
WHOLE = pd.DataFrame(columns=["family", "dataset", "revision", "step", "measured"])
NO_FLAGS = pd.DataFrame(columns=["model", "revision", "reason", "excluded"])


def told(changes=None, **given) -> str:
    return "\n".join(answer(made_conclusions(changes, **given)))


def printed(table: pd.DataFrame, **changes) -> str:
    return summary_text(table, **{"bands": NO_BANDS, "completeness": WHOLE, "named": NO_FLAGS} | changes)


def test_a_study_with_the_effect_is_told_with_its_controls():
    text = told()
    assert (
        "In this run the student ends above its supervisor (late gain): nano on newsgroups_tech (paper +0.044" in text
    )
    assert (
        "In this run W2SG sets in (step, with its interval): nano on newsgroups_tech (paper 896 of 2,048 [768, 1,664]"
        in text
    )
    assert "gains more than a student of the supervisor's own features does" in text
    assert "systematic errors cost accuracy, against a student of the same labels permuted over pairs" in text
    twin = "the student of a random twin stays below its supervisor (its accuracy, and gain): nano on newsgroups_tech (paper 0.532"
    assert twin in text
    assert "a probe of an unrelated concept, the length of texts" in text and "0.0205, the linear probe 0.0116" in text
    assert "it cannot be told which of linear probe and evaluation loss" in text
    assert "accuracy saturates:" not in text and "better than" not in text and "cases" not in text
    assert all(line.startswith("In this run ") for line in text.splitlines())


def test_a_random_twin_that_exceeds_the_supervisor_is_told():
    text = told({"gain_first": (0.04, 0.02, 0.06, "random twin: step0", "above")})
    assert "the student of a random twin exceeds its supervisor (its accuracy, and gain)" in text
    assert "stays below" not in text


@pytest.mark.parametrize(
    ("ends", "verdict", "note", "expected"),
    [
        ((-0.009, -0.001), "below", "", "the linear probe predicts held-out W2SG accuracy better than evaluation loss"),
        ((0.001, 0.009), "above", "", "evaluation loss predicts held-out W2SG accuracy better than the linear probe"),
        ((-0.009, 0.001), "unclear", "", "it cannot be told which"),
        ((-0.009, -0.001), "below", f"{TOO_SHORT}: blocks are cut", "it cannot be told which"),
        (
            (NONE, NONE),
            "undefined",
            "no interval: 4 revisions",
            "predicts held-out W2SG accuracy better cannot be judged",
        ),
    ],
)
def test_better_is_said_only_where_the_verdict_says_it(ends, verdict, note, expected):
    text = told({"error_probe_minus_loss": (-0.004, *ends, note, verdict)})
    assert expected in text
    assert ("better than" in text) == ("better than" in expected)
    shown = format_summary(made_conclusions({"error_probe_minus_loss": (-0.004, *ends, note, verdict)}))
    stars = [shown[f"error\n{name}"].str.endswith("*").all() for name in ("probe", "loss")]
    assert stars == ["the linear probe predicts" in expected, "evaluation loss predicts" in expected]


def test_gains_that_may_not_last_are_not_said_to_set_in():
    table = made_conclusions({"gain": (0.02, -0.1, 0.14, "", "unclear")})
    assert short_answer(table)[0].endswith("in 2 an onset can be placed, but whether the gain lasts cannot be told.")
    assert "no onset" not in short_answer(table)[0] and "sets in" not in "".join(answer(table))


def test_single_runs_of_two_families_are_called_so_throughout():
    table = pd.concat([made_conclusions(), made_conclusions(family="other")])
    assert all(said.startswith("In one run of each family") for said in (*answer(table), short_answer(table)[0]))


def test_an_interval_that_may_be_too_short_has_a_dagger_for_its_star():
    for note, verdict, mark in (("", "below", "*"), (f"{TOO_SHORT}: one draw", "unclear", "†")):
        table = made_conclusions({"systematic_cost": (-0.05, -0.08, -0.02, note, verdict)}, level="seeds")
        assert set(format_summary(table)["errors\ncost"]) == {f"-0.050{mark}"}
        cells = format_conclusions(table).set_index("quantity").filter(like="errors", axis=0)
        assert set(cells.to_numpy().ravel()) == {f"-0.050 (-0.080 to -0.020){mark.strip('*')}"}


def test_errors_that_were_not_compared_are_told_with_their_reason():
    text = told({"error_probe_minus_loss": (NONE, NONE, NONE, "probe was not measured", "undefined")})
    assert "predicts held-out W2SG accuracy better cannot be judged: nano on newsgroups_tech (paper" in text
    assert "probe was not measured" in text


@pytest.mark.parametrize(
    ("row", "sentence", "cell"),
    [
        ((512, 256, 1024), "W2SG sets in (step, with its interval): nano on newsgroups_tech (paper 512 of 2,048 [256, 1,024]", "512"),
        (
            (2048, 2048, 2048, "the onset lies between steps 0 and 2,048; no revision between them was measured"),
            "paper the onset lies between steps 0 and 2,048; no revision between them was measured;",
            "by 2,048",
        ),
        ((512, 256, 1024, f"{TOO_SHORT}: blocks are cut"), "when W2SG sets in cannot be told", "?"),
        ((512, 256, 1024, "", "unclear"), "when W2SG sets in cannot be told", "?"),
        ((0, NONE, 0, f"{onset.FIRST}: x"), "already above its supervisor at the first revision", "by 0"),
        ((512, NONE, 1024, f"{onset.OPEN}: x"), "but the onset may lie before the first revision", "by 1,024"),
        ((NONE, NONE, NONE, f"{onset.FLEETING}: x"), "at some revision, but the gain does not last", "not lasting"),
        ((NONE, NONE, NONE, f"{onset.FEW}: x"), "too few revisions to say", "?"),
        ((NONE, NONE, NONE, f"{onset.NEVER} (x)"), "above its supervisor at no revision beyond sampling error", "none"),
        (None, "when W2SG sets in cannot be told", "?"),
    ],
)  # fmt: skip
def test_an_onset_is_told_by_what_bounds_it(tmp_path, row, sentence, cell):
    made_conclusions({"onset_step": row}).to_csv(tmp_path / "summary.csv", index=False)
    table = summary.read_summary(tmp_path / "summary.csv")  # as the report reads it
    text = "\n".join(answer(table))
    assert sentence in text
    assert ("sets in (step" in text) == (cell == "512")
    assert format_summary(table)["onset\nstep"].tolist() == [cell, cell]


def test_saturation_is_told_only_with_both_bounds():
    said = (
        "accuracy saturates: a sigmoid reaches 95 % of its rise (tokens): nano on newsgroups_tech (paper 5 M [4 M, 6 M]"
    )
    assert said in told({"saturation_tokens": (0.005, 0.004, 0.006)})
    for ends in ((0.005, 0.004, 0.006, "", "unclear"), (0.005, NONE, 0.006)):
        text = told({"saturation_tokens": ends})
        assert "accuracy saturates:" not in text and "is not bounded by the revisions" in text
    late = told({"saturation_tokens": (NONE, NONE, NONE, UNSATURATED)})
    assert "reaches 95 % of its rise only after the last revision" in late and "(paper; converged)" in late
    other = told({"saturation_tokens": (NONE, NONE, NONE, f"{UNSATURATED}; no rise that differs from noise")})
    assert "only after the last revision" not in other  # of all seeds
    some = told({"saturation_tokens": (NONE, NONE, NONE, f"{SOME} (1 of 3 have none): {UNSATURATED}")})
    assert "reaches 95 % of its rise by the last revision with some seeds only" in some
    assert "sigmoid" not in told({"saturation_tokens": (NONE, NONE, NONE, "no fit")})


def test_an_onset_whose_gain_may_not_last_is_no_setting_in():
    text = told({"gain": (0.02, -0.1, 0.14, "", "unclear")})
    assert "an onset can be placed, but whether the gain lasts cannot be told (step" in text and "sets in (" not in text


def test_a_gain_without_an_interval_is_not_called_unclear():
    text = told({"gain": (-0.2, NONE, NONE, "no interval: one revision", "undefined")})
    assert (
        "whether the student ends above its supervisor cannot be judged (late gain): nano on newsgroups_tech (paper -0.200, no interval"
        in text
    )


def test_a_ceiling_below_the_supervisor_is_told():
    assert "the ceiling ends below the supervisor" in told({"ceiling_late": (0.6, 0.58, 0.62)})
    for ends in ((0.58, 0.76), (NONE, NONE)):  # intervals that overlap, or none, tell nothing
        assert "the ceiling" not in told({"ceiling_late": (0.6, *ends)})


def test_errors_of_some_revisions_only_say_so():
    rest = pd.concat([made_conclusions({"error_probe_minus_loss": (-0.004, -0.009, 0.001, "", "unclear")})])
    rest.loc[rest["quantity"] == "error_probe_minus_loss", "n"] = 3
    assert re.search(
        r"probe minus loss -0\.0040 \[-0\.0090, \+0\.0010\], over 3 of \d+ revisions", "\n".join(answer(rest))
    )


def test_several_seeds_speak_for_their_members_and_say_their_level():
    pooled = made_conclusions({"seeds": (3, NONE, NONE)}, level="seeds")
    members = [made_conclusions(family=f"nano-seed{seed}", level="one seed") for seed in range(3)]
    lines = answer(pd.concat([*members, pooled]))
    other = made_conclusions(family="nano-spam")  # its name begins alike, and it is no seed
    assert "nano-spam" in "\n".join(answer(pd.concat([*members, pooled, other])))
    assert all(line.startswith("Over 3 pre-training seeds (Student's t) ") for line in lines)
    assert "nano-seed" not in "\n".join(lines)
    shown = format_summary(pd.concat([pooled, *members]))
    assert shown["family"].tolist()[::2] == ["nano (3 seeds)", "nano-seed0", "nano-seed1", "nano-seed2"]


def test_how_seeds_were_pooled_is_not_taken_for_a_doubt():
    note = "mean over 3 pre-training seeds, interval by Student's t over seeds"
    table = made_conclusions({"onset_step": (896, 768, 1024, note), "seeds": (3, NONE, NONE)}, level="seeds")
    assert "(paper 896 of 2,048 [768, 1,024]; " in "\n".join(answer(table))
    assert not format_conclusions(table).apply(lambda column: column.str.contains("mean over")).any(axis=None)


def test_without_the_effect_nothing_is_claimed():
    text = told(ABSENT)
    assert text.startswith("In this run no weak-to-strong generalization was established.\n")
    assert "ends below its supervisor" in text and "above its supervisor at no revision" in text
    assert "no cost of the supervisor's systematic errors can be told" in text
    assert "sets in" not in text and "better" not in text.replace("predicts held-out W2SG accuracy better", "")
    assert format_summary(made_conclusions(ABSENT))["PGR"].tolist() == ["—", "—"]


def test_a_supervisor_of_noise_is_named_as_one():
    text = told(NOISE)
    assert text.startswith("In this run no weak-to-strong generalization was established.\n")
    assert "the supervisor cannot be told from chance, so that a gain over it says little" in text.splitlines()[1]
    assert "cannot be told from its supervisor at the end" in text and "chance" not in told()


def test_a_supervisor_below_chance_is_not_one_of_noise():
    text = told({"weak": (0.2, 0.18, 0.22)})
    assert (
        "below chance, as if its labels were given the wrong way round" in text
        and "cannot be told from chance" not in text
    )
    assert "chance" not in told({"weak": (0.5, NONE, NONE)})


@pytest.mark.parametrize("row", [(512, 256, 1024), (NONE, NONE, NONE, f"{onset.FLEETING}: x"), None])
def test_where_some_revision_shows_a_gain_its_absence_is_not_told(row):
    gain = ABSENT | {"onset_step": row}
    assert "no weak-to-strong generalization was established" not in told(gain)


def test_a_gain_without_an_interval_is_no_absence():
    assert told({"gain": (0.064, NONE, NONE, "one revision", "unclear")}).startswith(
        "In this run the student cannot be told"
    )


def test_one_of_two_families_without_revisions_is_named_beside_the_other():
    rows = [
        {"family": family, "dataset": "newsgroups_tech", "revision": f"step{step}", "step": step, "measured": family == "nano"}
        for family in ("nano", "other")
        for step in (0, 8)
    ]  # fmt: skip
    wanted = pd.DataFrame(rows).assign(students="linear")
    flags = pd.DataFrame(
        [
            {"model": "other-strong", "revision": f"step{step}", "reason": "equal weights", "excluded": True}
            for step in (0, 8)
        ]
    )
    text = printed(made_conclusions(), completeness=wanted, named=flags)
    assert text.startswith("missing: other: nothing was measured (2 revisions wanted)\n")
    assert "nano on newsgroups_tech" in text
    assert text.endswith("other-strong step8 (left out): equal weights\n")


def test_a_study_whose_revisions_were_all_left_out_says_that_nothing_can_be_told():
    flags = pd.DataFrame([{"model": "m", "revision": "s0", "reason": "equal weights", "excluded": True}])
    text = printed(nothing(), named=flags)
    assert text.startswith(
        "- Whether students come to exceed their weak supervisors cannot be told: no measured revision is left.\n"
    )
    assert text.endswith("m s0 (left out): equal weights\n")
    assert format_summary(nothing()).empty and len(format_conclusions(nothing())) == 0


def test_missing_controls_leave_dashes_and_no_sentence():
    gone = dict.fromkeys(
        ["weak_on_weak_gain", "gain_beyond_weak_on_weak", "permuted_gain", "systematic_cost", "error_unrelated"]
    )
    text = told(gone, protocols=("paper",))
    assert "own features" not in text and "permuted" not in text and "unrelated" not in text
    shown = format_summary(made_conclusions(gone, protocols=("paper",)))
    assert shown[["beyond\nweak on weak", "errors\ncost"]].to_numpy().tolist() == [["—", "—"]]


def test_the_table_of_two_tasks_fits_a_wide_terminal():
    tasks = [made_conclusions(dataset=name) for name in ("newsgroups_tech", "newsgroups_order")]
    lines = aligned(
        format_summary(pd.concat([*tasks, made_conclusions(family="nano_1024", dataset="newsgroups_order")]))
    )
    assert max(map(len, lines)) <= 160
    assert lines[0].split() == ["W2SG", "W2SG", "beyond", "errors", "onset", "error", "error"]
    assert lines[1].split()[:3] == ["family", "dataset", "heads"] and set(lines[2]) == {"-", " "}
    assert len(lines) == 3 + 6


def test_the_whole_table_shows_every_interval():
    shown = format_conclusions(made_conclusions()).set_index("quantity")["nano on newsgroups_tech, paper"]
    assert shown["gain over the supervisor"] == "+0.044 (+0.020 to +0.068)"
    assert shown["saturation, tokens"] == "5 M (4 M to ?); open above"
    assert shown["W2SG at the first revision"].endswith("random twin: step0")
