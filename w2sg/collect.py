"""Many small tables to one: revisions of a family joined with their step and tokens, families with one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from w2sg.schemas import METRICS


def join_family(
    *,
    family: Mapping[str, Any],
    heads: Sequence[pd.DataFrame],
    losses: Sequence[pd.DataFrame],
    weak: Sequence[pd.DataFrame],
) -> pd.DataFrame:
    """Returns the long table of one family, schema METRICS.

    Args:
        family: Name, strong, weak, weak_revision, and revisions as mappings with name, step and tokens (billions).
        heads: Tables of the strong model's heads, schema RESULTS.
        losses: Tables of its evaluation loss, schema RESULTS.
        weak: Tables of the supervisor's own metrics, schema RESULTS. They stand at the strong model's last step:
            a supervisor has no place on the strong model's axis, and readers select it by ``head == "weak"``.

    Raises:
        ValueError: If a table holds a revision that the family does not select.
    """
    steps = pd.DataFrame(family["revisions"]).rename(columns={"name": "revision"})
    strong = pd.concat([*heads, *losses], ignore_index=True)
    joined = strong.merge(steps, on="revision", how="left", validate="m:1", indicator=True)
    foreign = joined.loc[joined["_merge"] != "both", "revision"].unique()
    if len(foreign):
        raise ValueError(f"family {family['name']}: tables of revisions that it does not select: {sorted(foreign)}")
    supervisor = pd.concat(weak, ignore_index=True).assign(step=steps["step"].max(), tokens=steps["tokens"].max())
    frame = pd.concat([joined.drop(columns="_merge"), supervisor], ignore_index=True)
    named = frame.assign(family=family["name"], weak=family["weak"], weak_revision=family["weak_revision"])
    return named[METRICS.fields.names]
