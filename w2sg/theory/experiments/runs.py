"""The table of runs, cut by setting: final steps and curves over a setting."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def finals(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the last recorded step of every run, with the risk ratio L/L(theta_w) as ``risk_ratio``."""
    keys = ["variant", "dimension", "lam", "kappa", "c_w", "eta", "m0", "seed"]
    last = runs.loc[runs.groupby(keys, dropna=False)["step"].transform("max") == runs["step"]]
    return last.assign(risk_ratio=last["risk"] / last["weak_risk"])


def curves(frame: pd.DataFrame, axis: str, value: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the sorted values of a setting (points,) and one curve per seed (seeds, points)."""
    table = frame.pivot(index="seed", columns=axis, values=value).sort_index(axis=1)
    return table.columns.to_numpy(dtype=np.float64), table.to_numpy(dtype=np.float64)


def sweep(runs: pd.DataFrame, series: str, axis: str) -> tuple[NDArray[np.float64], dict[float, NDArray[np.float64]]]:
    """Returns the values of one setting (points,), and per value of another the final distances (seeds, points)."""
    found = {value: curves(part, axis, "distance") for value, part in split(finals(runs), series).items()}
    return next(iter(found.values()))[0], {value: distances for value, (_, distances) in found.items()}


def split(frame: pd.DataFrame, setting: str) -> dict[float, pd.DataFrame]:
    """Returns the rows per value of a numeric setting, in increasing order; rows without a value are left out."""
    values = sorted(set(frame[setting].dropna().astype(float)))
    return {value: frame.loc[frame[setting] == value] for value in values}
