"""Many small tables to one: the revisions of a family joined with their step and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from w2sg.tables.schemas import METRICS


def join_family(
    *, family: Mapping[str, Any], revisions: Mapping[str, Sequence[pa.Table]], weak: Sequence[pa.Table]
) -> pa.Table:
    """Returns the long table of one family, columns of METRICS.

    Args:
        family: Name, strong, weak, weak_revision, and revisions as mappings with name, step and tokens (billions),
            by step.
        revisions: Tables per revision, schema RESULTS: heads on each dataset, and the evaluation loss. A revision without
            tables is one that a partial study has not measured.
        weak: Tables of the supervisor's own metrics, schema RESULTS. They stand at the strong model's last step:
            a supervisor has no place on the strong model's axis, and readers select it by ``head == "weak"``.

    Raises:
        ValueError: If a table holds another revision than the one it is listed for.
    """
    parts = []
    for revision in family["revisions"]:
        for table in revisions.get(revision["name"], []):
            name = revision["name"]
            foreign = set(table["revision"].unique().to_pylist()) - {name}
            if foreign:
                raise ValueError(f"family {family['name']}: a table of revision {name} holds rows of {sorted(foreign)}")
            parts.append(_place(table, family, revision))
    parts += [_place(table, family, family["revisions"][-1]) for table in weak]
    # Each part is sorted already, so that in this order the whole usually is: sorting it would take longer than the rest.
    parts = [part for part in parts if len(part)]
    parts.sort(key=lambda part: [part[key][0].as_py() for key in METRICS.keys])
    return pa.concat_tables(parts) if parts else METRICS.fields.empty_table()


def _place(table: pa.Table, family: Mapping[str, Any], revision: Mapping[str, Any]) -> pa.Table:
    keys = {"weak": family["weak"], "weak_revision": family["weak_revision"], "family": family["name"]}
    for name, value in {**keys, "step": revision["step"], "tokens": float(revision["tokens"])}.items():
        column = pa.repeat(pa.scalar(value), len(table))
        table = table.append_column(name, column.dictionary_encode() if isinstance(value, str) else column)
    return table
