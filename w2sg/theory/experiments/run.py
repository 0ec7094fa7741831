"""From an experiment's name to its table and that table's schema."""

from __future__ import annotations

from pkgutil import resolve_name

import pandas as pd
from threadpoolctl import threadpool_limits

from w2sg.tables import theory
from w2sg.tables.files import TableSchema
from w2sg.theory.experiments.catalogue import experiment_of
from w2sg.theory.experiments.settings import RunSettings


def simulate_experiment(name: str, asked: RunSettings) -> pd.DataFrame:
    """Returns an experiment's table, in the columns of ``schema_of(name)``.

    Args:
        name: Experiment.
        asked: Seeds, sizes and threads.

    Raises:
        ValueError: On an unknown experiment.
    """
    item = experiment_of(name)
    with threadpool_limits(limits=1):  # sums of matrix products then have one order on every machine
        return resolve_name(f"{__package__}.{item.kind}:simulate_{item.kind}")(item, asked)


def schema_of(name: str) -> TableSchema:
    """Returns the schema of an experiment's table.

    Raises:
        ValueError: On an unknown experiment.
    """
    return getattr(theory, experiment_of(name).kind.upper())
