"""Checked parquet tables: declared schema, unique keys, page checksums, provenance, atomic writes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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


def text(name: str, meaning: str) -> pa.Field:
    """Returns a column of text; the meaning is Markdown, one line."""
    return pa.field(name, pa.string(), nullable=False, metadata={"meaning": meaning})


def whole(name: str, meaning: str) -> pa.Field:
    """Returns a column of whole numbers."""
    return pa.field(name, pa.int64(), nullable=False, metadata={"meaning": meaning})


def flag(name: str, meaning: str) -> pa.Field:
    """Returns a column of truth values."""
    return pa.field(name, pa.bool_(), nullable=False, metadata={"meaning": meaning})


def real(name: str, meaning: str) -> pa.Field:
    """Returns a column of numbers."""
    return pa.field(name, pa.float64(), nullable=False, metadata={"meaning": meaning})


def maybe(name: str, meaning: str) -> pa.Field:
    """Returns a column of numbers that may be null."""
    return real(name, meaning).with_nullable(True)


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
        undefined = 0 if field.nullable else _count_undefined(table[field.name])
        if undefined:
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


def _count_undefined(column: pa.ChunkedArray) -> int:
    nan = pc.sum(pc.is_nan(column)).as_py() or 0 if pa.types.is_floating(column.type) else 0
    return column.null_count + nan


def sort_rows(table: pa.Table, schema: TableSchema) -> pa.Table:
    """Returns coded rows in the order of the schema's keys, each of which occurs once; equal rows are coded alike.

    Raises:
        ValueError: Naming a key that occurs more than once.
    """
    columns = [_sort_codes(column) if pa.types.is_dictionary(column.type) else column for column in table.columns]
    table = pa.table(columns, schema=table.schema)
    if _increase(_order(table[key]) for key in schema.keys).all():
        return table
    codes = [_order(table[key]) for key in schema.keys]
    order = np.lexsort(codes[::-1])
    alone = _increase(code[order] for code in codes)
    table = table.take(order)
    if not alone.all():
        row = table.select(schema.keys).slice(int(alone.argmin()), 1).to_pylist()[0]
        raise ValueError(f"table {schema.name}: key {row} occurs more than once")
    return table


def _sort_codes(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Returns coded text whose dictionary holds what occurs, in order, so that the codes sort like the texts."""
    chunks = column.unify_dictionaries().chunks
    if not chunks:
        return pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.string()))
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    known = chunks[0].dictionary.to_numpy(zero_copy_only=False)
    occurs = np.bincount(codes, minlength=len(known)) > 0
    order = np.argsort(known)
    order = order[occurs[order]]
    place = np.zeros(len(known), np.int32)
    place[order] = np.arange(len(order))
    return pa.DictionaryArray.from_arrays(place[codes], pa.array(known[order], pa.string()))


def _order(column: pa.ChunkedArray) -> np.ndarray:
    """Returns numbers in the order of a column's values, nulls last, (n,); text must be coded in order."""
    if pa.types.is_floating(column.type):
        return np.unique(column.to_numpy(), return_inverse=True)[1]
    if pa.types.is_dictionary(column.type):
        return np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    return column.to_numpy()


def _increase(columns: Iterable[np.ndarray]) -> np.ndarray:
    """Returns for each row but the first whether it comes after the one before, by the first column that differs."""
    later, equal = np.bool_(False), np.bool_(True)
    for column in columns:
        before, after = column[:-1], column[1:]
        later, equal = later | (equal & (before < after)), equal & (before == after)
    return np.asarray(later)


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
    with _trusted(path, schema):
        table = pq.read_table(path, filters=where, read_dictionary=texts, page_checksum_verification=True)
    if not table.schema.equals(fields, check_metadata=False):
        wrong = sorted(set(map(str, table.schema)) ^ set(map(str, fields)))
        raise TableError(f"{path}: other columns than table {schema.name} declares: {wrong}; {_remake(schema)}")
    return sort_rows(table.replace_schema_metadata(None), schema)


@contextlib.contextmanager
def _trusted(path: str | os.PathLike[str], schema: TableSchema) -> Iterator[None]:
    """Turns the errors of reading a file into ones that name it and say what to do."""
    try:
        yield
    except FileNotFoundError:
        raise TableError(f"{path}: no such file; run snakemake to make it (table {schema.name})") from None
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: not a whole parquet file ({error}); {_remake(schema)}") from error


def _remake(schema: TableSchema) -> str:
    return f"delete it and run snakemake again to remake it (table {schema.name})"


def read_table(path: str | os.PathLike[str], schema: TableSchema, *, where: Any = None) -> pd.DataFrame:
    """Returns :func:`read_arrow` as a frame; arguments and errors are the same."""
    return read_arrow(path, schema, where=where).cast(schema.fields).to_pandas()


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what :func:`write_table` stored about a file's origin; empty for foreign parquet files."""
    metadata = pq.read_metadata(Path(path)).metadata or {}
    return json.loads(metadata.get(PROVENANCE, b"{}"))
