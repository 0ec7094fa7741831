"""Killed at random moments, a study ends with the bytes of an undisturbed one, and nothing is left of the killed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tests import faults
from tests.dag.conftest import Workflow
from tests.dag.kills import KINDS, Attacked, left_behind

LONGEST = 12.0
"""Most seconds from the first sign of a job to the blow."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_study_ends_with_the_bytes_of_an_undisturbed_one(undisturbed, tmp_path, kind):
    wanted = -(-faults.KILLS // len(KINDS))
    expected, rng = undisturbed.tables(), np.random.default_rng([2605, list(KINDS).index(kind)])
    blows = studies = lost = 0
    while blows < wanted:
        studies += 1
        assert studies <= wanted, "too few blows met a running study"
        folder = tmp_path / str(studies)
        folder.mkdir()
        attacked = Attacked(
            workflow=Workflow(folder=folder, config=copy.deepcopy(undisturbed.config)), rng=rng, longest=LONGEST
        )
        whole = {}
        while blows < wanted and attacked.strike(kind):
            blows += 1
            whole |= attacked.finished()
            attacked.bring_back()
        attacked.workflow.run()
        assert attacked.workflow.tables() == expected
        assert left_behind(folder) == []
        assert "Nothing to be done" in attacked.workflow.run("-n")
        remade = [str(path) for path, changed in whole.items() if path.stat().st_mtime_ns != changed]
        lost += len(remade)
        assert not remade, "results that were finished before the blow were made again"
    faults.record(
        KINDS[kind], tried=blows, outcome="same bytes; nothing finished is made again; nothing left", lost=lost
    )
