"""How often intervals hold the truth, over simulated studies: shared by the coverage benchmarks."""

from __future__ import annotations

import numpy as np
import pandas as pd


def condense(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns coverage with its standard error per design and estimate; an open end of an interval is infinite.

    Where the truth has no closed form (ranks), the mean estimate over all studies stands for it.
    """
    key = [rows["design"], rows["estimate"]]
    truth = rows["truth"].fillna(rows.groupby(key)["value"].transform("mean"))
    held = (rows["low"].fillna(-np.inf) <= truth * (1 + 1e-9)) & (rows["high"].fillna(np.inf) >= truth * (1 - 1e-9))
    said = rows["said"].astype(float) if "said" in rows else np.nan
    table = rows.assign(
        said=said, held=held, width=rows["high"] - rows["low"], truth=truth, bounded=rows["low"].notna()
    )
    table = table[table["value"].notna()].groupby(["design", "estimate"], sort=False).agg(
        studies=("held", "size"), truth=("truth", "mean"), mean=("value", "mean"), coverage=("held", "mean"),
        width=("width", "median"), bounded=("bounded", "mean"), verdicts=("said", "mean"),
    )  # fmt: skip
    error = np.sqrt(table["coverage"] * (1 - table["coverage"]) / table["studies"])
    table.insert(4, "standard_error", error)
    return table.reset_index()
