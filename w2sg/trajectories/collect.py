"""Many small tables to one: the revisions of a family joined with their step and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import compute

from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.tables.schemas import METRICS


def join_family(
    *, family: Mapping[str, Any], revisions: Mapping[str, Sequence[pa.Table]], weak: Sequence[pa.Table]
) -> pa.Table:
    """Returns the long table of one family, columns of METRICS.

    Args:
        family: Name, strong, weak, weak_revision, and revisions as mappings with name, step and tokens (billions),
            by step. With as_students also the kinds of trained students, and protocol and seeds of the labels that they
            learn: the supervisor, which is no single model, has rows under these kinds too.
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
    if "as_students" in family:
        weak = [*weak, *(copy for table in weak for copy in _as_students(table, **family["as_students"]))]
    parts += [_place(table, family, family["revisions"][-1]) for table in weak]
    # Each part is sorted already, so that in this order the whole usually is: sorting it would take longer than the rest.
    parts = [part for part in parts if len(part)]
    parts.sort(key=lambda part: [part[key][0].as_py() for key in METRICS.keys])
    return pa.concat_tables(parts) if parts else METRICS.fields.empty_table()


def _as_students(table: pa.Table, *, kinds: Sequence[str], protocol: str, seeds: Sequence[int]) -> list[pa.Table]:
    """Returns a supervisor's rows of one protocol under the name of each kind of trained students, which learn those labels."""
    own = (
        (compute.field("protocol") == protocol)
        & (compute.field("setting") == HEADLINE_SETTINGS[protocol])
        & compute.field("seed").isin(seeds)
    )
    rows, copies = table.filter(own), []
    for kind in kinds:
        copy = rows
        for name, value in (("protocol", kind), ("setting", HEADLINE_SETTINGS[kind])):
            column, at = pa.repeat(pa.scalar(value), len(rows)).dictionary_encode(), copy.column_names.index(name)
            copy = copy.set_column(at, copy.schema.field(at), column)
        copies.append(copy)
    return copies


def _place(table: pa.Table, family: Mapping[str, Any], revision: Mapping[str, Any]) -> pa.Table:
    keys = {"weak": family["weak"], "weak_revision": family["weak_revision"], "family": family["name"]}
    for name, value in {**keys, "step": revision["step"], "tokens": float(revision["tokens"])}.items():
        column = pa.repeat(pa.scalar(value), len(table))
        table = table.append_column(name, column.dictionary_encode() if isinstance(value, str) else column)
    return table
