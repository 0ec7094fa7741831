"""The rule of adaptive sweeps: grid, candidates, the choice of a round, and intervals that hold whatever was chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.studies import made_metrics
from w2sg.study.lists.adaptive import FIRST_ROUND, LATE, Adaptive, candidates, doublings, first_round, late_places
from w2sg.study.rounds import Chosen
from w2sg.trajectories.adaptive.rounds import KnownGain, choose, draw_scores, locate_onset
from w2sg.trajectories.adaptive.saturation import SaturationState, locate_saturation
from w2sg.trajectories.adaptive.table import AdaptiveSweep, next_round, place_tables
from w2sg.trajectories.onset import find_onset

PYTHIA = [0.002097152 * step for step in [0, *(2**k for k in range(10)), *range(1000, 143001, 1000)]]
X = np.linspace(0.0, 10.0, 81)
LATE_PLACE = 64


def curve(crossing, *, scale=0.3):
    """Gains that cross zero at so many doublings."""
    return 0.2 * (1 / (1 + np.exp(-(X - crossing) / scale)) - 0.5)


def case(gain, places, error=0.01):
    places = np.array(places)
    return KnownGain(places=places, gain=gain[places], error=np.full(len(places), error))


def decide(taken, *cases, each=4, within=1.25, saturation=None):
    return choose(X, taken, cases, each=each, within=within, late=LATE_PLACE, confidence=0.95, saturation=saturation)


def sweep(gain, *, each=4, error=0.01):
    taken = [0, 20, 40, 60, 64, 70, 75, 80]
    while (choice := decide(taken, case(gain, taken, error), each=each)).places:
        taken = sorted({*taken, *choice.places})
    return taken


def test_the_first_round_is_the_first_revision_three_log_spaced_ones_and_four_late_ones():
    chosen = first_round(PYTHIA, 0.2)
    assert len(chosen) == len(set(chosen)) == FIRST_ROUND and chosen == sorted(chosen)
    late = late_places(len(PYTHIA), 0.2)
    assert chosen[0] == 0 and chosen[-1] == len(PYTHIA) - 1 and chosen[-LATE] == late[0] and len(late) == 31
    gaps = np.diff(np.array(doublings(PYTHIA))[chosen[:5]])
    assert gaps.max() < 1.3 * gaps.min()


@pytest.mark.parametrize("n", [1, 5, 8, 9, 12, 35])
def test_the_first_round_of_a_short_list_is_within_it(n):
    chosen = first_round([float(k) for k in range(n)], 0.2)
    assert len(set(chosen)) == min(n, FIRST_ROUND) and set(chosen) <= set(range(n)) and {0, n - 1} <= set(chosen)


def test_candidates_are_as_far_apart_as_the_wanted_width_asks_and_hold_the_first_round():
    kept = candidates(PYTHIA, 0.2, 1.25)
    assert set(first_round(PYTHIA, 0.2)) <= set(kept) and len(kept) < 90
    wide = candidates(PYTHIA, 0.2, 4.0)
    assert len(wide) < len(kept)
    assert candidates(PYTHIA, 0.2, 1 + 1e-9) == list(range(len(PYTHIA)))


def test_an_untrained_revision_lies_a_doubling_before_the_next():
    assert doublings([0.0, 1.0, 4.0]) == [-1.0, 0.0, 2.0]


@pytest.mark.parametrize("n", range(4, 30))
@pytest.mark.parametrize("late", [0.05, 0.5, 0.8, 1.0])
def test_a_first_round_is_found_in_every_list_for_every_share_of_late_revisions(n, late):
    places = first_round([float(place) for place in range(n)], late)
    assert len(set(places)) == min(n, 8) and places == sorted(places)


def test_nothing_is_chosen_where_nothing_counts_and_an_onset_that_lies_nowhere_is_not_called_known():
    assert decide([0, 20, 40]).places == ()
    below = decide([0, 40, 80], case(curve(3.7) - 1.0, [0, 40, 80]))
    assert [one.bounded for one in below.sought] == [False] and below.sought[0].width == pytest.approx(1.0)


def test_a_round_looks_between_the_last_one_below_and_the_first_above():
    taken = [0, 20, 40, 60, 64, 70, 75, 80]
    choice = decide(taken, case(curve(3.7), taken))
    assert all(20 < place < 40 for place in choice.places) and len(choice.places) == 4
    assert [one.width for one in choice.sought] == [pytest.approx(2.5)] and all(worth > 0 for worth in choice.worth)
    assert decide(taken, case(curve(3.7), taken)) == choice


def test_a_round_serves_all_cases_and_no_case_that_is_narrow_enough():
    taken = [0, 20, 40, 60, 64, 70, 75, 80]
    both = decide(taken, case(curve(3.7), taken), case(curve(6.2), taken))
    assert {place // 20 for place in both.places} == {1, 2}
    narrow = sorted({*taken, *range(28, 32)})
    found = decide(narrow, case(curve(3.7, scale=0.02), narrow), case(curve(6.2), narrow))
    assert found.sought[0].width < np.log2(1.25) and all(40 < place < 60 for place in found.places)


def test_a_sweep_ends_near_the_exhaustive_interval_with_a_fraction_of_the_revisions():
    rng = np.random.default_rng(0)
    for crossing in (2.2, 4.9, 6.0):
        gain = curve(crossing) + 0.008 * rng.standard_normal(len(X))
        taken = sweep(gain)
        found = locate_onset(case(gain, taken), listed=len(X), late=LATE_PLACE, confidence=0.95)
        whole = find_onset(gain, np.full(len(X), 0.01), late=17, confidence=0.95)
        assert len(taken) < 24 and found.high - found.low <= whole.high - whole.low + 2
        assert found.low <= whole.low and found.high >= whole.high  # what is found is part of what all would show
        assert X[int(found.low)] < crossing <= X[int(found.high)]


def test_a_sweep_without_an_onset_ends():
    taken = sweep(curve(3.7) - 0.15)
    assert len(taken) < 12
    found = locate_onset(case(curve(3.7) - 0.15, taken), listed=len(X), late=LATE_PLACE, confidence=0.95)
    assert np.isnan(found.value) and "Holm over 81" in found.note


def test_a_revision_that_was_not_measured_is_not_chosen_again():
    taken = [0, 20, 40, 60, 64, 70, 75, 80]
    first = decide(taken, case(curve(3.7), taken)).places
    again = decide([*taken, *first], case(curve(3.7), taken)).places
    assert again and not set(again) & set(first)


def test_gains_without_error_and_a_list_that_is_used_up():
    gain = np.sign(X - 3.71)
    taken = sweep(gain, error=0.0)
    found = locate_onset(case(gain, taken, error=0.0), listed=len(X), late=LATE_PLACE, confidence=0.95)
    assert X[int(found.high)] - X[int(found.low)] <= 0.33
    assert decide(range(81), case(gain, range(81))).places == ()


def test_drawn_scores_agree_with_what_was_measured():
    taken = np.array([0, 20, 40, 80])
    free = np.setdiff1d(np.arange(81), taken)
    scores = draw_scores(X, case(curve(3.7), taken), free, np.random.default_rng(0))
    assert scores.shape == (200, 77)
    inside = scores[:, (free > 20) & (free < 40)].mean(0)
    assert inside[0] < -5 and inside[-1] > 5 and abs(inside.mean()) < 2
    assert np.allclose(
        scores[:, free > 40].std(0), 1.0, atol=0.2
    )  # measured ends are nearly alike: only the error is left


def test_those_that_might_have_been_chosen_count_as_tested():
    gain, error = np.array([-0.2, -0.1, 0.031, 0.031]), np.full(4, 0.01)
    assert np.isfinite(find_onset(gain, error, late=1, confidence=0.95).value)
    assert np.isnan(find_onset(gain, error, late=1, confidence=0.95, listed=200).value)


SATURATED = 3.7 + 0.3 * np.log(19.0)
"""Doublings at which the rise of ``curve(3.7)`` has reached 95 %."""


def noisy(gain, *, seed=0):
    return gain + 0.008 * np.random.default_rng(seed).standard_normal(len(X))


def saturation_of(gain, taken, *, wanted=0.5):
    """The state of a saturation, the candidates left, and its sigmoid."""
    free, at = np.setdiff1d(np.arange(len(X)), taken), X[taken]
    fitted = locate_saturation(at, gain[taken], confidence=0.95)
    assert fitted is not None
    width = fitted.saturation.high - fitted.saturation.low
    return SaturationState(at, gain[taken], fitted, X[free], width=width, wanted=wanted), X[free], width


def test_revisions_on_the_upper_half_of_a_rise_are_worth_most_for_its_saturation_and_the_more_are_taken_the_less():
    state, x, _ = saturation_of(noisy(curve(3.7)), [0, 16, 20, 28, 32, 40, 60, 64, 70, 75, 80])
    worth = state.narrowed()
    assert worth.shape == x.shape and (worth >= 0).all() and worth.max() < 1
    best = int(np.argmax(worth))
    assert 3.7 < x[best] < SATURATED + 0.6 and worth[best] > 5 * worth[x < 2.0].max()
    state.take(best)
    assert state.narrowed()[best] < worth[best]


def test_what_a_revision_is_expected_to_narrow_a_saturation_by_is_what_it_narrows_it_by_in_the_mean():
    taken = [*range(0, 80, 3), 80]
    expected, found = [], []
    for seed in range(40):
        gain = noisy(curve(3.7, scale=0.6), seed=seed)
        state, x, width = saturation_of(gain, taken, wanted=0.0)
        best = int(np.argmax(state.narrowed()))
        place = int(np.searchsorted(X, x[best] - 1e-9))
        expected.append(np.log1p(-state.narrowed()[best]))
        found.append(np.log(saturation_of(gain, sorted([*taken, place]))[2] / width))
    assert np.mean(expected) < -0.05
    assert abs(np.mean(found) - np.mean(expected)) < 3 * np.std(found) / np.sqrt(len(found))


def test_a_saturation_is_sought_where_it_is_asked_for_found_and_not_narrow_enough():
    gain, taken = noisy(curve(3.7)), sorted([*range(28, 32), 0, 16, 20, 40, 60, 64, 70, 75, 80])
    onsets = decide(taken, case(gain, taken))
    assert [one.kind for one in onsets.sought] == ["onset"] and onsets == decide(
        taken, case(gain, taken), saturation=None
    )
    both = decide(taken, case(gain, taken), case(noisy(curve(12.0)), taken), saturation=1.01)
    assert [(one.kind, one.case) for one in both.sought] == [("onset", 0), ("onset", 1), ("saturation", 0)]
    assert both.sought[2].bounded and "saturation" in {one.kind for one in both.serves}
    assert decide(taken, case(gain, taken), saturation=100.0).places == onsets.places
    assert both == decide(taken, case(gain, taken), case(noisy(curve(12.0)), taken), saturation=1.01)


def test_a_sweep_that_seeks_saturation_narrows_it():
    gain, widths = noisy(curve(3.7, scale=0.8)), []
    for saturation in (None, 1.5):
        taken = [0, 20, 40, 60, 64, 70, 75, 80]
        while (choice := decide(taken, case(gain, taken), saturation=saturation)).places and len(taken) < 60:
            taken = sorted({*taken, *choice.places})
        widths.append(saturation_of(gain, taken)[2])
    assert widths[1] < min(0.8 * widths[0], np.log2(1.5)) and len(taken) < 60


STEPS = [0, *range(64, 2561, 64)]


def described(**rule) -> tuple[AdaptiveSweep, list[Chosen], pd.DataFrame]:
    """A list of forty revisions, its first round, and what is measured of all of them."""
    metrics = made_metrics(effect=True, steps=STEPS)
    revisions = [(f"step{step}", step, step * 1e-6) for step in STEPS]
    sweep = AdaptiveSweep(revisions=revisions, rule=Adaptive(**rule), late_step=STEPS[-8], confidence=0.95)
    places = first_round([tokens for *_, tokens in revisions], 0.2)
    return sweep, [Chosen(1, revisions[place][0], "", "first") for place in places], metrics


def measured(metrics: pd.DataFrame, chosen: list[Chosen], sweep: AdaptiveSweep) -> pd.DataFrame:
    """What :func:`place_tables` makes of the tables of the chosen revisions, which have neither family nor step."""
    names = [row.revision for row in chosen]
    tables = {
        ("nano", name): [metrics[metrics["revision"] == name].drop(columns=["family", "step", "tokens"])]
        for name in names
    }
    return place_tables(tables, sweep)


def test_the_table_of_rounds_grows_by_revisions_with_their_reasons_until_it_says_why_it_ended():
    sweep, chosen, metrics = described(within=1.2, most=20)
    for number in range(2, 8):
        table = next_round(chosen, measured(metrics, chosen, sweep), sweep, confidence=0.95)
        assert table["revision"].head(len(chosen)).tolist() == [row.revision for row in chosen]
        new = table.iloc[len(chosen) :]
        assert (new["round"] == number).all()
        if new["revision"].isna().all():
            break
        assert new["reason"].str.match(r"onset of nano, newsgroups_tech, (paper|converged): within \d").all()
        assert (new["tokens_billion"] == new["step"] * 1e-6).all()
        chosen += [
            Chosen(int(r), name, worth, why)
            for r, name, worth, why in new[["round", "revision", "worth", "reason"]].values
        ]
    assert new["reason"].item().startswith("ended: ") and len(chosen) <= 20 and number > 2


def test_a_sweep_that_may_measure_no_more_says_so():
    sweep, chosen, metrics = described(within=1.01, most=8)
    table = next_round(chosen, measured(metrics, chosen, sweep), sweep, confidence=0.95)
    assert table["reason"].iloc[-1] == "ended: 8 revisions were measured, and most is 8"


def ended(sweep: AdaptiveSweep, chosen: list[Chosen], metrics: pd.DataFrame) -> list[str]:
    """Reasons of all rounds after the first one."""
    while True:
        new = next_round(chosen, measured(metrics, chosen, sweep), sweep, confidence=0.95).iloc[len(chosen) :]
        if new["revision"].isna().all():
            return [row.reason for row in chosen[FIRST_ROUND:]] + [str(new["reason"].item())]
        chosen = chosen + [Chosen(*row) for row in new[["round", "revision", "worth", "reason"]].values.tolist()]


def test_a_sweep_that_seeks_saturation_goes_on_for_it_and_says_so():
    reasons = ended(*described(within=1.5, saturation=1.2))
    assert {reason.split(" of ")[0] for reason in reasons[:-1]} == {"onset", "saturation"}
    assert any(reason.startswith("saturation of nano, newsgroups_tech, ") for reason in reasons)
    assert "saturation" not in " ".join(ended(*described(within=1.5)))
    wide = ended(*described(within=64.0, saturation=64.0))[-1]
    assert wide.startswith("ended: every onset is known within a factor of 64 in tokens, and every saturation found (")
    assert wide.endswith(" cases) within 64")
