"""Killed at random moments, a study ends with the bytes of an undisturbed one, and nothing is left of the killed."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np

from tests import faults
from tests.dag.conftest import unstarted
from tests.dag.kills import KINDS, Attacked, left_behind

SHARE = 0.25
"""Most of an undisturbed run's time that passes from the first sign of a job to the blow."""


def test_a_killed_study_ends_with_the_bytes_of_an_undisturbed_one(undisturbed, tmp_path):
    """Blows of all kinds in turn: one study takes as many as meet it before it is done, the next one takes the rest."""
    rng = np.random.default_rng(2605)
    ended, began = (undisturbed.folder / name for name in ("results/smoke/report.html", "study.yaml"))
    longest = SHARE * (ended.stat().st_mtime - began.stat().st_mtime)
    waiting = list(itertools.islice(itertools.cycle(KINDS), faults.KILLS))
    for number in itertools.count():
        if not waiting:
            break
        attacked = Attacked(workflow=unstarted(undisturbed, tmp_path / str(number)), rng=rng, longest=longest)
        met: list[str] = []
        whole: dict[Path, int] = {}
        while waiting and attacked.strike(waiting[0]):
            met.append(waiting.pop(0))
            whole |= attacked.finished()
            attacked.bring_back()
        assert met, "the study was done before the first blow"
        attacked.workflow.run()
        assert attacked.workflow.tables() == undisturbed.tables()
        assert left_behind(attacked.workflow.folder) == []
        assert "Nothing to be done" in attacked.workflow.run("-n")
        remade = [path for path, changed in whole.items() if path.stat().st_mtime_ns != changed]
        assert not remade, "results that were finished before a blow were made again"
        for kind, times in Counter(met).items():
            faults.record(KINDS[kind], tried=times, outcome="the same bytes; nothing is left", lost=len(remade))
