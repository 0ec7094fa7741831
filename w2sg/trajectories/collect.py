"""Many small tables to one: revisions of a family joined with their step and tokens, families with one another.

Everything passes through in parts, one training step at a time, so that the size of a study is bounded by the disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute

from w2sg.tables.files import keys_increase
from w2sg.tables.schemas import METRICS

pc: Any = compute  # its functions are made at import, unseen by type checkers


def join_family(
    *, family: Mapping[str, Any], revisions: Iterable[Sequence[pa.Table]], weak: Sequence[pa.Table]
) -> Iterator[pa.Table]:
    """Yields the long table of one family, schema METRICS, in the order of its keys.

    Args:
        family: Name, strong, weak, weak_revision, and revisions as mappings with name, step and tokens (billions),
            by step.
        revisions: Per revision, in the family's order, its tables, schema RESULTS: heads on each dataset, and the
            evaluation loss. They are taken one revision after the other.
        weak: Tables of the supervisor's own metrics, schema RESULTS. They stand at the strong model's last step:
            a supervisor has no place on the strong model's axis, and readers select it by ``head == "weak"``.

    Raises:
        ValueError: If a table holds another revision than the one it is listed for.
    """
    last = family["revisions"][-1]
    blocks = zip(family["revisions"], revisions, strict=True)
    for step, group in itertools.groupby(blocks, key=lambda block: block[0]["step"]):
        parts = [
            _place(table, family, revision) for revision, tables in group for table in _own(tables, family, revision)
        ]
        if step == last["step"]:
            parts += [_place(table, family, last) for table in weak]
        yield _sort(parts)


def join_families(families: Mapping[str, Iterable[pa.Table]]) -> Iterator[pa.Table]:
    """Yields the rows of all families in the order of METRICS' keys, which begin with the family.

    Args:
        families: Per family, its table in parts (:func:`join_family`).
    """
    for name in sorted(families):
        yield from families[name]


def _own(tables: Iterable[pa.Table], family: Mapping[str, Any], revision: Mapping[str, Any]) -> Iterator[pa.Table]:
    for table in tables:
        foreign = set(pc.unique(table["revision"]).to_pylist()) - {revision["name"]}
        if foreign:
            raise ValueError(
                f"family {family['name']}: a table of revision {revision['name']} holds rows of {sorted(foreign)}"
            )
        yield table


def _place(table: pa.Table, family: Mapping[str, Any], revision: Mapping[str, Any]) -> pa.Table:
    constant = {
        "family": family["name"],
        "step": revision["step"],
        "tokens": float(revision["tokens"]),
        "weak": family["weak"],
        "weak_revision": family["weak_revision"],
    }
    columns = [
        pa.repeat(pa.scalar(constant[field.name], field.type), len(table))
        if field.name in constant
        else table[field.name]
        for field in METRICS.fields
    ]
    return pa.table(columns, schema=METRICS.fields)


def _sort(parts: Iterable[pa.Table]) -> pa.Table:
    """Joins tables in the order of the keys; each is sorted already, so that their order usually suffices."""
    filled = [part for part in parts if len(part)]
    ordered = sorted(filled, key=lambda part: tuple(part[key][0].as_py() for key in METRICS.keys))
    joined = pa.concat_tables([METRICS.fields.empty_table(), *ordered])
    if keys_increase(joined, METRICS.keys):
        return joined
    return joined.sort_by([(key, "ascending") for key in METRICS.keys])
