"""The answer of a study in sentences, made from its table of conclusions; honest where nothing can be told or is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from w2sg.measures.verdicts import SOME
from w2sg.report.cells import FIRST_NOTE, SI, aligned, format_summary, formatted, interval, marks, records
from w2sg.report.conclusions import Case, Finding, answering, cases
from w2sg.report.onsets import ONSETS, onset_number, onset_of
from w2sg.report.words import BENEATH, FADES, FADING, SATURATIONS, SHORT, UNKNOWING, WORDS, WRONG_WAY
from w2sg.study.protocols import LINEAR, protocol_title
from w2sg.trajectories.transitions import UNSATURATED

NAMED = 6
"""Missing revisions that a sentence names; more are counted."""

CHANCE = 0.5
"""Accuracy of a supervisor that knows nothing."""


def short_answer(summary: pd.DataFrame) -> list[str]:
    """Returns the answer in at most three sentences: in how many cases students gain and from when on, beyond which controls, what predicts it.

    They count the verdicts that :func:`answer` gives case by case, and say nothing else.
    """
    found = answering(cases(summary))
    if not found:
        return answer(summary)
    level = _levels(found)
    dated = [case for case in found if onset_of(case["onset_step"]) == "bounded"]
    onsets = [case["onset_step"] for case in dated if case["gain"].decided == "above"]
    onset = [] if dated else ["no onset can be placed"]
    if onsets:
        values = [one.value for one in onsets]
        ends = f"{min(values):,.0f}" + (f" to {max(values):,.0f}" if min(values) < max(values) else "")
        span = f"{min(one.low for one in onsets):,.0f} to {max(one.high for one in onsets):,.0f}"
        counted = "case" if len(onsets) == 1 else "cases"
        where = f"in the {len(onsets)} {counted} with a gain whose onset can be placed"
        onset.append(f"the gain sets in at step {ends} (intervals reach from {span}) {where}")
    if fading := len(dated) - len(onsets):
        onset.append(f"in {fading} an onset can be placed, but whether the gain lasts cannot be told")
    if chance := _at_chance(found):
        level += f", in {len(chance)} of {len(found)} cases {UNKNOWING}"
    if wrong := [case for case in found if case["weak"].high < CHANCE]:
        onset.append(f"in {len(wrong)} of {len(found)} {WRONG_WAY}")
    twins = [case for case in _with(found, "gain_first") if FIRST_NOTE in case["w2s_first"].note]
    controls = [
        *_counted(_with(found, "gain_beyond_weak_on_weak"), "gain_beyond_weak_on_weak"),
        *_counted(twins, "gain_first"),
    ]
    predicted = "; ".join(_counted(found, "error_probe_minus_loss"))
    gains = "; ".join([f"{level}, {', '.join(_counted(found, 'gain'))}", *onset])
    said = [gains, "; ".join(controls), predicted]
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in said if sentence]


def _counted(found: Sequence[Case], quantity: str) -> list[str]:
    """Returns a part of a sentence for each verdict that some cases have, the first with what is counted."""
    parts: list[str] = []
    for verdict, phrase in SHORT[quantity].items():
        same = [case[quantity].value for case in found if case[quantity].decided == verdict]
        if same:
            ends = [format(value, "+.3f") for value in (min(same), max(same))]
            span = ends[0] if ends[0] == ends[1] else " to ".join(ends)
            count = str(len(same)) if parts else f"{len(same)} of {len(found)} case{'s' if len(found) > 1 else ''}"
            parts.append(phrase.format(count=count, span=span))
    return parts


def answer(summary: pd.DataFrame) -> list[str]:
    """Returns the answer of a study: whether and when students gain, what errors cost and controls reach, what predicts it.

    Everything that words the study (terminal, report, README) takes these sentences. A comparison is worded as the verdict of
    its row allows, and no further; each names its level, one run or several pre-training seeds.

    Args:
        summary: Table of :func:`w2sg.trajectories.summary.summarize`.
    """
    found = answering(cases(summary))
    if not found:
        return ["Whether students come to exceed their weak supervisors cannot be told: no measured revision is left."]
    levels: dict[str, list[Case]] = {}
    for case in found:
        levels.setdefault(_level(case), []).append(case)
    said = [
        f"{_levels(same)} {text}"
        for words in (_gains, _controls, _errors)
        for same in levels.values()
        for text in words(same)
    ]
    # A gain without an interval says neither; one that does not last was seen.
    denied = all(
        math.isfinite(case["gain"].low) and case["gain"].decided != "above" and onset_of(case["onset_step"]) == "never"
        for case in found
    )
    return [f"{_levels(found)} no weak-to-strong generalization was established.", *said] if denied else said


def _levels(found: Sequence[Case]) -> str:
    """Returns on what the conclusions of several cases rest."""
    single = {case.family for case in found if not case.pooled}
    pooled = {_level(case) for case in found if case.pooled}
    if single and pooled:
        return "In single runs and over pre-training seeds"
    if single:
        return "In this run" if len(single) == 1 else "In one run of each family"
    return pooled.pop() if len(pooled) == 1 else "Over pre-training seeds"


def _gains(found: Sequence[Case]) -> list[str]:
    """Whether and when the student exceeds its supervisor, and whether by more than the supervisor's own features allow."""
    dated = {status: words.phrase for status, words in ONSETS.items()} | {FADING: FADES}

    def place(case: Case) -> str:
        status = onset_of(case["onset_step"])
        return FADING if status == "bounded" and case["gain"].decided != "above" else status

    return [
        *_listed(_at_chance(found), UNKNOWING, "weak", ".3f"),
        *_listed([case for case in found if case["weak"].high < CHANCE], WRONG_WAY, "weak", ".3f"),
        *_judged(found, "gain"),
        *_told(found, place, dated, onset_number),
        *_told(found, _saturation, SATURATIONS, _saturated),
        *_judged(_with(found, "gain_beyond_weak_on_weak"), "gain_beyond_weak_on_weak"),
        *_listed(
            [case for case in found if case["ceiling_late"].high < case["weak"].low], BENEATH, "ceiling_late", ".3f"
        ),
    ]


def _saturation(case: Case) -> str:
    """Returns what can be said of a case's saturation: a key of SATURATIONS, or empty text."""
    found = case["saturation_tokens"]
    if found.known:
        return "dated" if found.bounded else "" if found.note.startswith("no interval") else "open"
    return "some" if found.note.startswith(SOME) else "after" if found.note == UNSATURATED else ""


def _saturated(case: Case) -> str:
    return _shown(case["saturation_tokens"], SI) if case["saturation_tokens"].known else ""


def _at_chance(found: Sequence[Case]) -> list[Case]:
    return [case for case in found if case["weak"].low <= CHANCE <= case["weak"].high]


def _controls(found: Sequence[Case]) -> list[str]:
    """What systematic errors cost, what the random twin reaches, and how well a probe of something else predicts."""
    first = _with(found, "w2s_first")
    twins = [case for case in first if FIRST_NOTE in case["w2s_first"].note]
    others = [case for case in _with(found, "error_unrelated") if case["error_probe"].known]
    unrelated = "a probe of an unrelated concept, the length of texts, predicts held-out W2SG accuracy with an error (not compared by a test) of"
    return [
        *_judged(_with(found, "systematic_cost"), "systematic_cost"),
        *_judged(
            twins,
            "gain_first",
            lambda case: f"{_shown(case['w2s_first'], '.3f')}, gain {_shown(case['gain_first'], '+.3f')}",
        ),
        *_listed([case for case in first if case not in twins], "the first student reaches", "w2s_first", ".3f"),
        *_told(
            others,
            lambda case: "",
            {"": unrelated},
            lambda case: f"{case['error_unrelated'].value:.4f}, the linear probe {case['error_probe'].value:.4f}",
        ),
    ]


def _errors(found: Sequence[Case]) -> list[str]:
    """Which predictor has the smaller error, as far as that can be told."""

    def numbers(case: Case) -> str:
        difference = case["error_probe_minus_loss"]
        names = {"probe": "probe", "loss": "loss", "step": "log step"}
        errors = [
            f"{name} {case[f'error_{key}'].value:.4f}" for key, name in names.items() if case[f"error_{key}"].known
        ]
        said = f"probe minus loss {_shown(difference, '+.4f')}" if difference.known else difference.note
        if not case.pooled and 0 < difference.n < case["revisions"].value:
            said += f", over {difference.n} of {case['revisions'].value:.0f} revisions"
        return ", ".join(filter(None, [*errors, said]))

    return _judged(found, "error_probe_minus_loss", numbers)


def _judged(found: Sequence[Case], quantity: str, number: Callable[[Case], str] | None = None) -> list[str]:
    shown = number or (lambda case: _shown(case[quantity], "+.3f"))
    return _told(found, lambda case: case[quantity].decided, WORDS[quantity], shown)


def _listed(found: Sequence[Case], phrase: str, quantity: str, form: str) -> list[str]:
    return _told(found, lambda case: "", {"": phrase}, lambda case: _shown(case[quantity], form))


def _told(
    found: Sequence[Case], kind: Callable[[Case], str], phrases: Mapping[Any, str], number: Callable[[Case], str]
) -> list[str]:
    """Returns a sentence for each phrase that fits some cases by their kind: the phrase, and those cases with their numbers.

    Head protocols stand together under their family and dataset: they share models and pairs, and are no independent cases.
    """
    sentences = []
    for name, phrase in phrases.items():
        same = [case for case in found if kind(case) == name]
        places = [
            f"{family} on {dataset} ({'; '.join(f'{case.protocol} {number(case)}'.strip() for case in heads)})"
            for (family, dataset), heads in groupby(same, key=lambda case: (case.family, case.dataset))
        ]
        sentences += [f"{phrase}: {', '.join(places)}."] if places else []
    return sentences


def _with(found: Sequence[Case], quantity: str) -> list[Case]:
    return [case for case in found if case[quantity].known]


def _level(case: Case) -> str:
    """Returns on what the conclusions of a case rest: one run, or several pre-training seeds."""
    seeds = case["seeds"].value if case["seeds"].known else case["gain"].n
    return f"Over {seeds:.0f} pre-training seeds (Student's t)" if case.pooled else "In this run"


def _shown(finding: Finding, form: str) -> str:
    if not finding.known:
        return finding.note
    shown = interval(finding, form)
    return formatted(finding.value, form) + (shown or (f", {finding.note}" if finding.note else ""))


def describe_missing(completeness: pd.DataFrame) -> list[str]:
    """Returns a sentence per family, or per family, dataset and kind of students, with missing revisions in COMPLETENESS.

    There is none of a whole study.
    """
    sentences = []
    for family, rows in completeness.groupby("family", sort=True):
        if not rows["measured"].any():
            sentences.append(f"{family}: nothing was measured ({rows['revision'].nunique()} revisions wanted)")
            continue
        for (dataset, kind), part in rows.groupby(["dataset", "students"], sort=True):
            missing = part.loc[~part["measured"]].sort_values("step")["revision"].tolist()
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            found = f"{len(missing)} of {len(part)} revisions are missing: {', '.join(missing[:NAMED])}{more}"
            if len(missing) == len(part):
                found = f"nothing was measured ({len(part)} revisions wanted)"
            named = dataset if kind == LINEAR else f"{dataset}, {protocol_title(str(kind))}"
            sentences += [f"{family} on {named}: {found}"] if missing else []
    return sentences


def describe_doubts(named: pd.DataFrame) -> list[str]:
    """Returns one sentence per doubtful revision (model, revision, reason, excluded): what is wrong and whether it counts."""
    return [
        f"{row.model} {row.revision} ({'left out' if row.excluded else 'kept'}): {row.reason}" for row in records(named)
    ]


def summary_text(summary: pd.DataFrame, *, bands: pd.DataFrame, completeness: pd.DataFrame, named: pd.DataFrame) -> str:
    """Returns the summary for a terminal: what is missing, an aligned table, the answer, acceptance bands, doubts.

    Args:
        summary: Table of :func:`w2sg.trajectories.summary.summarize`.
        bands: Table of :func:`w2sg.trajectories.bands.judge_nano`, possibly empty.
        completeness: Schema COMPLETENESS.
        named: Columns model, revision, reason, excluded: revisions with doubtful weights.
    """
    lines = [f"missing: {sentence}" for sentence in describe_missing(completeness)]
    lines += [*aligned(format_summary(summary)), marks(summary), ""] if len(summary) else []
    lines += [f"- {sentence}" for sentence in answer(summary)]
    if len(bands):
        failed = records(bands[~bands["holds"].astype(bool)])
        lines += [
            "",
            f"regression test of the embedded study: {len(bands) - len(failed)} of {len(bands)} values lie within their bands",
        ]
        lines += [
            f"  not: {row.family} on {row.dataset}, {row.protocol} heads, {row.criterion}: "
            f"{'not measured' if pd.isna(row.measured) else format(row.measured, '.3f')}, expected {row.expected}"
            for row in failed
        ]
    return "\n".join([*lines, *describe_doubts(named)]) + "\n"
