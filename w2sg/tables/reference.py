"""Reference of the declared tables, written from their schemas: `python -m w2sg.tables.reference` prints all of it."""

from __future__ import annotations

import sys
from types import ModuleType

import pyarrow as pa

from w2sg.tables import reading, schemas, theory
from w2sg.tables.files import TableSchema

MODULES: tuple[ModuleType, ...] = (schemas, reading, theory)
"""Modules that declare tables, in the order in which the workflow makes them."""

_TYPES = {pa.string(): "string", pa.int64(): "int", pa.float64(): "float", pa.bool_(): "bool"}


def declared_tables() -> dict[tuple[str, str], TableSchema]:
    """Returns every declared table by (module, name in that module), in order of declaration."""
    return {
        (module.__name__, name): value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, TableSchema)
    }


def columns_table(schema: TableSchema) -> str:
    """Returns the keys of a table and, in Markdown, one row per column with its type (``float or null``) and meaning."""
    head = [f"Keys: {', '.join(schema.keys)}.", "", "| column | type | meaning |", "| --- | --- | --- |"]
    rows = []
    for field in schema.fields:
        meaning = field.metadata[b"meaning"].decode().replace("|", "&#124;")
        rows.append(f"| {field.name} | {_TYPES[field.type]}{' or null' * field.nullable} | {meaning} |")
    return "\n".join(head + rows) + "\n"


def columns_reference() -> str:
    """Returns the columns of every declared table, a section each, in Markdown; results/README.md ends with it."""
    return "\n".join(f"### `{table.name}`\n\n{columns_table(table)}" for table in declared_tables().values())


if __name__ == "__main__":
    sys.stdout.write(columns_reference())
