"""Checked parquet tables: declared schema, unique keys, page checksums, provenance, atomic writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from w2sg.runtime.files import atomic_path

pc: Any = compute  # its functions are made at import, unseen by type checkers

PROVENANCE = b"w2sg"
"""Metadata key under which a table keeps its provenance, as JSON."""


class TableError(ValueError):
    """A table file that cannot be trusted; the message names the file and how to remake it."""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """What a table holds."""

    name: str
    """Name used in messages and in the file metadata."""
    fields: pa.Schema
    """Columns in order, with their ``meaning``; a nullable one may hold nulls, the others neither nulls nor NaN."""
    keys: tuple[str, ...]
    """Columns that are unique together; rows are sorted by them."""


def declare(name: str, *columns: pa.Field, keys: tuple[str, ...]) -> TableSchema:
    """Returns the declaration of a table."""
    return TableSchema(name=name, fields=pa.schema(columns), keys=keys)


def _column(kind: pa.DataType, name: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    """Returns a column of a declared table; the meaning is Markdown, one line."""
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


text, whole, flag, real = (partial(_column, kind) for kind in (pa.string(), pa.int64(), pa.bool_(), pa.float64()))
maybe = partial(real, nullable=True)
"""Columns of text, whole numbers, truth values, numbers, and numbers that may be null, by name and meaning."""


def write_table(
    rows: pd.DataFrame | pa.Table,
    path: str | os.PathLike[str],
    schema: TableSchema,
    *,
    provenance: Mapping[str, Any],
) -> None:
    """Writes a checked, sorted table atomically; equal content gives equal bytes.

    Args:
        rows: Columns as declared, in any order; the index of a frame is ignored. Text may be coded as in :func:`read_arrow`.
        path: Parquet file to write.
        schema: Declaration to check against.
        provenance: JSON-serialisable facts on the origin; no times.

    Raises:
        ValueError: On missing or unknown columns, values of another type, undeclared nulls, or repeated keys.
    """
    names = schema.fields.names
    declared, found = set(names), set(rows.columns if isinstance(rows, pd.DataFrame) else rows.column_names)
    if declared != found:
        raise ValueError(
            f"table {schema.name}: missing columns {sorted(declared - found)}, unknown columns {sorted(found - declared)}"
        )
    free = pa.schema([field.with_nullable(True) for field in schema.fields])
    try:
        is_frame = isinstance(rows, pd.DataFrame)
        table = pa.Table.from_pandas(rows[names], schema=free, preserve_index=False) if is_frame else rows.select(names)
        table = table.cast(_coded(free))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"table {schema.name}: {error}") from error
    for field in schema.fields:
        if not field.nullable and (undefined := pc.sum(pc.is_null(table[field.name], nan_is_null=True)).as_py()):
            raise ValueError(f"table {schema.name}: column {field.name} holds {undefined} null or NaN values")
    table = sort_rows(table.cast(_coded(schema.fields)), schema)
    options = {"compression": "zstd", "write_page_checksum": True, "store_schema": False}
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, table.schema, **options) as writer:
        writer.write_table(table)
        origin = json.dumps({"table": schema.name, **provenance}, sort_keys=True)
        writer.add_key_value_metadata({PROVENANCE: origin.encode()})


def _coded(fields: pa.Schema) -> pa.Schema:
    """Returns the fields with text coded: a number per row and each text once, which is a tenth of the memory."""
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(kind) if field.type == pa.string() else field for field in fields])


def sort_rows(table: pa.Table, schema: TableSchema) -> pa.Table:
    """Returns coded rows in the order of the schema's keys, each of which occurs once; equal rows are coded alike.

    Raises:
        ValueError: Naming a key that occurs more than once.
    """
    keys = list(schema.keys)
    columns = [_sort_codes(column) if pa.types.is_dictionary(column.type) else column for column in table.columns]
    table = pa.table(columns, schema=table.schema)
    codes = pa.table([getattr(column, "indices", column) for column in columns], names=table.column_names).select(keys)
    order = pc.sort_indices(codes, sort_keys=[(key, "ascending") for key in keys])
    sorted_already = pc.all(pc.equal(order, pa.array(np.arange(len(order), dtype=np.uint64)))).as_py()
    if not sorted_already:  # the usual case is spared a copy, of ten million rows a GB
        table, codes = table.take(order), codes.take(order)
    same = [_equals_the_next(codes[key]) for key in keys]
    place = pc.index(reduce(pc.and_, same), True).as_py()
    if place >= 0:
        key = table.select(keys).slice(place, 1).to_pylist()[0]
        raise ValueError(f"table {schema.name}: key {key} occurs more than once")
    return table


def _equals_the_next(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns whether each value but the last equals the one after it; nulls are equal."""
    first, second = column.slice(0, max(0, len(column) - 1)), column.slice(1)
    both = pc.and_(pc.is_null(first), pc.is_null(second))
    return pc.or_(pc.fill_null(pc.equal(first, second), False), both)


def _sort_codes(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Returns coded text whose dictionary holds what occurs, in order, so that the codes sort like the texts."""
    coded = column.unify_dictionaries().combine_chunks()
    known = coded.dictionary.take(pc.unique(coded.indices))
    known = known.take(pc.sort_indices(known))
    return pa.DictionaryArray.from_arrays(pc.index_in(coded.dictionary, known).take(coded.indices), known)


def read_arrow(path: str | os.PathLike[str], schema: TableSchema, *, where: Any = None) -> pa.Table:
    """Returns the rows of a table whose checksums and schema were verified; ten million of METRICS take about a GB.

    Args:
        path: Parquet file written by :func:`write_table`.
        schema: What the caller expects.
        where: Arrow expression that the returned rows fulfil; the others take no memory.

    Returns:
        Columns as declared, text coded as a dictionary.

    Raises:
        TableError: If the file is missing, cut, corrupt, or holds another schema.
    """
    fields = _coded(schema.fields)
    texts = [field.name for field in schema.fields if field.type == pa.string()]
    remake = f"delete it and run snakemake again to remake it (table {schema.name})"
    try:
        table = pq.read_table(path, filters=where, read_dictionary=texts, page_checksum_verification=True)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file; run snakemake to make it (table {schema.name})") from None
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: not a whole parquet file ({error}); {remake}") from error
    if not table.schema.equals(fields, check_metadata=False):
        wrong = sorted(set(map(str, table.schema)) ^ set(map(str, fields)))
        raise TableError(f"{path}: other columns than table {schema.name} declares: {wrong}; {remake}")
    return table.replace_schema_metadata(None)


def read_table(path: str | os.PathLike[str], schema: TableSchema, *, where: Any = None) -> pd.DataFrame:
    """Returns :func:`read_arrow` as a frame; arguments and errors are the same."""
    return read_arrow(path, schema, where=where).cast(schema.fields).to_pandas()


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what :func:`write_table` stored about a file's origin; empty for foreign parquet files."""
    metadata = pq.read_metadata(Path(path)).metadata or {}
    return json.loads(metadata.get(PROVENANCE, b"{}"))
