"""All acceptance criteria over all experiments, as one table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from w2sg.theory.acceptance import criteria_checks, criteria_runs
from w2sg.theory.acceptance.ledger import Ledger

JUDGES = {
    "kappa_threshold": criteria_runs.judge_kappa_threshold,
    "trajectories": criteria_runs.judge_trajectories,
    "spike_strength": criteria_runs.judge_spike_strength,
    "alignment": criteria_runs.judge_alignment,
    "weak_quality": criteria_runs.judge_weak_quality,
    "learning_rate": criteria_runs.judge_learning_rate,
    "landscape": criteria_checks.judge_landscape,
    "random_start": criteria_checks.judge_random_start,
    "sign_rule": criteria_checks.judge_sign_rule,
    "region": criteria_checks.judge_region,
    "agreement": criteria_checks.judge_agreement,
    "bound": criteria_checks.judge_bound,
}


def judge(name: str, table: pd.DataFrame) -> Ledger:
    """Returns the acceptance rows of one experiment's table.

    Args:
        name: Experiment.
        table: Its table, as ``schemas.schema_of`` declares.
    """
    if name.startswith("phase_"):
        return criteria_checks.judge_phase(name, table)
    return JUDGES[name](table)


def acceptance(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Returns the acceptance table of several experiments, in the columns of ``schemas.ACCEPTANCE``."""
    return pd.DataFrame([row for name in sorted(tables) for row in judge(name, tables[name]).rows])


def criteria_verdict(table: pd.DataFrame, experiment: str) -> str:
    """Returns one sentence on an experiment's criteria, for its figure.

    Args:
        table: Acceptance table.
        experiment: Experiment; ``8.2`` criteria and others of one experiment are counted together.
    """
    part = table.loc[table["experiment"] == experiment]
    failed = part.loc[~part["holds"], "criterion"]
    if failed.empty:
        return f"all {len(part)} acceptance criteria hold" if len(part) > 1 else "its acceptance criterion holds"
    return f"{len(failed)} of {len(part)} acceptance criteria FAIL: " + "; ".join(failed)
