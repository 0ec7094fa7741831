"""Killed at random moments, a study ends with the bytes of an undisturbed one, and nothing is left of the killed."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np

from tests import faults
from tests.dag.conftest import unstarted
from tests.dag.kills import KINDS, Attacked, left_behind

TARGETS = (
    "results/smoke/floors/posts.parquet",
    *(f"results/smoke/metrics/smoke/step{step}/posts.parquet" for step in (0, 8)),
)
"""All that takes time, from the corpus to two tables of heads; what is joined from them is made in seconds."""

LONGEST = 7.0
"""Most seconds from the first sign of a job to the blow, about a third of what the targets take."""


def test_a_killed_study_ends_with_the_bytes_of_an_undisturbed_one(finished, tmp_path):
    """Blows of all kinds in turn: one study takes as many as meet it before it is done, the next one takes the rest."""
    rng = np.random.default_rng(2605)
    undisturbed = finished.tables()
    waiting = list(itertools.islice(itertools.cycle(KINDS), faults.KILLS))
    for number in itertools.count():
        if not waiting:
            break
        attacked = Attacked(
            workflow=unstarted(finished, tmp_path / str(number)), targets=TARGETS, rng=rng, longest=LONGEST
        )
        met: list[str] = []
        whole: dict[Path, int] = {}
        while waiting and attacked.strike(waiting[0]):
            met.append(waiting.pop(0))
            whole |= attacked.finished()
            attacked.bring_back()
        assert met, "the study was done before the first blow"
        attacked.workflow.run("--", *TARGETS)
        assert attacked.workflow.tables().items() <= undisturbed.items()
        assert left_behind(attacked.workflow.folder) == []
        assert "Nothing to be done" in attacked.workflow.run("-n", "--", *TARGETS)
        remade = [path for path, changed in whole.items() if path.stat().st_mtime_ns != changed]
        assert not remade, "results that were finished before a blow were made again"
        for kind, times in Counter(met).items():
            faults.record(KINDS[kind], tried=times, outcome="the same bytes; nothing is left", lost=len(remade))
