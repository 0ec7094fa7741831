"""All acceptance criteria over all experiments, as one table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from w2sg.theory.acceptance import criteria_checks, criteria_runs
from w2sg.theory.acceptance.ledger import Ledger
from w2sg.theory.experiments.catalogue import experiment_of


def judge(name: str, table: pd.DataFrame) -> Ledger:
    """Returns the acceptance rows of one experiment's table, which is as ``run.schema_of`` declares."""
    item = experiment_of(name)
    ledger = Ledger(section=item.section, experiment=name)
    getattr(criteria_runs if item.grids else criteria_checks, f"judge_{name}")(ledger, table)
    return ledger


def acceptance(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Returns the acceptance table of several experiments, in the columns of ``tables.theory.ACCEPTANCE``."""
    return pd.DataFrame([row for name in sorted(tables) for row in judge(name, tables[name]).rows])
